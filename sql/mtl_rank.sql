-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION mtl_rank" to load this file. \quit

-- Names in function bodies, views and defaults are written with their schema, so that nobody's search_path can put
-- another object in their place.
--
-- Every function says its labels, with a reason where it is not evident. All C functions but mtl_train are STRICT: no model, or
-- no features, no score. (A NULL inside the features is another matter, which the model's contract decides.)


--
-- type
--

CREATE TYPE mtl_model;

-- IMMUTABLE, though a file larger than mtl_rank.max_model_size is refused: a setting decides whether there is a result, never
-- which one. PARALLEL SAFE: the bytes go in and come out, and no state of the session is changed.

CREATE FUNCTION mtl_model_in(cstring) RETURNS mtl_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mtl_model_in(cstring) IS 'input: the hexadecimal form of a model file, checked whole';

CREATE FUNCTION mtl_model_out(mtl_model) RETURNS cstring
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mtl_model_out(mtl_model) IS 'output: the hexadecimal form of the model file';

CREATE FUNCTION mtl_model_recv(internal) RETURNS mtl_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mtl_model_recv(internal) IS 'binary input: the model file, checked whole';

CREATE FUNCTION mtl_model_send(mtl_model) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mtl_model_send(mtl_model) IS 'binary output: the model file';

-- STORAGE external: weights do not compress, and without compression the header of a large value can be read alone.
-- ALIGNMENT double: the header has fields of eight bytes, read in place.
-- There is no equality and no order: models are compared by mtl_digest().
CREATE TYPE mtl_model (
	INPUT = mtl_model_in,
	OUTPUT = mtl_model_out,
	RECEIVE = mtl_model_recv,
	SEND = mtl_model_send,
	INTERNALLENGTH = variable,
	ALIGNMENT = double,
	STORAGE = external
);
COMMENT ON TYPE mtl_model IS 'a trained multi-task ranking model: a safetensors file that has passed all checks';

CREATE FUNCTION mtl_model_from_bytea(bytea) RETURNS mtl_model
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mtl_model_from_bytea(bytea) IS 'the model in a model file, checked whole';

CREATE FUNCTION mtl_model_to_bytea(mtl_model) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mtl_model_to_bytea(mtl_model) IS 'the model file that the model came from, unchanged';

-- Explicit only: an implicit cast would make calls with a bytea or an untyped argument ambiguous.
CREATE CAST (bytea AS mtl_model) WITH FUNCTION mtl_model_from_bytea(bytea);
COMMENT ON CAST (bytea AS mtl_model) IS 'the model in a model file, checked whole';

CREATE CAST (mtl_model AS bytea) WITH FUNCTION mtl_model_to_bytea(mtl_model);
COMMENT ON CAST (mtl_model AS bytea) IS 'the model file that the model came from, unchanged';

CREATE FUNCTION mtl_digest(model mtl_model) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mtl_digest(mtl_model) IS 'SHA-256 of the model file, in hexadecimal';


--
-- scores
--

-- The functions exist twice, for a model value and for the name of a registered model ("feed": its active version, or
-- "feed@2"); both have the same C function behind them.
--
-- With a model value they are IMMUTABLE: they read nothing but their arguments, and a score is the same bits on every machine.
-- (An enum counts as its label. Renaming a label changes what a value means; it is DDL, like replacing the table.)
-- With a name they are STABLE: they read the registry under the query's snapshot, so that a query scores all its rows
-- with one version, and the next query may find another one active.
-- PARALLEL SAFE, with a name too: a worker reads the registry under the leader's snapshot and as the leader's role.
--
-- SUPPORT: the planner asks for the cost of a call, which is computed from the model's multiply-adds and the width of its input where
-- the model is a constant that the caller may read. So cheap filters run first, the score is computed after a sort and LIMIT that do
-- not need it, and parallel plans are chosen as they should be.
--
-- COST 1000, for a model that is not known when the query is planned: one of three hundred thousand multiply-adds.

-- VOLATILE, since the answer depends on what is registered; nobody but the planner can call it.
CREATE FUNCTION mtl_score_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mtl_score_support(internal) IS 'planner support for mtl_score and mtl_rank: what a call costs';

CREATE FUNCTION mtl_score(model mtl_model, features "any") RETURNS real[]
	AS 'MODULE_PATHNAME', 'mtl_score' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 SUPPORT mtl_score_support;
COMMENT ON FUNCTION mtl_score(mtl_model, "any") IS
	'scores of a row (array, composite or jsonb) for every output of the model, in declared order';

CREATE FUNCTION mtl_score(model text, features "any") RETURNS real[]
	AS 'MODULE_PATHNAME', 'mtl_score' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000 SUPPORT mtl_score_support;
COMMENT ON FUNCTION mtl_score(text, "any") IS
	'scores of a row (array, composite or jsonb) for every output of a registered model, in declared order';

CREATE FUNCTION mtl_score(model mtl_model, features "any", task text) RETURNS real
	AS 'MODULE_PATHNAME', 'mtl_score_task' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 SUPPORT mtl_score_support;
COMMENT ON FUNCTION mtl_score(mtl_model, "any", text) IS
	'score of a row (array, composite or jsonb) for one output of the model';

CREATE FUNCTION mtl_score(model text, features "any", task text) RETURNS real
	AS 'MODULE_PATHNAME', 'mtl_score_task' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000 SUPPORT mtl_score_support;
COMMENT ON FUNCTION mtl_score(text, "any", text) IS
	'score of a row (array, composite or jsonb) for one output of a registered model';

-- Two rows. They are declared as "any" and not as record: a call with a row and an untyped literal, mtl_score('feed', c, 'ctr'), would
-- otherwise take the literal for a record, because the row matches record exactly; against "any" it is taken for a text.

CREATE FUNCTION mtl_score(model mtl_model, context "any", candidate "any") RETURNS real[]
	AS 'MODULE_PATHNAME', 'mtl_score_pair' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 SUPPORT mtl_score_support;
COMMENT ON FUNCTION mtl_score(mtl_model, "any", "any") IS
	'scores of two rows, whose columns are taken together, for every output of the model, in declared order';

CREATE FUNCTION mtl_score(model text, context "any", candidate "any") RETURNS real[]
	AS 'MODULE_PATHNAME', 'mtl_score_pair' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000 SUPPORT mtl_score_support;
COMMENT ON FUNCTION mtl_score(text, "any", "any") IS
	'scores of two rows, whose columns are taken together, for every output of a registered model, in declared order';

CREATE FUNCTION mtl_score(model mtl_model, context "any", candidate "any", task text) RETURNS real
	AS 'MODULE_PATHNAME', 'mtl_score_pair_task' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 SUPPORT mtl_score_support;
COMMENT ON FUNCTION mtl_score(mtl_model, "any", "any", text) IS
	'score of two rows, whose columns are taken together, for one output of the model';

CREATE FUNCTION mtl_score(model text, context "any", candidate "any", task text) RETURNS real
	AS 'MODULE_PATHNAME', 'mtl_score_pair_task' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000 SUPPORT mtl_score_support;
COMMENT ON FUNCTION mtl_score(text, "any", "any", text) IS
	'score of two rows, whose columns are taken together, for one output of a registered model';


--
-- rank
--

-- Labels as above: the value formula is arithmetic over the scores.

CREATE FUNCTION mtl_rank(model mtl_model, features "any") RETURNS real
	AS 'MODULE_PATHNAME', 'mtl_rank_score' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 SUPPORT mtl_score_support;
COMMENT ON FUNCTION mtl_rank(mtl_model, "any") IS 'the value formula of the model over its scores of a row';

CREATE FUNCTION mtl_rank(model text, features "any") RETURNS real
	AS 'MODULE_PATHNAME', 'mtl_rank_score' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000 SUPPORT mtl_score_support;
COMMENT ON FUNCTION mtl_rank(text, "any") IS 'the value formula of a registered model over its scores of a row';

CREATE FUNCTION mtl_rank(model mtl_model, features "any", weights jsonb) RETURNS real
	AS 'MODULE_PATHNAME', 'mtl_rank_score_weights' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 SUPPORT mtl_score_support;
COMMENT ON FUNCTION mtl_rank(mtl_model, "any", jsonb) IS
	'the value formula of the model, with these weights in place of its own, over its scores of a row';

CREATE FUNCTION mtl_rank(model text, features "any", weights jsonb) RETURNS real
	AS 'MODULE_PATHNAME', 'mtl_rank_score_weights' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000 SUPPORT mtl_score_support;
COMMENT ON FUNCTION mtl_rank(text, "any", jsonb) IS
	'the value formula of a registered model, with these weights in place of its own, over its scores of a row';


--
-- description
--

-- Volatility and parallel safety as above. ROWS: what a model of ordinary size gives; a thousand, the default, would make the
-- planner hash or sort for a handful of rows.

CREATE FUNCTION mtl_gates(model mtl_model, features "any", OUT level integer, OUT task text, OUT expert text, OUT weight real)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'mtl_gates' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 20;
COMMENT ON FUNCTION mtl_gates(mtl_model, "any") IS
	'the weight that each gate of the model gives to each of its experts for a row; task is NULL for a shared gate';

CREATE FUNCTION mtl_gates(model text, features "any", OUT level integer, OUT task text, OUT expert text, OUT weight real)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'mtl_gates' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000 ROWS 20;
COMMENT ON FUNCTION mtl_gates(text, "any") IS
	'the weight that each gate of a registered model gives to each of its experts for a row; task is NULL for a shared gate';

CREATE FUNCTION mtl_tasks(model mtl_model) RETURNS text[]
	AS 'MODULE_PATHNAME', 'mtl_tasks' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mtl_tasks(mtl_model) IS 'names of the outputs of the model, in the order of mtl_score''s array';

CREATE FUNCTION mtl_tasks(model text) RETURNS text[]
	AS 'MODULE_PATHNAME', 'mtl_tasks' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mtl_tasks(text) IS 'names of the outputs of a registered model, in the order of mtl_score''s array';

CREATE FUNCTION mtl_features(model mtl_model, OUT "position" integer, OUT name text, OUT kind text, OUT width integer,
							 OUT columns text[], OUT missing text, OUT detail jsonb)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'mtl_features' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 20;
COMMENT ON FUNCTION mtl_features(mtl_model) IS 'what a row must bring for the model, in the order of the array form';

CREATE FUNCTION mtl_features(model text, OUT "position" integer, OUT name text, OUT kind text, OUT width integer,
							 OUT columns text[], OUT missing text, OUT detail jsonb)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'mtl_features' LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 20;
COMMENT ON FUNCTION mtl_features(text) IS 'what a row must bring for a registered model, in the order of the array form';

CREATE FUNCTION mtl_describe(model mtl_model) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'mtl_describe' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mtl_describe(mtl_model) IS 'what the model is: architecture, features, tasks, size, provenance';

CREATE FUNCTION mtl_describe(model text) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'mtl_describe' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mtl_describe(text) IS 'what a registered model is: architecture, features, tasks, size, provenance';

CREATE FUNCTION mtl_graph(model mtl_model) RETURNS text
	AS 'MODULE_PATHNAME', 'mtl_graph' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mtl_graph(mtl_model) IS 'a picture of the network, in the DOT language of Graphviz';

CREATE FUNCTION mtl_graph(model text) RETURNS text
	AS 'MODULE_PATHNAME', 'mtl_graph' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mtl_graph(text) IS 'a picture of the network of a registered model, in the DOT language of Graphviz';

CREATE FUNCTION mtl_verify(model mtl_model, OUT example integer, OUT output text, OUT expected real, OUT score real,
						   OUT difference real)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'mtl_verify' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 1000 ROWS 100;
COMMENT ON FUNCTION mtl_verify(mtl_model) IS
	'replays the examples stored in the model, and raises an error when a score is not what the training library computed';

CREATE FUNCTION mtl_verify(model text, OUT example integer, OUT output text, OUT expected real, OUT score real,
						   OUT difference real)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'mtl_verify' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 1000 ROWS 100;
COMMENT ON FUNCTION mtl_verify(text) IS
	'replays the examples stored in a registered model, and raises an error when a score is not what the training library computed';

-- Rounding has one result for a model on any CPU; the notice of how far scores change says nothing that is not in the result.
-- COST: every weight is rounded, the file hashed several times, the examples scored twice.

CREATE FUNCTION mtl_quantize(model mtl_model, "precision" text) RETURNS mtl_model
	AS 'MODULE_PATHNAME', 'mtl_quantize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 100000;
COMMENT ON FUNCTION mtl_quantize(mtl_model, text) IS
	'the model with weights of precision bf16 or int8, and in its provenance how far the scores of its examples change';

CREATE FUNCTION mtl_quantize(model text, "precision" text) RETURNS mtl_model
	AS 'MODULE_PATHNAME', 'mtl_quantize' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 100000;
COMMENT ON FUNCTION mtl_quantize(text, text) IS
	'a registered model with weights of precision bf16 or int8, and in its provenance how far the scores of its examples change';


--
-- metrics
--

-- Aggregates over labels and scores; each function exists per type of label (a condition, or a number) and, where the type of the score
-- matters, per type of score. Other numbers are cast by the parser.
--
-- IMMUTABLE and PARALLEL SAFE: a result depends on the rows alone, not on their order, nor on how workers share them. (Temporary
-- files, as a sort has them, are the only thing outside.) Not STRICT: the first call gets no state, and rows without a label or a score
-- leave it as it is.
--
-- FINALFUNC_MODIFY is READ_ONLY, the default: results may be asked for between rows, as OVER (ORDER BY ...) does.
--
-- SSPACE: what the state of a small group takes. That of a large one is bounded by work_mem, for all groups together.

-- tallies: the states of mtl_auc, mtl_gauc and mtl_ndcg

CREATE FUNCTION mtl_tally_combine(internal, internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_tally_combine(internal, internal) IS 'aggregates: adds the rows that another process has counted';

-- STRICT, as PostgreSQL wants it: there is no part without a state.
CREATE FUNCTION mtl_tally_serialize(internal) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mtl_tally_serialize(internal) IS 'aggregates: hands the rows that were counted to another process';

CREATE FUNCTION mtl_tally_deserialize(bytea, internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mtl_tally_deserialize(bytea, internal) IS 'aggregates: takes the rows that another process has counted';

-- sums: the states of mtl_logloss and mtl_calibration

CREATE FUNCTION mtl_sums_combine(internal, internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_sums_combine(internal, internal) IS 'aggregates: adds the sums of another process';

CREATE FUNCTION mtl_sums_serialize(internal) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mtl_sums_serialize(internal) IS 'aggregates: hands sums to another process';

CREATE FUNCTION mtl_sums_deserialize(bytea, internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION mtl_sums_deserialize(bytea, internal) IS 'aggregates: takes the sums of another process';

-- mtl_auc

CREATE FUNCTION mtl_auc_add(internal, boolean, double precision) RETURNS internal
	AS 'MODULE_PATHNAME', 'mtl_auc_add_boolean' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_auc_add(internal, boolean, double precision) IS 'mtl_auc: adds a row';

CREATE FUNCTION mtl_auc_add(internal, double precision, double precision) RETURNS internal
	AS 'MODULE_PATHNAME', 'mtl_auc_add_double' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_auc_add(internal, double precision, double precision) IS 'mtl_auc: adds a row';

CREATE FUNCTION mtl_auc_result(internal) RETURNS double precision
	AS 'MODULE_PATHNAME', 'mtl_auc_result' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_auc_result(internal) IS 'mtl_auc: the area';

CREATE AGGREGATE mtl_auc(label boolean, score double precision) (
	SFUNC = mtl_auc_add,
	STYPE = internal,
	SSPACE = 1024,
	FINALFUNC = mtl_auc_result,
	COMBINEFUNC = mtl_tally_combine,
	SERIALFUNC = mtl_tally_serialize,
	DESERIALFUNC = mtl_tally_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE mtl_auc(boolean, double precision) IS
	'area under the ROC curve, ties counted half; NULL if all labels are the same';

CREATE AGGREGATE mtl_auc(label double precision, score double precision) (
	SFUNC = mtl_auc_add,
	STYPE = internal,
	SSPACE = 1024,
	FINALFUNC = mtl_auc_result,
	COMBINEFUNC = mtl_tally_combine,
	SERIALFUNC = mtl_tally_serialize,
	DESERIALFUNC = mtl_tally_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE mtl_auc(double precision, double precision) IS
	'area under the ROC curve, ties counted half; NULL if all labels are the same';

-- mtl_gauc

CREATE FUNCTION mtl_gauc_add(internal, boolean, double precision, anyelement) RETURNS internal
	AS 'MODULE_PATHNAME', 'mtl_gauc_add_boolean' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_gauc_add(internal, boolean, double precision, anyelement) IS 'mtl_gauc: adds a row';

CREATE FUNCTION mtl_gauc_add(internal, boolean, double precision, anyelement, text) RETURNS internal
	AS 'MODULE_PATHNAME', 'mtl_gauc_add_boolean' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_gauc_add(internal, boolean, double precision, anyelement, text) IS 'mtl_gauc: adds a row';

CREATE FUNCTION mtl_gauc_add(internal, double precision, double precision, anyelement) RETURNS internal
	AS 'MODULE_PATHNAME', 'mtl_gauc_add_double' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_gauc_add(internal, double precision, double precision, anyelement) IS 'mtl_gauc: adds a row';

CREATE FUNCTION mtl_gauc_add(internal, double precision, double precision, anyelement, text) RETURNS internal
	AS 'MODULE_PATHNAME', 'mtl_gauc_add_double' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_gauc_add(internal, double precision, double precision, anyelement, text) IS 'mtl_gauc: adds a row';

CREATE FUNCTION mtl_gauc_result(internal) RETURNS double precision
	AS 'MODULE_PATHNAME', 'mtl_gauc_result' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_gauc_result(internal) IS 'mtl_gauc: the mean';

CREATE AGGREGATE mtl_gauc(label boolean, score double precision, "group" anyelement) (
	SFUNC = mtl_gauc_add,
	STYPE = internal,
	SSPACE = 1024,
	FINALFUNC = mtl_gauc_result,
	COMBINEFUNC = mtl_tally_combine,
	SERIALFUNC = mtl_tally_serialize,
	DESERIALFUNC = mtl_tally_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE mtl_gauc(boolean, double precision, anyelement) IS
	'mean of the areas under the ROC curves within groups, weighted by their rows; NULL if no group has both labels';

CREATE AGGREGATE mtl_gauc(label boolean, score double precision, "group" anyelement, weighting text) (
	SFUNC = mtl_gauc_add,
	STYPE = internal,
	SSPACE = 1024,
	FINALFUNC = mtl_gauc_result,
	COMBINEFUNC = mtl_tally_combine,
	SERIALFUNC = mtl_tally_serialize,
	DESERIALFUNC = mtl_tally_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE mtl_gauc(boolean, double precision, anyelement, text) IS
	'mean of the areas under the ROC curves within groups, weighted by their rows ("impressions") or positive rows ("clicks")';

CREATE AGGREGATE mtl_gauc(label double precision, score double precision, "group" anyelement) (
	SFUNC = mtl_gauc_add,
	STYPE = internal,
	SSPACE = 1024,
	FINALFUNC = mtl_gauc_result,
	COMBINEFUNC = mtl_tally_combine,
	SERIALFUNC = mtl_tally_serialize,
	DESERIALFUNC = mtl_tally_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE mtl_gauc(double precision, double precision, anyelement) IS
	'mean of the areas under the ROC curves within groups, weighted by their rows; NULL if no group has both labels';

CREATE AGGREGATE mtl_gauc(label double precision, score double precision, "group" anyelement, weighting text) (
	SFUNC = mtl_gauc_add,
	STYPE = internal,
	SSPACE = 1024,
	FINALFUNC = mtl_gauc_result,
	COMBINEFUNC = mtl_tally_combine,
	SERIALFUNC = mtl_tally_serialize,
	DESERIALFUNC = mtl_tally_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE mtl_gauc(double precision, double precision, anyelement, text) IS
	'mean of the areas under the ROC curves within groups, weighted by their rows ("impressions") or positive rows ("clicks")';

-- mtl_ndcg

CREATE FUNCTION mtl_ndcg_add(internal, boolean, double precision, integer, anyelement) RETURNS internal
	AS 'MODULE_PATHNAME', 'mtl_ndcg_add_boolean' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_ndcg_add(internal, boolean, double precision, integer, anyelement) IS 'mtl_ndcg: adds a row';

CREATE FUNCTION mtl_ndcg_add(internal, double precision, double precision, integer, anyelement) RETURNS internal
	AS 'MODULE_PATHNAME', 'mtl_ndcg_add_double' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_ndcg_add(internal, double precision, double precision, integer, anyelement) IS 'mtl_ndcg: adds a row';

CREATE FUNCTION mtl_ndcg_result(internal) RETURNS double precision
	AS 'MODULE_PATHNAME', 'mtl_ndcg_result' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_ndcg_result(internal) IS 'mtl_ndcg: the mean';

CREATE AGGREGATE mtl_ndcg(label boolean, score double precision, k integer, "group" anyelement) (
	SFUNC = mtl_ndcg_add,
	STYPE = internal,
	SSPACE = 1024,
	FINALFUNC = mtl_ndcg_result,
	COMBINEFUNC = mtl_tally_combine,
	SERIALFUNC = mtl_tally_serialize,
	DESERIALFUNC = mtl_tally_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE mtl_ndcg(boolean, double precision, integer, anyelement) IS
	'mean over groups of the normalized discounted cumulative gain of the first k ranks (NULL: all), ties averaged';

CREATE AGGREGATE mtl_ndcg(label double precision, score double precision, k integer, "group" anyelement) (
	SFUNC = mtl_ndcg_add,
	STYPE = internal,
	SSPACE = 1024,
	FINALFUNC = mtl_ndcg_result,
	COMBINEFUNC = mtl_tally_combine,
	SERIALFUNC = mtl_tally_serialize,
	DESERIALFUNC = mtl_tally_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE mtl_ndcg(double precision, double precision, integer, anyelement) IS
	'mean over groups of the normalized discounted cumulative gain of the first k ranks (NULL: all), ties averaged';

-- mtl_logloss

-- The type of the score decides how near to 0 and 1 it can come.

CREATE FUNCTION mtl_logloss_add(internal, boolean, real) RETURNS internal
	AS 'MODULE_PATHNAME', 'mtl_logloss_add_boolean_real' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_logloss_add(internal, boolean, real) IS 'mtl_logloss: adds a row';

CREATE FUNCTION mtl_logloss_add(internal, boolean, real, double precision) RETURNS internal
	AS 'MODULE_PATHNAME', 'mtl_logloss_add_boolean_real' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_logloss_add(internal, boolean, real, double precision) IS 'mtl_logloss: adds a row with a weight';

CREATE FUNCTION mtl_logloss_add(internal, boolean, double precision) RETURNS internal
	AS 'MODULE_PATHNAME', 'mtl_logloss_add_boolean_double' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_logloss_add(internal, boolean, double precision) IS 'mtl_logloss: adds a row';

CREATE FUNCTION mtl_logloss_add(internal, boolean, double precision, double precision) RETURNS internal
	AS 'MODULE_PATHNAME', 'mtl_logloss_add_boolean_double' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_logloss_add(internal, boolean, double precision, double precision) IS 'mtl_logloss: adds a row with a weight';

CREATE FUNCTION mtl_logloss_add(internal, double precision, real) RETURNS internal
	AS 'MODULE_PATHNAME', 'mtl_logloss_add_double_real' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_logloss_add(internal, double precision, real) IS 'mtl_logloss: adds a row';

CREATE FUNCTION mtl_logloss_add(internal, double precision, real, double precision) RETURNS internal
	AS 'MODULE_PATHNAME', 'mtl_logloss_add_double_real' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_logloss_add(internal, double precision, real, double precision) IS 'mtl_logloss: adds a row with a weight';

CREATE FUNCTION mtl_logloss_add(internal, double precision, double precision) RETURNS internal
	AS 'MODULE_PATHNAME', 'mtl_logloss_add_double_double' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_logloss_add(internal, double precision, double precision) IS 'mtl_logloss: adds a row';

CREATE FUNCTION mtl_logloss_add(internal, double precision, double precision, double precision) RETURNS internal
	AS 'MODULE_PATHNAME', 'mtl_logloss_add_double_double' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_logloss_add(internal, double precision, double precision, double precision) IS 'mtl_logloss: adds a row with a weight';

CREATE FUNCTION mtl_logloss_result(internal) RETURNS double precision
	AS 'MODULE_PATHNAME', 'mtl_logloss_result' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_logloss_result(internal) IS 'mtl_logloss: the mean';

CREATE AGGREGATE mtl_logloss(label boolean, score real) (
	SFUNC = mtl_logloss_add,
	STYPE = internal,
	SSPACE = 1120,
	FINALFUNC = mtl_logloss_result,
	COMBINEFUNC = mtl_sums_combine,
	SERIALFUNC = mtl_sums_serialize,
	DESERIALFUNC = mtl_sums_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE mtl_logloss(boolean, real) IS
	'mean negative log-likelihood of the labels, scores clipped by the epsilon of their type';

CREATE AGGREGATE mtl_logloss(label boolean, score real, weight double precision) (
	SFUNC = mtl_logloss_add,
	STYPE = internal,
	SSPACE = 1120,
	FINALFUNC = mtl_logloss_result,
	COMBINEFUNC = mtl_sums_combine,
	SERIALFUNC = mtl_sums_serialize,
	DESERIALFUNC = mtl_sums_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE mtl_logloss(boolean, real, double precision) IS
	'weighted mean negative log-likelihood of the labels, scores clipped by the epsilon of their type';

CREATE AGGREGATE mtl_logloss(label boolean, score double precision) (
	SFUNC = mtl_logloss_add,
	STYPE = internal,
	SSPACE = 1120,
	FINALFUNC = mtl_logloss_result,
	COMBINEFUNC = mtl_sums_combine,
	SERIALFUNC = mtl_sums_serialize,
	DESERIALFUNC = mtl_sums_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE mtl_logloss(boolean, double precision) IS
	'mean negative log-likelihood of the labels, scores clipped by the epsilon of their type';

CREATE AGGREGATE mtl_logloss(label boolean, score double precision, weight double precision) (
	SFUNC = mtl_logloss_add,
	STYPE = internal,
	SSPACE = 1120,
	FINALFUNC = mtl_logloss_result,
	COMBINEFUNC = mtl_sums_combine,
	SERIALFUNC = mtl_sums_serialize,
	DESERIALFUNC = mtl_sums_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE mtl_logloss(boolean, double precision, double precision) IS
	'weighted mean negative log-likelihood of the labels, scores clipped by the epsilon of their type';

CREATE AGGREGATE mtl_logloss(label double precision, score real) (
	SFUNC = mtl_logloss_add,
	STYPE = internal,
	SSPACE = 1120,
	FINALFUNC = mtl_logloss_result,
	COMBINEFUNC = mtl_sums_combine,
	SERIALFUNC = mtl_sums_serialize,
	DESERIALFUNC = mtl_sums_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE mtl_logloss(double precision, real) IS
	'mean negative log-likelihood of the labels, scores clipped by the epsilon of their type';

CREATE AGGREGATE mtl_logloss(label double precision, score real, weight double precision) (
	SFUNC = mtl_logloss_add,
	STYPE = internal,
	SSPACE = 1120,
	FINALFUNC = mtl_logloss_result,
	COMBINEFUNC = mtl_sums_combine,
	SERIALFUNC = mtl_sums_serialize,
	DESERIALFUNC = mtl_sums_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE mtl_logloss(double precision, real, double precision) IS
	'weighted mean negative log-likelihood of the labels, scores clipped by the epsilon of their type';

CREATE AGGREGATE mtl_logloss(label double precision, score double precision) (
	SFUNC = mtl_logloss_add,
	STYPE = internal,
	SSPACE = 1120,
	FINALFUNC = mtl_logloss_result,
	COMBINEFUNC = mtl_sums_combine,
	SERIALFUNC = mtl_sums_serialize,
	DESERIALFUNC = mtl_sums_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE mtl_logloss(double precision, double precision) IS
	'mean negative log-likelihood of the labels, scores clipped by the epsilon of their type';

CREATE AGGREGATE mtl_logloss(label double precision, score double precision, weight double precision) (
	SFUNC = mtl_logloss_add,
	STYPE = internal,
	SSPACE = 1120,
	FINALFUNC = mtl_logloss_result,
	COMBINEFUNC = mtl_sums_combine,
	SERIALFUNC = mtl_sums_serialize,
	DESERIALFUNC = mtl_sums_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE mtl_logloss(double precision, double precision, double precision) IS
	'weighted mean negative log-likelihood of the labels, scores clipped by the epsilon of their type';

-- mtl_calibration

CREATE TYPE mtl_calibration_bin AS (
	lower double precision,
	upper double precision,
	rows bigint,
	observed double precision,
	predicted double precision
);
COMMENT ON TYPE mtl_calibration_bin IS 'rows whose scores are above lower and up to upper; means of their labels and scores, NULL without rows';

CREATE TYPE mtl_calibration_report AS (
	rows bigint,
	observed double precision,
	predicted double precision,
	ratio double precision,
	ece double precision,
	bins mtl_calibration_bin[]
);
COMMENT ON TYPE mtl_calibration_report IS 'means of labels and scores, the first over the second, expected calibration error, and bins';

CREATE FUNCTION mtl_calibration_add(internal, boolean, double precision) RETURNS internal
	AS 'MODULE_PATHNAME', 'mtl_calibration_add_boolean' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_calibration_add(internal, boolean, double precision) IS 'mtl_calibration: adds a row';

CREATE FUNCTION mtl_calibration_add(internal, boolean, double precision, integer) RETURNS internal
	AS 'MODULE_PATHNAME', 'mtl_calibration_add_boolean' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_calibration_add(internal, boolean, double precision, integer) IS 'mtl_calibration: adds a row';

CREATE FUNCTION mtl_calibration_add(internal, double precision, double precision) RETURNS internal
	AS 'MODULE_PATHNAME', 'mtl_calibration_add_double' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_calibration_add(internal, double precision, double precision) IS 'mtl_calibration: adds a row';

CREATE FUNCTION mtl_calibration_add(internal, double precision, double precision, integer) RETURNS internal
	AS 'MODULE_PATHNAME', 'mtl_calibration_add_double' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_calibration_add(internal, double precision, double precision, integer) IS 'mtl_calibration: adds a row';

CREATE FUNCTION mtl_calibration_result(internal) RETURNS mtl_calibration_report
	AS 'MODULE_PATHNAME', 'mtl_calibration_result' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION mtl_calibration_result(internal) IS 'mtl_calibration: the report';

CREATE AGGREGATE mtl_calibration(label boolean, score double precision) (
	SFUNC = mtl_calibration_add,
	STYPE = internal,
	SSPACE = 5704,
	FINALFUNC = mtl_calibration_result,
	COMBINEFUNC = mtl_sums_combine,
	SERIALFUNC = mtl_sums_serialize,
	DESERIALFUNC = mtl_sums_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE mtl_calibration(boolean, double precision) IS
	'whether scores are as frequent as they say: means of labels and scores, overall and in 10 bins of equal width';

CREATE AGGREGATE mtl_calibration(label boolean, score double precision, bins integer) (
	SFUNC = mtl_calibration_add,
	STYPE = internal,
	SSPACE = 5704,
	FINALFUNC = mtl_calibration_result,
	COMBINEFUNC = mtl_sums_combine,
	SERIALFUNC = mtl_sums_serialize,
	DESERIALFUNC = mtl_sums_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE mtl_calibration(boolean, double precision, integer) IS
	'whether scores are as frequent as they say: means of labels and scores, overall and in bins of equal width';

CREATE AGGREGATE mtl_calibration(label double precision, score double precision) (
	SFUNC = mtl_calibration_add,
	STYPE = internal,
	SSPACE = 5704,
	FINALFUNC = mtl_calibration_result,
	COMBINEFUNC = mtl_sums_combine,
	SERIALFUNC = mtl_sums_serialize,
	DESERIALFUNC = mtl_sums_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE mtl_calibration(double precision, double precision) IS
	'whether scores are as frequent as they say: means of labels and scores, overall and in 10 bins of equal width';

CREATE AGGREGATE mtl_calibration(label double precision, score double precision, bins integer) (
	SFUNC = mtl_calibration_add,
	STYPE = internal,
	SSPACE = 5704,
	FINALFUNC = mtl_calibration_result,
	COMBINEFUNC = mtl_sums_combine,
	SERIALFUNC = mtl_sums_serialize,
	DESERIALFUNC = mtl_sums_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE mtl_calibration(double precision, double precision, integer) IS
	'whether scores are as frequent as they say: means of labels and scores, overall and in bins of equal width';


--
-- training
--

-- VOLATILE and PARALLEL UNSAFE: it runs a query of the caller's, with the caller's rights (SECURITY INVOKER), reports what it
-- does as NOTICEs, and the query may call anything. Not STRICT: without a model to start from, start is NULL. NULL for any
-- other argument gives NULL. COST: no plan may call it twice for nothing.

CREATE FUNCTION mtl_train(spec jsonb, query text, options jsonb DEFAULT '{}', start mtl_model DEFAULT NULL) RETURNS mtl_model
	AS 'MODULE_PATHNAME', 'mtl_train' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 1000000;
COMMENT ON FUNCTION mtl_train(jsonb, text, jsonb, mtl_model) IS
	'trains a model on the rows of a query; spec is a contract with the columns of labels, in which what can be learnt may be left out';

-- VOLATILE: what other sessions do changes within a statement. PARALLEL RESTRICTED: a worker has no entry of its own in the
-- status of sessions, and reads it anew. ROWS: few train at the same time.

CREATE FUNCTION mtl_train_progress(OUT pid integer, OUT datid oid, OUT usesysid oid, OUT phase text, OUT epoch integer,
								   OUT epochs integer, OUT rows_done bigint, OUT rows_total bigint,
								   OUT rows_per_second double precision, OUT seconds_left double precision,
								   OUT learning_rate double precision, OUT loss real[], OUT auc real[])
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'mtl_train_progress' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 5;
COMMENT ON FUNCTION mtl_train_progress() IS 'what the sessions are doing that train a model; see mtl_progress_train';

-- Anybody may ask; whose training it is decides what is shown, as in pg_stat_activity. It is owned as the registry is, see there.

CREATE VIEW mtl_progress_train WITH (security_invoker = true) AS
	SELECT p.pid, d.datname, pg_catalog.pg_get_userbyid(p.usesysid) AS usename, p.phase, p.epoch, p.epochs, p.rows_done, p.rows_total,
		p.rows_per_second, p.seconds_left, p.learning_rate, p.loss, p.auc
	FROM @extschema@.mtl_train_progress() p LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) p.datid;
ALTER VIEW mtl_progress_train OWNER TO @extowner@;
GRANT SELECT ON mtl_progress_train TO PUBLIC;
COMMENT ON VIEW mtl_progress_train IS 'trainings that are running, for the role that trains and for pg_read_all_stats';
COMMENT ON COLUMN mtl_progress_train.pid IS 'process of the session that trains';
COMMENT ON COLUMN mtl_progress_train.datname IS 'its database';
COMMENT ON COLUMN mtl_progress_train.usename IS 'its role';
COMMENT ON COLUMN mtl_progress_train.phase IS 'reading, encoding, training, validating or finishing';
COMMENT ON COLUMN mtl_progress_train.epoch IS 'the epoch that is running, from 1';
COMMENT ON COLUMN mtl_progress_train.epochs IS 'epochs at most';
COMMENT ON COLUMN mtl_progress_train.rows_done IS 'rows that were read or encoded, or trained on in this epoch';
COMMENT ON COLUMN mtl_progress_train.rows_total IS 'of this many; NULL: not known';
COMMENT ON COLUMN mtl_progress_train.rows_per_second IS 'rows trained on per second, lately';
COMMENT ON COLUMN mtl_progress_train.seconds_left IS 'until the last epoch ends, unless training stops early';
COMMENT ON COLUMN mtl_progress_train.learning_rate IS 'the learning rate of layers now';
COMMENT ON COLUMN mtl_progress_train.loss IS 'the first ten tasks with labels: loss of the last epoch, on validation rows if there are any';
COMMENT ON COLUMN mtl_progress_train.auc IS 'the same tasks: AUC on the validation rows; NULL for tasks without one';


--
-- registry: tables
--

-- Nothing is granted to PUBLIC, and the functions below run with their caller's rights: who may do what is decided by
-- grants and policies on these tables alone.
--
-- To score by name, a role needs
--
--     GRANT SELECT ON mtl_models, mtl_active TO reader;
--
-- and to register, activate, roll back and drop versions
--
--     GRANT SELECT, DELETE, INSERT (name, version, model, metrics, note), UPDATE (metrics, note) ON mtl_models TO publisher;
--     GRANT SELECT, INSERT (name, last_version), UPDATE (version, activation, last_version) ON mtl_active TO publisher;
--     GRANT SELECT, INSERT (name, activation, version, parent, action) ON mtl_activations TO publisher;
--
-- (without the columns that say who did it and when, so that these stay honest; without DELETE for one who must not drop
-- versions). mtl_versions needs a SELECT of its own. Policies for row-level security go on mtl_models and on mtl_active alike.
-- pg_dump takes the grants along; policies on an extension's tables it leaves out, so they must be made anew after a restore.
--
-- There are no foreign keys. pg_restore loads the tables of an extension with their constraints in place, and with several jobs
-- in any order, so that a foreign key would fail. Triggers guard the versions instead.

-- IMMUTABLE and PARALLEL SAFE: it depends on the name alone. Not STRICT: NULL is no name either. An error in place of false, so
-- that the constraint and the functions below say the same.
CREATE FUNCTION mtl_check_name(name text) RETURNS boolean
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF octet_length(name) BETWEEN 1 AND 63 AND (name COLLATE "C") !~ '[\x01-\x1f\x7f@]' THEN
		RETURN true;
	END IF;
	RAISE EXCEPTION 'invalid model name "%"', name
		USING ERRCODE = 'invalid_name',
			  HINT = 'Use a name of 1 to 63 bytes without "@" and control characters.';
END
$$;
COMMENT ON FUNCTION mtl_check_name(text) IS 'true for a name that a model can have, and an error for any other';

-- Names are compared byte by byte whatever the database's collation: a name is an identifier.
CREATE TABLE mtl_models (
	name text COLLATE pg_catalog."C" NOT NULL CHECK (mtl_check_name(name)),
	version integer NOT NULL CHECK (version > 0),
	model mtl_model NOT NULL,
	digest text COLLATE pg_catalog."C" NOT NULL GENERATED ALWAYS AS (mtl_digest(model)) STORED,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	created_by name NOT NULL DEFAULT CURRENT_USER,
	metrics jsonb,
	note text,
	PRIMARY KEY (name, version)
);
COMMENT ON TABLE mtl_models IS 'versions of registered models; a version never changes';
COMMENT ON COLUMN mtl_models.name IS 'name of the model: 1 to 63 bytes, without @ and control characters';
COMMENT ON COLUMN mtl_models.version IS 'version, counted from 1 for each name; the number of a dropped version is not used again';
COMMENT ON COLUMN mtl_models.model IS 'the model';
COMMENT ON COLUMN mtl_models.digest IS 'SHA-256 of the model file, in hexadecimal';
COMMENT ON COLUMN mtl_models.created_at IS 'when the version was registered';
COMMENT ON COLUMN mtl_models.created_by IS 'the role that registered the version';
COMMENT ON COLUMN mtl_models.metrics IS 'what was measured of the version; may be changed';
COMMENT ON COLUMN mtl_models.note IS 'a remark; may be changed';

-- A model that was registered, but never activated, has a row without a version.
CREATE TABLE mtl_active (
	name text COLLATE pg_catalog."C" PRIMARY KEY,
	version integer,
	activation integer NOT NULL DEFAULT 0 CHECK (activation >= 0),
	last_version integer NOT NULL DEFAULT 0 CHECK (last_version >= 0)
);
COMMENT ON TABLE mtl_active IS 'the active version of each registered model';
COMMENT ON COLUMN mtl_active.name IS 'name of the model';
COMMENT ON COLUMN mtl_active.version IS 'the version that is scored when only the name is given; NULL: none';
COMMENT ON COLUMN mtl_active.activation IS 'the activation that made it so, in mtl_activations; 0: none yet';
COMMENT ON COLUMN mtl_active.last_version IS 'the highest version number given so far';

-- What was active remains true when the version is dropped. Old history may be deleted; rollback then ends where history does.
CREATE TABLE mtl_activations (
	name text COLLATE pg_catalog."C" NOT NULL,
	activation integer NOT NULL CHECK (activation > 0),
	version integer NOT NULL,
	parent integer CHECK (parent > 0 AND parent < activation),
	action text NOT NULL CHECK (action IN ('activate', 'rollback')),
	activated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	activated_by name NOT NULL DEFAULT CURRENT_USER,
	PRIMARY KEY (name, activation)
);
COMMENT ON TABLE mtl_activations IS 'history of the active version of each registered model';
COMMENT ON COLUMN mtl_activations.name IS 'name of the model';
COMMENT ON COLUMN mtl_activations.activation IS 'number of the activation, counted from 1 for each name';
COMMENT ON COLUMN mtl_activations.version IS 'the version that became active';
COMMENT ON COLUMN mtl_activations.parent IS 'the activation that a rollback of this one returns to; NULL: none';
COMMENT ON COLUMN mtl_activations.action IS 'what was done: activate or rollback';
COMMENT ON COLUMN mtl_activations.activated_at IS 'when';
COMMENT ON COLUMN mtl_activations.activated_by IS 'by which role';

-- The state is derived from the pointer, so that it cannot contradict it. security_invoker: the view must not lend its
-- owner's rights. The size is what the value takes in the table, which is known without reading it.
CREATE VIEW mtl_versions WITH (security_invoker = true) AS
	SELECT m.name, m.version,
		CASE WHEN a.version OPERATOR(pg_catalog.=) m.version THEN 'active' ELSE 'inactive' END AS state,
		m.digest, pg_catalog.pg_column_size(m.model) AS size, m.created_at, m.created_by, m.metrics, m.note
	FROM @extschema@.mtl_models m
		LEFT JOIN @extschema@.mtl_active a ON a.name OPERATOR(pg_catalog.=) m.name;
COMMENT ON VIEW mtl_versions IS 'versions of registered models, and which of them are active';
COMMENT ON COLUMN mtl_versions.name IS 'name of the model';
COMMENT ON COLUMN mtl_versions.version IS 'version of the model';
COMMENT ON COLUMN mtl_versions.state IS 'active or inactive';
COMMENT ON COLUMN mtl_versions.digest IS 'SHA-256 of the model file, in hexadecimal';
COMMENT ON COLUMN mtl_versions.size IS 'bytes that the model takes';
COMMENT ON COLUMN mtl_versions.created_at IS 'when the version was registered';
COMMENT ON COLUMN mtl_versions.created_by IS 'the role that registered the version';
COMMENT ON COLUMN mtl_versions.metrics IS 'what was measured of the version';
COMMENT ON COLUMN mtl_versions.note IS 'a remark';

-- The installing role may have default privileges that grant more.
REVOKE ALL ON mtl_models, mtl_active, mtl_activations, mtl_versions FROM PUBLIC;

-- In a trusted extension everything belongs to the bootstrap superuser, so that the role that installed it could neither use
-- the registry nor grant rights on it. Functions and type stay with the superuser.
ALTER TABLE mtl_models OWNER TO @extowner@;
ALTER TABLE mtl_active OWNER TO @extowner@;
ALTER TABLE mtl_activations OWNER TO @extowner@;
ALTER VIEW mtl_versions OWNER TO @extowner@;

-- The rows are the user's: pg_dump takes them along.
SELECT pg_catalog.pg_extension_config_dump('@extschema@.mtl_models', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.mtl_active', '');
SELECT pg_catalog.pg_extension_config_dump('@extschema@.mtl_activations', '');


--
-- registry: functions
--

-- All of them write, so they are VOLATILE and PARALLEL UNSAFE, and run with their caller's rights (SECURITY INVOKER).
-- None is STRICT: a NULL is an error, because a call that does nothing and says nothing would look like success.
--
-- What changes a model first updates its row in mtl_active, and thereby waits for others that are changing it. The update, not a
-- mere lock, makes the later of two transactions under REPEATABLE READ fail with a serialization error, where it would
-- otherwise decide on what it can no longer see.

CREATE FUNCTION mtl_refuse_update() RETURNS trigger
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION 'version % of model "%" cannot be changed', OLD.version, OLD.name
		USING ERRCODE = 'object_not_in_prerequisite_state',
			  DETAIL = 'Only metrics and note of a version may change.',
			  HINT = 'Register the model as a new version with mtl_register.';
END
$$;
COMMENT ON FUNCTION mtl_refuse_update() IS 'trigger: versions of registered models are immutable';

-- The digest stands for the model, which has no equality. Generated columns are not computed yet in a BEFORE trigger.
CREATE TRIGGER mtl_models_immutable BEFORE UPDATE ON mtl_models
	FOR EACH ROW
	WHEN (OLD.name IS DISTINCT FROM NEW.name OR OLD.version IS DISTINCT FROM NEW.version
		OR OLD.digest IS DISTINCT FROM mtl_digest(NEW.model)
		OR OLD.created_at IS DISTINCT FROM NEW.created_at OR OLD.created_by IS DISTINCT FROM NEW.created_by)
	EXECUTE FUNCTION mtl_refuse_update();
COMMENT ON TRIGGER mtl_models_immutable ON mtl_models IS 'versions of registered models are immutable, but for metrics and note';

CREATE FUNCTION mtl_refuse_delete() RETURNS trigger
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	active integer;
BEGIN
	UPDATE @extschema@.mtl_active a SET last_version = a.last_version
	WHERE a.name = OLD.name
	RETURNING a.version INTO active;
	IF active = OLD.version THEN
		RAISE EXCEPTION 'version % of model "%" is active', OLD.version, OLD.name
			USING ERRCODE = 'object_in_use',
				  HINT = 'Activate another version first.';
	END IF;

	RETURN OLD;
END
$$;
COMMENT ON FUNCTION mtl_refuse_delete() IS 'trigger: the active version of a model cannot be deleted';

CREATE TRIGGER mtl_models_active BEFORE DELETE ON mtl_models
	FOR EACH ROW EXECUTE FUNCTION mtl_refuse_delete();
COMMENT ON TRIGGER mtl_models_active ON mtl_models IS 'the active version of a model cannot be deleted';

-- Raises the error for a model ("feed", or "feed@2") of which an update or delete has found no row: either there is none, and
-- looking it up by name gives the error that says what there is; or the caller may read it, but not change it.
CREATE FUNCTION mtl_refuse_change(model text) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM @extschema@.mtl_tasks(model);
	RAISE EXCEPTION 'permission denied to change model "%"', model
		USING ERRCODE = 'insufficient_privilege',
			  HINT = 'Row-level security policies on mtl_models and mtl_active must allow the change.';
END
$$;
COMMENT ON FUNCTION mtl_refuse_change(text) IS
	'internal: raises the error for a model that does not exist, or that the caller may not change';

CREATE FUNCTION mtl_lock_model(name text) RETURNS mtl_active
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	pointer @extschema@.mtl_active;
BEGIN
	PERFORM @extschema@.mtl_check_name(name);

	UPDATE @extschema@.mtl_active a SET last_version = a.last_version
	WHERE a.name = (mtl_lock_model.name COLLATE "C")
	RETURNING a.* INTO pointer;
	IF NOT FOUND THEN
		PERFORM @extschema@.mtl_refuse_change(name);
	END IF;

	RETURN pointer;
END
$$;
COMMENT ON FUNCTION mtl_lock_model(text) IS
	'internal: waits for other transactions that are changing the model, and returns its row of mtl_active';

CREATE FUNCTION mtl_move_pointer(name text, version integer, action text, parent integer) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	WITH moved AS (
		UPDATE @extschema@.mtl_active a
		SET version = mtl_move_pointer.version, activation = a.activation + 1
		WHERE a.name = (mtl_move_pointer.name COLLATE "C")
		RETURNING a.name, a.activation, a.version
	)
	INSERT INTO @extschema@.mtl_activations (name, activation, version, parent, action)
	SELECT moved.name, moved.activation, moved.version, mtl_move_pointer.parent, mtl_move_pointer.action
	FROM moved;
	IF NOT FOUND THEN
		PERFORM @extschema@.mtl_refuse_change(format('%s@%s', name, version));
	END IF;
END
$$;
COMMENT ON FUNCTION mtl_move_pointer(text, integer, text, integer) IS
	'internal: makes a version the active one, and appends that to the history';

-- The model's row in mtl_active is kept when its versions are dropped, so that no number is given twice.
CREATE FUNCTION mtl_register(name text, model mtl_model, activate boolean DEFAULT true, metrics jsonb DEFAULT NULL,
							 note text DEFAULT NULL)
	RETURNS integer
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	pointer @extschema@.mtl_active;
BEGIN
	PERFORM @extschema@.mtl_check_name(name);
	IF model IS NULL OR activate IS NULL THEN
		RAISE EXCEPTION '% must not be null', CASE WHEN model IS NULL THEN 'model' ELSE 'activate' END
			USING ERRCODE = 'null_value_not_allowed';
	END IF;

	-- before anything is locked, for it may take long
	PERFORM FROM @extschema@.mtl_verify(model);

	INSERT INTO @extschema@.mtl_active AS a (name, last_version) VALUES (name, 1)
	ON CONFLICT ON CONSTRAINT mtl_active_pkey DO UPDATE SET last_version = a.last_version + 1
	RETURNING a.* INTO pointer;

	INSERT INTO @extschema@.mtl_models (name, version, model, metrics, note)
	VALUES (name, pointer.last_version, model, metrics, note);

	IF activate THEN
		PERFORM @extschema@.mtl_move_pointer(name, pointer.last_version, 'activate', nullif(pointer.activation, 0));
	END IF;
	RETURN pointer.last_version;
END
$$;
COMMENT ON FUNCTION mtl_register(text, mtl_model, boolean, jsonb, text) IS
	'stores a model as the next version of this name, activates it if asked to, and returns the version; refuses a model whose examples it cannot reproduce';

CREATE FUNCTION mtl_activate(name text, version integer) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	pointer @extschema@.mtl_active := @extschema@.mtl_lock_model(name);
BEGIN
	-- Nothing to move, and a rollback is not to return to the same version.
	IF pointer.version = version THEN
		RAISE NOTICE 'version % of model "%" is already active', version, name;
		RETURN;
	END IF;

	-- By name: for an unknown version the lookup raises the error.
	PERFORM FROM @extschema@.mtl_verify(format('%s@%s', name, version));
	PERFORM @extschema@.mtl_move_pointer(name, version, 'activate', nullif(pointer.activation, 0));
END
$$;
COMMENT ON FUNCTION mtl_activate(text, integer) IS
	'makes a version of a registered model the active one, after replaying its examples';

-- An activation's parent is the activation before it, a rollback's parent is the parent of what it returned to: so a second
-- rollback goes further back, not forth again.
CREATE FUNCTION mtl_rollback(name text) RETURNS integer
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	pointer @extschema@.mtl_active := @extschema@.mtl_lock_model(name);
	target record;
BEGIN
	WITH RECURSIVE past AS (
		SELECT h.activation, h.version, h.parent
		FROM @extschema@.mtl_activations h
		WHERE h.name = pointer.name AND h.activation = pointer.activation
		UNION ALL
		SELECT h.activation, h.version, h.parent
		FROM past JOIN @extschema@.mtl_activations h ON h.name = pointer.name AND h.activation = past.parent
	)
	SELECT past.version, past.parent INTO target
	FROM past JOIN @extschema@.mtl_models m ON m.name = pointer.name AND m.version = past.version
	WHERE past.version <> pointer.version
	ORDER BY past.activation DESC
	LIMIT 1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'model "%" has no earlier version to roll back to', name
			USING ERRCODE = 'object_not_in_prerequisite_state',
				  HINT = 'Activate one of the versions in mtl_versions with mtl_activate.';
	END IF;

	PERFORM FROM @extschema@.mtl_verify(format('%s@%s', name, target.version));
	PERFORM @extschema@.mtl_move_pointer(name, target.version, 'rollback', target.parent);
	RETURN target.version;
END
$$;
COMMENT ON FUNCTION mtl_rollback(text) IS
	'makes the version active again that was active before, passing over versions dropped since, and returns it';

CREATE FUNCTION mtl_drop_version(name text, version integer) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	pointer @extschema@.mtl_active := @extschema@.mtl_lock_model(name);
BEGIN
	DELETE FROM @extschema@.mtl_models m
	WHERE m.name = pointer.name AND m.version = mtl_drop_version.version;
	IF NOT FOUND THEN
		PERFORM @extschema@.mtl_refuse_change(format('%s@%s', name, version));
	END IF;
END
$$;
COMMENT ON FUNCTION mtl_drop_version(text, integer) IS 'deletes a version of a registered model, unless it is the active one';


--
-- loaded models
--

-- VOLATILE: called for what they do, or for what changes from call to call. PARALLEL RESTRICTED: a session has loaded models of
-- its own, and a worker has others.

CREATE FUNCTION mtl_cache_prewarm(model mtl_model, OUT location text, OUT bytes bigint, OUT reason text)
	AS 'MODULE_PATHNAME', 'mtl_cache_prewarm' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED COST 1000;
COMMENT ON FUNCTION mtl_cache_prewarm(mtl_model) IS 'loads a model before it is needed, and says where it is';

CREATE FUNCTION mtl_cache_prewarm(model text, OUT location text, OUT bytes bigint, OUT reason text)
	AS 'MODULE_PATHNAME', 'mtl_cache_prewarm' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED COST 1000;
COMMENT ON FUNCTION mtl_cache_prewarm(text) IS 'loads a registered model before it is needed, and says where it is';

CREATE FUNCTION mtl_cache_evict(digest text) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION mtl_cache_evict(text) IS 'frees the loaded model of this digest unless it is in use; whether it did';

CREATE FUNCTION mtl_cache_evict() RETURNS integer
	AS 'MODULE_PATHNAME', 'mtl_cache_evict_all' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION mtl_cache_evict() IS 'frees all loaded models that are not in use; how many';

CREATE FUNCTION mtl_cache_entries(OUT digest text, OUT location text, OUT bytes bigint, OUT pins integer, OUT uses bigint,
								  OUT last_used timestamptz, OUT reason text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 20;
COMMENT ON FUNCTION mtl_cache_entries() IS 'loaded models: all that are shared, and those of this session; see the view mtl_cache';

-- Models of other databases have no names here.
CREATE VIEW mtl_cache AS
	SELECT c.digest,
		(SELECT pg_catalog.array_agg(pg_catalog.format('%s@%s', m.name, m.version) ORDER BY m.name, m.version)
		 FROM @extschema@.mtl_models m
		 WHERE m.digest OPERATOR(pg_catalog.=) c.digest) AS models,
		c.location, c.bytes, c.pins, c.uses, c.last_used, c.reason
	FROM @extschema@.mtl_cache_entries() c;
COMMENT ON VIEW mtl_cache IS 'loaded models: all that are shared, and those of this session';
COMMENT ON COLUMN mtl_cache.digest IS 'SHA-256 of the model file, in hexadecimal';
COMMENT ON COLUMN mtl_cache.models IS 'name@version of the registered versions that are this model; NULL: none in this database';
COMMENT ON COLUMN mtl_cache.location IS 'shared, loading (a session is about to share it), or session (this session''s own copy)';
COMMENT ON COLUMN mtl_cache.bytes IS 'memory that the model takes';
COMMENT ON COLUMN mtl_cache.pins IS 'processes that use the model now; of a session''s own copy, calls that do';
COMMENT ON COLUMN mtl_cache.uses IS 'how often the model was taken into use since it was loaded';
COMMENT ON COLUMN mtl_cache.last_used IS 'when the last statement that uses it began';
COMMENT ON COLUMN mtl_cache.reason IS 'why a session''s own copy is not shared';

-- What is loaded is the whole server's business. Everybody may prewarm: it does no more than a score does, with the same rights
-- on the model.
REVOKE ALL ON mtl_cache FROM PUBLIC;
REVOKE ALL ON FUNCTION mtl_cache_entries(), mtl_cache_evict(text), mtl_cache_evict() FROM PUBLIC;
GRANT SELECT ON mtl_cache TO pg_monitor;
GRANT EXECUTE ON FUNCTION mtl_cache_entries() TO pg_monitor;

-- It shows the names in the registry with the rights of the registry's owner.
ALTER VIEW mtl_cache OWNER TO @extowner@;
