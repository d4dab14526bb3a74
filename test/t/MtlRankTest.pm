
# What the tests of this folder share: models, rows, and scores to the bit.
package MtlRankTest;

use strict;
use warnings;

use Exporter 'import';
use FindBin;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(model create_rows score_bits registry_contents);

# SQL literal of a model file in test/models
sub model
{
	my ($name) = @_;
	my $file = slurp_file("$FindBin::Bin/../models/$name.safetensors");

	return "'\\x" . unpack('H*', $file) . "'::mtl_model";
}

# A table of rows for the model "gated", with strings, lists, NULLs and unknown categories.
sub create_rows
{
	my ($node, $db) = @_;

	$node->safe_psql(
		$db, q{
		CREATE TABLE people AS
		SELECT i AS id,
			(ARRAY['Amsterdam', 'Berlin', 'København', 'Atlantis', NULL])[1 + i % 5] AS city,
			CASE WHEN i % 7 > 0 THEN (ARRAY['Berlin', 'Atlantis', 'København', 'Berlin'])[1 + i % 4:] END AS visited,
			CASE WHEN i % 11 > 0 THEN i % 90 + i / 1000.0::float8 END AS age
		FROM generate_series(1, 1000) i});
	return;
}

# The scores of all rows under a registered name, as the hexadecimal digits of their bits.
sub score_bits
{
	my ($node, $db, $name) = @_;

	return $node->safe_psql(
		$db, qq{
		SELECT string_agg(encode(float4send(score), 'hex'), ' ' ORDER BY id, output)
		FROM people, unnest(mtl_score('$name', people)) WITH ORDINALITY AS s (score, output)});
}

# All that the registry holds; the digest stands for the model.
sub registry_contents
{
	my ($node, $db) = @_;

	return $node->safe_psql(
		$db, q{
		SELECT 'model', (name, version, mtl_digest(model), digest, created_at, created_by, metrics, note)::text
		FROM mtl_models UNION ALL
		SELECT 'active', a::text FROM mtl_active a UNION ALL
		SELECT 'activation', h::text FROM mtl_activations h ORDER BY 1, 2});
}

1;
