-- What the extension promises about its objects, whatever they compute.

\set QUIET on
\pset format unaligned
\pset tuples_only on
\set ON_ERROR_STOP on

BEGIN;
SELECT plan(38);

CREATE TEMP VIEW member AS
	SELECT d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) AS description
	FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
	WHERE d.deptype = 'e' AND e.extname = 'mtl_rank';
CREATE TEMP VIEW member_function AS
	SELECT p.* FROM member m JOIN pg_proc p ON p.oid = m.objid WHERE m.classid = 'pg_proc'::regclass;
CREATE TEMP VIEW member_relation AS
	SELECT c.* FROM member m JOIN pg_class c ON c.oid = m.objid WHERE m.classid = 'pg_class'::regclass;

--
-- functions
--

-- every function, so that a new one has to be argued here too
SELECT results_eq(
	$$ SELECT oid::regprocedure::text, provolatile::text, proisstrict, proparallel::text, procost > 100, lanname::text COLLATE "default"
	   FROM member_function JOIN (SELECT oid AS lang, lanname FROM pg_language) l ON lang = prolang
	   ORDER BY oid::regprocedure::text COLLATE "C" $$,
	$$ VALUES
		('mtl_activate(text,integer)', 'v', false, 'u', false, 'plpgsql'),
		('mtl_auc(boolean,double precision)', 'i', false, 's', false, 'internal'),
		('mtl_auc(double precision,double precision)', 'i', false, 's', false, 'internal'),
		('mtl_auc_add(internal,boolean,double precision)', 'i', false, 's', false, 'c'),
		('mtl_auc_add(internal,double precision,double precision)', 'i', false, 's', false, 'c'),
		('mtl_auc_result(internal)', 'i', false, 's', false, 'c'),
		('mtl_cache_entries()', 'v', true, 'r', false, 'c'),
		('mtl_cache_evict()', 'v', true, 'r', false, 'c'),
		('mtl_cache_evict(text)', 'v', true, 'r', false, 'c'),
		('mtl_cache_prewarm(mtl_model)', 'v', true, 'r', true, 'c'),
		('mtl_cache_prewarm(text)', 'v', true, 'r', true, 'c'),
		('mtl_calibration(boolean,double precision)', 'i', false, 's', false, 'internal'),
		('mtl_calibration(boolean,double precision,integer)', 'i', false, 's', false, 'internal'),
		('mtl_calibration(double precision,double precision)', 'i', false, 's', false, 'internal'),
		('mtl_calibration(double precision,double precision,integer)', 'i', false, 's', false, 'internal'),
		('mtl_calibration_add(internal,boolean,double precision)', 'i', false, 's', false, 'c'),
		('mtl_calibration_add(internal,boolean,double precision,integer)', 'i', false, 's', false, 'c'),
		('mtl_calibration_add(internal,double precision,double precision)', 'i', false, 's', false, 'c'),
		('mtl_calibration_add(internal,double precision,double precision,integer)', 'i', false, 's', false, 'c'),
		('mtl_calibration_result(internal)', 'i', false, 's', false, 'c'),
		('mtl_check_name(text)', 'i', false, 's', false, 'plpgsql'),
		('mtl_describe(mtl_model)', 'i', true, 's', false, 'c'),
		('mtl_describe(text)', 's', true, 's', false, 'c'),
		('mtl_digest(mtl_model)', 'i', true, 's', false, 'c'),
		('mtl_drop_version(text,integer)', 'v', false, 'u', false, 'plpgsql'),
		('mtl_features(mtl_model)', 'i', true, 's', false, 'c'),
		('mtl_features(text)', 's', true, 's', false, 'c'),
		('mtl_gates(mtl_model,"any")', 'i', true, 's', true, 'c'),
		('mtl_gates(text,"any")', 's', true, 's', true, 'c'),
		('mtl_gauc(boolean,double precision,anyelement)', 'i', false, 's', false, 'internal'),
		('mtl_gauc(boolean,double precision,anyelement,text)', 'i', false, 's', false, 'internal'),
		('mtl_gauc(double precision,double precision,anyelement)', 'i', false, 's', false, 'internal'),
		('mtl_gauc(double precision,double precision,anyelement,text)', 'i', false, 's', false, 'internal'),
		('mtl_gauc_add(internal,boolean,double precision,anyelement)', 'i', false, 's', false, 'c'),
		('mtl_gauc_add(internal,boolean,double precision,anyelement,text)', 'i', false, 's', false, 'c'),
		('mtl_gauc_add(internal,double precision,double precision,anyelement)', 'i', false, 's', false, 'c'),
		('mtl_gauc_add(internal,double precision,double precision,anyelement,text)', 'i', false, 's', false, 'c'),
		('mtl_gauc_result(internal)', 'i', false, 's', false, 'c'),
		('mtl_graph(mtl_model)', 'i', true, 's', false, 'c'),
		('mtl_graph(text)', 's', true, 's', false, 'c'),
		('mtl_lock_model(text)', 'v', false, 'u', false, 'plpgsql'),
		('mtl_logloss(boolean,double precision)', 'i', false, 's', false, 'internal'),
		('mtl_logloss(boolean,double precision,double precision)', 'i', false, 's', false, 'internal'),
		('mtl_logloss(boolean,real)', 'i', false, 's', false, 'internal'),
		('mtl_logloss(boolean,real,double precision)', 'i', false, 's', false, 'internal'),
		('mtl_logloss(double precision,double precision)', 'i', false, 's', false, 'internal'),
		('mtl_logloss(double precision,double precision,double precision)', 'i', false, 's', false, 'internal'),
		('mtl_logloss(double precision,real)', 'i', false, 's', false, 'internal'),
		('mtl_logloss(double precision,real,double precision)', 'i', false, 's', false, 'internal'),
		('mtl_logloss_add(internal,boolean,double precision)', 'i', false, 's', false, 'c'),
		('mtl_logloss_add(internal,boolean,double precision,double precision)', 'i', false, 's', false, 'c'),
		('mtl_logloss_add(internal,boolean,real)', 'i', false, 's', false, 'c'),
		('mtl_logloss_add(internal,boolean,real,double precision)', 'i', false, 's', false, 'c'),
		('mtl_logloss_add(internal,double precision,double precision)', 'i', false, 's', false, 'c'),
		('mtl_logloss_add(internal,double precision,double precision,double precision)', 'i', false, 's', false, 'c'),
		('mtl_logloss_add(internal,double precision,real)', 'i', false, 's', false, 'c'),
		('mtl_logloss_add(internal,double precision,real,double precision)', 'i', false, 's', false, 'c'),
		('mtl_logloss_result(internal)', 'i', false, 's', false, 'c'),
		('mtl_model_from_bytea(bytea)', 'i', true, 's', false, 'c'),
		('mtl_model_in(cstring)', 'i', true, 's', false, 'c'),
		('mtl_model_out(mtl_model)', 'i', true, 's', false, 'c'),
		('mtl_model_recv(internal)', 'i', true, 's', false, 'c'),
		('mtl_model_send(mtl_model)', 'i', true, 's', false, 'c'),
		('mtl_model_to_bytea(mtl_model)', 'i', true, 's', false, 'c'),
		('mtl_move_pointer(text,integer,text,integer)', 'v', false, 'u', false, 'plpgsql'),
		('mtl_ndcg(boolean,double precision,integer,anyelement)', 'i', false, 's', false, 'internal'),
		('mtl_ndcg(double precision,double precision,integer,anyelement)', 'i', false, 's', false, 'internal'),
		('mtl_ndcg_add(internal,boolean,double precision,integer,anyelement)', 'i', false, 's', false, 'c'),
		('mtl_ndcg_add(internal,double precision,double precision,integer,anyelement)', 'i', false, 's', false, 'c'),
		('mtl_ndcg_result(internal)', 'i', false, 's', false, 'c'),
		('mtl_quantize(mtl_model,text)', 'i', true, 's', true, 'c'),
		('mtl_quantize(text,text)', 's', true, 's', true, 'c'),
		('mtl_rank(mtl_model,"any")', 'i', true, 's', true, 'c'),
		('mtl_rank(mtl_model,"any",jsonb)', 'i', true, 's', true, 'c'),
		('mtl_rank(text,"any")', 's', true, 's', true, 'c'),
		('mtl_rank(text,"any",jsonb)', 's', true, 's', true, 'c'),
		('mtl_refuse_change(text)', 'v', false, 'u', false, 'plpgsql'),
		('mtl_refuse_delete()', 'v', false, 'u', false, 'plpgsql'),
		('mtl_refuse_update()', 'v', false, 'u', false, 'plpgsql'),
		('mtl_register(text,mtl_model,boolean,jsonb,text)', 'v', false, 'u', false, 'plpgsql'),
		('mtl_rollback(text)', 'v', false, 'u', false, 'plpgsql'),
		('mtl_score(mtl_model,"any")', 'i', true, 's', true, 'c'),
		('mtl_score(mtl_model,"any","any")', 'i', true, 's', true, 'c'),
		('mtl_score(mtl_model,"any","any",text)', 'i', true, 's', true, 'c'),
		('mtl_score(mtl_model,"any",text)', 'i', true, 's', true, 'c'),
		('mtl_score(text,"any")', 's', true, 's', true, 'c'),
		('mtl_score(text,"any","any")', 's', true, 's', true, 'c'),
		('mtl_score(text,"any","any",text)', 's', true, 's', true, 'c'),
		('mtl_score(text,"any",text)', 's', true, 's', true, 'c'),
		('mtl_score_support(internal)', 'v', true, 's', false, 'c'),
		('mtl_sums_combine(internal,internal)', 'i', false, 's', false, 'c'),
		('mtl_sums_deserialize(bytea,internal)', 'i', true, 's', false, 'c'),
		('mtl_sums_serialize(internal)', 'i', true, 's', false, 'c'),
		('mtl_tally_combine(internal,internal)', 'i', false, 's', false, 'c'),
		('mtl_tally_deserialize(bytea,internal)', 'i', true, 's', false, 'c'),
		('mtl_tally_serialize(internal)', 'i', true, 's', false, 'c'),
		('mtl_tasks(mtl_model)', 'i', true, 's', false, 'c'),
		('mtl_tasks(text)', 's', true, 's', false, 'c'),
		('mtl_train(jsonb,text,jsonb,mtl_model)', 'v', false, 'u', true, 'c'),
		('mtl_train_progress()', 'v', true, 'r', false, 'c'),
		('mtl_verify(mtl_model)', 'i', true, 's', true, 'c'),
		('mtl_verify(text)', 's', true, 's', true, 'c') $$,
	'volatility, strictness, parallel safety, cost and language of every function');

SELECT is_empty($$ SELECT oid::regprocedure FROM member_function WHERE prosecdef $$,
	'no function runs with its owner''s rights');
SELECT is_empty($$ SELECT oid::regprocedure FROM member_function WHERE proleakproof $$,
	'no function claims to be leakproof');
SELECT is_empty($$ SELECT oid::regprocedure FROM member_function p
	WHERE prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c') AND prokind <> 'a' AND prosqlbody IS NULL
		AND proconfig IS DISTINCT FROM '{"search_path=pg_catalog, pg_temp"}' $$,
	'functions with a body in text have a search_path of their own');
SELECT is_empty($$ SELECT a.oid::regprocedure FROM member_function a
	WHERE a.proargtypes[0] = 'mtl_model'::regtype AND a.proname !~ '^mtl_(model_|digest)'
		AND NOT EXISTS (SELECT FROM member_function b WHERE b.proname = a.proname AND b.prosrc = a.prosrc
			AND b.prorettype = a.prorettype AND b.proretset = a.proretset
			AND b.proargtypes::text = regexp_replace(a.proargtypes::text, '^\d+', 'text'::regtype::oid::text)
			AND b.proargnames IS NOT DISTINCT FROM a.proargnames
			AND b.proallargtypes[2:] IS NOT DISTINCT FROM a.proallargtypes[2:]) $$,
	'what takes a model also takes a name, with the same C function, arguments and result');
SELECT is_empty($$ SELECT oid::regprocedure FROM member_function WHERE proname !~ '^mtl_' $$,
	'all functions have the prefix');
SELECT results_eq($$ SELECT oid::regprocedure::text COLLATE "C" FROM member_function f
	WHERE NOT EXISTS (SELECT FROM aclexplode(coalesce(f.proacl, acldefault('f', f.proowner)))
		WHERE grantee = 0 AND privilege_type = 'EXECUTE') ORDER BY 1 $$,
	$$ VALUES ('mtl_cache_entries()' COLLATE "C"), ('mtl_cache_evict()'), ('mtl_cache_evict(text)') $$,
	'everybody may call the functions, but those for what others have loaded: rights on the tables decide');
SELECT function_privs_are('mtl_cache_entries', '{}'::text[], 'pg_monitor', ARRAY['EXECUTE'], 'monitors may see what is loaded');
SELECT table_privs_are('mtl_cache', 'pg_monitor', ARRAY['SELECT'], 'by the view with names, too');
SELECT function_privs_are('mtl_cache_evict', ARRAY['text'], 'pg_monitor', '{}'::text[], 'but they may not evict');
SELECT function_privs_are('mtl_cache_evict', '{}'::text[], 'pg_monitor', '{}'::text[], 'nothing at all');

--
-- aggregates
--

CREATE TEMP VIEW member_aggregate AS
	SELECT f.oid, f.proname, f.proparallel, a.* FROM member_function f JOIN pg_aggregate a ON a.aggfnoid = f.oid;
SELECT results_eq(
	$$ SELECT proname::text COLLATE "default", count(*) FROM member_aggregate GROUP BY proname ORDER BY proname $$,
	$$ VALUES ('mtl_auc', 2::bigint), ('mtl_calibration', 4), ('mtl_gauc', 4), ('mtl_logloss', 8), ('mtl_ndcg', 2) $$,
	'aggregates');
SELECT is_empty($$ SELECT oid::regprocedure FROM member_aggregate
	WHERE aggcombinefn = 0 OR aggserialfn = 0 OR aggdeserialfn = 0 OR proparallel <> 's' $$,
	'all of them can be computed in parallel');
SELECT is_empty($$ SELECT m.oid::regprocedure FROM member_aggregate m
	JOIN pg_proc p ON p.oid IN (aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn)
	WHERE p.proparallel <> 's' OR p.provolatile <> 'i' $$,
	'so can what they consist of');
SELECT is_empty($$ SELECT oid::regprocedure FROM member_aggregate WHERE aggkind <> 'n' OR aggfinalmodify <> 'r' $$,
	'all can be window functions');
SELECT is_empty($$ SELECT oid::regprocedure FROM member_aggregate WHERE aggtransspace = 0 $$,
	'the planner knows the size of their states');
SELECT is_empty($$ SELECT b.oid::regprocedure FROM member_aggregate m JOIN pg_proc b ON b.oid = m.oid
	WHERE b.proargtypes[0] NOT IN ('boolean'::regtype, 'double precision'::regtype)
		OR NOT EXISTS (SELECT FROM member_function o WHERE o.proname = b.proname AND o.pronargs = b.pronargs
			AND o.proargtypes[0] <> b.proargtypes[0] AND o.proargtypes[1:] = b.proargtypes[1:]) $$,
	'each exists for labels that are conditions, and numbers');

--
-- type
--

SELECT results_eq(
	$$ SELECT typlen::int, typbyval, typalign::text, typstorage::text, typcategory::text, typisdefined
	   FROM pg_type WHERE oid = 'mtl_model'::regtype $$,
	$$ VALUES (-1, false, 'd', 'e', 'U', true) $$,
	'mtl_model is a varlena, stored out of line and uncompressed, aligned for 8-byte fields');
SELECT results_eq(
	$$ SELECT attstorage::text FROM pg_attribute WHERE attrelid = 'mtl_models'::regclass AND attname = 'model' $$,
	$$ VALUES ('e') $$, 'so it is in the registry');
SELECT is_empty($$ SELECT oid::regoperator FROM pg_operator
	WHERE 'mtl_model'::regtype IN (oprleft, oprright) $$, 'mtl_model has no operators');
SELECT is_empty($$ SELECT opcname FROM pg_opclass WHERE opcintype = 'mtl_model'::regtype $$,
	'mtl_model has no operator class');
SELECT results_eq(
	$$ SELECT castsource::regtype::text, casttarget::regtype::text, castcontext::text, castmethod::text
	   FROM pg_cast WHERE 'mtl_model'::regtype IN (castsource, casttarget) ORDER BY 1 $$,
	$$ VALUES ('bytea', 'mtl_model', 'e', 'f'), ('mtl_model', 'bytea', 'e', 'f') $$,
	'the only casts are those from and to bytea, and they are explicit');

--
-- tables
--

SELECT results_eq(
	$$ SELECT relname::text COLLATE "default", relkind::text FROM member_relation ORDER BY relname $$,
	$$ VALUES ('mtl_activations', 'r'), ('mtl_active', 'r'), ('mtl_cache', 'v'), ('mtl_models', 'r'), ('mtl_progress_train', 'v'), ('mtl_versions', 'v') $$,
	'tables and views');
SELECT results_eq($$ SELECT relname::text COLLATE "default", privilege_type
	FROM member_relation, aclexplode(coalesce(relacl, acldefault('r', relowner))) WHERE grantee <> relowner ORDER BY 1 $$,
	$$ VALUES ('mtl_cache', 'SELECT'), ('mtl_progress_train', 'SELECT') $$,
	'no rights on them but their owner''s, monitors'' to see what is loaded, and everybody''s to ask who trains');
SELECT is_empty($$ SELECT relname, attname FROM member_relation JOIN pg_attribute ON attrelid = member_relation.oid
	WHERE attacl IS NOT NULL $$, 'none on columns either');
SELECT is_empty($$ SELECT relname FROM member_relation JOIN pg_extension ON extname = 'mtl_rank'
	WHERE relowner <> extowner $$, 'they belong to the owner of the extension');
SELECT results_eq(
	$$ SELECT t.relation::text, t.condition COLLATE "default"
	   FROM pg_extension, unnest(extconfig::regclass[], extcondition) AS t (relation, condition)
	   WHERE extname = 'mtl_rank' ORDER BY 1 $$,
	$$ VALUES ('mtl_activations', ''), ('mtl_active', ''), ('mtl_models', '') $$,
	'pg_dump takes all rows of the tables along');
SELECT is_empty($$ SELECT relname FROM member_relation
	WHERE relkind = 'v' AND relname <> 'mtl_cache' AND NOT coalesce(reloptions @> '{security_invoker=true}', false) $$,
	'views use the rights of who reads them, but for the one that monitors read');
SELECT col_is_pk('mtl_models', ARRAY['name', 'version'], 'a name and a version are one model');
SELECT col_is_pk('mtl_active', 'name', 'a name has one active version');
SELECT is_empty($$ SELECT conname FROM pg_constraint
	WHERE contype = 'f' AND (conrelid IN (SELECT oid FROM member_relation) OR confrelid IN (SELECT oid FROM member_relation)) $$,
	'no foreign key depends on the order in which a dump is restored');
SELECT is_empty($$ SELECT attrelid::regclass, attname FROM pg_attribute
	WHERE attrelid IN (SELECT oid FROM member_relation WHERE relkind = 'r') AND attname = 'name'
		AND attcollation <> '"C"'::regcollation $$, 'names are compared byte by byte');
SELECT trigger_is('mtl_models', 'mtl_models_immutable', 'mtl_refuse_update', 'a trigger refuses changes');
SELECT trigger_is('mtl_models', 'mtl_models_active', 'mtl_refuse_delete', 'a trigger protects the active version');
SELECT is_empty($$ SELECT tgname FROM pg_trigger WHERE tgrelid = 'mtl_models'::regclass AND tgenabled = 'D' $$,
	'the triggers are enabled');

--
-- comments
--

-- Array types, and the row types of tables, come with their type or table.
SELECT is_empty($$ SELECT description FROM member
	WHERE obj_description(objid, classid::regclass::name) IS NULL
		AND NOT (classid = 'pg_type'::regclass AND objid IN (
			SELECT typarray FROM pg_type UNION ALL SELECT reltype FROM pg_class WHERE relkind <> 'c')) $$,
	'every object has a comment');
SELECT is_empty($$ SELECT relname, attname FROM member_relation c JOIN pg_attribute a ON attrelid = c.oid
	WHERE attnum > 0 AND NOT attisdropped AND col_description(c.oid, attnum) IS NULL $$,
	'every column has a comment');
SELECT is_empty($$ SELECT tgname FROM pg_trigger t JOIN member_relation c ON tgrelid = c.oid
	WHERE NOT tgisinternal AND obj_description(t.oid, 'pg_trigger') IS NULL $$,
	'every trigger has a comment');

SELECT * FROM finish();
ROLLBACK;
