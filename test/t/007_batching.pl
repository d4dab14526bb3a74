
# Batching without any setting: from the first statement of a session on, whatever that is, and in parallel workers.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use MtlRankTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'track_functions = all');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION mtl_rank');
create_rows($node, 'postgres');
my $gated = model('gated');
$node->safe_psql('postgres', qq{
	SELECT mtl_register('feed', $gated);
	ANALYZE people;
	CREATE VIEW scored AS SELECT id, mtl_score('feed', people) AS scores FROM people;
	CREATE FUNCTION by_function() RETURNS SETOF text LANGUAGE plpgsql AS \$\$
	BEGIN
		RETURN QUERY EXPLAIN (COSTS off) SELECT mtl_score('feed', people) FROM people;
	END
	\$\$;
	CREATE FUNCTION sum_of_scores() RETURNS float8 LANGUAGE plpgsql AS \$\$
	DECLARE
		total float8 := 0;
		row record;
	BEGIN
		FOR row IN SELECT mtl_score('feed', people) AS scores FROM people LOOP
			total := total + row.scores[1];
		END LOOP;
		RETURN total;
	END
	\$\$});

# Each of these is a session's first statement. The library comes with the planner's question for the cost.
my $explain = 'EXPLAIN (COSTS off)';
my $query = q{SELECT id, mtl_score('feed', people) FROM people};
foreach my $first (
	"$explain $query",
	"$explain SELECT * FROM scored ORDER BY scores DESC LIMIT 3",
	"$explain SELECT mtl_score($gated, people) FROM people",
	"PREPARE p AS $query; $explain EXECUTE p",
	"SET plan_cache_mode = force_generic_plan; PREPARE p (text) AS SELECT mtl_score(\$1, people) FROM people; $explain EXECUTE p('feed')",
	'SELECT * FROM by_function()')
{
	like($node->safe_psql('postgres', $first), qr/Custom Scan \(MtlScore\)/, 'batched: ' . substr($first, 0, 100) =~ s/\\x.*//r);
}

# A cached plan that was made too early is changed for its execution, and not kept.
is( $node->safe_psql('postgres', q{
		SET plan_cache_mode = force_generic_plan;
		SELECT sum_of_scores() = sum_of_scores();
		SELECT sum_of_scores() = sum((mtl_score('feed', people))[1]::float8) FROM people}),
	"t\nt", 'functions score the same before and after');
my $twice = $node->safe_psql('postgres', qq{
	SET plan_cache_mode = force_generic_plan;
	PREPARE p (text) AS SELECT mtl_score(\$1, people) FROM people;
	$explain EXECUTE p('feed');
	$explain EXECUTE p('feed')});
is(scalar(() = $twice =~ /MtlScore/g), 2, 'a generic plan is batched in its first execution and in its second');

# what was declared to go backward does
is( $node->safe_psql('postgres', qq{
		BEGIN;
		DECLARE c SCROLL CURSOR FOR SELECT id FROM people WHERE mtl_score('feed', people) IS NOT NULL;
		MOVE 3 FROM c;
		FETCH BACKWARD 1 FROM c}),
	2, 'a scrollable cursor as the first statement');

# the setting is read although the library is not there yet
unlike($node->safe_psql('postgres', "SET mtl_rank.batching = off; $explain $query"), qr/MtlScore/, 'off');
my ($status, $out, $err) = $node->psql('postgres', "SET mtl_rank.batching = maybe; SELECT mtl_score('feed', people) FROM people LIMIT 1");
like($err, qr/invalid value for parameter "mtl_rank.batching": "maybe"/, 'an invalid value is reported');
($status, $out, $err) = $node->psql('postgres', qq{
	SET mtl_rank.batching = require;
	SELECT CASE WHEN id > 1 THEN mtl_score('feed', people) END FROM people});
like($err, qr/a call of mtl_score cannot be computed in batches/, 'require');

# parallel workers load the library by themselves
my $parallel = q{
	SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET parallel_leader_participation = off;};
like( $node->safe_psql('postgres', "$parallel EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) $query"),
	qr/Workers Launched: [1-9].*MtlScore.*Scored Rows: 1000\b/s, 'workers score in batches');
my $scores = q{SELECT md5(string_agg(id || mtl_score('feed', people)::text, ' ' ORDER BY id)) FROM people};
is( $node->safe_psql('postgres', "$parallel $scores"),
	$node->safe_psql('postgres', "SET mtl_rank.batching = off; SET max_parallel_workers_per_gather = 0; $scores"),
	'and compute the same bits');

# other sessions, with the library loaded beforehand in three ways
my %preloads = (
	session_preload_libraries => 'mtl_rank',
	local_preload_libraries => '',
	shared_preload_libraries => 'mtl_rank');
foreach my $setting (sort keys %preloads)
{
	$node->append_conf('postgresql.conf', "$setting = '$preloads{$setting}'");
	$node->restart;
	like($node->safe_psql('postgres', "$explain $query"), qr/MtlScore/, "batched with $setting = '$preloads{$setting}'");
}

$node->stop;
done_testing();
