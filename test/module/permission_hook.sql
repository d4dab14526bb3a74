-- Where a hook looks at the rights of queries, a name is looked up by a query, so that the hook sees it and can refuse it; module is what
-- "make engine-module" builds, file a model with gates.

\set QUIET on
\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;

CREATE FUNCTION pg_temp.hook_permissions(regclass) RETURNS void LANGUAGE c AS :'module', 'hook_permissions';
CREATE FUNCTION pg_temp.permission_checks(regclass) RETURNS int LANGUAGE c AS :'module', 'permission_checks';
SELECT mtl_register('hooked', pg_read_binary_file(:'file')::mtl_model, metrics => '{"auc": 0.5}') \g /dev/null
CREATE TEMP TABLE models AS SELECT model FROM mtl_models WHERE name = 'hooked';
CREATE TEMP TABLE calls AS SELECT format(call, name, row) AS statement, name LIKE '%@%' AS has_version, format(call, '(SELECT model FROM models)', row) AS by_value
	FROM unnest('{''hooked'',''hooked@1''}'::text[]) name, (VALUES ($$jsonb '{"city": "Berlin", "age": 31}'$$)) r (row), unnest(ARRAY[
		'SELECT mtl_score(%s, %s)', 'SELECT sum(mtl_score(%s, %s, ''ctr'')) FROM generate_series(1, 10)', 'SELECT mtl_rank(%s, %s)', 'SELECT count(*) FROM mtl_gates(%s, %s)',
		'SELECT count(*) FROM mtl_verify(%s)', 'SELECT mtl_tasks(%s)', 'SELECT count(*) FROM mtl_features(%s)', 'SELECT md5(mtl_describe(%s)::text)', 'SELECT md5(mtl_graph(%s))']) call;

CREATE FUNCTION pg_temp.outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
	EXECUTE statement INTO result;
	RETURN result;
EXCEPTION WHEN insufficient_privilege THEN
	RETURN SQLERRM;
END
$$;

-- fails unless the statement gives this, and the hook has looked at these tables, and no others of the registry
CREATE PROCEDURE pg_temp.expect(refused regclass, statement text, expected text, looks_at regclass[]) LANGUAGE plpgsql AS $$
DECLARE
	result text;
	seen regclass[];
BEGIN
	PERFORM pg_temp.hook_permissions(refused);
	result := pg_temp.outcome(statement);
	seen := (SELECT coalesce(array_agg(t ORDER BY t::text), '{}') FROM unnest('{mtl_active,mtl_models}'::regclass[]) t WHERE pg_temp.permission_checks(t) > 0);
	IF result IS DISTINCT FROM expected OR seen <> looks_at THEN
		RAISE EXCEPTION '% while % is refused: % after checks of %, expected % after checks of %', statement, refused, result, seen, expected, looks_at;
	END IF;
END
$$;

DO $$
DECLARE
	call record;
	scored text;
BEGIN
	FOR call IN SELECT * FROM calls LOOP
		scored := pg_temp.outcome(call.by_value);
		CALL pg_temp.expect('0', call.statement, scored, CASE WHEN call.has_version THEN '{mtl_models}'::regclass[] ELSE '{mtl_active,mtl_models}' END);
		CALL pg_temp.expect('mtl_models', call.statement, 'the hook refuses "mtl_models"', CASE WHEN call.has_version THEN '{mtl_models}'::regclass[] ELSE '{mtl_active,mtl_models}' END);
		CALL pg_temp.expect('mtl_active', call.statement, CASE WHEN call.has_version THEN scored ELSE 'the hook refuses "mtl_active"' END,
			CASE WHEN call.has_version THEN '{mtl_models}'::regclass[] ELSE '{mtl_active}' END);
		CALL pg_temp.expect('mtl_models', call.by_value, scored, '{}');
	END LOOP;
END
$$;
SELECT count(*) || ' calls with a hook on rights' FROM calls;
SELECT pg_temp.hook_permissions('0') \g /dev/null
DELETE FROM mtl_active WHERE name = 'hooked';
DELETE FROM mtl_models WHERE name = 'hooked';
