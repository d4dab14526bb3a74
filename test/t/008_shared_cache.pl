
# One copy of each loaded model per server: pins, eviction, limits, and processes that die at the wrong moment.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Digest::SHA qw(sha256_hex);
use IPC::Run qw(start);
use MtlRankTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $folder = PostgreSQL::Test::Utils::tempdir;

# A model file with a table of so many rows of 4 numbers, too few to be folded; its score is factor * (index of the feature "a" + 1).
sub write_model
{
	my ($name, $factor, $rows) = @_;
	my $contract = '{"format": 1, "architecture": {"type": "single_task"}, "tasks": [{"name": "y", "type": "regression"}], '
	  . '"features": [{"name": "a", "kind": "sparse", "lookup": {"type": "index"}}]}';
	my %tensors = (
		'embedding.a.weight' => [ "[$rows, 4]", join('', map { pack('f<4', $_, (0) x 3) } 1 .. $rows) ],
		'task.y.tower.logit.bias' => [ '[1]', pack('f<', 0) ],
		'task.y.tower.logit.weight' => [ '[1, 4]', pack('f<4', $factor, (0) x 3) ]);
	my @names = sort keys %tensors;
	my $digest = sha256_hex($contract, map { ($_, $tensors{$_}[1]) } @names);
	my $position = 0;
	my @entries;

	foreach my $tensor (@names)
	{
		my ($shape, $data) = @{ $tensors{$tensor} };
		my $end = $position + length($data);

		push @entries, qq("$tensor": {"dtype": "F32", "shape": $shape, "data_offsets": [$position, $end]});
		$position = $end;
	}
	(my $quoted = $contract) =~ s/"/\\"/g;
	my $header = qq({"__metadata__": {"mtl_rank": "$quoted", "mtl_rank_sha256": "$digest"}, ) . join(', ', @entries) . '}';
	open(my $file, '>:raw', "$folder/$name") or die "$folder/$name: $!";
	print $file pack('Q<', length($header)), $header, map { $tensors{$_}[1] } @names;
	close($file);
	return "pg_read_binary_file('$folder/$name')::mtl_model";
}

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "max_parallel_workers_per_gather = 2\nmin_parallel_table_scan_size = 0");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION mtl_rank');

sub sql { return $node->safe_psql('postgres', $_[0]); }

# a session that ends with its script, or with the test
sub session
{
	my ($name, $script) = @_;

	append_to_file("$folder/$name.sql", "SET application_name = '$name';\n$script");
	return start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', "$folder/$name.sql" ],
		'<', '/dev/null', '>', "$folder/$name.out", '2>', "$folder/$name.err");
}

sub pid_of { return sql("SELECT pid FROM pg_stat_activity WHERE application_name = '$_[0]'"); }
sub entry { return sql("SELECT location, pins, models FROM mtl_cache WHERE '$_[0]' = ANY (models)"); }

sub wait_for
{
	my ($condition, $what) = @_;

	ok($node->poll_query_until('postgres', "SELECT $condition"), $what);
	return;
}

# a session whose statement is in the middle of a cursor over scores
sub pinning
{
	my ($name, $model) = @_;
	my $session = session($name, qq{
		BEGIN;
		DECLARE c CURSOR FOR SELECT mtl_score('$model', ARRAY[a], 'y') FROM generate_series(0, 9) a;
		FETCH c;
		SELECT pg_sleep(600);});

	wait_for("count(*) = 1 FROM pg_stat_activity WHERE application_name = '$name' AND query ~ 'pg_sleep'", "$name is in use of $model");
	return $session;
}

# starts to load a model, and stops the process while it does
sub stop_loading
{
	my ($name, $model) = @_;

	for my $attempt (1 .. 20)
	{
		my $session = session("$name$attempt", "SELECT mtl_score('$model', ARRAY[0]);");

		sql(q{DO $$ BEGIN FOR i IN 1 .. 10000 LOOP
			EXIT WHEN EXISTS (SELECT FROM mtl_cache_entries() WHERE location = 'loading');
			PERFORM pg_sleep(0.001); PERFORM pg_stat_clear_snapshot(); END LOOP; END $$});
		my $pid = pid_of("$name$attempt");
		kill('STOP', $pid) if $pid;
		usleep(20_000);
		return ($session, $pid) if $pid && entry("$model\@1") =~ /^loading/;
		kill('CONT', $pid) if $pid;
		$session->finish;
		sql('SELECT mtl_cache_evict()');
	}
	die 'no session could be stopped while it loads';
}

for my $i (1 .. 6)
{
	sql("SELECT mtl_register('small$i', " . write_model("small$i", $i, 40_000) . ')');
}
sql("SELECT mtl_register('large', " . write_model('large', 1, 4_800_000) . ')');
sql('CREATE TABLE numbers AS SELECT i AS a FROM generate_series(0, 9999) i; ANALYZE numbers');
my $sum = "SELECT md5(string_agg(encode(float4send(mtl_score('small3', ARRAY[a], 'y')), 'hex'), '' ORDER BY a)) FROM numbers";

#
# without preloading
#

my $version = sql("SELECT current_setting('server_version_num')::int / 10000");
if ($version < 17)
{
	is( sql("SELECT location, reason FROM mtl_cache_prewarm('small1')"),
		'session|mtl_rank is not in shared_preload_libraries, which PostgreSQL before 17 needs',
		'without preloading a session has a copy of its own, and says why');
	is(sql("SELECT mtl_score('small1', ARRAY[2], 'y'); SELECT location, reason IS NULL, models FROM mtl_cache"),
		"3\nsession|f|{small1\@1}", 'and scores with it');
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'mtl_rank'");
}
else
{
	is(sql("SELECT location, reason FROM mtl_cache_prewarm('small1')"), 'shared|', 'models are shared without preloading');
}

#
# one copy
#

$node->append_conf('postgresql.conf', "mtl_rank.shared_cache_size = 0");
$node->restart;
is(sql("SELECT location, reason FROM mtl_cache_prewarm('small3')"), 'session|mtl_rank.shared_cache_size is 0', 'sharing can be switched off');
my $own = sql($sum);

sub set_size
{
	$node->append_conf('postgresql.conf', "mtl_rank.shared_cache_size = '$_[0]'");
	$node->reload;
	is(sql("LOAD 'mtl_rank'; SHOW mtl_rank.shared_cache_size"), $_[0], "the limit is $_[0]");
	return;
}
$node->append_conf('postgresql.conf', "mtl_rank.shared_cache_size = '1GB'");
$node->restart;

is(sql("SELECT location, reason FROM mtl_cache_prewarm('small3')"), 'shared|', 'a model is loaded for all');
is(entry('small3@1'), 'shared|0|{small3@1}', 'nobody uses it between statements');
is(sql($sum), $own, 'another session has the same scores, to the bit');
is(sql("SELECT uses >= 2, bytes BETWEEN 640000 AND 700000 FROM mtl_cache"), 't|t', 'from the same copy');
my $workers = 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET parallel_leader_participation = off;';
my $total = "SELECT sum(mtl_score('small3', ARRAY[a], 'y')::float8) FROM numbers";
my $expected = sql($total);
my $uses = sql('SELECT uses FROM mtl_cache');
is(sql("$workers $total"), $expected, 'parallel workers have the same scores');
cmp_ok(sql('SELECT uses FROM mtl_cache'), '>', $uses, 'from the same copy, too');
like(sql("$workers EXPLAIN (ANALYZE, COSTS OFF) $total"), qr/Workers Launched: [12]/, 'as they did all of it');
is(sql('SELECT count(*) FROM mtl_cache'), 1, 'which is the only one');

#
# databases of other encodings
#

{
	local $ENV{PGCLIENTENCODING} = 'UTF8';

	$node->safe_psql('postgres', "CREATE DATABASE latin1 TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
	$node->safe_psql('latin1', 'CREATE EXTENSION mtl_rank');
	foreach my $database ('postgres', 'latin1')
	{
		$node->safe_psql($database, "SELECT mtl_register('gated', " . model('gated') . ')');
		create_rows($node, $database);
	}
	foreach my $order ([ 'postgres', 'latin1' ], [ 'latin1', 'postgres' ])
	{
		my ($first, $second) = @$order;

		sql('SELECT mtl_cache_evict()');
		my $bits = score_bits($node, $first, 'gated');
		like($bits, qr/^([0-9a-f]{8} ){1999}/, "$first loads a model that has texts");
		is(score_bits($node, $second, 'gated'), $bits, "$second has the same scores");
		is(sql('SELECT uses >= 2 FROM mtl_cache_entries()'), 't', 'from the same copy');
	}
	sql('SELECT mtl_cache_evict()');
	sql("SELECT mtl_cache_prewarm('small3')");
}

#
# pins
#

my $user = pinning('user', 'small3');
is(entry('small3@1'), 'shared|1|{small3@1}', 'a model in use is pinned');
is(sql("SELECT mtl_cache_evict(digest) FROM mtl_cache"), 'f', 'and is not evicted');
is(sql('SELECT mtl_cache_evict()'), 0, 'by no means');
my $start = sql('SELECT pg_postmaster_start_time()');
sql("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'user'");
$user->finish;
is(entry('small3@1'), 'shared|0|{small3@1}', 'a session that is terminated gives back its pins');
is(sql('SELECT mtl_cache_evict()'), 1, 'then the model can be evicted');
is(sql('SELECT count(*) FROM mtl_cache'), 0, 'and is gone');

is(sql("SELECT mtl_score('small3', ARRAY[1], 'y'); SELECT mtl_cache_evict(); SELECT mtl_score('small3', ARRAY[1], 'y')"),
	"6\n1\n6", 'a session that has used an evicted model loads it again');
my $failed = $node->psql('postgres', "SELECT mtl_score('small3', ARRAY[a], 'y') FROM (VALUES (1), (-1)) v (a)");
isnt($failed, 0, 'a statement fails while it uses a model');
is(entry('small3@1'), 'shared|0|{small3@1}', 'its pin is given back');

#
# limits
#

sql('SELECT mtl_cache_evict()');
set_size('2MB');
sql("SELECT mtl_cache_prewarm('small$_')") for 1 .. 3;
is(sql('SELECT sum(bytes) <= 2 * 1024 * 1024, count(*) FROM mtl_cache'), 't|3', 'three models fit into the limit');
sql("SELECT mtl_score('small1', ARRAY[1])");
sql("SELECT mtl_cache_prewarm('small4')");
is(sql('SELECT string_agg(models[1], \' \' ORDER BY models) FROM mtl_cache'), 'small1@1 small3@1 small4@1', 'the least recently used one makes room');
$user = pinning('first', 'small1');
sql("SELECT mtl_cache_prewarm('small$_')") for 2, 5, 6;
is(sql("SELECT string_agg(models[1], ' ' ORDER BY models) FROM mtl_cache"), 'small1@1 small5@1 small6@1', 'but not one in use');
my @others = map { pinning("second$_", "small$_") } 5, 6;
like(sql("SELECT location, reason FROM mtl_cache_prewarm('small2')"),
	qr/^session\|its \d+ bytes exceed mtl_rank.shared_cache_size, 2097152 bytes, together with \d+ bytes in use$/,
	'with all in use there is no room, and a session has its own copy');
is(sql("SELECT mtl_score('small2', ARRAY[4], 'y')"), 10, 'with the right scores');
like(sql("SELECT location, reason FROM mtl_cache_prewarm('large')"),
	qr/^session\|its \d+ bytes exceed mtl_rank.shared_cache_size, 2097152 bytes$/, 'so it has of a model that is larger than the limit');
is(sql('SELECT sum(bytes) <= 2 * 1024 * 1024, count(*) FROM mtl_cache'), 't|3', 'nothing has changed');
set_size('1MB');
sql("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name ~ '^(first|second)'");
$_->finish foreach $user, @others;
sql("SELECT mtl_score('small6', ARRAY[1])");
is(sql("SELECT string_agg(models[1], ' ') FROM mtl_cache"), 'small6@1', 'a lower limit evicts models when they are no longer in use');

#
# many sessions, not enough room
#

set_size('2MB');
append_to_file("$folder/storm.sql", q{
\set model random(1, 6)
\set a random(0, 9999)
SELECT 1 / (mtl_score('small' || :model, ARRAY[:a], 'y') = :model * (:a + 1))::int;
SELECT 1 / (sum(mtl_score('small' || :model, ARRAY[a], 'y')) = :model * 55)::int FROM generate_series(0, 9) a;
});
$node->command_ok([ 'pgbench', '-n', '-c', 8, '-j', 2, '-t', 300, '-f', "$folder/storm.sql", $node->connstr('postgres') ],
	'eviction under load: no error, no wrong score');
$node->command_ok([ 'pgbench', '-n', '-C', '-c', 4, '-t', 25, '-f', "$folder/storm.sql", $node->connstr('postgres') ],
	'nor with connections that come and go');
is(sql('SELECT sum(pins), sum(bytes) <= 2 * 1024 * 1024 FROM mtl_cache'), '0|t', 'all pins are given back, and the limit holds');

#
# processes that die while they load
#

set_size('1GB');
sql('SELECT mtl_cache_evict()');
my ($loader, $pid) = stop_loading('loader', 'large');
my $waiter = session('waiter', "SELECT mtl_score('large', ARRAY[7], 'y');");
wait_for("count(*) = 1 FROM pg_stat_activity WHERE application_name = 'waiter' AND wait_event_type = 'Extension'", 'others wait for who loads');
isnt($node->psql('postgres', "SET statement_timeout = '200ms'; SELECT mtl_score('large', ARRAY[7], 'y')"), 0, 'waiting can be cancelled');
is(sql("SELECT mtl_score('small1', ARRAY[7], 'y')"), 8, 'other models are not affected');
sql("SELECT pg_terminate_backend($pid)");
kill('CONT', $pid);
$loader->finish;
$waiter->finish;
is(slurp_file("$folder/waiter.out"), "8\n", 'when he is terminated, one of them loads the model');
is(entry('large@1'), 'shared|0|{large@1}', 'for all');

sql('SELECT mtl_cache_evict()');
($loader, $pid) = stop_loading('cancelled', 'large');
sql("SELECT pg_cancel_backend($pid)");
kill('CONT', $pid);
$loader->finish;
is(entry('large@1'), '', 'when he is cancelled, nothing is left');
is(sql("SELECT mtl_score('large', ARRAY[7], 'y')"), 8, 'and the model can be loaded');
is(sql('SELECT pg_postmaster_start_time()'), $start, 'the server has not started anew');

#
# processes that are killed
#

sub killed
{
	my ($victim, $session, $what) = @_;

	kill('KILL', $victim);
	$session->finish;
	ok($node->poll_query_until('postgres', 'SELECT 1', '1'), "$what: the server starts anew");
	is(sql('SELECT count(*) FROM mtl_cache'), 0, 'with an empty cache');
	is(sql("SELECT location FROM mtl_cache_prewarm('large')"), 'shared', 'that works');
	is(sql("SELECT mtl_score('large', ARRAY[7], 'y')"), 8, 'as before');
	return;
}
$node->append_conf('postgresql.conf', 'restart_after_crash = on');
$node->reload;
$user = pinning('pinner', 'large');
killed(pid_of('pinner'), $user, 'a process is killed that uses a model');
sql('SELECT mtl_cache_evict()');
($loader, $pid) = stop_loading('killed', 'large');
killed($pid, $loader, 'a process is killed that loads one');

$node->stop;
done_testing();
