-- rows as features in batches: taken column by column, with the scores and errors of the rows themselves
CREATE SCHEMA batching_rows;
SET search_path = batching_rows, public;
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir '/models/batching.sql'
\set ECHO none
\i :helpers
\set ECHO all
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

-- calls with two rows: the second is taken column by column, in a scan and from below joins
CREATE TYPE asking AS (a float8);
CREATE TABLE askers AS SELECT id AS asker, id * 10.5::float8 AS a FROM generate_series(1, 4) id;
CREATE TABLE offers (gone int, offer int, b int, word text, long text);
ALTER TABLE offers ALTER long SET STORAGE EXTERNAL, DROP gone;
INSERT INTO offers SELECT id, nullif(id % 7, 3), (ARRAY['one', 'two', NULL])[id % 3 + 1], repeat('x', 5000) FROM generate_series(1, 50) id;
ALTER TABLE offers ADD more int DEFAULT 5;
CREATE TABLE reversed_offers (word text, extra int, more int, long text, b int, offer int);
ALTER TABLE reversed_offers DROP extra, INHERIT offers;
INSERT INTO reversed_offers (offer, b) SELECT id, id FROM generate_series(51, 60) id;
CREATE TABLE single_offers (word text, gone int, b int, offer int);
ALTER TABLE single_offers DROP gone;
INSERT INTO single_offers SELECT word, b, offer FROM offers;
CREATE INDEX ON single_offers (offer);
ANALYZE askers, offers, reversed_offers, single_offers;
SELECT plan('SELECT offer, mtl_score(''rows'', ROW(3)::asking, o) FROM ONLY offers o', 'COSTS off, VERBOSE');
SELECT plan('SELECT max(mtl_score(''rows'', ROW(3)::asking, o, ''r'')) FROM ONLY offers o', 'COSTS off, VERBOSE');
SELECT plan('SELECT offer, mtl_score(''rows'', k, o) FROM askers k, ONLY offers o WHERE asker = 2', 'COSTS off, VERBOSE');
SET enable_nestloop = off;
SET enable_mergejoin = off;
SELECT plan('SELECT s.offer, mtl_score(''rows'', ROW(3)::asking, s) FROM ONLY offers o JOIN single_offers s ON s.offer = o.b', 'COSTS off, VERBOSE');
-- still needed as a row
SELECT plan('SELECT s, mtl_score(''rows'', ROW(3)::asking, s) FROM ONLY offers o JOIN single_offers s ON s.offer = o.b', 'COSTS off, VERBOSE');
RESET enable_nestloop;
RESET enable_mergejoin;
CREATE FUNCTION compare_pairs() RETURNS TABLE (result text, query text) LANGUAGE sql AS $$
	SELECT * FROM batching_rows.compare_all(
	'SELECT offer, mtl_score(''rows'', ROW(3)::asking, o) FROM ONLY offers o ORDER BY offer',
	'SELECT offer, mtl_score(''rows'', (SELECT k FROM askers k WHERE asker = 3), o) FROM ONLY offers o ORDER BY offer',
	'SELECT offer, mtl_score(''rows'', ROW(offer)::asking, o) FROM ONLY offers o ORDER BY offer',
	'SELECT offer, mtl_score(''rows'', (SELECT k FROM askers k WHERE asker = 9), o) FROM ONLY offers o ORDER BY offer',
	'SELECT offer, mtl_score(''rows'', ROW(3)::asking, ROW(word, b / 2, offer)::single_offers) FROM ONLY offers o ORDER BY offer',
	'SELECT offer, mtl_score(''rows'', ROW(3)::asking, ROW(word, 1 / (30 - offer), offer)::single_offers) FROM ONLY offers o ORDER BY offer',
	'SELECT offer, mtl_score(''rows'', ROW(3)::asking, o) FROM offers o ORDER BY offer',
	'SELECT max(mtl_score(''rows'', ROW(3)::asking, o, ''r'')) FROM ONLY offers o',
	'SELECT asker, (SELECT max(mtl_score(''rows'', k, o, ''r'')) FROM ONLY offers o WHERE offer > asker) FROM askers k ORDER BY 1',
	'SELECT asker, offer, mtl_score(''rows'', k, o) FROM askers k, ONLY offers o ORDER BY 1, 2',
	'SELECT asker, offer, mtl_score(''rows'', k, o) FROM askers k, offers o ORDER BY 1, 2',
	'SELECT asker, offer, mtl_score(''rows'', k, o), mtl_score(''rows'', k, o, ''r'') FROM askers k JOIN ONLY offers o ON asker = b WHERE mtl_score(''rows'', k, o, ''r'') > 140 ORDER BY 1, 2',
	'SELECT asker, o, mtl_score(''rows'', k, o) FROM askers k JOIN ONLY offers o ON asker = b ORDER BY 1, offer',
	'SELECT mtl_score(''rows'', k, o) FROM askers k JOIN ONLY offers o ON asker = b ORDER BY o',
	'SELECT asker, s.offer, mtl_score(''rows'', k, s), mtl_score(''rows'', k, o) FROM askers k JOIN ONLY offers o ON asker = b JOIN single_offers s ON s.offer = o.offer ORDER BY 1, 2',
	'SELECT asker, s.offer, mtl_score(''rows'', k, s) FROM askers k JOIN (ONLY offers o JOIN single_offers s USING (offer)) ON asker = o.b ORDER BY 1, 2',
	'SELECT asker, s.offer, mtl_score(''rows'', k, s) FROM askers k JOIN single_offers s ON asker = s.b AND s::text <> (k.*)::text ORDER BY 1, 2',
	'SELECT offer, mtl_score(''rows'', k, o) FROM ONLY offers o, LATERAL (SELECT * FROM askers WHERE asker = o.b AND (o.*)::text <> '''' OFFSET 0) k ORDER BY 1',
	'SELECT asker, c.offer, mtl_score(''rows'', k, c) FROM askers k, LATERAL (SELECT offer, word, b + asker AS b FROM ONLY offers OFFSET 0) c ORDER BY 1, 2',
	'WITH c AS MATERIALIZED (SELECT offer, b, word FROM ONLY offers) SELECT asker, offer, mtl_score(''rows'', k, c) FROM askers k, c ORDER BY 1, 2',
	-- no candidate is no score, one of nulls has one; neither is there in an anti-join
	'SELECT asker, offer, mtl_score(''rows'', k, s) FROM askers k LEFT JOIN single_offers s ON s.offer = asker * 20 ORDER BY 1, 2',
	'SELECT asker, offer, mtl_score(''rows'', k, s) FROM single_offers s LEFT JOIN askers k ON asker = s.b ORDER BY 2, 1',
	'SELECT asker, offer, mtl_score(''rows'', k, s) FROM askers k RIGHT JOIN single_offers s ON s.offer = asker * 20 ORDER BY 1, 2',
	'SELECT asker, offer, mtl_score(''rows'', k, s) FROM askers k FULL JOIN single_offers s ON s.offer = asker * 20 ORDER BY 1, 2',
	'SELECT asker, mtl_score(''rows'', k, n) FROM askers k LEFT JOIN (SELECT b, word, offer FROM single_offers WHERE b IS NULL) n ON n.offer = asker ORDER BY 1',
	'SELECT offer, mtl_score(''rows'', ROW(3)::asking, s) FROM single_offers s WHERE NOT EXISTS (SELECT FROM askers WHERE asker = s.b) ORDER BY 1',
	'SELECT offer, mtl_score(''rows'', ROW(3)::asking, s) FROM single_offers s WHERE b IN (SELECT asker FROM askers) ORDER BY 1',
	-- errors: of the rows' types, of one row, of a column that no model reads
	'SELECT mtl_score(''rows'', k, k) FROM askers k, single_offers s',
	'SELECT mtl_score(''rows'', s, s) FROM askers k, single_offers s',
	'SELECT mtl_score(''rows'', s, o) FROM single_offers s, ONLY offers o',
	'SELECT mtl_score(''rows'', ARRAY[3], s) FROM single_offers s',
	'SELECT offer, mtl_score(''rows'', k, c) FROM askers k, (SELECT offer, CASE WHEN offer < 40 THEN 1 ELSE 1e300 END AS b FROM single_offers) c WHERE asker = 1 ORDER BY 1',
	'SELECT asker, mtl_score(''rows'', ROW(NULL)::asking, s) FROM askers k, single_offers s',
	'SELECT offer, mtl_score(''rows'', k, c) FROM askers k, (SELECT offer, b, 1 / (30 - offer) AS z FROM single_offers OFFSET 0) c WHERE asker = 1')
$$;
SELECT * FROM compare_pairs();
SET enable_nestloop = off;
SELECT result, count(*) FROM compare_pairs() GROUP BY result ORDER BY result;
SET enable_hashjoin = off;
SELECT result, count(*) FROM compare_pairs() GROUP BY result ORDER BY result;
RESET enable_nestloop;
SET enable_material = off;
SET enable_mergejoin = off;
SELECT result, count(*) FROM compare_pairs() GROUP BY result ORDER BY result;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_material;

-- rights to all columns of a row are needed, and policies come before
CREATE ROLE regress_mtl_rows;
GRANT USAGE ON SCHEMA batching_rows TO regress_mtl_rows;
GRANT SELECT ON mtl_models, mtl_active, parent, child, askers, offers TO regress_mtl_rows;
GRANT SELECT (id, a, b, word) ON plain TO regress_mtl_rows;
GRANT SELECT (word, b) ON single_offers TO regress_mtl_rows;
REVOKE SELECT ON child FROM regress_mtl_rows;
ALTER TABLE parent ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON parent USING (id < 13);
ALTER TABLE offers ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON offers USING (offer < 13);
SET ROLE regress_mtl_rows;
SELECT count(mtl_score('rows', p)) FROM plain p;
SELECT count(mtl_score('rows', parent)), max(id) FROM parent;
SELECT mtl_score('rows', child) FROM child;
SELECT count(mtl_score('rows', k, o)), max(offer) FROM askers k, offers o WHERE asker = 1;
SELECT count(mtl_score('rows', k, o)), max(offer) FROM askers k, ONLY offers o WHERE asker = 1 AND mtl_score('rows', k, o, 'r') > 0;
SELECT mtl_score('rows', k, s) FROM askers k, single_offers s;
SELECT mtl_score('rows', ROW(3)::asking, s) FROM single_offers s;
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
