-- What run.sh sends first: tables, and the procedures that send hostile models and rows through the extension.
\set ON_ERROR_STOP on
\pset footer off
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS mtl_rank;
DROP SCHEMA IF EXISTS mtl_fuzz CASCADE;
CREATE SCHEMA mtl_fuzz;
SET search_path = mtl_fuzz, public;

-- The errors of what fails are caught in subtransactions: they need not reach the log.
SET log_min_messages = panic;
-- A model that hangs must not hang the test; cancelling is an error like any other and gets noted.
SET statement_timeout = '5min';
-- So small that models are thrown out all the time.
SET mtl_rank.cache_size = '4MB';

CREATE UNLOGGED TABLE fuzz_input (number int, kind text, features jsonb, file bytea);
ALTER TABLE fuzz_input ALTER file SET STORAGE EXTERNAL;

CREATE UNLOGGED TABLE fuzz_row (number int, model bytea, kind text, expression text);

CREATE UNLOGGED TABLE fuzz_result (number int, kind text, step text, state text, message text, ms float8);

CREATE UNLOGGED TABLE fuzz_memory (phase text, done bigint, used bigint, total bigint, cached bigint, left_over bigint, process bigint);

-- Types of features that a server does not have by itself: an enum, domains, casts to real[] that are good and bad.
CREATE TYPE odd_enum AS ENUM ('17', '', 'x', 'é点', 'lllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll');
CREATE DOMAIN odd_number AS float8;
CREATE DOMAIN odd_text AS text;
CREATE DOMAIN odd_array AS float8[];
CREATE TYPE odd_row AS (a int, b odd_number);
CREATE DOMAIN odd_row_domain AS odd_row;
CREATE FUNCTION odd_cast(point) RETURNS real[] IMMUTABLE RETURN ARRAY[$1[0], $1[1]]::real[];
CREATE FUNCTION odd_cast(lseg) RETURNS real[] IMMUTABLE RETURN NULL::real[];
CREATE FUNCTION odd_cast(box) RETURNS real[] IMMUTABLE RETURN '{{1,2},{3,4}}'::real[];
CREATE FUNCTION odd_cast(circle) RETURNS real[] IMMUTABLE RETURN ARRAY[1 / ($1 IS NULL)::int]::real[];
CREATE FUNCTION odd_cast(path) RETURNS real[] VOLATILE RETURN '{1}'::real[];
CREATE CAST (point AS real[]) WITH FUNCTION odd_cast(point);
CREATE CAST (lseg AS real[]) WITH FUNCTION odd_cast(lseg);
CREATE CAST (box AS real[]) WITH FUNCTION odd_cast(box);
CREATE CAST (circle AS real[]) WITH FUNCTION odd_cast(circle);
CREATE CAST (path AS real[]) WITH FUNCTION odd_cast(path);

-- Errors are expected, but not any: never one that only the extension's author should see, nor a lack of memory.
CREATE FUNCTION fuzz_expected(step text, state text) RETURNS bool IMMUTABLE
	RETURN state ~ '^(00|22|0A|54)'
		OR (step IN ('score', 'task', 'rank', 'gates', 'verify', 'quantize') AND state = '42804')				-- datatype_mismatch
		OR (step = 'row' AND state IN ('42804', '42703', '42702', '42P18', '42846'));

-- An address sanitizer makes everything slower, and keeps what was freed.
CREATE FUNCTION fuzz_sanitized() RETURNS bool
	RETURN pg_read_file('/proc/self/maps') ~ 'libasan';

CREATE PROCEDURE fuzz_models() LANGUAGE plpgsql AS $$
DECLARE
	steps text[] := '{cast,bytes,text,tasks,features,describe,graph,score,task,rank,gates,verify,quantize}';
	step text;
	input record;
	model mtl_model;
	again mtl_model;
	tasks text[];
	graph text;
	scores real[];
	score real;
	began timestamptz;
	state text;
	message text;
BEGIN
	FOR input IN SELECT * FROM fuzz_input ORDER BY number LOOP
		FOREACH step IN ARRAY steps LOOP
			-- writing a model as text is slow, and has nothing to do with what is in it
			CONTINUE WHEN step = 'text' AND input.number % 16 <> 0;
			CONTINUE WHEN step = 'task' AND scores IS NULL;
			state := '00000';
			message := NULL;
			began := clock_timestamp();
			BEGIN
				CASE step
					WHEN 'cast' THEN
						scores := NULL;
						model := input.file::mtl_model;
					WHEN 'bytes' THEN
						ASSERT model::bytea = input.file, 'bytes changed';
						ASSERT mtl_digest(model) = encode(sha256(input.file), 'hex'), 'wrong digest';
					WHEN 'text' THEN
						again := model::text::mtl_model;
						ASSERT again::bytea = input.file, 'bytes changed on the way through text';
					WHEN 'tasks' THEN
						tasks := mtl_tasks(model);
					WHEN 'features' THEN
						PERFORM count(*), sum(length(f::text)) FROM mtl_features(model) f;
					WHEN 'describe' THEN
						PERFORM mtl_describe(model);
					WHEN 'graph' THEN
						graph := mtl_graph(model);
						ASSERT octet_length(graph) < 100000, 'a large picture';
						ASSERT dot_problem(graph) IS NULL, 'a picture with a mistake: ' || dot_problem(graph);
					WHEN 'score' THEN
						scores := mtl_score(model, input.features);
						ASSERT cardinality(scores) = cardinality(tasks), 'wrong number of scores';
						ASSERT NOT scores && '{NaN,Infinity,-Infinity}', 'a score is not finite';
					WHEN 'task' THEN
						score := mtl_score(model, input.features, tasks[cardinality(tasks)]);
						ASSERT float4send(score) = float4send(scores[cardinality(scores)]), 'one task scores differently';
					WHEN 'rank' THEN
						score := mtl_rank(model, input.features);
						ASSERT score NOT IN ('NaN', 'Infinity', '-Infinity'), 'the rank value is not finite';
					WHEN 'gates' THEN
						PERFORM count(weight) FROM mtl_gates(model, input.features);
					WHEN 'verify' THEN
						PERFORM count(*) FROM mtl_verify(model);
					WHEN 'quantize' THEN
						again := mtl_quantize(model, (ARRAY['bf16', 'int8'])[1 + abs(input.number) % 2]);
						ASSERT again::bytea::mtl_model::bytea = again::bytea, 'a quantized model is not what it was written as';
						ASSERT mtl_tasks(again) = tasks, 'other tasks';
						-- scores of examples must be what they were when it was made
						PERFORM count(*) FROM mtl_verify(again);
						scores := mtl_score(again, input.features);
						ASSERT NOT scores && '{NaN,Infinity,-Infinity}', 'a score is not finite';
				END CASE;
			EXCEPTION WHEN query_canceled OR assert_failure OR OTHERS THEN
				GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
			END;
			INSERT INTO fuzz_result VALUES (input.number, input.kind, step, state, left(message, 300),
				extract(epoch FROM clock_timestamp() - began) * 1000);
			EXIT WHEN step = 'cast' AND state <> '00000';
		END LOOP;
	END LOOP;
END $$;

-- Each row is the text of an expression, to be scored by the model before it.
CREATE PROCEDURE fuzz_rows() LANGUAGE plpgsql AS $$
DECLARE
	input record;
	model mtl_model;
	scores real[];
	began timestamptz;
	state text;
	message text;
BEGIN
	FOR input IN SELECT * FROM fuzz_row ORDER BY number LOOP
		IF input.model IS NOT NULL THEN
			model := input.model::mtl_model;
		END IF;
		state := '00000';
		message := NULL;
		began := clock_timestamp();
		BEGIN
			EXECUTE format('SELECT mtl_score($1, %s)', input.expression) INTO scores USING model;
			ASSERT scores IS NULL OR NOT scores && '{NaN,Infinity,-Infinity}', 'a score is not finite';
		EXCEPTION WHEN query_canceled OR assert_failure OR OTHERS THEN
			GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
		END;
		INSERT INTO fuzz_result VALUES (input.number, input.kind, 'row', state, left(message, 300),
			extract(epoch FROM clock_timestamp() - began) * 1000);
	END LOOP;
END $$;

-- Memory that this session holds between statements, apart from the cache of models, which is bounded by its setting.
CREATE PROCEDURE fuzz_look(phase text) LANGUAGE sql AS $$
	INSERT INTO fuzz_memory
	SELECT phase, (SELECT count(*) FROM fuzz_result WHERE step IN ('cast', 'row')),
		sum(used_bytes) FILTER (WHERE name NOT LIKE 'mtl_rank%'),
		sum(total_bytes) FILTER (WHERE name NOT LIKE 'mtl_rank%'),
		sum(total_bytes) FILTER (WHERE name = 'mtl_rank model'),
		count(*) FILTER (WHERE name LIKE 'mtl_rank%' AND name NOT IN ('mtl_rank cache', 'mtl_rank models', 'mtl_rank model')),
		1024 * substring(pg_read_file('/proc/self/status') FROM 'RssAnon:\s*(\d+) kB')::bigint
	FROM pg_backend_memory_contexts;
	TRUNCATE fuzz_input, fuzz_row;
$$;
