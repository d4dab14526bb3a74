
# The registry and the scores survive pg_dump and restore into a new cluster, in each of pg_dump's formats.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use MtlRankTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $roles = 'CREATE ROLE reader; CREATE ROLE publisher;';
my ($gated, $linear) = (model('gated'), model('linear_1'));

my $source = PostgreSQL::Test::Cluster->new('source');
$source->init;
$source->start;
$source->safe_psql('postgres', "CREATE DATABASE shop; $roles");
$source->safe_psql('shop', 'CREATE EXTENSION mtl_rank');
create_rows($source, 'shop');

# Several versions, a rollback, a dropped version; rights; and models outside of the registry.
$source->safe_psql(
	'shop', qq{
	SELECT mtl_register('feed', $gated, metrics => '{"auc": 0.7}', note => 'line one\nline two');
	SELECT mtl_register('feed', $gated), mtl_register('feed', $gated), mtl_register('feed', $gated, false);
	SELECT mtl_rollback('feed'), mtl_drop_version('feed', 4), mtl_register('waits', $linear, false);
	GRANT SELECT ON mtl_models, mtl_active, people TO reader;
	GRANT SELECT ON people TO publisher;
	CREATE TABLE drafts (id int PRIMARY KEY, model mtl_model);
	INSERT INTO drafts VALUES (1, $gated), (2, $linear), (3, NULL);
});
my $scores = score_bits($source, 'shop', 'feed');
my $registry = registry_contents($source, 'shop');
my $drafts = $source->safe_psql('shop', 'SELECT id, model FROM drafts ORDER BY id');
is(() = $scores =~ /[0-9a-f]{8}/g, 3000, 'a thousand rows have three scores each');

my $target = PostgreSQL::Test::Cluster->new('target');
$target->init;
$target->start;
$target->safe_psql('postgres', $roles);

sub check_copy
{
	my ($db) = @_;

	is(registry_contents($target, $db), $registry, "$db: the registry is the same");
	is(score_bits($target, $db, 'feed'), $scores, "$db: the scores are the same bits");
	is($target->safe_psql($db, 'SELECT id, model FROM drafts ORDER BY id'), $drafts, "$db: models in other tables too");
	is($target->safe_psql($db, "SELECT count(*) FROM mtl_verify('feed')"), 6, "$db: the examples are reproduced");

	my ($status, $out, $err) = $target->psql($db, "SET ROLE publisher; SELECT mtl_score('feed', people) FROM people");
	like($err, qr/permission denied for table mtl_/, "$db: who had no rights has none");
	is( $target->safe_psql($db, "SET ROLE reader; SELECT count(mtl_score('feed', people)) FROM people"),
		1000, "$db: who had rights has them");

	# life goes on where it was
	is( $target->safe_psql($db, "SELECT mtl_rollback('feed'), mtl_register('feed', $linear), mtl_register('waits', $linear)"),
		'1|5|2', "$db: rollback and register continue");
	return;
}

my $dump = $source->backup_dir;
mkdir $dump;

command_ok([ 'pg_dump', '--dbname', $source->connstr('shop'), '--file', "$dump/plain.sql" ], 'plain dump');
$target->safe_psql('postgres', 'CREATE DATABASE plain');
command_ok(
	[   'psql', '--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1', '--dbname', $target->connstr('plain'),
		'--output', "$dump/plain.out", '--file', "$dump/plain.sql"
	],
	'plain restore');
check_copy('plain');

command_ok([ 'pg_dump', '--dbname', $source->connstr('shop'), '--format', 'directory', '--file', "$dump/parallel", '--jobs', 2 ],
	'directory dump by two jobs');
$target->safe_psql('postgres', 'CREATE DATABASE parallel');
command_ok([ 'pg_restore', '--dbname', $target->connstr('parallel'), '--exit-on-error', '--jobs', 2, "$dump/parallel" ],
	'restore by two jobs');
check_copy('parallel');

# in a schema of its own, with a name that needs quotes
$source->safe_psql('postgres', 'CREATE DATABASE quoted');
$source->safe_psql(
	'quoted', qq{
	CREATE SCHEMA "My Models";
	CREATE EXTENSION mtl_rank SCHEMA "My Models";
	SET search_path = "My Models";
	SELECT mtl_register('feed', $linear), mtl_register('feed', $linear), mtl_rollback('feed')});
command_ok([ 'pg_dump', '--dbname', $source->connstr('quoted'), '--format', 'custom', '--file', "$dump/quoted" ], 'custom dump');
$target->safe_psql('postgres', 'CREATE DATABASE quoted');
command_ok([ 'pg_restore', '--dbname', $target->connstr('quoted'), '--exit-on-error', "$dump/quoted" ], 'custom restore');
is( $target->safe_psql('quoted', q{SELECT "My Models".mtl_score('feed', ARRAY[1, 1]), "My Models".mtl_tasks('feed@2')}),
	'{3,0.5,1.5}|{value,ctr,expected}',
	'it works from any schema');

# binary copies
$source->safe_psql('shop', "COPY drafts TO '$dump/drafts' (FORMAT binary)");
is( $source->safe_psql(
		'shop', qq{
		CREATE TABLE copies (LIKE drafts);
		COPY copies FROM '$dump/drafts' (FORMAT binary);
		SELECT id, model FROM copies ORDER BY id}),
	$drafts,
	'COPY in binary keeps models as they are');

$source->stop;
$target->stop;
done_testing();
