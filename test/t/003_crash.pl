
# After a crash the registry is what was committed, and the scores are the same bits.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use IPC::Run qw(start);
use MtlRankTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($gated, $linear) = (model('gated'), model('linear_1'));

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION mtl_rank');
create_rows($node, 'postgres');

# some of it before, some after the last checkpoint
$node->safe_psql('postgres', "SELECT mtl_register('feed', $linear), mtl_register('feed', $gated); CHECKPOINT");
$node->safe_psql('postgres', "SELECT mtl_register('feed', $linear), mtl_rollback('feed'), mtl_register('late', $gated)");
my $scores = score_bits($node, 'postgres', 'feed');
my $registry = registry_contents($node, 'postgres');

# and some of it not committed
my $script = PostgreSQL::Test::Utils::tempdir . '/session.sql';
append_to_file(
	$script, qq{
	BEGIN;
	SELECT mtl_register('feed', $gated), mtl_activate('feed', 1), mtl_drop_version('feed', 3), mtl_register('new', $gated);
	SET application_name = 'has changed';
	SELECT pg_sleep(600);
});
my $session = start(
	[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $script ],
	'<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
ok( $node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'has changed'"),
	'a transaction is in the middle of changes');

$node->stop('immediate');
$session->kill_kill;
$node->start;

is(registry_contents($node, 'postgres'), $registry, 'the registry is what was committed');
is(score_bits($node, 'postgres', 'feed'), $scores, 'the scores are the same bits');
is(score_bits($node, 'postgres', 'late'), $scores, 'also those of a model registered after the last checkpoint');
is($node->safe_psql('postgres', "SELECT mtl_register('feed', $gated), mtl_rollback('feed')"), '4|2', 'life goes on where it was');

$node->stop;
done_testing();
