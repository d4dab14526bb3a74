-- The registry: versions, activation, rollback, history.

\getenv srcdir PG_ABS_SRCDIR
\set models :srcdir '/models/models.sql'
\set ECHO none
\i :models
\set ECHO all
\set SHOW_CONTEXT never
TRUNCATE mtl_activations, mtl_active, mtl_models;

PREPARE history AS
	SELECT activation, version, parent, action, activated_by = current_user AS mine
	FROM mtl_activations WHERE name = $1 ORDER BY activation;
PREPARE versions AS
	SELECT name, version, state, note, metrics FROM mtl_versions ORDER BY name, version;

--
-- register
--

-- nothing is there
SELECT mtl_score('feed', ARRAY[1, 1]);
SELECT mtl_activate('feed', 1);
SELECT mtl_rollback('feed');
SELECT mtl_drop_version('feed', 1);

SELECT mtl_register('feed', :'linear_1');
SELECT mtl_register('feed', :'linear_2'::bytea::mtl_model, metrics => '{"auc": {"ctr": 0.71}}', note => 'ten times');
SELECT mtl_register('feed', :'linear_1', false, NULL, 'waits');
SELECT mtl_register('search', :'linear_2', activate => false);
EXECUTE versions;
EXECUTE history('feed');
EXECUTE history('search');

-- what was stored is what was given
SELECT name, version, model::bytea = :'linear_1'::bytea AS linear_1, model::bytea = :'linear_2'::bytea AS linear_2,
	digest = mtl_digest(model) AND digest = encode(sha256(model::bytea), 'hex') AS digest,
	created_by = current_user AND created_at <= now() AS created
FROM mtl_models ORDER BY name, version;
SELECT bool_and(v.size BETWEEN octet_length(m.model::bytea) + 60 AND octet_length(m.model::bytea) + 64) AS size,
	bool_and(v.digest = m.digest) AS digest
FROM mtl_versions v JOIN mtl_models m USING (name, version);

-- names and versions
SELECT mtl_score('feed', ARRAY[1, 1]) AS feed, mtl_score('feed@1', ARRAY[1, 1]) AS feed_1,
	mtl_score('feed@2', ARRAY[1, 1], 'value') AS feed_2, mtl_score('search@1', ARRAY[1, 1], 'value') AS search_1;
SELECT v.version, mtl_score('feed@' || v.version, ARRAY[1, 1], 'value')
FROM mtl_versions v WHERE v.name = 'feed' ORDER BY 1;
SELECT mtl_score('search', ARRAY[1, 1]);
SELECT mtl_score('fed', ARRAY[1, 1]);
SELECT mtl_score('Feed', ARRAY[1, 1]);
SELECT mtl_score('feed@4', ARRAY[1, 1]);
SELECT mtl_score('fed@1', ARRAY[1, 1]);
SELECT mtl_score('feed@', ARRAY[1, 1]);
SELECT mtl_score('feed@0', ARRAY[1, 1]);
SELECT mtl_score('feed@x', ARRAY[1, 1]);
SELECT mtl_score('feed@1@2', ARRAY[1, 1]);
SELECT mtl_score('feed@99999999999', ARRAY[1, 1]);
SELECT mtl_score('', ARRAY[1, 1]);

-- a model that does not compute its examples is refused, and takes no number
SELECT mtl_register('feed', :'moved');
SELECT mtl_register('feed', :'moved', activate => false);
SELECT last_version FROM mtl_active WHERE name = 'feed';

-- names
SELECT mtl_register('feed@1', :'linear_1');
SELECT mtl_register('', :'linear_1');
SELECT mtl_register(NULL, :'linear_1');
SELECT mtl_register(E'tab\t', :'linear_1');
SELECT mtl_register(E'delete\x7f', :'linear_1');
SELECT mtl_register(repeat('x', 64), :'linear_1');
SELECT mtl_register(repeat('é', 32), :'linear_1');
INSERT INTO mtl_models (name, version, model) VALUES ('feed@1', 1, :'linear_1');
BEGIN;
SELECT mtl_register(repeat('é', 31) || 'x', :'linear_1'), mtl_register(' "東京".feed'' ', :'linear_2');
SELECT mtl_score(repeat('é', 31) || 'x', ARRAY[1, 1]), mtl_score(' "東京".feed'' @1', ARRAY[1, 1]);
SELECT mtl_activate(' "東京".feed'' ', 2);
ROLLBACK;

-- nulls
SELECT mtl_register('feed', NULL);
SELECT mtl_register('feed', :'linear_1', NULL);
SELECT mtl_activate(NULL, 1);
SELECT mtl_activate('feed', NULL);
SELECT mtl_rollback(NULL);
SELECT mtl_drop_version(NULL, 1);
SELECT mtl_drop_version('feed', NULL);
SELECT mtl_score(NULL::text, ARRAY[1, 1]);

--
-- activate, rollback
--

SELECT mtl_activate('feed', 3);
SELECT mtl_score('feed', ARRAY[1, 1]);
EXECUTE versions;
SELECT mtl_activate('feed', 3);
EXECUTE history('feed');
SELECT mtl_activate('feed', 4);
SELECT mtl_activate('fed', 1);
SELECT mtl_activate('feed@1', 1);

-- rollbacks go back and back, not to and fro
SELECT mtl_rollback('feed');
SELECT mtl_score('feed', ARRAY[1, 1]);
SELECT mtl_rollback('feed');
SELECT mtl_score('feed', ARRAY[1, 1]);
SELECT mtl_rollback('feed');
EXECUTE history('feed');

-- after rollbacks, an activation returns to what it replaced
SELECT mtl_activate('feed', 3);
SELECT mtl_rollback('feed');
SELECT mtl_rollback('feed');

-- a model that was never active
SELECT mtl_rollback('search');
SELECT mtl_rollback('fed');
SELECT mtl_activate('search', 1);
SELECT mtl_rollback('search');

-- examples are replayed when a version becomes active, whatever way it came in
INSERT INTO mtl_models (name, version, model) VALUES ('feed', 9, :'moved');
SELECT mtl_activate('feed', 9);
DELETE FROM mtl_models WHERE name = 'feed' AND version = 9;
SELECT version FROM mtl_active WHERE name = 'feed';

--
-- drop
--

SELECT mtl_drop_version('feed', 1);
SELECT mtl_drop_version('feed', 4);
SELECT mtl_drop_version('fed', 1);
DELETE FROM mtl_models WHERE name = 'feed' AND version = 1;

-- rollback passes over what was dropped, and over what is active already
SELECT mtl_activate('feed', 2), mtl_activate('feed', 3), mtl_activate('feed', 1), mtl_activate('feed', 3);
SELECT mtl_drop_version('feed', 1);
SELECT mtl_score('feed@1', ARRAY[1, 1]);
SELECT mtl_rollback('feed');
SELECT mtl_rollback('feed');
SELECT mtl_activate('feed', 1);
EXECUTE history('feed');

-- the number of a dropped version is not used again, and history remembers it
SELECT mtl_drop_version('feed', 3);
SELECT mtl_register('feed', :'linear_1');
EXECUTE versions;

-- old history may go; rollback then ends where it does
BEGIN;
DELETE FROM mtl_activations WHERE name = 'feed' AND activation < (SELECT activation FROM mtl_active WHERE name = 'feed');
SELECT mtl_rollback('feed');
ROLLBACK;

--
-- versions do not change
--

UPDATE mtl_models SET model = :'linear_2' WHERE name = 'feed' AND version = 4;
UPDATE mtl_models SET name = 'food' WHERE name = 'feed' AND version = 4;
UPDATE mtl_models SET version = 5 WHERE name = 'feed' AND version = 4;
UPDATE mtl_models SET created_at = created_at - interval '1 day' WHERE name = 'feed' AND version = 4;
UPDATE mtl_models SET created_by = 'nobody' WHERE name = 'feed' AND version = 4;
UPDATE mtl_models SET digest = 'x' WHERE name = 'feed' AND version = 4;
UPDATE mtl_models SET model = NULL WHERE name = 'feed' AND version = 4;
INSERT INTO mtl_models (name, version, model) VALUES ('feed', 4, :'linear_2')
	ON CONFLICT (name, version) DO UPDATE SET model = excluded.model;
-- but for these, and what stays as it is
UPDATE mtl_models SET metrics = '{"auc": 0.5}', note = 'measured', model = model WHERE name = 'feed' AND version = 4;
EXECUTE versions;
-- and the active version is protected from hands
DELETE FROM mtl_models WHERE name = 'feed' AND version = 4;
DELETE FROM mtl_models WHERE name = 'feed';
-- a pointer that was bent by hand is an error, and can be set right
BEGIN;
UPDATE mtl_active SET version = 7 WHERE name = 'feed';
SAVEPOINT bent;
SELECT mtl_score('feed', ARRAY[1, 1]);
ROLLBACK TO bent;
SELECT mtl_activate('feed', 4);
SELECT mtl_score('feed', ARRAY[1, 1]);
ROLLBACK;

--
-- transactions
--

BEGIN;
SELECT mtl_register('feed', :'linear_2');
SELECT mtl_score('feed', ARRAY[1, 1], 'value');
ROLLBACK;
SELECT mtl_score('feed', ARRAY[1, 1], 'value');
SELECT mtl_score('feed@5', ARRAY[1, 1], 'value');

-- a number that was rolled back was never given
BEGIN;
SELECT mtl_register('feed', :'linear_2', note => 'fifth');
SAVEPOINT before;
SELECT mtl_activate('feed', 4);
SELECT mtl_score('feed', ARRAY[1, 1], 'value');
ROLLBACK TO before;
SELECT mtl_score('feed', ARRAY[1, 1], 'value');
SAVEPOINT again;
SELECT mtl_rollback('feed');
RELEASE again;
SELECT mtl_score('feed', ARRAY[1, 1], 'value');
ROLLBACK TO before;
SELECT mtl_score('feed', ARRAY[1, 1], 'value');
COMMIT;
EXECUTE versions;

-- a statement sees one version: that of its start
SELECT mtl_score('feed', ARRAY[1, 1], 'value') AS before, mtl_activate('feed', 4) AS switched,
	mtl_score('feed', ARRAY[1, 1], 'value') AS after;
SELECT mtl_score('feed', ARRAY[1, 1], 'value') AS next_statement;

-- an error in the middle leaves the model as it was
DO $$
BEGIN
	PERFORM mtl_activate('feed', 5);
	RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN
	RAISE NOTICE 'value %', mtl_score('feed', ARRAY[1, 1], 'value');
END
$$;

-- also when the same expression is evaluated before and after
DO $$
DECLARE
	value real;
BEGIN
	FOR i IN 1..3 LOOP
		BEGIN
			IF i = 2 THEN
				PERFORM mtl_activate('feed', 5);
			END IF;
			value := mtl_score('feed', ARRAY[1, 1], 'value');
			RAISE division_by_zero;
		EXCEPTION WHEN division_by_zero THEN
			RAISE NOTICE 'value %', value;
		END;
	END LOOP;
END
$$;

-- expressions of PL/pgSQL are prepared once, but look the name up each time
DO $$
DECLARE
	value real;
BEGIN
	FOR version IN 4..5 LOOP
		PERFORM mtl_activate('feed', version);
		FOR i IN 1..2 LOOP
			value := mtl_score('feed', ARRAY[i, i], 'value');
			RAISE NOTICE 'version %, value %', version, value;
		END LOOP;
	END LOOP;
END
$$;

-- so do prepared statements
PREPARE score AS SELECT mtl_score($1, ARRAY[1, 1], 'value');
SET plan_cache_mode = force_generic_plan;
EXECUTE score('feed');
SELECT mtl_rollback('feed');
EXECUTE score('feed');
EXECUTE score('feed@5');
RESET plan_cache_mode;

-- a cursor stays with the version that was active when it was opened
BEGIN;
DECLARE scores CURSOR FOR SELECT mtl_score('feed', ARRAY[i, i], 'value') FROM generate_series(1, 4) i;
FETCH 1 FROM scores;
SELECT mtl_activate('feed', 5);
FETCH 2 FROM scores;
SELECT mtl_score('feed', ARRAY[4, 4], 'value');
FETCH 1 FROM scores;
COMMIT;

-- the other functions with a name
SELECT mtl_tasks('feed'), mtl_tasks('feed@4'), mtl_rank('feed', ARRAY[1, 1]), mtl_rank('feed', ARRAY[1, 1], '{"ctr": 2}');
SELECT position, name, kind, width, columns, missing FROM mtl_features('feed') ORDER BY position;
SELECT mtl_describe('feed') = mtl_describe(model) AS same FROM mtl_models WHERE name = 'feed' AND version = 5;
SELECT example, output, expected, score, difference FROM mtl_verify('feed') ORDER BY example, output;
SELECT * FROM mtl_verify(:'moved'::mtl_model);
SELECT mtl_tasks('fed'), mtl_describe('fed');
SELECT * FROM mtl_features('fed');
SELECT * FROM mtl_verify('fed');
SELECT mtl_rank('fed', ARRAY[1, 1]);

-- names in a column with a collation of its own
CREATE TEMP TABLE names (name text COLLATE "POSIX");
INSERT INTO names VALUES ('feed');
SELECT mtl_score(name, ARRAY[1, 1], 'value'), mtl_activate(name, 4) FROM names;
SELECT mtl_rollback(name), mtl_register(name, :'linear_1', false) FROM names;
SELECT mtl_drop_version(name, 6) FROM names;

-- an empty search_path is no matter
BEGIN;
SET LOCAL search_path = '';
SELECT public.mtl_register('feed', :'linear_1'::public.mtl_model), public.mtl_activate('feed', 4), public.mtl_rollback('feed');
SELECT public.mtl_drop_version('feed', 4), public.mtl_score('feed', ARRAY[1, 1], 'value');
ROLLBACK;

-- nor is one with impostors in front
CREATE SCHEMA impostor;
CREATE TABLE impostor.mtl_active (name text, version int);
CREATE TABLE impostor.mtl_models (name text, version int, model mtl_model);
CREATE FUNCTION impostor.nothing(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR impostor.= (LEFTARG = text, RIGHTARG = text, FUNCTION = impostor.nothing);
BEGIN;
SET LOCAL search_path = impostor, pg_catalog, public;
SELECT mtl_activate('feed', 4), mtl_rollback('feed');
SELECT mtl_score('feed', ARRAY[1, 1], 'value'), mtl_score('feed@4', ARRAY[1, 1], 'value');
ROLLBACK;
SET client_min_messages = warning;
DROP SCHEMA impostor CASCADE;
RESET client_min_messages;

-- tables that their owner has changed: without the index, with rows elsewhere, with a column of another type
SELECT mtl_score('feed', ARRAY[1, 1], 'value') AS feed, mtl_score('feed@2', ARRAY[1, 1], 'value') AS feed_2;
BEGIN;
ALTER TABLE mtl_active DROP CONSTRAINT mtl_active_pkey;
ALTER TABLE mtl_models DROP CONSTRAINT mtl_models_pkey;
SELECT mtl_score('feed', ARRAY[1, 1], 'value') AS feed, mtl_score('feed@2', ARRAY[1, 1], 'value') AS feed_2;
ALTER TABLE mtl_active ADD PRIMARY KEY (last_version, name);
ALTER TABLE mtl_models ADD PRIMARY KEY (version, name);
SELECT mtl_score('feed', ARRAY[1, 1], 'value') AS feed, mtl_score('feed@2', ARRAY[1, 1], 'value') AS feed_2;
ROLLBACK;
BEGIN;
CREATE TABLE more () INHERITS (mtl_models);
INSERT INTO more (name, version, model) VALUES ('feed', 100, :'linear_2');
SELECT mtl_score('feed@100', ARRAY[1, 1], 'value') AS feed_100, mtl_score('feed', ARRAY[1, 1], 'value') AS feed;
ROLLBACK;
BEGIN;
ALTER TABLE mtl_models RENAME COLUMN model TO original;
ALTER TABLE mtl_models ADD COLUMN model text NOT NULL DEFAULT 'MTLR';
SELECT mtl_score('feed', ARRAY[1, 1], 'value');
ROLLBACK;
BEGIN;
ALTER TABLE mtl_models RENAME COLUMN version TO original;
ALTER TABLE mtl_models ADD COLUMN version bigint NOT NULL DEFAULT 2;
SELECT mtl_score('feed@2', ARRAY[1, 1], 'value') IS NOT NULL AS found;
ROLLBACK;

-- a schema of another name, beside one that has taken its name
SELECT mtl_score('unknown', ARRAY[1, 1], 'value');
BEGIN;
ALTER SCHEMA public RENAME TO renamed;
CREATE SCHEMA public;
CREATE TABLE public.mtl_models (name text, version int, model text);
INSERT INTO public.mtl_models VALUES ('impostor', 1, 'MTLR');
SELECT renamed.mtl_score('unknown', ARRAY[1, 1], 'value');
ROLLBACK;

TRUNCATE mtl_activations, mtl_active, mtl_models;
