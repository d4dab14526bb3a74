-- Functions that read what mtl_graph writes, line by line, for tests.

-- kind is NULL for a line that mtl_graph does not write; a quoted text ends at the first quote that no backslash is before
CREATE FUNCTION dot_lines(dot text)
	RETURNS TABLE (n bigint, kind text, subject text, object text, label text, attributes text) LANGUAGE sql IMMUTABLE AS $$
	SELECT u.n,
		CASE WHEN u.n <= 5 THEN 'head' WHEN node IS NOT NULL THEN 'node' WHEN edge IS NOT NULL THEN 'edge'
			WHEN frame IS NOT NULL THEN 'frame' WHEN name IS NOT NULL THEN 'name' WHEN line ~ '^ *\{rank=same; n\d+( -> n\d+)+ \[style=invis\];\}$' THEN 'row'
			WHEN line ~ '^(  )?\}$' THEN 'end' WHEN line = '' AND u.n = count(*) OVER () THEN 'last' END,
		coalesce(node[1], edge[1], frame[1]), edge[2], coalesce(node[2], name[1]), coalesce(node[3], edge[3])
	FROM regexp_split_to_table(dot, '\n') WITH ORDINALITY u(line, n),
		regexp_match(line, '^ *(n\d+) \[label="((?:[^"\\]|\\.)*)"((?:, \w+=(?:[\w.]+|"(?:[^"\\]|\\.)*"))*)\];$') AS node,
		regexp_match(line, '^  (n\d+) -> (n\d+)( \[style=dashed, color="#\w+"\])?;$') AS edge,
		regexp_match(line, '^  subgraph (cluster_\d+) \{$') AS frame,
		regexp_match(line, '^    label="((?:[^"\\]|\\.)*)"; labelloc=[bt];$') AS name
$$;

-- what is wrong with it, NULL for nothing
CREATE FUNCTION dot_problem(dot text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	WITH l AS MATERIALIZED (SELECT * FROM dot_lines(dot)),
		nodes AS (SELECT array_agg(subject) AS ids FROM l WHERE kind = 'node')
	SELECT coalesce(
		CASE WHEN dot !~ '^digraph model \{\n' OR dot !~ '\n\}\n$' THEN 'not a graph' END,
		(SELECT 'line ' || min(n) FROM l WHERE kind IS NULL HAVING count(*) > 0),
		CASE WHEN (SELECT count(*) FROM l WHERE kind = 'frame') <> (SELECT count(*) - 1 FROM l WHERE kind = 'end') THEN 'frames' END,
		(SELECT 'two nodes ' || min(subject) FROM (SELECT subject FROM l WHERE kind = 'node' GROUP BY subject HAVING count(*) > 1) t HAVING count(*) > 0),
		(SELECT 'two edges from ' || min(subject) FROM (SELECT subject FROM l WHERE kind = 'edge' GROUP BY subject, object HAVING count(*) > 1) t HAVING count(*) > 0),
		(SELECT 'edge of no node ' || min(subject) FROM l, nodes WHERE kind = 'edge' AND NOT ARRAY[subject, object] <@ ids HAVING count(*) > 0),
		(SELECT 'loop at ' || min(subject) FROM l WHERE kind = 'edge' AND subject = object HAVING count(*) > 0))
$$;

-- the nodes, with the frame around each and what it reads; edges from gates are in parentheses
CREATE FUNCTION dot_nodes(dot text) RETURNS TABLE (node text, frame text, shape text, label text, reads text) LANGUAGE sql IMMUTABLE AS $$
	WITH l AS MATERIALIZED (SELECT * FROM dot_lines(dot))
	SELECT subject, (SELECT CASE kind WHEN 'name' THEN label END FROM l f WHERE f.n < node.n AND kind IN ('name', 'end') ORDER BY f.n DESC LIMIT 1),
		substring(attributes FROM 'shape=(\w+)') || CASE WHEN attributes ~ 'dashed' THEN ', dashed' ELSE '' END, label,
		(SELECT string_agg(CASE WHEN attributes IS NULL THEN subject ELSE '(' || subject || ')' END, ' ' ORDER BY n)
			FROM l WHERE kind = 'edge' AND object = node.subject)
	FROM l node WHERE kind = 'node' ORDER BY substring(subject FROM 2)::int
$$;
