
# The demo runs in an empty database, what it trains is worth looking at, and its page is well-formed, whatever names are in it.

use strict;
use warnings;

use FindBin;
use IPC::Run;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $demo = "$FindBin::Bin/../../demo";
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
$node->start;
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
local $ENV{PGDATABASE} = 'postgres';

# Runs a command, and gives its output.
sub output_of
{
	my (@command) = @_;
	my ($stdout, $stderr) = ('', '');

	my $ok = IPC::Run::run(\@command, '<', \undef, '>', \$stdout, '2>', \$stderr);
	ok($ok, "@command") or diag($stderr);
	unlike($stderr, qr/^(?!NOTICE:  epoch ).*\S/m, "@command: nothing but the notices of training");
	return $stdout;
}

# One value that a query gives.
sub value_of
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# Tags nest, attributes are quoted, and there are no stray < and & in texts.
sub check_page
{
	my ($page, $name) = @_;
	my (@open, @wrong);

	ok($page =~ s/\A<!DOCTYPE html>\n//, "$name: doctype");
	while ($page =~ m{\G(?:([^<]+)|<!--.*?-->|<(/?)([a-z][a-zA-Z0-9]*)((?:\s+[a-zA-Z][a-zA-Z0-9:-]*="[^"<]*")*)\s*(/?)>)}gcs)
	{
		my ($text, $close, $tag, $attributes, $empty) = ($1, $2, $3, $4, $5);
		push @wrong, "stray & in \"" . substr($text // $attributes, 0, 100) . '"'
		  if ($text // $attributes // '') =~ /&(?!(?:[a-z]+|#\d+|#x[0-9a-fA-F]+);)/;
		next unless defined $tag;
		if ($close)
		{
			my $expected = pop @open // 'nothing';
			push @wrong, "</$tag> closes $expected" if $tag ne $expected;
		}
		elsif (!$empty)
		{
			push @open, $tag;
		}
	}
	push @wrong, 'not markup: ' . substr($page, pos($page) // 0, 100) if (pos($page) // 0) < length $page;
	is("@wrong @open", ' ', "$name: well-formed");

  SKIP:
	{
		my ($status, $stdout, $stderr) = $node->psql('postgres', q{SELECT xmlparse(DOCUMENT '<a/>')});
		skip 'the server has no XML', 1 if $status != 0;
		($status, $stdout, $stderr) =
		  $node->psql('postgres', 'SELECT xmlparse(DOCUMENT $page$' . $page . '$page$) IS DOCUMENT', on_error_stop => 1);
		is($stdout, 't', "$name: the server takes it as XML") or diag($stderr);
	}
	unlike($page, qr/<script|\bon[a-z]+=|\bsrc=|\bhref=|\burl\(|\@import/, "$name: no scripts, nothing from elsewhere");
	return;
}

#
# the demo
#

my $page_file = "$PostgreSQL::Test::Utils::tmp_check/demo.html";
my $printed = output_of("$demo/run.sh", $page_file);
like($printed, qr/^== 8\. .*^That is all\..*\Q$page_file\E$/ms, 'comes to its end');

is(value_of(q{SELECT string_agg(concat_ws(' ', name, version, state, note), ', ' ORDER BY name, version) FROM mtl_versions}),
	'census 1 active Shared-Bottom, census 2 inactive MMoE, census 3 inactive MMoE from PyTorch, email 1 active ESMM',
	'versions');
is(value_of(q{SELECT count(*), count(spend) = count(*) FILTER (WHERE purchase), count(*) FILTER (WHERE spend IS NULL) > 60000 FROM customers}),
	'64000|t|t', 'spend is NULL unless something was bought');

# Bounds that hold for other CPUs and seeds, and that a model which has learnt nothing fails.
for my $bound ([ 'census', 1, 'income', 0.93 ], [ 'census', 2, 'income', 0.93 ], [ 'census', 3, 'income', 0.94 ],
	[ 'census', 1, 'never_married', 0.99 ], [ 'census', 2, 'never_married', 0.99 ], [ 'census', 3, 'never_married', 0.99 ],
	[ 'email', 1, 'visit', 0.60 ], [ 'email', 1, 'purchase', 0.58 ])
{
	my ($model, $version, $task, $auc) = @$bound;
	cmp_ok(value_of(qq{SELECT mtl_auc(label, score) FROM scored WHERE (model, version, task) = ('$model', $version, '$task')}),
		'>', $auc, "AUC of $model\@$version, $task");
}
is(value_of(q{SELECT bool_and(abs(total - 1) < 1e-5), count(*) FROM (SELECT sum(weight) AS total FROM gates GROUP BY task, segment) g}),
	't|10', 'mean weights of a gate sum to 1');

#
# its page
#

my $page = slurp_file($page_file);
check_page($page, 'page');
is(scalar(() = $page =~ /<svg class="chart"/g), 22, 'charts and heat maps');
is(scalar(() = $page =~ /<polyline class="c\d( dashed)?" points="[-\d., ]+"/g), 39, 'curves');
is(scalar(() = $page =~ /<rect class="heat"/g), 60, 'cells of heat maps');
is(scalar(() = $page =~ /<summary>/g), 3, 'networks');
is(scalar(() = $page =~ /<div class="paper"><svg /g), (grep { -x "$_/dot" } split /:/, $ENV{PATH}) ? 3 : 0, 'drawn if Graphviz is there');

# names that would be markup, and no Graphviz
my $markup = q{</text><script>alert("it's & 'bad'")</script>};
$node->safe_psql(
	'postgres', qq{
	UPDATE mtl_models SET note = \$m\$$markup\$m\$;
	UPDATE gates SET segment = segment || \$m\$$markup\$m\$});
my $bin = "$PostgreSQL::Test::Utils::tmp_check/bin";
mkdir $bin;
for my $program ('psql', 'sed')
{
	my ($folder) = grep { -x "$_/$program" } split /:/, $ENV{PATH};
	symlink "$folder/$program", "$bin/$program" or die "could not link $program: $!";
}
{
	local $ENV{PATH} = $bin;
	$page = output_of('psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-f', "$demo/page.sql");
}
check_page($page, 'page with names that are markup');
like($page, qr/&lt;script&gt;alert\(&quot;/, 'they are shown as they are');
unlike($page, qr/<div class="paper">/, 'networks are not drawn');
like($page, qr/<pre>digraph/, 'but described');

#
# the files from PyTorch
#

for my $file (glob "$demo/census*.safetensors")
{
	my $hex = unpack('H*', slurp_file($file));
	is(value_of(qq{SELECT count(*), max(abs(difference)) < 1e-6 FROM mtl_verify('\\x$hex'::bytea::mtl_model)}), '40|t', "verifies $file");
}

$node->stop;
done_testing();
