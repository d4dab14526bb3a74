-- What run.sh sends last: a summary, and an error when something went wrong.

\echo
\echo 'Models and rows by outcome'
SELECT step, state, count(*), round(avg(ms)::numeric, 2) AS avg_ms, round(percentile_disc(0.99) WITHIN GROUP (ORDER BY ms)::numeric, 1) AS p99_ms,
	round(max(ms)::numeric, 1) AS max_ms, min(message) FILTER (WHERE state <> '00000') AS example
FROM (SELECT step, state, ms, left(message, 60) AS message FROM fuzz_result) r
GROUP BY step, state
ORDER BY array_position('{cast,bytes,text,tasks,features,describe,graph,score,task,rank,gates,verify,quantize,row}', step), state;

\echo 'Slowest'
SELECT number, left(kind, 60) AS kind, step, state, round(ms::numeric, 1) AS ms FROM fuzz_result ORDER BY fuzz_result.ms DESC LIMIT 8;

-- Caches of the server fill in the beginning: mutants are compared from a tenth of them on, rows when they come for the second time.
CREATE UNLOGGED TABLE fuzz_checkpoint AS
SELECT * FROM (
	(SELECT 'start' AS point, * FROM fuzz_memory ORDER BY done LIMIT 1)
	UNION ALL (SELECT 'mutants from', m.* FROM fuzz_memory m, (SELECT min(done) AS first, max(done) AS last FROM fuzz_memory
		WHERE phase = 'mutants') r WHERE done >= first + (last - first) / 10 ORDER BY done LIMIT 1)
	UNION ALL (SELECT 'mutants to', * FROM fuzz_memory WHERE phase = 'mutants' ORDER BY done DESC LIMIT 1)
	UNION ALL (SELECT 'extremes to', * FROM fuzz_memory WHERE phase = 'extremes' ORDER BY done DESC LIMIT 1)
	UNION ALL (SELECT 'rows from', * FROM fuzz_memory WHERE phase = 'rows' ORDER BY done DESC LIMIT 1)
	UNION ALL (SELECT 'rows to', * FROM fuzz_memory WHERE phase = 'rows again' ORDER BY done DESC LIMIT 1)) p;

\echo 'Memory between statements'
SELECT point, done, pg_size_pretty(used) AS used, pg_size_pretty(total) AS total, pg_size_pretty(cached) AS cached_models, left_over,
	pg_size_pretty(process) AS process
FROM fuzz_checkpoint ORDER BY done;

CREATE UNLOGGED TABLE fuzz_failure (what text);

INSERT INTO fuzz_failure
SELECT format('%s %s (%s): %s %s', step, number, kind, state, message)
FROM fuzz_result WHERE NOT fuzz_expected(step, state) ORDER BY step, number;

INSERT INTO fuzz_failure
SELECT format('%s %s (%s): %s ms', step, number, kind, round(ms::numeric))
FROM fuzz_result
-- quantize loads a model seven times
WHERE ms > CASE WHEN fuzz_sanitized() THEN 20000 WHEN current_setting('debug_assertions')::bool THEN 5000 ELSE 1000 END * CASE step WHEN 'quantize' THEN 7 ELSE 1 END ORDER BY ms DESC;

INSERT INTO fuzz_failure
SELECT format('memory grew: %s %s bytes in use, %s in all, %s of the process; %s %s, %s, %s', early.point, early.used, early.total,
	early.process, late.point, late.used, late.total, late.process)
FROM fuzz_checkpoint early
	JOIN fuzz_checkpoint late ON (early.point, late.point) IN
		(('mutants from', 'mutants to'), ('mutants to', 'extremes to'), ('rows from', 'rows to'))
WHERE late.used > early.used + 256 * 1024 OR late.total > early.total + 1024 * 1024
	-- the process keeps what the extreme models took for a while; a sanitizer keeps everything
	OR (late.process > early.process + 16 * 1024 * 1024 AND late.point <> 'extremes to' AND NOT fuzz_sanitized());

INSERT INTO fuzz_failure
SELECT format('after %s: %s contexts are left over, cached models take %s bytes', done, left_over, cached)
FROM fuzz_memory
WHERE left_over > 0 OR cached > pg_size_bytes(current_setting('mtl_rank.cache_size'));

INSERT INTO fuzz_failure
SELECT format('only %s of %s unchanged models were accepted', count(*) FILTER (WHERE state = '00000'), count(*))
FROM fuzz_result WHERE kind = 'unchanged' AND step IN ('cast', 'score')
HAVING count(*) FILTER (WHERE state <> '00000') > 0 OR count(*) = 0;

SELECT what AS "Failures" FROM fuzz_failure LIMIT 50;
SELECT count(*) AS failures, (SELECT count(*) FROM fuzz_result WHERE step = 'cast' AND number >= 0) AS models,
	(SELECT count(*) FROM fuzz_result WHERE step = 'row') AS rows, count(*) > 0 AS failed
FROM fuzz_failure
\gset
\echo :models 'mutated models,' :rows 'rows,' :failures 'failures'
\if :failed
DO $$ BEGIN RAISE EXCEPTION 'fuzzing failed'; END $$;
\endif
