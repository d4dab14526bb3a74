-- The demo's pictures, for psql after demo.sql: writes one HTML page, well-formed as XML, to standard output. run.sh starts it.
--
-- Charts are data first: a row in charts for each, its curves in curves, their points in points. The function chart() then draws
-- any of them as SVG. Whatever comes from the database goes through xml(), which escapes it; colours are classes of the style sheet.

SET client_min_messages = warning;
SET extra_float_digits = 0;

-- Temporary, so that pictures leave nothing behind in the database.
CREATE TEMP TABLE charts (
	chart text PRIMARY KEY,
	section text NOT NULL,
	position integer NOT NULL,
	title text NOT NULL,
	x_label text NOT NULL,
	y_label text NOT NULL,
	square boolean NOT NULL DEFAULT false,	-- both axes from 0 to the same end, with a diagonal
	x_lo float8, x_hi float8, y_lo float8, y_hi float8	-- of the points
);

CREATE TEMP TABLE curves (
	chart text NOT NULL,
	curve integer NOT NULL,
	label text NOT NULL,
	colour integer NOT NULL,	-- 1 to 4
	dashed boolean NOT NULL DEFAULT false,
	marks boolean NOT NULL DEFAULT false,
	PRIMARY KEY (chart, curve)
);

CREATE TEMP TABLE points (chart text NOT NULL, curve integer NOT NULL, n bigint NOT NULL, x float8 NOT NULL, y float8 NOT NULL, tip text);

CREATE FUNCTION pg_temp.xml(t text) RETURNS text LANGUAGE sql IMMUTABLE STRICT
	-- control characters are not allowed in XML, however they are written
	AS $$ SELECT replace(replace(replace(replace(regexp_replace(t, '[\x01-\x08\x0B\x0C\x0E-\x1F]', ' ', 'g'),
		'&', '&amp;'), '<', '&lt;'), '>', '&gt;'), '"', '&quot;') $$;

-- Round numbers from lo to hi, about n of them.
CREATE FUNCTION pg_temp.ticks(lo float8, hi float8, n integer) RETURNS SETOF numeric LANGUAGE sql IMMUTABLE AS $$
	SELECT round(t, scale(trim_scale(step)))
	FROM (SELECT power(10::numeric, floor(log((hi - lo) / n))::integer) AS unit) u,
		LATERAL (SELECT unit * CASE WHEN (hi - lo) / n / unit < 1.5 THEN 1 WHEN (hi - lo) / n / unit < 3.5 THEN 2
			WHEN (hi - lo) / n / unit < 7.5 THEN 5 ELSE 10 END AS step) s,
		LATERAL generate_series(ceil(lo::numeric / step - 1e-9) * step, hi::numeric + step * 1e-9, step) t
$$;

-- Coordinates in attributes, to a tenth of a pixel.
CREATE FUNCTION pg_temp.px(v float8) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT trim_scale(round(v::numeric, 1))::text $$;

-- A mark of the curve's own shape, so that colour is not all that tells curves apart.
CREATE FUNCTION pg_temp.mark(colour integer, x float8, y float8, tip text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT format('<g class="m%s">%s%s</g>', colour,
		CASE colour
			WHEN 1 THEN format('<circle cx="%s" cy="%s" r="3.2">', pg_temp.px(x), pg_temp.px(y))
			WHEN 2 THEN format('<rect x="%s" y="%s" width="6" height="6">', pg_temp.px(x - 3), pg_temp.px(y - 3))
			WHEN 3 THEN format('<polygon points="%s,%s %s,%s %s,%s">', pg_temp.px(x), pg_temp.px(y - 4), pg_temp.px(x + 3.8),
				pg_temp.px(y + 3), pg_temp.px(x - 3.8), pg_temp.px(y + 3))
			ELSE format('<polygon points="%s,%s %s,%s %s,%s %s,%s">', pg_temp.px(x), pg_temp.px(y - 4), pg_temp.px(x + 4), pg_temp.px(y),
				pg_temp.px(x), pg_temp.px(y + 4), pg_temp.px(x - 4), pg_temp.px(y)) END,
		coalesce('<title>' || pg_temp.xml(tip) || '</title>', '') || CASE colour WHEN 1 THEN '</circle>' WHEN 2 THEN '</rect>' ELSE '</polygon>' END)
$$;

-- A chart as a figure: title, SVG and legend.
CREATE FUNCTION pg_temp.chart(name text) RETURNS text LANGUAGE sql STABLE AS $$
	WITH frame AS (
		SELECT c.*, 66 AS x0, 310 AS x1, 10 AS y0, CASE WHEN square THEN 268 ELSE 190 END AS y1 FROM charts c WHERE chart = name
	), axes AS (
		SELECT string_agg(line, E'\n' ORDER BY axis, t) AS lines FROM (
			SELECT 'x' AS axis, t, format('<line class="grid" x1="%1$s" y1="%2$s" x2="%1$s" y2="%3$s"/><text x="%1$s" y="%4$s" text-anchor="middle">%5$s</text>',
				pg_temp.px(x0 + (t - x_lo) / (x_hi - x_lo) * (x1 - x0)), y0, y1, y1 + 16, t) AS line
			FROM frame, pg_temp.ticks(x_lo, x_hi, 5) t
			WHERE square OR t = trunc(t)	-- there is no half epoch
			UNION ALL
			SELECT 'y', t, format('<line class="grid" x1="%1$s" y1="%3$s" x2="%2$s" y2="%3$s"/><text x="%4$s" y="%5$s" text-anchor="end">%6$s</text>',
				x0, x1, pg_temp.px(y1 - (t - y_lo) / (y_hi - y_lo) * (y1 - y0)), x0 - 7,
				pg_temp.px(y1 - (t - y_lo) / (y_hi - y_lo) * (y1 - y0) + 3.5), t)
			FROM frame, pg_temp.ticks(y_lo, y_hi, 4) t) l
	), placed AS (
		SELECT p.curve, p.n, p.tip, x0 + (x - x_lo) / (x_hi - x_lo) * (x1 - x0) AS x, y1 - (y - y_lo) / (y_hi - y_lo) * (y1 - y0) AS y
		FROM points p JOIN frame USING (chart)
	), drawn AS (
		SELECT string_agg(drawing, E'\n' ORDER BY dashed DESC, curve DESC) AS curves
		FROM (SELECT c.curve, c.dashed, format('<polyline class="c%s%s" points="%s"/>', c.colour, CASE WHEN c.dashed THEN ' dashed' END,
				string_agg(pg_temp.px(x) || ',' || pg_temp.px(y), ' ' ORDER BY n))
				|| coalesce(string_agg(pg_temp.mark(c.colour, x, y, tip), '' ORDER BY n) FILTER (WHERE c.marks), '') AS drawing
			FROM curves c JOIN placed p USING (curve)
			WHERE c.chart = name
			GROUP BY c.curve, c.colour, c.dashed) d
	), legend AS (
		SELECT string_agg(format('<li><svg viewBox="0 0 26 12" width="26" height="12" aria-hidden="true"><line class="c%s%s" x1="1" y1="6" x2="25" y2="6"/>%s</svg> %s</li>',
			colour, CASE WHEN dashed THEN ' dashed' END, CASE WHEN marks THEN pg_temp.mark(colour, 13, 6, NULL) END, pg_temp.xml(label)), '' ORDER BY curve) AS items
		FROM curves WHERE chart = name
	)
	SELECT format('<figure><figcaption>%s</figcaption><svg class="chart" viewBox="0 0 320 %s" role="img" aria-label="%s">',
			pg_temp.xml(title), y1 + 40, pg_temp.xml(title || ': ' || y_label || ' over ' || x_label))
		|| lines
		|| CASE WHEN square THEN format('<line class="diagonal" x1="%s" y1="%s" x2="%s" y2="%s"/>', x0, y1, x1, y0) ELSE '' END
		|| format('<path class="axis" d="M%s %sV%sH%s"/>', x0, y0, y1, x1)
		|| curves
		|| format('<text class="label" x="%s" y="%s" text-anchor="middle">%s</text>', (x0 + x1) / 2, y1 + 34, pg_temp.xml(x_label))
		|| format('<text class="label" x="11" y="%1$s" text-anchor="middle" transform="rotate(-90 11 %1$s)">%2$s</text>', (y0 + y1) / 2, pg_temp.xml(y_label))
		|| '</svg><ul class="legend">' || items || '</ul></figure>'
	FROM frame, axes, drawn, legend
$$;

-- The charts of a section, side by side.
CREATE FUNCTION pg_temp.section(name text) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT '<div class="charts">' || coalesce(string_agg(pg_temp.chart(chart), E'\n' ORDER BY position, chart), '') || '</div>' FROM charts WHERE section = name
$$;

-- How a version is called in legends.
CREATE TEMP TABLE versions AS
SELECT name AS model, version, coalesce(note, name || '@' || version) AS label FROM mtl_versions;

--
-- training curves, from the history that every trained model carries
--

CREATE TEMP TABLE history AS
SELECT v.model, v.version, t.task, array_position(mtl_tasks(v.model || '@' || v.version), t.task) AS task_number, (h.epoch ->> 'epoch')::integer AS epoch,
	(t.figures ->> 'loss')::float8 AS loss, (t.figures ->> 'validation_loss')::float8 AS validation_loss, (t.figures ->> 'auc')::float8 AS auc,
	(t.figures ->> 'explained')::float8 AS explained
FROM versions v,
	jsonb_path_query(mtl_describe(v.model || '@' || v.version), '$.contract.provenance.history[*] ? (exists(@.tasks) && exists(@.epoch))') AS h (epoch),
	jsonb_each(h.epoch -> 'tasks') AS t (task, figures);

-- In the first epoch the network begins by knowing nothing, which would make the scale of all others too small to read.
CREATE TEMP TABLE measured AS
SELECT model, version, task, task_number, epoch, 'loss' AS figure, CASE WHEN epoch > 1 THEN loss END AS training, validation_loss AS validation FROM history
UNION ALL
SELECT model, version, task, task_number, epoch, 'AUC', NULL, auc FROM history WHERE auc IS NOT NULL
UNION ALL
SELECT model, version, task, task_number, epoch, 'explained variance', NULL, explained FROM history WHERE explained IS NOT NULL;

INSERT INTO charts (chart, section, position, title, x_label, y_label)
SELECT DISTINCT concat_ws('/', 'training', model, task, figure), 'training/' || model, 2 * task_number + (figure <> 'loss')::integer,
	task || ': ' || figure, 'epoch', CASE figure WHEN 'loss' THEN 'mean loss per row' WHEN 'AUC' THEN 'AUC, validation' ELSE 'share, validation' END
FROM measured;

INSERT INTO curves (chart, curve, label, colour, dashed, marks)
SELECT DISTINCT concat_ws('/', 'training', m.model, task, figure), 2 * version + part, v.label || ', ' || CASE part WHEN 0 THEN 'validation' ELSE 'training' END,
	1 + (version - 1) % 4, part = 1, part = 0
FROM measured m JOIN versions v USING (model, version), generate_series(0, 1) part
WHERE part = 0 AND validation IS NOT NULL OR part = 1 AND training IS NOT NULL;

INSERT INTO points
SELECT concat_ws('/', 'training', model, task, figure), 2 * version + part, epoch, epoch, CASE part WHEN 0 THEN validation ELSE training END,
	format('epoch %s: %s', epoch, round(validation::numeric, 5))
FROM measured, generate_series(0, 1) part
WHERE CASE part WHEN 0 THEN validation ELSE training END IS NOT NULL;

--
-- ROC curves: of each threshold, the share of positives and of negatives that score at least as high
--

CREATE TEMP TABLE roc AS
WITH counted AS (
	SELECT model, version, task, score, count(*) FILTER (WHERE label) AS positives, count(*) FILTER (WHERE NOT label) AS negatives
	FROM scored
	WHERE label IS NOT NULL
	GROUP BY model, version, task, score
), summed AS (
	SELECT model, version, task, row_number() OVER curve AS n,
		sum(positives) OVER curve / nullif(sum(positives) OVER whole, 0) AS y, sum(negatives) OVER curve / nullif(sum(negatives) OVER whole, 0) AS x
	FROM counted
	WINDOW whole AS (PARTITION BY model, version, task), curve AS (PARTITION BY model, version, task ORDER BY score DESC)
), thinned AS (	-- one point per pixel or so
	SELECT DISTINCT ON (model, version, task, round(x * 120), round(y * 120)) model, version, task, n, x, y
	FROM summed
	WHERE x IS NOT NULL AND y IS NOT NULL
	ORDER BY model, version, task, round(x * 120), round(y * 120), n DESC
)
SELECT model, version, task, n, x::float8, y::float8 FROM thinned
UNION ALL
SELECT DISTINCT model, version, task, 0, 0, 0 FROM thinned;

CREATE TEMP TABLE reports AS
SELECT model, version, task, array_position(mtl_tasks(model || '@' || version), task) AS task_number,
	mtl_auc(label, score) AS auc, mtl_calibration(label, score) AS calibration
FROM scored
GROUP BY model, version, task;

INSERT INTO charts (chart, section, position, title, x_label, y_label, square, x_lo, x_hi, y_lo, y_hi)
SELECT DISTINCT concat_ws('/', 'roc', model, task), 'unseen/' || model, 2 * task_number, task || ': ROC', 'false positive rate', 'true positive rate', true, 0, 1, 0, 1
FROM reports;

INSERT INTO curves (chart, curve, label, colour)
SELECT concat_ws('/', 'roc', model, task), version, format('%s: AUC %s', v.label, round(auc::numeric, 4)), 1 + (version - 1) % 4
FROM reports JOIN versions v USING (model, version);

INSERT INTO points SELECT concat_ws('/', 'roc', model, task), version, n, x, y FROM roc;

--
-- calibration curves: what was predicted and what was observed, by ten bins of scores; where all scores are small, by tenths of the rows
--

CREATE TEMP TABLE bins AS
WITH small AS (
	SELECT model, task FROM scored GROUP BY model, task HAVING max(score) < 0.5
)
SELECT model, version, task, n, b.rows, b.predicted, b.observed
FROM reports, unnest((calibration).bins) WITH ORDINALITY AS b (lower, upper, rows, observed, predicted, n)
WHERE b.rows > 0 AND (model, task) NOT IN (TABLE small)
UNION ALL
SELECT model, version, task, n, count(*), avg(score), avg(label::integer)
FROM (SELECT *, ntile(10) OVER (PARTITION BY model, version, task ORDER BY score) AS n FROM scored JOIN small USING (model, task) WHERE label IS NOT NULL) t
GROUP BY model, version, task, n;

INSERT INTO charts (chart, section, position, title, x_label, y_label, square, x_lo, x_hi, y_lo, y_hi)
SELECT concat_ws('/', 'calibration', model, task), 'unseen/' || model, 2 * task_number + 1, task || ': calibration', 'mean score', 'share of positives', true, 0, hi, 0, hi
FROM (SELECT model, task, task_number, CASE WHEN max(predicted) > 0.5 THEN 1 ELSE 1.1 * max(greatest(predicted, observed)) END AS hi
	FROM bins JOIN reports USING (model, version, task) GROUP BY model, task, task_number) b
WHERE hi > 0;

INSERT INTO curves (chart, curve, label, colour, marks)
SELECT concat_ws('/', 'calibration', model, task), version,
	format('%s: ratio %s, ECE %s', v.label, round((calibration).ratio::numeric, 2), round((calibration).ece::numeric, 4)), 1 + (version - 1) % 4, true
FROM reports JOIN versions v USING (model, version);

INSERT INTO points
SELECT concat_ws('/', 'calibration', model, task), version, n, predicted, observed,
	format('%s rows: predicted %s, observed %s', rows, round(predicted::numeric, 4), round(observed::numeric, 4))
FROM bins;

-- The frame of all other charts is what their points need: epochs from the first, and a little air above and below.
UPDATE charts c SET x_lo = p.x_lo, x_hi = greatest(p.x_hi, p.x_lo + 1), y_lo = p.y_lo - air, y_hi = p.y_hi + air
FROM (SELECT chart, min(x) AS x_lo, max(x) AS x_hi, min(y) AS y_lo, max(y) AS y_hi, greatest((max(y) - min(y)) * 0.06, 1e-6) AS air
	FROM points GROUP BY chart) p
WHERE c.chart = p.chart AND c.x_hi IS NULL;

--
-- gate heat maps: rows are segments, columns are experts, a cell is the mean weight that the task's gate gives the expert
--

CREATE FUNCTION pg_temp.heat_map(of_model text, of_version integer, of_task text) RETURNS text LANGUAGE sql STABLE AS $$
	WITH cells AS (
		SELECT segment, expert, weight, weight / max(weight) OVER () AS share, task,
			dense_rank() OVER (ORDER BY segment = 'under 18' DESC, segment) AS row, dense_rank() OVER (ORDER BY level, expert) AS col
		FROM gates WHERE model = of_model AND version = of_version
	)
	SELECT format('<figure><figcaption>%s</figcaption><svg class="chart" viewBox="0 0 %s %s" role="img" aria-label="%s">', pg_temp.xml(of_task),
			88 + 50 * max(col), 52 + 34 * max(row), pg_temp.xml(of_task || ': mean gate weight of experts by segment'))
		|| string_agg(format('<g><title>%s</title><rect class="heat" x="%s" y="%s" width="48" height="32" rx="3" fill-opacity="%s"/>'
			'<text class="%s" x="%s" y="%s" text-anchor="middle">%s</text></g>',
			pg_temp.xml(format('%s, %s: %s', segment, expert, round(weight::numeric, 4))), 86 + 50 * (col - 1), 4 + 34 * (row - 1),
			round((0.04 + 0.96 * share)::numeric, 3), CASE WHEN share > 0.7 THEN 'high' WHEN share > 0.5 THEN 'middle' ELSE 'low' END,
			110 + 50 * (col - 1), 24 + 34 * (row - 1), round(weight::numeric, 2)), E'\n' ORDER BY row, col)
		|| string_agg(format('<text x="78" y="%s" text-anchor="end">%s</text>', 24 + 34 * (row - 1), pg_temp.xml(segment)), '' ORDER BY row) FILTER (WHERE col = 1)
		|| string_agg(format('<text x="%s" y="%s" text-anchor="middle">%s</text>', 110 + 50 * (col - 1), 18 + 34 * rows, pg_temp.xml(regexp_replace(expert, '^.*\.', ''))), '' ORDER BY col)
			FILTER (WHERE row = 1)
		|| format('<text class="label" x="%s" y="%s" text-anchor="middle">expert</text></svg></figure>', 86 + 25 * max(col), 38 + 34 * max(row))
	FROM cells, (SELECT max(row) AS rows FROM cells) r
	WHERE task = of_task
$$;

--
-- networks: drawn where Graphviz is installed, in its language everywhere
--

\set draw 'if command -v dot >/dev/null; then psql -XAtc "SELECT mtl_graph(''$model'')" | dot -Tsvg 2>/dev/null | sed -e "1,/^<svg/{/^<svg/!d}" -e "s/ id=\\"[^\\"]*\\"//; s/ xmlns:xlink=\\"[^\\"]*\\"//"; fi'
\set census_1 `model=census@1; :draw`
\set census_2 `model=census@2; :draw`
\set email_1 `model=email@1; :draw`

CREATE FUNCTION pg_temp.network(of_model text, of_version integer, svg text) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT format('<figure class="network"><figcaption>%s</figcaption>%s<details><summary>In Graphviz''s language: SELECT mtl_graph(''%s@%s'')</summary><pre>%s</pre></details></figure>',
		pg_temp.xml(label), CASE WHEN svg <> '' THEN '<div class="paper">' || svg || '</div>' ELSE '' END, pg_temp.xml(model), version, pg_temp.xml(mtl_graph(model || '@' || version)))
	FROM versions WHERE model = of_model AND version = of_version
$$;

--
-- the page
--

\qecho '<!DOCTYPE html>'
\qecho '<html lang="en"><head><meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/>'
\qecho '<title>mtl_rank: the demo in pictures</title><style>'
\qecho ':root { color-scheme: light dark; --paper: #fcfcfb; --card: #ffffff; --ink: #1c2024; --soft: #5d666f; --rule: #d9dde1; --grid: #e9ecee;'
\qecho '  --s1: #0072b2; --s2: #c8500a; --s3: #00805c; --s4: #a4508b; --heat: #0b5c94; --middle: #1c2024; --high: #ffffff; }'
\qecho '@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --card: #1b1f23; --ink: #e7eaed; --soft: #a0a9b2; --rule: #343a41; --grid: #282d33;'
\qecho '  --s1: #56b4e9; --s2: #f0a23b; --s3: #3fcf9f; --s4: #e08cc4; --heat: #7cc4f2; --middle: #0c1116; --high: #0c1116; } }'
\qecho 'body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", sans-serif; }'
\qecho 'main { max-width: 1340px; margin: 0 auto; padding: 40px 28px 64px; }'
\qecho 'h1 { font-size: 32px; line-height: 1.2; margin: 0 0 8px; letter-spacing: -0.01em; } h2 { font-size: 22px; margin: 52px 0 4px; } h3 { font-size: 17px; margin: 26px 0 0; }'
\qecho 'p { max-width: 46em; margin: 6px 0 14px; color: var(--soft); } p.lead { font-size: 18px; } code { font-size: 0.92em; color: var(--ink); }'
\qecho '.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(280px, 1fr)); gap: 16px; margin: 14px 0; }'
\qecho 'figure { margin: 0; padding: 14px 14px 10px; background: var(--card); border: 1px solid var(--rule); border-radius: 10px; min-width: 0; }'
\qecho 'figcaption { font-weight: 600; margin: 0 0 8px 2px; overflow-wrap: anywhere; } svg.chart { display: block; width: 100%; height: auto; }'
\qecho 'svg.chart text { font-size: 12px; fill: var(--soft); font-variant-numeric: tabular-nums; } svg.chart text.label { fill: var(--ink); }'
\qecho '.grid { stroke: var(--grid); } .axis { stroke: var(--soft); fill: none; } .diagonal { stroke: var(--soft); stroke-dasharray: 2 4; }'
\qecho 'polyline, .legend line { fill: none; stroke-width: 2; stroke-linejoin: round; } .dashed { stroke-dasharray: 5 4; stroke-width: 1.5; }'
\qecho '.c1 { stroke: var(--s1); } .c2 { stroke: var(--s2); } .c3 { stroke: var(--s3); } .c4 { stroke: var(--s4); }'
\qecho '.m1 { fill: var(--s1); } .m2 { fill: var(--s2); } .m3 { fill: var(--s3); } .m4 { fill: var(--s4); }'
\qecho '.legend { list-style: none; margin: 6px 0 0; padding: 0; font-size: 13px; color: var(--ink); } .legend li { display: flex; gap: 7px; margin: 0 0 2px 2px; } .legend svg { flex: none; margin-top: 4px; }'
\qecho '.maps { grid-template-columns: repeat(auto-fit, minmax(360px, 1fr)); } .maps svg.chart { max-width: 500px; }'
\qecho '.heat { fill: var(--heat); stroke: var(--rule); } svg.chart text.low { fill: var(--ink); } svg.chart text.middle { fill: var(--middle); } svg.chart text.high { fill: var(--high); }'
\qecho 'table { border-collapse: collapse; margin: 14px 0; font-size: 15px; font-variant-numeric: tabular-nums; } th, td { padding: 5px 18px 5px 0; text-align: right; border-bottom: 1px solid var(--rule); }'
\qecho 'th { color: var(--soft); font-weight: 600; } th.text, td.text { text-align: left; white-space: nowrap; } .wide { overflow-x: auto; }'
\qecho '.network { margin: 18px 0; } .paper { background: #ffffff; border-radius: 6px; padding: 10px; overflow-x: auto; text-align: center; } .paper svg { max-width: 100%; height: auto; }'
\qecho 'details { margin: 8px 2px; } summary { cursor: pointer; color: var(--soft); font-size: 14px; } pre { overflow: auto; max-height: 420px; font-size: 12px; line-height: 1.4; }'
\qecho '</style></head><body><main>'

\qecho '<h1>mtl_rank: the demo in pictures</h1>'
\qecho '<p class="lead">Models that were trained, measured and compared inside PostgreSQL. This page was made by SQL, too: <code>demo/page.sql</code>.</p>'
\qecho '<p>People of the 1994 and 1995 US census surveys: does somebody earn above $50,000, has he or she never married? Customers of a shop: do they visit after an e-mail, and buy? Models learnt from 70% of the rows, 10% said when to stop. What is measured below is measured on the other 20%.</p>'

\qecho '<h2>Versions</h2>'
\qecho '<div class="wide"><table><thead><tr><th class="text">model</th><th>version</th><th class="text">note</th><th>parameters</th><th class="text">task</th><th>rows</th><th>positive</th><th>AUC</th><th>log loss</th><th>observed / predicted</th><th>ECE</th></tr></thead><tbody>'
SELECT format('<tr><td class="text">%s</td><td>%s</td><td class="text">%s</td><td>%s</td><td class="text">%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>',
	pg_temp.xml(model), version, pg_temp.xml(v.label), to_char((mtl_describe(model || '@' || version) ->> 'parameters')::bigint, 'FM999,999,999'), pg_temp.xml(task),
	to_char(rows, 'FM999,999,999'), to_char(positive, 'FM999,999,999'), round(auc::numeric, 4), round(logloss::numeric, 4), round((calibration).ratio::numeric, 2), round((calibration).ece::numeric, 4))
FROM (SELECT model, version, task, count(label) AS rows, count(*) FILTER (WHERE label) AS positive, mtl_logloss(label, score) AS logloss FROM scored GROUP BY model, version, task) s
	JOIN reports USING (model, version, task) JOIN versions v USING (model, version)
ORDER BY model, task_number, version;
\qecho '</tbody></table></div>'
\qecho '<p>The version from PyTorch learnt from twice as many people, which also stand in another file, and half of the rows here had a say in when its training stopped: a guest, no competitor.</p>'

\qecho '<h2>Training curves</h2>'
\qecho '<p>Mean loss and AUC after each pass over the training rows, from the <code>history</code> in each model''s provenance (training loss from the second pass on). Of a regression, the share of the variance that it explains takes the place of the AUC. Training stopped when validation did not get better any more; the model is that of the best epoch.</p>'
SELECT format('<h3>%s</h3>', pg_temp.xml(model)) || pg_temp.section('training/' || model) FROM (SELECT DISTINCT model FROM history) m ORDER BY model;

\qecho '<h2>ROC and calibration</h2>'
\qecho '<p>On the rows that training has not seen. ROC: for every threshold, the share of positive rows above it over the share of negative ones; the dotted diagonal is what chance does. Calibration: how many positives there were among rows with about the same score; on the diagonal a score is a probability, above it the model promises too little. Bins have equal widths, or equal numbers of rows where all scores are small. The ratio is observed over predicted.</p>'
SELECT format('<h3>%s</h3>', pg_temp.xml(model)) || pg_temp.section('unseen/' || model) FROM (SELECT DISTINCT model FROM reports) m ORDER BY model;

\qecho '<h2>Gates</h2>'
\qecho '<p>Mean weight that the gate of each task gives each expert, by age. A row sums to 1. Where the two maps differ, the tasks ask different experts.</p>'
SELECT format('<h3>%s</h3>', pg_temp.xml(v.label)) || '<div class="charts maps">' || string_agg(pg_temp.heat_map(model, version, task), E'\n' ORDER BY task) || '</div>'
FROM (SELECT DISTINCT model, version, task FROM gates) g JOIN versions v USING (model, version)
GROUP BY model, version, v.label ORDER BY model, version;

\qecho '<h2>Networks</h2>'
\qecho '<p>What tasks share is blue, what a task has of its own is orange, gates are pink. Of many features and experts some are shown.</p>'
SELECT pg_temp.network('census', 1, :'census_1') UNION ALL SELECT pg_temp.network('census', 2, :'census_2') UNION ALL SELECT pg_temp.network('email', 1, :'email_1');

\qecho '</main></body></html>'
