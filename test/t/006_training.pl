
# Training as the server sees it: what other sessions see of it, how soon it ends when cancelled, what memory and files it
# takes, and what it leaves behind.

use strict;
use warnings;

use IPC::Run;
use Time::HiRes qw(time usleep);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
$node->append_conf('postgresql.conf', "max_parallel_workers_per_gather = 0\nlog_temp_files = 0");
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION mtl_rank;
	CREATE ROLE other LOGIN;
	CREATE TABLE impressions AS
	SELECT i, i % 1000 AS item, i % 17 AS hour, sin(i) AS amount, ARRAY[cos(i), cos(2 * i), cos(3 * i), cos(4 * i)]::real[] AS vector,
		((i % 1000) * 7 % 13 < 4)::int AS click, i % 5 AS buy
	FROM generate_series(1, 200000) i;
	CREATE FUNCTION spec(units int) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object(
		'architecture', jsonb_build_object('type', 'shared_bottom', 'bottom', jsonb_build_object('hidden_units', jsonb_build_array(units, units))),
		'features', '[{"name": "item", "kind": "sparse"}, {"name": "hour", "kind": "sparse"},
			{"name": "amount", "kind": "dense", "transform": {"type": "standardize"}}, {"name": "vector", "kind": "dense", "width": 4}]'::jsonb,
		'tasks', '[{"name": "click", "type": "binary", "label": "click"}, {"name": "buy", "type": "regression", "label": "buy"}]'::jsonb) $$});

# A line of a file of /proc as a number.
sub proc
{
	my ($pid, $file, $key) = @_;
	my ($number) = slurp_file("/proc/$pid/$file") =~ /^$key:\s+(\d+)/m;
	return $number;
}

sub loaded
{
	my ($pid) = @_;
	return slurp_file("/proc/$pid/maps") =~ /openblas/ ? 1 : 0;
}

sub temporary_files
{
	return $node->safe_psql('postgres', 'SELECT count(*) FROM pg_ls_tmpdir()');
}

# A session that goes on while the test does something else. (background_psql() differs between versions of PostgreSQL.)
package Session
{
	sub new
	{
		my ($class, $node) = @_;
		my %streams = (in => '', out => '', err => '');
		my $harness = IPC::Run::start(
			[ 'psql', '-X', '-A', '-t', '-q', '-d', $node->connstr('postgres') ],
			'<', \$streams{in}, '>', \$streams{out}, '2>', \$streams{err},
			IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default));
		my $self = bless { %streams, harness => $harness, streams => \%streams }, $class;
		($self->{pid}) = $self->query('SELECT pg_backend_pid();') =~ /(\d+)/;
		return $self;
	}

	sub send { my ($self, $sql) = @_; $self->{streams}{in} .= "$sql\n\\echo done\n\\warn done\n"; $self->{harness}->pump_nb; return }

	# What the statement printed, and its errors.
	sub wait
	{
		my ($self) = @_;
		my $streams = $self->{streams};
		$self->{harness}->pump until $streams->{out} =~ s/^(.*?)done\n//ms;
		my $out = $1;
		$self->{harness}->pump until $streams->{err} =~ s/^(.*?)done\n//ms;
		return $out . $1;
	}

	sub query { my ($self, $sql) = @_; $self->send($sql); return $self->wait }
	sub quit { my ($self) = @_; $self->{streams}{in} .= "\\q\n"; $self->{harness}->finish; return }
}

#
# the library
#

my $scoring = Session->new($node);
my $training = Session->new($node);
my $pid = $training->{pid};
is(loaded($pid), 0, 'a new session has no OpenBLAS');
my $threads = proc($pid, 'status', 'Threads');
$training->query(q{SET client_min_messages = warning;});
like($training->query(q{CREATE TABLE models AS SELECT mtl_train(spec(8), 'SELECT * FROM impressions WHERE i <= 2000', '{"epochs": 1}') AS model;}),
	qr/^$/, 'a model is trained');
is(loaded($pid), 1, 'training loads OpenBLAS');
is(proc($pid, 'status', 'Threads'), $threads, 'and leaves no threads behind');
is($scoring->query(q{SELECT count(mtl_score(model, r)) FROM models, impressions r WHERE i <= 100;}), "100\n", 'another session scores');
is(loaded($scoring->{pid}), 0, 'without OpenBLAS');
my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
is(loaded($postmaster), 0, 'and so is the postmaster');

#
# progress, and cancelling
#

# one batch of this takes seconds
my $large = q{SELECT mtl_train(spec(4096), 'SELECT * FROM impressions', '{"epochs": 100, "batch_size": 8192, "examples": 0}') IS NOT NULL;};
my $small = q{SELECT mtl_train(spec(16), 'SELECT * FROM impressions', '{"epochs": 10000, "examples": 0}') IS NOT NULL;};
$training->query(q{SET maintenance_work_mem = '2GB';});

sub poll
{
	my ($sql, $expected) = @_;
	return $node->poll_query_until('postgres', $sql, $expected);
}

$training->send($small);
ok(poll("SELECT epoch > 1 AND phase = 'training' AND epochs = 10000 AND rows_done BETWEEN 0 AND rows_total AND rows_total = 200000
	AND rows_per_second > 0 AND seconds_left > 0 AND learning_rate = 0.001 AND datname = 'postgres' AND loss[1] > 0 AND loss[2] > 0
	AND array_length(auc, 1) = 2 AND auc[1] IS NULL FROM mtl_progress_train WHERE pid = $pid", 't'), 'another session sees the progress');
is($node->safe_psql('postgres', "SET ROLE other; SELECT pid, phase, epoch, loss FROM mtl_progress_train"), "$pid|||",
	'another role sees that there is a training, and no more');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_progress_create_index UNION ALL SELECT count(*) FROM pg_stat_progress_copy"),
	"0\n0", 'views of the server do not take it for theirs');

# The time from a cancel to the end of the statement; the median, because the machine does other things too.
sub cancel_seconds
{
	my ($sql, $phase, @waits) = @_;
	my @seconds;

	for my $wait (@waits)
	{
		$training->send($sql);
		poll("SELECT count(*) FROM mtl_progress_train WHERE pid = $pid AND phase = '$phase'", '1');
		usleep($wait * 1000);
		my $start = time;
		kill 'INT', $pid;
		like($training->wait, qr/canceling statement due to user request/, "cancelled while $phase");
		push @seconds, time - $start;
	}
	@seconds = sort { $a <=> $b } @seconds;
	return $seconds[@seconds / 2];
}

kill 'INT', $pid;
like($training->wait, qr/canceling statement due to user request/, 'a training can be cancelled');

# Buffers are of huge pages where there are some to be had, or a gigabyte of them takes long to give back.
SKIP:
{
	my $setting = '/sys/kernel/mm/transparent_hugepage/enabled';
	skip 'no huge pages here', 1 unless -r $setting && slurp_file($setting) =~ /\[(?:always|madvise)\]/;
	$training->send($large);
	poll("SELECT count(*) FROM mtl_progress_train WHERE pid = $pid AND phase = 'training'", '1');
	usleep(500 * 1000);
	cmp_ok(proc($pid, 'smaps_rollup', 'AnonHugePages'), '>', 100 * 1024, 'a large training uses huge pages');
	kill 'INT', $pid;
	$training->wait;
}

my $seconds = cancel_seconds($large, 'training', 300, 800, 1300);
note("cancelled after $seconds s");
# no pass or fail by speed: that a batch of seconds is not waited for is what shows
cmp_ok($seconds, '<', 1, 'a large batch is cancelled while it is computed');
# a model of 100 MB is copied, hashed and checked
my $model = q{SELECT mtl_digest(mtl_train('{"architecture": {"type": "shared_bottom", "bottom": {"hidden_units": [4]}},
	"features": [{"name": "item", "kind": "sparse", "embedding_dim": 128, "lookup": {"type": "hash", "num_buckets": 200000}}],
	"tasks": [{"name": "click", "type": "binary", "label": "click"}]}', 'SELECT * FROM impressions WHERE i <= 1000', '{"epochs": 1}'));};
note('finishing: ' . cancel_seconds($model, 'finishing', 20, 100, 200) . ' s');
note('reading: ' . cancel_seconds($small, 'reading', 5) . ' s, encoding: ' . cancel_seconds($small, 'encoding', 5) . ' s');
is($node->safe_psql('postgres', 'SELECT count(*) FROM mtl_progress_train'), '0', 'and then there is no progress');
is($training->query('SELECT 1;'), "1\n", 'the session goes on');
is(temporary_files(), '0', 'no temporary files are left');

#
# memory
#

# 100,000 rows of 100 values are some 20 MB encoded, and more than 40 MB as they are
$node->safe_psql('postgres', q{CREATE TABLE long AS SELECT i, ARRAY(SELECT (i + k * k) % 1000 FROM generate_series(1, 100) k) AS seen, click
	FROM impressions WHERE i <= 100000});
my $spec = q{'{"architecture": {"type": "shared_bottom", "bottom": {"hidden_units": [8]}}, "features": [{"name": "seen", "kind": "sequence", "max_length": 100}],
	"tasks": [{"name": "click", "type": "binary", "label": "click"}]}'};
sub train_long
{
	my ($memory) = @_;
	my $session = Session->new($node);
	$session->query("SET client_min_messages = warning; SET maintenance_work_mem = '$memory'; SET work_mem = '1MB';");
	# what loading, and a first training, take
	$session->query("SELECT mtl_train($spec, 'SELECT * FROM long WHERE i <= 1000', '{\"epochs\": 1}') IS NOT NULL;");
	my $before = proc($session->{pid}, 'status', 'VmHWM') - proc($session->{pid}, 'status', 'RssShmem');
	my $digest = $session->query("SELECT mtl_digest(mtl_train($spec, 'SELECT * FROM long', '{\"epochs\": 2, \"batch_size\": 256}'));");
	my $peak = proc($session->{pid}, 'status', 'VmHWM') - proc($session->{pid}, 'status', 'RssShmem');
	$session->quit;
	return ($digest, $peak - $before);
}
my $log = -s $node->logfile;
my ($spilled, $little) = train_long('14MB');
my $files = () = slurp_file($node->logfile, $log) =~ /temporary file: path/g;
$log = -s $node->logfile;
my ($kept, $much) = train_long('1GB');
my $files_kept = () = slurp_file($node->logfile, $log) =~ /temporary file: path/g;
note("peak: $little kB in 14 MB, $much kB in 1 GB; temporary files: $files, $files_kept");
like($spilled, qr/^[0-9a-f]{64}\n$/, 'a training in little memory');
is($spilled, $kept, 'gives the same bytes as one in much');
cmp_ok($little, '<', 20 * 1024, 'it stays close to maintenance_work_mem');
cmp_ok($much, '>', 40 * 1024, 'which the rows do not fit in');
cmp_ok($files, '>', 5, 'so they went to files');
is($files_kept, 0, 'and with more memory they did not');
is(temporary_files(), '0', 'no temporary files are left');

# temp_file_limit holds for training too
my ($ret, $out, $err) = $node->psql('postgres', "SET temp_file_limit = '1MB'; SET maintenance_work_mem = '14MB'; SELECT mtl_digest(mtl_train($spec, 'SELECT * FROM long'));");
like($err, qr/temporary file size exceeds "?temp_file_limit"?/, 'temp_file_limit is respected');
is(temporary_files(), '0', 'no temporary files are left after an error');

$scoring->quit;
$training->quit;
$node->stop;
done_testing();
