-- What tests of batches make models with, compare and show.
\ir builder.sql
\set SHOW_CONTEXT never

-- a plan, without its costs and what depends on the version of PostgreSQL
CREATE FUNCTION plan(query text, options text DEFAULT 'COSTS off') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE format('EXPLAIN (%s) %s', options, query) LOOP
		IF line !~ 'Memory|Index Searches|Disabled|Window: ' THEN
			RETURN NEXT regexp_replace(regexp_replace(line, '\.00(?= loops)| \(returns .*\)', '', 'g'), 'OVER w\d+', 'OVER (?)', 'g');
		END IF;
	END LOOP;
END
$$;
-- the same with what came of it
CREATE FUNCTION ran(query text) RETURNS SETOF text LANGUAGE sql
	RETURN plan(query, 'ANALYZE, BUFFERS off, COSTS off, TIMING off, SUMMARY off');
-- rows scored by all nodes together
CREATE FUNCTION scored(query text) RETURNS bigint LANGUAGE sql AS $$
	SELECT sum(substring(line FROM 'Scored Rows: (\d+)')::bigint) FROM ran(query) line
$$;

-- A query with batching off and required. Rows are compared as text, which tells all bits of a number; so are errors.
CREATE FUNCTION outcome(query text, batching text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM set_config('mtl_rank.batching', batching, true);
	EXECUTE format('SELECT count(*) || '' rows: '' || string_agg(q::text, '' '') FROM (%s) q', query) INTO result;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate || ' ' || sqlerrm;
END
$$;
CREATE FUNCTION compare(query text, batching text DEFAULT 'require') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plain text := outcome(query, 'off');
	batched text := outcome(query, batching);
BEGIN
	IF batched ~ '^0A000 a call of mtl_(score|rank) cannot be computed in batches$' THEN
		RETURN 'not in batches';
	ELSIF plain IS DISTINCT FROM batched THEN
		RETURN format('%s, but in batches %s', left(plain, 300), left(batched, 300));
	END IF;
	RETURN 'same: ' || coalesce(substring(plain FROM '^\d+ rows(?=: )'), plain);
END
$$;

-- a condition that fails for one row
CREATE FUNCTION picky(id int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 1 AS $$
BEGIN
	IF id = 20 THEN
		RAISE 'not 20';
	END IF;
	RETURN true;
END
$$;
