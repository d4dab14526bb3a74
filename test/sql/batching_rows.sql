-- rows as features in batches: taken column by column, with the scores and errors of the rows themselves
CREATE SCHEMA batching_rows;
SET search_path = batching_rows, public;
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/models/builder.sql'
\set helpers :srcdir '/models/batching.sql'
\set ECHO none
\i :include
\i :helpers
\set ECHO all
\set SHOW_CONTEXT never
SET mtl_rank.batching = require;

-- r = 2a + b + 100, 200 or 300
SELECT mtl_register('rows', model_file('{"format": 1, "architecture": {"type": "single_task", "tower": {"logit_bias": false}},
	"features": [{"name": "a", "kind": "dense"}, {"name": "b", "kind": "dense", "missing": 7},
		{"name": "word", "kind": "sparse", "embedding_dim": 1, "lookup": {"type": "vocabulary", "offset": 1}, "oov": 0, "missing": "oov"}],
	"tasks": [{"name": "r", "type": "regression"}]}',
	f32('task.r.tower.logit.weight', '{1,3}', 2, 1, 1), f32('embedding.word.weight', '{3,1}', 100, 200, 300),
	u8('vocabulary.word.bytes', 'onetwo'), i64('vocabulary.word.offsets', '{3}', 0, 3, 6))::mtl_model);
CREATE FUNCTION compare_all(VARIADIC queries text[]) RETURNS TABLE (result text, query text) LANGUAGE sql AS $$
	SELECT compare(q), q FROM unnest(queries) q
$$;

-- columns dropped, added with a value, generated, of domains, and long
CREATE DOMAIN amount AS float8 CHECK (VALUE < 1000);
CREATE TABLE items (gone text, id int, a amount, gone_too int, word text, long text);
ALTER TABLE items ALTER long SET STORAGE EXTERNAL, DROP gone, DROP gone_too;
INSERT INTO items SELECT id, id, (ARRAY['one', 'two', 'three', NULL])[id % 4 + 1], repeat('x', 5000) FROM generate_series(1, 60) id;
ALTER TABLE items ADD b int DEFAULT 5, ADD twice float8 GENERATED ALWAYS AS (2 * a) STORED;
INSERT INTO items (id, a, b) SELECT id, id, NULL FROM generate_series(61, 70) id;
CREATE TABLE plain AS SELECT word, b, a, id FROM items;
ANALYZE items, plain;
SELECT plan('SELECT id, mtl_score(''rows'', i) FROM items i', 'COSTS off, VERBOSE');
SELECT plan('SELECT id, mtl_score(''rows'', p) FROM plain p', 'COSTS off, VERBOSE');
SELECT plan('SELECT sum(mtl_score(''rows'', p, ''r'')), max(id) FROM plain p', 'COSTS off, VERBOSE');
SELECT id, mtl_score('rows', i) FROM items i WHERE id IN (1, 4, 70);
SELECT compare_all(
	'SELECT id, mtl_score(''rows'', i) FROM items i',
	'SELECT i, mtl_score(''rows'', i) FROM items i',
	'SELECT ctid, tableoid::regclass, mtl_score(''rows'', i) FROM items i',
	'SELECT mtl_score(''rows'', p), p FROM plain p',
	'SELECT FROM plain p WHERE mtl_score(''rows'', p, ''r'') > 300',
	'SELECT id, b FROM items i WHERE mtl_score(''rows'', i, ''r'') > 300 AND b > 0 ORDER BY mtl_score(''rows'', i, ''r'')',
	'SELECT sum(mtl_score(''rows'', i, ''r'')), count(DISTINCT i) FROM items i GROUP BY word',
	'SELECT sum(mtl_score(''rows'', i, ''r'')) FILTER (WHERE mtl_score(''rows'', i, ''r'') > 200) FROM items i');

-- tables of a hierarchy, with columns in another order, and more of them
CREATE TABLE parent (id int, a float8, word text, b int);
CREATE TABLE child (extra text, b int, word text, id int, a float8) INHERITS (parent);
CREATE TABLE other_order (b int, extra text, a float8, word text, id int);
ALTER TABLE other_order DROP extra;
ALTER TABLE other_order INHERIT parent;
CREATE TABLE grandchild (more int) INHERITS (child);
INSERT INTO parent SELECT id, id, 'one', id % 3 FROM generate_series(1, 5) id;
INSERT INTO child (id, a, word, b) SELECT id, id, 'two', id % 3 FROM generate_series(6, 10) id;
INSERT INTO other_order (id, a, word, b) SELECT id, id, 'one', NULL FROM generate_series(11, 15) id;
INSERT INTO grandchild (id, a, word, b) SELECT id, id, NULL, 1 FROM generate_series(16, 20) id;
CREATE TABLE parted (id int, a float8, word text, b int) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 (word text, gone int, a float8, b int, id int);
ALTER TABLE parted_2 DROP gone;
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES FROM (10) TO (20);
INSERT INTO parted SELECT id, a, word, b FROM parent WHERE id < 20;
ANALYZE parent, child, other_order, grandchild, parted;
SELECT plan('SELECT id, mtl_score(''rows'', parent) FROM parent', 'COSTS off, VERBOSE');
SELECT plan('SELECT id, mtl_score(''rows'', parted) FROM parted', 'COSTS off, VERBOSE');
SELECT compare_all(
	'SELECT id, mtl_score(''rows'', parent) FROM parent',
	'SELECT id, parent, mtl_score(''rows'', parent) FROM parent',
	'SELECT id, mtl_score(''rows'', parted, ''r'') FROM parted WHERE mtl_score(''rows'', parted, ''r'') > 110',
	'SELECT avg(mtl_score(''rows'', parted, ''r'')) FROM parted',
	'SELECT avg(mtl_score(''rows'', child, ''r'')) FROM child');

-- rows of subqueries: named by the query, with expressions, constants and errors in them
SELECT plan('SELECT id, mtl_score(''rows'', c) FROM (SELECT id, id / 2.0 AS a, 3 AS b FROM plain OFFSET 0) c', 'COSTS off, VERBOSE');
SELECT plan('SELECT id, mtl_score(''rows'', c) FROM (SELECT id, id / 2.0 AS a, 3 AS b FROM plain) c', 'COSTS off, VERBOSE');
SELECT compare_all(
	'SELECT x, mtl_score(''rows'', c) FROM (SELECT * FROM plain OFFSET 0) c (word, x, a, id)',
	'SELECT mtl_score(''rows'', c) FROM (SELECT * FROM plain OFFSET 0) c (x, y, z, id)',
	'SELECT mtl_score(''rows'', c) FROM (SELECT * FROM plain) c (word, a, b, id)',
	'SELECT id, mtl_score(''rows'', c) FROM (SELECT id, id / 2.0 AS a, 3 AS b FROM plain) c',
	'SELECT id, mtl_score(''rows'', c) FROM (SELECT id, (SELECT max(id) FROM items) AS a FROM plain) c',
	'SELECT a, mtl_score(''rows'', c) FROM (SELECT a, b, b AS a FROM plain) AS c (a, b, a2)',
	'SELECT mtl_score(''rows'', c) FROM (SELECT a, b FROM plain) AS c (a, a)',
	'SELECT mtl_score(''rows'', ROW(a, b)) FROM plain',
	'SELECT mtl_score(''rows'', ROW(word, b, a, id)::plain) FROM plain',
	'SELECT mtl_score(''rows'', ROW(word, b, NULL, id)::plain) FROM plain',
	'WITH c AS MATERIALIZED (SELECT *, a / 2 AS half FROM plain) SELECT id, mtl_score(''rows'', c) FROM c',
	'WITH c (a, x, y, z, number) AS MATERIALIZED (SELECT id, * FROM plain) SELECT number, mtl_score(''rows'', c) FROM c',
	'SELECT mtl_score(''rows'', c) FROM (VALUES (1, 2), (3, 4)) c (a, b)',
	'SELECT mtl_score(''rows'', c) FROM jsonb_to_recordset(''[{"a": 1}, {"a": 3, "word": "two"}]'') c (a int, word text)',
	-- an error in a column that no model reads
	'SELECT id, mtl_score(''rows'', c) FROM (SELECT id, a, 1 / (id - 20) AS z FROM plain) c ORDER BY id FETCH FIRST 19 ROWS WITH TIES',
	'SELECT id, mtl_score(''rows'', c) FROM (SELECT id, a, 1 / (id - 20) AS z FROM plain) c',
	'SELECT id, mtl_score(''rows'', c) FROM (SELECT id, 1 / (id - 20) AS a FROM plain) c LIMIT 19');

-- no row is no score, a row of nulls is one
SELECT compare_all(
	'SELECT p.id, mtl_score(''rows'', o) FROM plain p LEFT JOIN (SELECT * FROM items WHERE id < 9) o ON o.id = p.id',
	'SELECT p.id, mtl_score(''rows'', p), mtl_score(''rows'', o) FROM plain p FULL JOIN other_order o ON o.id = p.id + 60 AND p.id % 2 = 0',
	'SELECT mtl_score(''rows'', n) FROM (SELECT NULL::float8 AS a, NULL::int AS b FROM plain) n');
SELECT compare('SELECT o.id, mtl_score(''rows'', o) FROM items p LEFT JOIN other_order o ON o.id = p.id', 'on');

-- rights to all columns of a row are needed, and policies come before
CREATE ROLE regress_mtl_rows;
GRANT USAGE ON SCHEMA batching_rows TO regress_mtl_rows;
GRANT SELECT ON mtl_models, mtl_active, parent, child TO regress_mtl_rows;
GRANT SELECT (id, a, b, word) ON plain TO regress_mtl_rows;
REVOKE SELECT ON child FROM regress_mtl_rows;
ALTER TABLE parent ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON parent USING (id < 13);
SET ROLE regress_mtl_rows;
SELECT count(mtl_score('rows', p)) FROM plain p;
SELECT count(mtl_score('rows', parent)), max(id) FROM parent;
SELECT mtl_score('rows', child) FROM child;
RESET ROLE;
ALTER TABLE plain ADD secret int;
SET ROLE regress_mtl_rows;
SELECT count(mtl_score('rows', p)) FROM plain p;
RESET ROLE;
DROP OWNED BY regress_mtl_rows;
DROP ROLE regress_mtl_rows;

-- a plan that is kept, over a table that changes
SET plan_cache_mode = force_generic_plan;
PREPARE kept AS SELECT sum(mtl_score('rows', p, 'r')) FROM plain p;
EXECUTE kept;
ALTER TABLE plain DROP secret, DROP word, ADD word text DEFAULT 'two';
EXECUTE kept;
ALTER TABLE plain ALTER b TYPE text USING b::text;
EXECUTE kept;
ALTER TABLE plain DROP a;
EXECUTE kept;
RESET plan_cache_mode;

-- what computes scores in batches is not what the JIT can compile
CREATE TABLE many AS SELECT 1.5::float8 AS a FROM generate_series(1, 30000);
ANALYZE many;
SET jit = on;
SET jit_above_cost = 2000;
SELECT count(*) FROM plan('SELECT sum(mtl_score(''rows'', m, ''r'')) FROM many m', 'ANALYZE, TIMING off, SUMMARY off') line WHERE line ~ 'JIT';
SET mtl_rank.batching = off;
SELECT (count(*) > 0) = pg_jit_available() AS compiled FROM plan('SELECT sum(mtl_score(''rows'', m, ''r'')) FROM many m', 'ANALYZE, TIMING off, SUMMARY off') line WHERE line ~ 'JIT';
