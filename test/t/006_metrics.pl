
# Metrics of more rows than fit in work_mem: memory stays bounded, and temporary files vanish however a query ends.

use strict;
use warnings;

use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# few shared buffers, so that they hardly count in a process's memory
$node->append_conf(
	'postgresql.conf', q{
	shared_buffers = 1MB
	work_mem = 64kB
	max_parallel_workers_per_gather = 0
	parallel_setup_cost = 0
	parallel_tuple_cost = 0
	min_parallel_table_scan_size = 0
	jit = off});
$node->start;
my $space = PostgreSQL::Test::Utils::tempdir;
$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION mtl_rank;
	CREATE TABLE impressions AS
	SELECT i % 3 = 0 AS clicked, sqrt(i::float8) AS score, i % 10 AS site, i % 10000 AS user_id
	FROM generate_series(1, 200000) i;
	CREATE VIEW bad AS SELECT clicked, CASE WHEN score > 447.2 THEN 'NaN' ELSE score END AS score, site FROM impressions;
	ANALYZE impressions;
	ALTER DATABASE postgres SET search_path = public});
$node->safe_psql('postgres', "CREATE TABLESPACE other LOCATION '$space'");

# Every file and folder of temporary files, in all tablespaces.
sub temp_files
{
	my $data = $node->data_dir;
	my @files = glob("$data/base/pgsql_tmp/* $data/base/pgsql_tmp/*/* $data/pg_tblspc/*/*/pgsql_tmp/* $data/pg_tblspc/*/*/pgsql_tmp/*/*");

	# more of them are no news
	splice(@files, 5);
	return join(' ', map { s/^\Q$data\E\///r } @files);
}

sub no_temp_files
{
	my ($what) = @_;

	is(temp_files(), '', "no temporary files after $what");
	return;
}

# Bytes in temporary files by now; sessions report when they end.
sub temp_bytes
{
	return $node->safe_psql('postgres', "SELECT temp_bytes FROM pg_stat_database WHERE datname = 'postgres'");
}

sub fails
{
	my ($sql, $message, $what) = @_;
	my ($status, $stdout, $stderr) = $node->psql('postgres', $sql);

	like($stderr, $message, $what);
	return;
}

my $parallel = 'SET max_parallel_workers_per_gather = 2';
my %metric = (
	auc => 'mtl_auc(clicked, score)',
	gauc => 'mtl_gauc(clicked, score, user_id)',
	ndcg => 'mtl_ndcg(clicked, score, 10, user_id)',
	# hardly two labels alike: the best order spills too
	'ndcg of one group' => 'mtl_ndcg(score, -score, NULL, 1)');

for my $name (sort keys %metric)
{
	my $sql = "SELECT $metric{$name} FROM impressions";
	my $before = temp_bytes();
	my $in_memory = $node->safe_psql('postgres', "SET work_mem = '1GB'; $sql");

	is(temp_bytes(), $before, "$name: in memory");
	is($node->safe_psql('postgres', $sql), $in_memory, "$name: the same in files");
	ok($node->poll_query_until('postgres', "SELECT temp_bytes > $before FROM pg_stat_database WHERE datname = 'postgres'"),
		"$name: in files, indeed");
	is($node->safe_psql('postgres', "$parallel; $sql"), $in_memory, "$name: the same in workers");
	like($node->safe_psql('postgres', "$parallel; EXPLAIN $sql"), qr/Finalize Aggregate/, "$name: in workers, indeed");
	no_temp_files($name);
}

# errors, when most rows have been read
for my $setting ('SET max_parallel_workers_per_gather = 0', $parallel)
{
	fails("$setting; SELECT mtl_auc(clicked, score) FROM bad", qr/ERROR:  score NaN is not a finite number/, 'an error of a row');
	no_temp_files('an error of a row');
	fails("$setting; SET temp_file_limit = 64; SELECT mtl_auc(clicked, score) FROM impressions",
		qr/ERROR:  temporary file size exceeds "?temp_file_limit"? \(64kB\)/, 'too large a file');
	no_temp_files('too large a file');
	for my $ms (20, 50, 100, 200)
	{
		fails("$setting; SET statement_timeout = $ms; SELECT mtl_auc(clicked, score + g) FROM impressions, generate_series(1, 100) g",
			qr/ERROR:  canceling statement due to statement timeout/, "timeout after $ms ms");
		no_temp_files('a timeout');
	}

	# caught, and the transaction goes on
	is( $node->safe_psql('postgres', qq{
		$setting;
		DO \$\$
		BEGIN
			FOR i IN 1 .. 3 LOOP
				BEGIN
					PERFORM mtl_auc(clicked, score) FROM bad;
				EXCEPTION WHEN invalid_parameter_value THEN NULL;
				END;
			END LOOP;
		END
		\$\$;
		SELECT count(mtl_auc) FROM (SELECT mtl_auc(clicked, score) FROM impressions) a}), '1', 'errors that are caught');
	no_temp_files('errors that are caught');
}

# The leader stops before it has read all that its workers have written: the files go when its transaction does.
my $limited = "SELECT site FROM (SELECT site, mtl_auc(clicked, score) FROM impressions GROUP BY site OFFSET 0) a WHERE mtl_auc > 0 LIMIT 1";
my $session = "$parallel; SET enable_hashagg = off; BEGIN; $limited;
	SELECT count(*) > 0 FROM pg_ls_dir('base/pgsql_tmp') d (folder), pg_ls_dir('base/pgsql_tmp/' || folder) f (file);";
is($node->safe_psql('postgres', "$session COMMIT"), "0\nt", 'files of workers are not read');
no_temp_files('the commit');
is($node->safe_psql('postgres', "$session ROLLBACK"), "0\nt", 'files of workers are not read, again');
no_temp_files('the rollback');

# where temp_tablespaces says
is( $node->safe_psql('postgres', "$parallel; SET temp_tablespaces = other; SET enable_hashagg = off; BEGIN; $limited;
	SELECT count(*) > 0 FROM pg_ls_dir('pg_tblspc') t, pg_ls_dir('pg_tblspc/' || t || '/' || (SELECT pg_ls_dir('pg_tblspc/' || t)) || '/pgsql_tmp') f;
	COMMIT"), "0\nt", 'files in temp_tablespaces');
no_temp_files('a query in another tablespace');

# a session that is ended in the middle
for my $setting ('SET max_parallel_workers_per_gather = 0', $parallel)
{
	my $script = PostgreSQL::Test::Utils::tempdir . '/session.sql';
	append_to_file($script, "SET application_name = 'counts'; $setting;
		SELECT mtl_auc(clicked, score + g) FROM impressions, generate_series(1, 1000) g;");
	my $psql = start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', $script ],
		'<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
	my $seen = 0;
	for (1 .. 1000)
	{
		last if $seen = temp_files() ne '';
		select(undef, undef, undef, 0.01);
	}
	ok($seen, 'a session has temporary files');
	$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'counts' AND backend_type = 'client backend'");
	$psql->finish;
	$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'counts'");
	no_temp_files('the end of a session');
}

# a crash: the server removes them when it starts
my $crash = PostgreSQL::Test::Utils::tempdir . '/crash.sql';
append_to_file($crash, "$parallel; SET enable_hashagg = off; BEGIN; $limited; SET application_name = 'has stopped reading'; SELECT pg_sleep(600);");
my $crashed = start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', $crash ], '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'has stopped reading'"),
	'a transaction has read enough');
isnt(temp_files(), '', 'files of workers are not read, before a crash');
$node->stop('immediate');
$crashed->kill_kill;
$node->start;
no_temp_files('a crash');

# memory: twenty times the rows, and the process is not larger
SKIP:
{
	skip 'no /proc', 3 unless -e '/proc/self/status';

	my $peak = q{COPY peak FROM PROGRAM 'sed -n "s/VmHWM:[^0-9]*\\\\([0-9]*\\\\).*/\\\\1/p" /proc/$PPID/status'};
	for my $name ('auc', 'gauc', 'ndcg')
	{
		my ($few, $many) = split(/\n/, $node->safe_psql('postgres', qq{
			SET work_mem = '1MB';
			CREATE TEMP TABLE peak (kb int);
			SELECT $metric{$name} FROM impressions \\g /dev/null
			$peak;
			SELECT $metric{$name} FROM (SELECT clicked, score + g AS score, user_id FROM impressions, generate_series(1, 20) g OFFSET 0) i \\g /dev/null
			$peak;
			SELECT kb FROM peak ORDER BY kb}));
		cmp_ok($many, '<', $few + 3000, "$name: memory stays bounded");
	}
}

$node->stop;
done_testing();
