
# A hot standby made by pg_basebackup scores as its primary does, and sees activations when they have been replayed.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use IPC::Run qw(start finish timeout);
use MtlRankTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($gated, $linear) = (model('gated'), model('linear_1'));

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION mtl_rank');
create_rows($primary, 'postgres');
$primary->safe_psql(
	'postgres', qq{
	SELECT mtl_register('feed', $gated);
	SELECT mtl_register('value', $linear), mtl_register('value', ${\ model('linear_2')}, false)});

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'the standby is one');
is( score_bits($standby, 'postgres', 'feed'),
	score_bits($primary, 'postgres', 'feed'),
	'a standby computes the same bits');
is(registry_contents($standby, 'postgres'), registry_contents($primary, 'postgres'), 'and has the same registry');

# what is registered later is there too
$primary->safe_psql('postgres', "SELECT mtl_register('late', $gated)");
$primary->wait_for_catchup($standby);
is( score_bits($standby, 'postgres', 'late'),
	score_bits($primary, 'postgres', 'feed'),
	'a model registered after the backup scores on the standby');

# A session of the standby that has the old version in its cache. It says how far it is through its application_name.
my $script = PostgreSQL::Test::Utils::tempdir . '/session.sql';
append_to_file(
	$script, q{
	SELECT mtl_score('value', ARRAY[1, 1], 'value');
	SET application_name = 'has scored version 1';
	DO $$
	BEGIN
		WHILE mtl_score('value', ARRAY[1, 1], 'value') = 3 LOOP
			PERFORM pg_sleep(0.01);
		END LOOP;
	END
	$$;
	BEGIN ISOLATION LEVEL REPEATABLE READ;
	SELECT mtl_score('value', ARRAY[1, 1], 'value');
	SET application_name = 'has scored version 2';
	DO $$
	BEGIN
		WHILE NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'go on') LOOP
			PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
		END LOOP;
	END
	$$;
	SELECT mtl_score('value', ARRAY[1, 1], 'value');
	COMMIT;
	SELECT mtl_score('value', ARRAY[1, 1], 'value');
});
my ($session_out, $session_err) = ('', '');
my $session = start(
	[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $standby->connstr('postgres'), '-f', $script ],
	'<', '/dev/null', '>', \$session_out, '2>', \$session_err,
	timeout($PostgreSQL::Test::Utils::timeout_default));

sub wait_for_session
{
	my ($state) = @_;

	return $standby->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = '$state'");
}

ok(wait_for_session('has scored version 1'), 'a session on the standby scores version 1');
$primary->safe_psql('postgres', q{SELECT mtl_activate('value', 2)});
ok(wait_for_session('has scored version 2'), 'it sees an activation once that is replayed');
$primary->safe_psql('postgres', q{SELECT mtl_rollback('value')});
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT mtl_score('value', ARRAY[1, 1], 'value')}), 3, 'a rollback reaches the standby');
my $signal = start([ 'psql', '-XAtq', '-d', $standby->connstr('postgres'), '-c', q{SET application_name = 'go on'},
	'-c', 'SELECT FROM pg_sleep(600)' ], '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
ok(finish($session), 'the session ends well');
is($session_err, '', 'and without an error');
is($session_out, "3\n30\n30\n3\n", 'under repeatable read it keeps to its snapshot');
$signal->kill_kill;

# a standby cannot be written to
my ($status, $out, $err) = $standby->psql('postgres', "SELECT mtl_register('feed', $gated)");
like($err, qr/cannot execute INSERT in a read-only transaction/, 'a standby refuses to register');
($status, $out, $err) = $standby->psql('postgres', "SELECT mtl_activate('value', 2)");
like($err, qr/cannot execute UPDATE in a read-only transaction/, 'a standby refuses to activate');
($status, $out, $err) = $standby->psql('postgres', "SELECT mtl_score('fed', ARRAY[1])");
like($err, qr/model "fed" is not registered/, 'an unknown name is unknown on a standby');

# after promotion it takes over
$standby->promote;
is($standby->safe_psql('postgres', q{SELECT mtl_activate('value', 2); SELECT mtl_score('value', ARRAY[1, 1], 'value')}),
	"\n30", 'a promoted standby activates');

$standby->stop;
$primary->stop;
done_testing();
