-- Who may score by name, and who may change the registry.

\getenv srcdir PG_ABS_SRCDIR
\set models :srcdir '/models/models.sql'
\set ECHO none
\i :models
\set ECHO all
\set SHOW_CONTEXT never
TRUNCATE mtl_activations, mtl_active, mtl_models;

CREATE ROLE regress_mtl_nobody;
CREATE ROLE regress_mtl_reader;
CREATE ROLE regress_mtl_publisher;

SELECT mtl_register('feed', :'linear_1'), mtl_register('search', :'linear_2');
CREATE TABLE own_models (model mtl_model);
INSERT INTO own_models VALUES (:'linear_1');
GRANT SELECT ON own_models TO regress_mtl_nobody;

--
-- nothing granted
--

-- the cache is warm for the superuser
SELECT mtl_score('feed', ARRAY[1, 1], 'value'), mtl_score('feed@1', ARRAY[1, 1], 'value');

SET ROLE regress_mtl_nobody;
SELECT mtl_score('feed', ARRAY[1, 1], 'value');
SELECT mtl_score('feed@1', ARRAY[1, 1], 'value');
SELECT mtl_score('unknown', ARRAY[1, 1], 'value');
SELECT mtl_score('feed', ROW(1), ROW(1));
SELECT mtl_rank('feed', ARRAY[1, 1]);
SELECT mtl_tasks('feed');
SELECT * FROM mtl_features('feed');
SELECT mtl_describe('feed');
SELECT * FROM mtl_verify('feed');
SELECT * FROM mtl_gates('feed', ARRAY[1, 1]);
SELECT name FROM mtl_versions;
SELECT mtl_register('feed', :'linear_1');
SELECT mtl_activate('feed', 1);
SELECT mtl_rollback('feed');
SELECT mtl_drop_version('feed', 1);
-- models of one's own need no rights but those on their table
SELECT mtl_score(model, ARRAY[1, 1], 'value') FROM own_models;
SELECT mtl_score(:'linear_1'::mtl_model, ARRAY[1, 1], 'value');
RESET ROLE;

--
-- reader
--

GRANT SELECT ON mtl_models, mtl_active TO regress_mtl_reader;
SET ROLE regress_mtl_reader;
SELECT mtl_score('feed', ARRAY[1, 1], 'value'), mtl_score('search@1', ARRAY[1, 1], 'value');
SELECT mtl_score('unknown', ARRAY[1, 1], 'value');
SELECT name FROM mtl_versions;
SELECT mtl_register('feed', :'linear_1');
SELECT mtl_activate('feed', 1);
SELECT mtl_rollback('feed');
SELECT mtl_drop_version('feed', 1);
SET ROLE regress_mtl_nobody;
SELECT mtl_score('feed', ARRAY[1, 1], 'value');
RESET ROLE;

-- the view has no rights to lend
GRANT SELECT ON mtl_versions TO regress_mtl_reader, regress_mtl_nobody;
SET ROLE regress_mtl_reader;
SELECT name, version, state FROM mtl_versions ORDER BY name;
SET ROLE regress_mtl_nobody;
SELECT name, version, state FROM mtl_versions ORDER BY name;
RESET ROLE;

-- the columns that a lookup reads are enough
REVOKE ALL ON mtl_models, mtl_active FROM regress_mtl_reader;
GRANT SELECT (name, version, model) ON mtl_models TO regress_mtl_reader;
GRANT SELECT (name, version) ON mtl_active TO regress_mtl_reader;
SET ROLE regress_mtl_reader;
SELECT mtl_score('feed', ARRAY[1, 1], 'value'), mtl_score('feed@1', ARRAY[1, 1], 'value');
RESET ROLE;

-- both tables are needed for the active version, one for a given version
REVOKE SELECT (name, version) ON mtl_active FROM regress_mtl_reader;
SET ROLE regress_mtl_reader;
SELECT mtl_score('feed', ARRAY[1, 1], 'value');
SELECT mtl_score('feed@1', ARRAY[1, 1], 'value');
RESET ROLE;

-- what was revoked is refused from the next statement on
GRANT SELECT ON mtl_models, mtl_active TO regress_mtl_reader;
SET ROLE regress_mtl_reader;
SELECT mtl_score('feed', ARRAY[1, 1], 'value');
RESET ROLE;
REVOKE ALL ON mtl_models FROM regress_mtl_reader;
SET ROLE regress_mtl_reader;
SELECT mtl_score('feed', ARRAY[1, 1], 'value');
RESET ROLE;
GRANT SELECT ON mtl_models TO regress_mtl_reader;

--
-- one session, several roles
--

PREPARE score AS SELECT mtl_score($1, ARRAY[1, 1], 'value');
CREATE FUNCTION score(name text) RETURNS real LANGUAGE plpgsql AS $$
BEGIN
	RETURN mtl_score(name, ARRAY[1, 1], 'value');
END
$$;
CREATE FUNCTION score_inline(name text) RETURNS real LANGUAGE sql STABLE RETURN mtl_score(name, ARRAY[1, 1], 'value');

SET plan_cache_mode = force_generic_plan;
SET ROLE regress_mtl_reader;
EXECUTE score('feed');
SELECT score('feed'), score_inline('feed');
SET ROLE regress_mtl_nobody;
EXECUTE score('feed');
SELECT score('feed');
SELECT score_inline('feed');
SET ROLE regress_mtl_reader;
EXECUTE score('feed');
SELECT score('feed'), score_inline('feed');
RESET ROLE;
RESET plan_cache_mode;

-- within one transaction, where PL/pgSQL keeps its expressions ready to run
BEGIN;
SET LOCAL ROLE regress_mtl_reader;
SELECT score('feed');
SET LOCAL ROLE regress_mtl_nobody;
SELECT score('feed');
ROLLBACK;

-- and within one statement
CREATE FUNCTION score_as(role name, name text) RETURNS real LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	RETURN mtl_score(name, ARRAY[1, 1], 'value');
END
$$;
SELECT score_as(role, 'feed')
FROM unnest('{regress_mtl_reader, regress_mtl_reader, regress_mtl_nobody}'::name[]) role;
SELECT current_user = session_user AS reset;

-- a function can lend its owner's rights
CREATE FUNCTION score_feed(a int, b int) RETURNS real LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
	RETURN mtl_score('feed', ARRAY[a, b], 'value');
ALTER FUNCTION score_feed OWNER TO regress_mtl_reader;
SET ROLE regress_mtl_nobody;
SELECT score_feed(1, 1);
SELECT mtl_score('feed', ARRAY[1, 1], 'value');
SELECT score_feed(1, 1), mtl_score('feed', ARRAY[1, 1], 'value');
RESET ROLE;
ALTER FUNCTION score_feed OWNER TO regress_mtl_nobody;
SELECT score_feed(1, 1);

-- workers have the rights of their leader
CREATE TABLE items AS SELECT i AS a, i AS b FROM generate_series(1, 1000) i;
GRANT SELECT ON items TO PUBLIC;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SET ROLE regress_mtl_reader;
EXPLAIN (COSTS OFF) SELECT sum(mtl_score('feed', items, 'value')) FROM items;
SELECT sum(mtl_score('feed', items, 'value')) FROM items;
SET ROLE regress_mtl_nobody;
SELECT sum(mtl_score('feed', items, 'value')) FROM items;
RESET ROLE;
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET parallel_leader_participation;

--
-- publisher
--

GRANT SELECT, INSERT (name, version, model, metrics, note), UPDATE (metrics, note) ON mtl_models TO regress_mtl_publisher;
GRANT SELECT, INSERT (name, last_version), UPDATE (version, activation, last_version) ON mtl_active TO regress_mtl_publisher;
GRANT SELECT, INSERT (name, activation, version, parent, action) ON mtl_activations TO regress_mtl_publisher;
SET ROLE regress_mtl_publisher;
SELECT mtl_register('feed', :'linear_2');
SELECT mtl_register('news', :'linear_1', note => 'first');
SELECT mtl_activate('feed', 1), mtl_rollback('feed'), mtl_rollback('feed');
UPDATE mtl_models SET note = 'better' WHERE name = 'feed' AND version = 2;
SELECT mtl_score('feed', ARRAY[1, 1], 'value');
SELECT name, version, created_by = current_user AS mine, note FROM mtl_models ORDER BY name, version;
SELECT activation, version, action, activated_by = current_user AS mine FROM mtl_activations WHERE name = 'feed' ORDER BY activation;
-- but not drop, nor change or forge what happened
SELECT mtl_drop_version('feed', 2);
INSERT INTO mtl_models (name, version, model, created_by) VALUES ('feed', 7, :'linear_1', 'postgres');
UPDATE mtl_models SET model = :'linear_1';
UPDATE mtl_activations SET version = 2;
DELETE FROM mtl_activations;
INSERT INTO mtl_activations (name, activation, version, action, activated_by) VALUES ('feed', 9, 1, 'activate', 'postgres');
RESET ROLE;
GRANT DELETE ON mtl_models TO regress_mtl_publisher;
SET ROLE regress_mtl_publisher;
SELECT mtl_drop_version('feed', 2);
RESET ROLE;

--
-- row-level security
--

-- each role has the models that are named after it, and the reader may read one more
SELECT mtl_register('regress_mtl_reader', :'linear_1'), mtl_register('regress_mtl_publisher', :'linear_2');
ALTER TABLE mtl_models ENABLE ROW LEVEL SECURITY;
ALTER TABLE mtl_active ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON mtl_models USING (name = current_user::text);
CREATE POLICY own ON mtl_active USING (name = current_user::text);
CREATE POLICY shared ON mtl_models FOR SELECT TO regress_mtl_reader USING (name = 'feed');
CREATE POLICY shared ON mtl_active FOR SELECT TO regress_mtl_reader USING (name = 'feed');

SET ROLE regress_mtl_reader;
SELECT mtl_score('regress_mtl_reader', ARRAY[1, 1], 'value'), mtl_score('feed', ARRAY[1, 1], 'value');
SELECT mtl_score('search', ARRAY[1, 1], 'value');
SELECT mtl_score('search@1', ARRAY[1, 1], 'value');
SELECT mtl_score('regress_mtl_publisher', ARRAY[1, 1], 'value');
SELECT name, version, state FROM mtl_versions ORDER BY name;
EXECUTE score('feed');
SELECT score('feed');
SET ROLE regress_mtl_publisher;
SELECT mtl_score('regress_mtl_publisher', ARRAY[1, 1], 'value');
SELECT mtl_score('feed', ARRAY[1, 1], 'value');
EXECUTE score('feed');
SELECT score('feed');
EXECUTE score('regress_mtl_publisher');
SELECT score('regress_mtl_publisher');
SET row_security = off;
SELECT mtl_score('regress_mtl_publisher', ARRAY[1, 1], 'value');
RESET row_security;

-- changes are held to the policies too
SELECT mtl_register('regress_mtl_publisher', :'linear_1');
SELECT mtl_rollback('regress_mtl_publisher'), mtl_activate('regress_mtl_publisher', 2);
SELECT mtl_drop_version('regress_mtl_publisher', 1);
SELECT mtl_register('feed', :'linear_1');
SELECT mtl_register('more', :'linear_1');
SELECT mtl_activate('feed', 1);
SELECT mtl_drop_version('feed', 1);
RESET ROLE;
-- with rights to read, but not to change
CREATE POLICY shared_too ON mtl_models FOR SELECT TO regress_mtl_publisher USING (name = 'feed');
CREATE POLICY shared_too ON mtl_active FOR SELECT TO regress_mtl_publisher USING (name = 'feed');
SET ROLE regress_mtl_publisher;
SELECT mtl_activate('feed', 1);
SELECT mtl_rollback('feed');
SELECT mtl_drop_version('feed', 1);
SELECT mtl_activate('feed', 7);
SELECT mtl_register('feed', :'linear_1');
RESET ROLE;
-- or to change the pointer, but not the models
CREATE POLICY pointer ON mtl_active TO regress_mtl_publisher USING (name = 'search');
CREATE POLICY readable ON mtl_models FOR SELECT TO regress_mtl_publisher USING (name = 'search');
SELECT mtl_register('search', :'linear_1');
SET ROLE regress_mtl_publisher;
SELECT mtl_activate('search', 1);
SELECT mtl_drop_version('search', 2);
SELECT mtl_register('search', :'linear_1');
RESET ROLE;
SELECT name, version FROM mtl_active ORDER BY name;

-- one policy on the models is enough
ALTER TABLE mtl_active DISABLE ROW LEVEL SECURITY;
SET ROLE regress_mtl_reader;
SELECT mtl_score('feed', ARRAY[1, 1], 'value');
SELECT mtl_score('search', ARRAY[1, 1], 'value');
RESET ROLE;

-- a change of policy holds from the next statement on
SET ROLE regress_mtl_reader;
EXECUTE score('feed');
RESET ROLE;
DROP POLICY shared ON mtl_models;
SET ROLE regress_mtl_reader;
EXECUTE score('feed');
RESET ROLE;

-- and of what a policy reads at once: expressions of PL/pgSQL remember no more than it allows
CREATE PROCEDURE score_with_each_chosen() LANGUAGE plpgsql AS $$
DECLARE
	chosen text;
	score real;
BEGIN
	FOREACH chosen IN ARRAY '{feed,search}'::text[] LOOP
		PERFORM set_config('regress.model', chosen, true);
		score := mtl_score('feed', ARRAY[1, 1], 'value');
		RAISE NOTICE 'with % chosen: %', chosen, score;
	END LOOP;
END
$$;
CREATE POLICY chosen ON mtl_models FOR SELECT TO regress_mtl_reader USING (name = current_setting('regress.model'));
SET ROLE regress_mtl_reader;
CALL score_with_each_chosen();
RESET ROLE;
CREATE TABLE chosen AS SELECT 'feed' AS name;
ALTER TABLE chosen ENABLE ROW LEVEL SECURITY;
CREATE POLICY chosen ON chosen USING (name = current_setting('regress.model'));
GRANT SELECT ON chosen TO regress_mtl_reader;
ALTER POLICY chosen ON mtl_models USING (EXISTS (SELECT FROM chosen c WHERE c.name = mtl_models.name));
SET ROLE regress_mtl_reader;
CALL score_with_each_chosen();
RESET ROLE;
DROP POLICY chosen ON mtl_models;
DROP TABLE chosen;
DROP PROCEDURE score_with_each_chosen();

ALTER TABLE mtl_models DISABLE ROW LEVEL SECURITY;
DROP POLICY own ON mtl_models;
DROP POLICY own ON mtl_active;
DROP POLICY shared ON mtl_active;
DROP POLICY shared_too ON mtl_models;
DROP POLICY shared_too ON mtl_active;
DROP POLICY pointer ON mtl_active;
DROP POLICY readable ON mtl_models;
DROP FUNCTION score, score_inline, score_as, score_feed;
DROP TABLE own_models, items;
DROP OWNED BY regress_mtl_nobody, regress_mtl_reader, regress_mtl_publisher;
DROP ROLE regress_mtl_nobody, regress_mtl_reader, regress_mtl_publisher;
TRUNCATE mtl_activations, mtl_active, mtl_models;
