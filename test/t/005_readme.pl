
# What the README tells to copy and paste works, in its order, and then what docs/training.md does.

use strict;
use warnings;

use FindBin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::Bin/../..";
my $readme = slurp_file("$top/README.md");
$readme =~ s/.*?^## Getting Started$//ms or die 'the README has no such section';
my @blocks = $readme =~ /^```sql\n(.*?)^```$/msg;
cmp_ok(scalar(@blocks), '>', 20, 'the README has examples');
push @blocks, slurp_file("$top/docs/training.md") =~ /^```sql\n(.*?)^```$/msg;

my $node = PostgreSQL::Test::Cluster->new('main');
# the models hold texts that other encodings cannot express
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
$node->start;
# what the examples take for granted
$node->safe_psql(
	'postgres', q{
	CREATE TABLE users AS SELECT 42 AS id, 31 AS age, '{Berlin}'::text[] AS visited;
	CREATE TABLE items AS SELECT 1 AS item_id, 'Berlin' AS city UNION SELECT 2, 'Łódź';
	CREATE ROLE ranking;
	CREATE ROLE publisher});

# in the folder that the README says
chdir $top or die "could not change to $top: $!";
for my $i (0 .. $#blocks)
{
	my ($status, $stdout, $stderr) = $node->psql('postgres', $blocks[$i], on_error_stop => 1);
	is($status, 0, 'block ' . ($i + 1)) or diag("$blocks[$i]\n$stderr");
	ok($blocks[$i] !~ /^SELECT/ || $stdout ne '', 'block ' . ($i + 1) . ' has a result');
}

# the first ranking, as a reader sees it
is( $node->safe_psql('postgres', q{SELECT string_agg(item_id::text, ' ' ORDER BY mtl_score('feed', c, 'ctcvr') DESC) FROM candidates c}),
	'2 3 1', 'ranking');

$node->stop;
done_testing();
