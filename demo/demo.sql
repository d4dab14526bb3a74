-- The demo, for psql: see README.md beside this file. run.sh starts it.

\pset footer off
\pset null '(null)'

\echo
\echo '== 1. People =========================================================================='
\echo
\echo 'Census-Income (KDD): 99,762 people, as the US Census Bureau asked them in 1994 and 1995.'
\echo 'Each has forty columns such as age, occupation, weeks worked, household and citizenship.'
\echo 'The table is an ordinary one. Nothing in it knows that a model will read it.'
\echo

CREATE TABLE people (
	id integer PRIMARY KEY,
	age integer, class_worker text, det_ind_code integer, det_occ_code integer, education text,
	wage_per_hour integer, hs_college text, marital_stat text, major_ind_code text, major_occ_code text,
	race text, hisp_origin text, sex text, union_member text, unemp_reason text, full_or_part_emp text,
	capital_gains integer, capital_losses integer, stock_dividends integer, tax_filer_stat text,
	region_prev_res text, state_prev_res text, det_hh_fam_stat text, det_hh_summ text,
	instance_weight numeric, mig_chg_msa text, mig_chg_reg text, mig_move_reg text, mig_same text,
	mig_prev_sunbelt text, num_emp integer, fam_under_18 text, country_father text, country_mother text,
	country_self text, citizenship text, own_or_self integer, vet_question text, vet_benefits integer,
	weeks_worked integer, year integer, income_50k text
);

-- cat numbers the lines of the census file, sed takes away the blanks around its commas
\set ECHO none
\echo '\\copy people FROM PROGRAM ''gzip -dc census-income-test.csv.gz | cat -n | sed "s/ *[,\\t] */,/g"'' (FORMAT csv)'
\copy people FROM PROGRAM 'gzip -dc census-income-test.csv.gz | cat -n | sed "s/ *[,\t] */,/g"' (FORMAT csv)
\set ECHO queries

ANALYZE people;

SELECT count(*) AS people,
       count(*) FILTER (WHERE income_50k = '50000+.') AS earn_above_50000,
       count(*) FILTER (WHERE marital_stat = 'Never married') AS never_married
FROM people;

\echo
\echo '== 2. A model ========================================================================='
\echo
\echo 'census.safetensors was trained with PyTorch on 199,523 other people, to say two things about'
\echo 'a person at once: does he or she earn above $50,000 (income), and has he or she never married?'
\echo 'Neither answer, nor the education, is among its inputs. Both tasks share one layer: Shared-Bottom.'
\echo
\echo 'One file of 67 kB holds the weights, the vocabularies, the scaling of the numbers, and what to do about'
\echo 'missing and unknown values. psql brings it into the database as a large object; mtl_register checks it and'
\echo 'stores it under a name.'
\echo

CREATE EXTENSION mtl_rank;

\echo '\\lo_import census.safetensors'
\lo_import census.safetensors
SELECT mtl_register('census', lo_get(:LASTOID)::mtl_model, note => 'Shared-Bottom') AS version;
\echo '\\lo_unlink' :LASTOID
\lo_unlink :LASTOID

\echo
\echo 'What is it, and what does it want of a row?'
\echo

SELECT d -> 'outputs' AS outputs, d ->> 'parameters' AS parameters, d ->> 'multiply_adds' AS multiply_adds,
       d #> '{contract,architecture,bottom}' AS bottom, d #> '{contract,rank,weights}' AS value_formula
FROM mtl_describe('census') AS d;

SELECT position, name, kind, missing, detail - '{name,kind,missing}'::text[] AS detail
FROM mtl_features('census')
WHERE name IN ('class_worker', 'det_occ_code', 'country_self', 'age', 'wage_per_hour', 'weeks_worked')
ORDER BY position;

\echo
\echo 'Does it score here as it did in PyTorch? The file carries twenty people with the scores that PyTorch'
\echo 'gave them. mtl_register has replayed them already, and would have refused a file that scores otherwise.'
\echo

SELECT output, count(*) AS examples, max(abs(difference)) AS largest_difference
FROM mtl_verify('census')
GROUP BY output
ORDER BY output;

\echo
\echo '== 3. Ranking ========================================================================='
\echo
\echo 'Who of all 99,762 most probably earns above $50,000? Features are found by the names of the columns;'
\echo 'the table''s other columns do no harm. The last column shown is the truth, which is no input of the model.'
\echo

SELECT id, age, major_occ_code AS occupation, weeks_worked AS weeks,
       mtl_score('census', p, 'income') AS income, income_50k AS truth
FROM people p
ORDER BY income DESC
LIMIT 10;

\echo
\echo 'A bank invites ten people between 25 and 35 to an evening about investing. It wants good earners, and'
\echo 'among them rather those who decide alone. The model carries this wish with it as a value formula,'
\echo '1 * income + 0.2 * never_married, and mtl_rank computes it. Only those who pass the filter are scored.'
\echo

SELECT id, age, major_occ_code AS occupation, mtl_rank('census', p) AS value,
       mtl_score('census', p, 'income') AS income, mtl_score('census', p, 'never_married') AS never_married
FROM people p
WHERE age BETWEEN 25 AND 35
ORDER BY value DESC
LIMIT 10;

\echo
\echo 'Next week the evening is about a first flat of one''s own. Same model, other weights:'
\echo

SELECT id, age, major_occ_code AS occupation,
       mtl_rank('census', p, '{"income": 0.3, "never_married": 1}') AS value,
       mtl_score('census', p, 'income') AS income, mtl_score('census', p, 'never_married') AS never_married
FROM people p
WHERE age BETWEEN 25 AND 35
ORDER BY value DESC
LIMIT 5;

\echo
\echo 'Rows need not come from a table. Here are one person of whom we know three things only, and one with an'
\echo 'occupation that is not in the model''s vocabulary. The model has a rule for whatever is missing or unknown.'
\echo

SELECT mtl_tasks('census') AS tasks,
       mtl_score('census', '{"age": 41, "weeks_worked": 52, "sex": "Female"}'::jsonb) AS known_a_little,
       mtl_score('census', '{"age": 41, "weeks_worked": 52, "major_occ_code": "Dragon tamer"}'::jsonb) AS dragon_tamer;

\echo
\echo '== 4. A second version ================================================================'
\echo
\echo 'A colleague has trained an MMoE: eight experts, and for each task a gate that mixes them for every'
\echo 'person anew. It is registered under the same name, but not yet activated: version 1 stays in use.'
\echo

\echo '\\lo_import census_mmoe.safetensors'
\lo_import census_mmoe.safetensors
SELECT mtl_register('census', lo_get(:LASTOID)::mtl_model, activate => false, note => 'MMoE, 8 experts') AS version;
\echo '\\lo_unlink' :LASTOID
\lo_unlink :LASTOID

SELECT version, state, size, note FROM mtl_versions WHERE name = 'census' ORDER BY version;

\echo
\echo 'Is it better? Both versions score everybody: 199,524 rows, two tasks each.'
\echo

\timing on
CREATE TEMP TABLE scored AS
	SELECT 1 AS version, id, mtl_score('census@1', p) AS scores FROM people p
	UNION ALL
	SELECT 2, id, mtl_score('census@2', p) FROM people p;
\timing off

\echo
\echo 'AUC, in plain SQL: the probability that a person of the one kind gets a higher score than a person of the'
\echo 'other kind. It follows from the sum of the ranks of the positives, where equal scores share their average rank.'
\echo 'The last column is what PyTorch measured on the same people after training; the model file carries it along.'
\echo '(Half of them had a say in when training stopped. README.md has the numbers of the other half.)'
\echo

WITH labelled AS (
	SELECT s.version, t.task, t.label, t.score
	FROM scored s JOIN people p USING (id), LATERAL (VALUES
		('income', p.income_50k = '50000+.', s.scores[1]),
		('never_married', p.marital_stat = 'Never married', s.scores[2])) AS t (task, label, score)
), ranked AS (
	SELECT version, task, label,
	       rank() OVER (PARTITION BY version, task ORDER BY score)
	       + (count(*) OVER (PARTITION BY version, task, score) - 1) / 2.0 AS rank
	FROM labelled
), sums AS (
	SELECT version, task, sum(rank) FILTER (WHERE label) AS rank_sum,
	       count(*) FILTER (WHERE label) AS positives, count(*) FILTER (WHERE NOT label) AS negatives
	FROM ranked
	GROUP BY version, task
)
SELECT task, version, positives, negatives,
       round((rank_sum - positives * (positives + 1) / 2.0) / (positives * negatives), 6) AS auc,
       (mtl_describe('census@' || version)
           #>> ARRAY['contract', 'provenance', 'metrics', 'auc', 'test_file', task])::numeric(7, 6) AS pytorch
FROM sums
ORDER BY task, version;

\echo
\echo '== 5. Gates ==========================================================================='
\echo
\echo 'Which experts does version 2 ask about whom? Three people, and the experts (0 to 7) with their weights:'
\echo

SELECT p.id, p.age, p.det_hh_summ AS household, p.major_occ_code AS occupation, g.task,
       string_agg(format('%s: %s%%', right(g.expert, 1), round(100 * g.weight)), ', ' ORDER BY g.weight DESC)
           FILTER (WHERE g.weight >= 0.05) AS experts
FROM people p, mtl_gates('census@2', p) AS g
WHERE p.id IN (1, 2, 3)
GROUP BY p.id, g.task
ORDER BY p.id, g.task;

\echo
\echo 'And over the first two thousand people? Where the columns differ, the tasks do not want the same experts,'
\echo 'which is what a Shared-Bottom cannot give them.'
\echo

WITH used AS (
	SELECT g.expert, g.task, avg(g.weight) AS weight, repeat('#', round(avg(g.weight) * 50)::integer) AS bar
	FROM people p, mtl_gates('census@2', p) AS g
	WHERE p.id <= 2000
	GROUP BY g.expert, g.task
)
SELECT expert,
       max(format('%s %s', round(weight::numeric, 2), bar)) FILTER (WHERE task = 'income') AS income,
       max(format('%s %s', round(weight::numeric, 2), bar)) FILTER (WHERE task = 'never_married') AS never_married
FROM used
GROUP BY expert
ORDER BY expert;

\echo
\echo '== 6. Switching ======================================================================='
\echo
\echo 'Which version is active is a row in a table. So a switch is part of a transaction, and ROLLBACK undoes it:'
\echo

BEGIN;
SELECT mtl_activate('census', 2);
SELECT version, mtl_score('census', p, 'income') AS income
FROM people p, mtl_versions
WHERE id = 2 AND name = 'census' AND state = 'active';
ROLLBACK;
SELECT version, mtl_score('census', p, 'income') AS income
FROM people p, mtl_versions
WHERE id = 2 AND name = 'census' AND state = 'active';

\echo
\echo 'Now in earnest. Queries do not change: the next statement of every session ranks with version 2.'
\echo

SELECT mtl_activate('census', 2);
SELECT id, age, major_occ_code AS occupation, mtl_rank('census', p) AS value
FROM people p
WHERE age BETWEEN 25 AND 35
ORDER BY value DESC
LIMIT 3;

\echo
\echo 'Complaints? One call goes back to what was active before, and the history keeps all of it:'
\echo

SELECT mtl_rollback('census') AS active;
SELECT activation, action, version, activated_by FROM mtl_activations WHERE name = 'census' ORDER BY activation;
SELECT version, state, note FROM mtl_versions WHERE name = 'census' ORDER BY version;

\echo
\echo 'That is all. demo/demo.sql holds these statements; docs/model-format.md says how to write such a model file.'
\echo
