
# A user who may create objects in a database may install the extension, owns the registry, and can share it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use MtlRankTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $linear = model('linear_1');

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE "An Owner"; CREATE ROLE reader; CREATE ROLE nobody');
$node->safe_psql('postgres', 'CREATE DATABASE shop OWNER "An Owner"');

sub as
{
	my ($role, $sql) = @_;
	my ($status, $out, $err) = $node->psql('shop', "SET ROLE \"$role\"; $sql");

	return $status == 0 ? $out : $err;
}

like(as('reader', 'CREATE EXTENSION mtl_rank'), qr/permission denied to create extension "mtl_rank"/, 'not everybody may install it');
is(as('An Owner', 'CREATE EXTENSION mtl_rank'), '', 'the owner of a database installs the extension');
is(as('An Owner', "SELECT mtl_register('feed', $linear), mtl_register('feed', $linear), mtl_rollback('feed')"), '1|2|1',
	'and uses the registry');
is(as('An Owner', "SELECT mtl_score('feed', ARRAY[1, 1])"), '{3,0.5,1.5}', 'and scores');
like(as('reader', "SELECT mtl_score('feed', ARRAY[1, 1])"), qr/permission denied for table mtl_/, 'others do not');

is(as('An Owner', 'GRANT SELECT ON mtl_models, mtl_active TO reader, nobody'), '', 'he grants rights');
is(as('An Owner', "ALTER TABLE mtl_models ENABLE ROW LEVEL SECURITY; CREATE POLICY feed ON mtl_models TO reader USING (name = 'feed')"),
	'', 'and makes policies');
is(as('reader', "SELECT mtl_score('feed', ARRAY[1, 1])"), '{3,0.5,1.5}', 'then others score');
like(as('nobody', "SELECT mtl_score('feed', ARRAY[1, 1])"), qr/model "feed" is not registered/, 'as far as policies let them');

is( $node->safe_psql('shop', q{
	SELECT DISTINCT proowner::regrole FROM pg_proc WHERE probin LIKE '%mtl_rank' OR proname LIKE 'mtl\_%'}),
	$node->safe_psql('shop', 'SELECT current_user::regrole'),
	'the functions belong to the superuser');
like(as('An Owner', 'ALTER FUNCTION mtl_digest(mtl_model) STRICT'), qr/must be owner of function mtl_digest/,
	'so that their labels are out of reach');
is(as('An Owner', 'DROP EXTENSION mtl_rank'), '', 'the owner of the extension drops it');

# The owner of the tables can put anything in their place. Whoever then scores by name gets an error, at worst.
my @impostors = (
	[ '42::bigint', qr/cannot cast type bigint to (public\.)?mtl_model/ ],
	[ q{'{}'::jsonb}, qr/cannot cast type jsonb to (public\.)?mtl_model/ ],
	[ q{'MTLR'::bytea}, qr/invalid model/ ]);
foreach my $impostor (@impostors)
{
	my ($value, $error) = @$impostor;

	is( as( 'An Owner', qq{
			CREATE EXTENSION mtl_rank;
			ALTER TABLE mtl_models RENAME TO hidden;
			CREATE VIEW mtl_models AS SELECT 'feed'::text AS name, 1 AS version, $value AS model;
			GRANT SELECT ON mtl_models TO reader}),
		'', "a view takes the place of the models, and gives $value");
	like(as('reader', "SELECT mtl_score('feed\@1', ARRAY[1, 1])"), $error, 'which is not taken for a model');
	is(as('An Owner', 'DROP VIEW mtl_models; DROP EXTENSION mtl_rank'), '', 'all that can be dropped');
}

$node->stop;
done_testing();
