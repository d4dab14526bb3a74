-- The demo, for psql: see README.md beside this file. run.sh starts it.

\pset footer off
\pset null '(null)'

\echo
\echo '== 1. People =========================================================================='
\echo
\echo 'Census-Income (KDD): 99,762 people, as the US Census Bureau asked them in 1994 and 1995.'
\echo 'Each has forty columns such as age, occupation, weeks worked, household and citizenship.'
\echo 'The last four are made of them: two answers that a model shall give, a group to look at,'
\echo 'and the part that a person plays: 70% are to learn from, 10% say when to stop, 20% are for measuring.'
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
	weeks_worked integer, year integer, income_50k text,
	income boolean GENERATED ALWAYS AS (income_50k = '50000+.') STORED,
	never_married boolean GENERATED ALWAYS AS (marital_stat = 'Never married') STORED,
	age_group text GENERATED ALWAYS AS (CASE WHEN age < 18 THEN 'under 18' WHEN age < 30 THEN '18 to 29'
		WHEN age < 45 THEN '30 to 44' WHEN age < 65 THEN '45 to 64' ELSE '65 and over' END) STORED,
	part text GENERATED ALWAYS AS (CASE WHEN id % 10 < 7 THEN 'train' WHEN id % 10 = 7 THEN 'validation' ELSE 'test' END) STORED
);

-- cat numbers the lines of the census file, sed takes away the blanks around its commas
\set ECHO none
\echo '\\copy people FROM PROGRAM ''gzip -dc census-income-test.csv.gz | cat -n | sed "s/ *[,\\t] */,/g"'' (FORMAT csv)'
\copy people FROM PROGRAM 'gzip -dc census-income-test.csv.gz | cat -n | sed "s/ *[,\t] */,/g"' (FORMAT csv)
\set ECHO queries

ANALYZE people;

SELECT part, count(*) AS people,
       count(*) FILTER (WHERE income) AS earn_above_50000,
       count(*) FILTER (WHERE never_married) AS never_married
FROM people
GROUP BY part
ORDER BY people DESC;

\echo
\echo '== 2. A first model ==================================================================='
\echo
\echo 'A model shall say two things about a person at once: does he or she earn above $50,000 (income), and has'
\echo 'he or she never married? What may it look at? All columns but the answers and, as in the paper that made MMoE'
\echo 'known, the education. Texts and codes are categories, each with four numbers to be learnt; the rest are numbers.'
\echo 'The catalog knows the columns, so nobody has to type the list:'
\echo

CREATE EXTENSION mtl_rank;

CREATE TABLE inputs AS
SELECT jsonb_agg(CASE
           WHEN column_name IN ('age', 'wage_per_hour', 'capital_gains', 'capital_losses', 'stock_dividends', 'num_emp', 'weeks_worked')
           THEN jsonb_build_object('name', column_name, 'kind', 'dense', 'transform', '{"type": "standardize"}'::jsonb, 'missing', 'mean')
           ELSE jsonb_build_object('name', column_name, 'kind', 'sparse', 'embedding_dim', 4, 'min_count', 10)
       END ORDER BY ordinal_position) AS features
FROM information_schema.columns
WHERE table_name = 'people' AND is_generated = 'NEVER'
      AND column_name NOT IN ('id', 'education', 'marital_stat', 'instance_weight', 'income_50k');

\echo
\echo 'Training is one statement: what the network is, what it reads, and the columns with the answers; then a'
\echo 'query for the rows. Vocabularies and scaling are learnt from these. Here both tasks share one layer below'
\echo 'their own ones: a Shared-Bottom. After each pass over the rows it is tried on the validation rows, and'
\echo 'training stops when the mean of the two AUCs has not grown twice. Other sessions can watch in mtl_progress_train.'
\echo 'mtl_register stores the result, the model of the best pass, under a name.'
\echo

SELECT mtl_register('census', mtl_train(
         jsonb_build_object(
           'features', features,
           'architecture', '{"type": "shared_bottom", "bottom": {"hidden_units": [32]}, "tower": {"hidden_units": [8]}}'::jsonb,
           'tasks', '[{"name": "income", "type": "binary", "label": "income"},
                      {"name": "never_married", "type": "binary", "label": "never_married"}]'::jsonb,
           'rank', '{"form": "sum", "weights": {"income": 1, "never_married": 0.2}}'::jsonb),
         $$SELECT * FROM people WHERE part = 'train' ORDER BY id$$,
         '{"epochs": 12, "batch_size": 512, "optimizer": {"type": "adam", "learning_rate": 0.002},
           "validation": {"query": "SELECT * FROM people WHERE part = ''validation''"},
           "early_stopping": {"watch": "mean", "patience": 2}}'),
       note => 'Shared-Bottom') AS version
FROM inputs;

\echo
\echo 'What is it, and what does it want of a row?'
\echo

SELECT d -> 'outputs' AS outputs, d ->> 'parameters' AS parameters, d ->> 'multiply_adds' AS multiply_adds,
       d #> '{contract,rank,weights}' AS value_formula, d #> '{contract,provenance,rows}' AS trained_on
FROM mtl_describe('census') AS d;

SELECT position, name, kind, missing, detail ->> 'vocabulary_size' AS vocabulary_size, detail -> 'transform' ->> 'type' AS transform
FROM mtl_features('census')
WHERE name IN ('class_worker', 'det_occ_code', 'country_self', 'age', 'wage_per_hour', 'weeks_worked')
ORDER BY position;

\echo
\echo '== 3. Ranking ========================================================================='
\echo
\echo 'Who of the 19,952 whom the model has not seen most probably earns above $50,000? Features are found by the'
\echo 'names of the columns; the table''s other columns do no harm. The last column shown is the truth.'
\echo

SELECT id, age, major_occ_code AS occupation, weeks_worked AS weeks,
       mtl_score('census', p, 'income') AS score, income AS truth
FROM people p
WHERE part = 'test'
ORDER BY score DESC
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
\echo '== 4. A second version, and one from elsewhere ========================================'
\echo
\echo 'Do the tasks want different things of what they share? An MMoE has several experts, here six, and for each'
\echo 'task a gate that mixes them for every person anew. It is registered under the same name, but not yet'
\echo 'activated: version 1 stays in use.'
\echo

SELECT mtl_register('census', mtl_train(
         jsonb_build_object(
           'features', features,
           'architecture', '{"type": "mmoe", "num_experts": 6, "expert": {"hidden_units": [16]}, "tower": {"hidden_units": [8]}}'::jsonb,
           'tasks', '[{"name": "income", "type": "binary", "label": "income"},
                      {"name": "never_married", "type": "binary", "label": "never_married"}]'::jsonb,
           'rank', '{"form": "sum", "weights": {"income": 1, "never_married": 0.2}}'::jsonb),
         $$SELECT * FROM people WHERE part = 'train' ORDER BY id$$,
         '{"epochs": 12, "batch_size": 512, "optimizer": {"type": "adam", "learning_rate": 0.002},
           "validation": {"query": "SELECT * FROM people WHERE part = ''validation''"},
           "early_stopping": {"watch": "mean", "patience": 2}}'),
       activate => false, note => 'MMoE') AS version
FROM inputs;

\echo
\echo 'A colleague has trained an MMoE of eight experts elsewhere, with PyTorch. His model is one file, with weights,'
\echo 'vocabularies and scaling, and with twenty people and the scores that PyTorch gave them: mtl_register replays'
\echo 'these, and would refuse a model that scores otherwise here. psql brings the file in as a large object.'
\echo

\echo '\\lo_import census_mmoe.safetensors'
\lo_import census_mmoe.safetensors
SELECT mtl_register('census', lo_get(:LASTOID)::mtl_model, activate => false, note => 'MMoE from PyTorch') AS version;
\echo '\\lo_unlink' :LASTOID
\lo_unlink :LASTOID

SELECT version, state, size, note FROM mtl_versions WHERE name = 'census' ORDER BY version;

SELECT version, output, count(*) AS examples, max(abs(difference)) AS largest_difference
FROM mtl_versions, mtl_verify('census@' || version)
WHERE name = 'census'
GROUP BY version, output
ORDER BY version, output;

\echo
\echo '== 5. Which one is better? ============================================================'
\echo
\echo 'All three versions score the people whom training has not seen, and their answers are laid beside the truth.'
\echo

\timing on
CREATE TABLE scored AS
SELECT 'census' AS model, v.version, t.task, p.age_group AS segment, p.major_occ_code AS occupation, t.label, t.score
FROM people p,
     LATERAL (VALUES (1, mtl_score('census@1', p)), (2, mtl_score('census@2', p)), (3, mtl_score('census@3', p))) AS v (version, scores),
     LATERAL (VALUES ('income', p.income, v.scores[1]), ('never_married', p.never_married, v.scores[2])) AS t (task, label, score)
WHERE p.part = 'test';
\timing off

\echo
\echo 'Metrics are aggregates. AUC: the share of pairs of a positive and a negative person in which the positive one'
\echo 'scores higher. GAUC: the same among people of one occupation. Calibration: how many there are for each that'
\echo 'was promised, and by how much promises of one size are off (ECE). Version 3 learnt from 199,523 other people,'
\echo 'and half of these rows had a say in when its training stopped, so it is a guest and no competitor.'
\echo

SELECT task, version, v.note,
       round(mtl_auc(label, score)::numeric, 4) AS auc,
       round(mtl_gauc(label, score, occupation)::numeric, 4) AS gauc,
       round(mtl_logloss(label, score)::numeric, 4) AS logloss,
       round((mtl_calibration(label, score)).ratio::numeric, 3) AS calibration,
       round((mtl_calibration(label, score)).ece::numeric, 4) AS ece
FROM scored JOIN mtl_versions v USING (version)
WHERE model = 'census' AND v.name = 'census'
GROUP BY task, version, v.note
ORDER BY task, version;

\echo
\echo 'And for whom? Whatever SQL can group by is a segment. Nobody under 18 earns that much, so there is no AUC.'
\echo

SELECT segment, count(*) FILTER (WHERE version = 1 AND task = 'income') AS people,
       round(mtl_auc(label, score) FILTER (WHERE version = 1 AND task = 'income')::numeric, 4) AS income_v1,
       round(mtl_auc(label, score) FILTER (WHERE version = 2 AND task = 'income')::numeric, 4) AS income_v2,
       round(mtl_auc(label, score) FILTER (WHERE version = 1 AND task = 'never_married')::numeric, 4) AS never_married_v1,
       round(mtl_auc(label, score) FILTER (WHERE version = 2 AND task = 'never_married')::numeric, 4) AS never_married_v2
FROM scored
WHERE model = 'census'
GROUP BY segment
ORDER BY segment = 'under 18' DESC, segment;

\echo
\echo 'The figures stay with the version:'
\echo

UPDATE mtl_models m SET metrics = s.metrics
FROM (SELECT version, jsonb_object_agg(task, auc) AS metrics
      FROM (SELECT version, task, round(mtl_auc(label, score)::numeric, 4) AS auc FROM scored GROUP BY version, task) a
      GROUP BY version) s
WHERE m.name = 'census' AND m.version = s.version;

SELECT version, state, note, metrics AS auc_of_test_rows FROM mtl_versions WHERE name = 'census' ORDER BY version;

\echo
\echo '== 6. Gates ==========================================================================='
\echo
\echo 'Which experts does version 2 ask about whom? Three people, and the experts (0 to 5) with their weights:'
\echo

SELECT p.id, p.age, p.det_hh_summ AS household, p.major_occ_code AS occupation, g.task,
       string_agg(format('%s: %s%%', right(g.expert, 1), round(100 * g.weight)), ', ' ORDER BY g.weight DESC)
           FILTER (WHERE g.weight >= 0.05) AS experts
FROM people p, mtl_gates('census@2', p) AS g
WHERE p.id IN (1, 2, 3)
GROUP BY p.id, g.task
ORDER BY p.id, g.task;

\echo
\echo 'And over everybody whom it has not seen, by age? Where the tasks differ, they do not want the same experts,'
\echo 'which is what a Shared-Bottom cannot give them.'
\echo

CREATE TABLE gates AS
SELECT 'census' AS model, 2 AS version, p.age_group AS segment, g.level, g.task, g.expert, avg(g.weight) AS weight
FROM people p, mtl_gates('census@2', p) AS g
WHERE p.part = 'test'
GROUP BY p.age_group, g.level, g.task, g.expert;

SELECT task, segment, string_agg(format('%s: %s%%', right(expert, 1), round(100 * weight)), ', ' ORDER BY weight DESC)
           FILTER (WHERE weight >= 0.05) AS experts
FROM gates
GROUP BY task, segment
ORDER BY task, segment = 'under 18' DESC, segment;

\echo
\echo '== 7. Switching ======================================================================='
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
\echo '== 8. A chain: visit, purchase, spend ================================================='
\echo
\echo 'Another table. 64,000 customers of a shop got an e-mail about men''s or women''s merchandise, or none, by lot'
\echo '(Kevin Hillstrom, 2008). Few visited the shop in the two weeks after it, of these few bought, and only who'
\echo 'bought has spent something: for all others spend is NULL, not 0, for there was no purchase to be large or small.'
\echo

CREATE TABLE customers (
	id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	recency integer, history_segment text, history real, mens boolean, womens boolean, zip_code text, newbie boolean,
	channel text, email text, visit boolean, purchase boolean, spend real,
	part text GENERATED ALWAYS AS (CASE WHEN id % 10 < 7 THEN 'train' WHEN id % 10 = 7 THEN 'validation' ELSE 'test' END) STORED
);

\set ECHO none
\echo '\\copy customers (recency, ..., spend) FROM PROGRAM ''gzip -dc hillstrom-email.csv.gz'' (FORMAT csv, HEADER)'
\copy customers (recency, history_segment, history, mens, womens, zip_code, newbie, channel, email, visit, purchase, spend) FROM PROGRAM 'gzip -dc hillstrom-email.csv.gz' (FORMAT csv, HEADER)
\set ECHO queries

UPDATE customers SET spend = NULL WHERE NOT purchase;
ANALYZE customers;

SELECT email, count(*) AS customers, count(*) FILTER (WHERE visit) AS visits, count(*) FILTER (WHERE purchase) AS purchases,
       round(avg(spend)::numeric, 2) AS dollars_per_purchase
FROM customers
GROUP BY email
ORDER BY email;

\echo
\echo 'ESMM learns such a chain over all rows: whether a visitor buys has no label of its own, it is learnt through'
\echo 'the product visit * buy_if_visit, which has one for everybody. Spend, in hundreds of dollars, is learnt where'
\echo 'it is known. What is expected of a customer is a product again, and the model''s value is that in dollars.'
\echo

SELECT mtl_register('email', mtl_train('{
         "architecture": {"type": "single_task", "tower": {"hidden_units": [16]}},
         "features": [
           {"name": "recency", "kind": "dense", "transform": {"type": "standardize"}},
           {"name": "history", "kind": "dense", "transform": [{"type": "log1p"}, {"type": "standardize"}]},
           {"name": "mens", "kind": "dense"}, {"name": "womens", "kind": "dense"}, {"name": "newbie", "kind": "dense"},
           {"name": "zip_code", "kind": "sparse", "embedding_dim": 4},
           {"name": "channel", "kind": "sparse", "embedding_dim": 4},
           {"name": "email", "kind": "sparse", "embedding_dim": 4}],
         "tasks": [
           {"name": "visit", "type": "binary", "label": "visit"},
           {"name": "buy_if_visit", "type": "binary"},
           {"name": "purchase", "type": "product", "of": ["visit", "buy_if_visit"], "label": "purchase"},
           {"name": "spend", "type": "regression", "label": "spend_100"},
           {"name": "expected_spend", "type": "product", "of": ["purchase", "spend"]}],
         "rank": {"form": "sum", "weights": {"expected_spend": 100}}}',
         $$SELECT *, spend / 100 AS spend_100 FROM customers WHERE part = 'train' ORDER BY id$$,
         '{"epochs": 30, "batch_size": 512, "optimizer": {"type": "adam", "learning_rate": 0.002}, "l2": {"layers": 1e-4},
           "validation": {"query": "SELECT *, spend / 100 AS spend_100 FROM customers WHERE part = ''validation''"},
           "early_stopping": {"watch": "visit", "patience": 3}}'),
       note => 'ESMM') AS version;

\echo
\echo 'Measured on the 20% that it has not seen, each task in its own space: purchase among visitors, where the label'
\echo 'buy_if_visit is not NULL, is left with a hundred purchases, so its AUC may well be 0.05 off.'
\echo

INSERT INTO scored (model, version, task, segment, label, score)
SELECT 'email', 1, t.task, c.email, t.label, t.score
FROM customers c,
     LATERAL (SELECT mtl_score('email', c) AS scores OFFSET 0) s,
     LATERAL (VALUES ('visit', c.visit, s.scores[1]),
                     ('buy_if_visit', CASE WHEN c.visit THEN c.purchase END, s.scores[2]),
                     ('purchase', c.purchase, s.scores[3])) AS t (task, label, score)
WHERE c.part = 'test';

SELECT task, count(label) AS rows, count(*) FILTER (WHERE label) AS positive,
       round(mtl_auc(label, score)::numeric, 3) AS auc,
       round(mtl_gauc(label, score, segment)::numeric, 3) AS gauc_by_email,
       round((mtl_calibration(label, score)).ratio::numeric, 2) AS calibration
FROM scored
WHERE model = 'email'
GROUP BY task
ORDER BY rows DESC, positive DESC;

SELECT segment AS email,
       round(mtl_auc(label, score) FILTER (WHERE task = 'visit')::numeric, 3) AS visit_auc,
       round((mtl_calibration(label, score) FILTER (WHERE task = 'visit')).observed::numeric, 3) AS visited,
       round((mtl_calibration(label, score) FILTER (WHERE task = 'visit')).predicted::numeric, 3) AS predicted
FROM scored
WHERE model = 'email'
GROUP BY segment
ORDER BY segment;

\echo
\echo 'Which e-mail for whom? Join customers with what could be sent to them, let the model rank the pairs, and'
\echo 'subtract what the customer is expected to spend without any:'
\echo

SELECT id, recency, history, mens, womens, best.email, round(best.value::numeric, 2) AS expected_dollars,
       round((best.value - none.value)::numeric, 2) AS gain
FROM customers c,
     LATERAL (SELECT o.email, mtl_rank('email', r) AS value
              FROM (VALUES ('Mens E-Mail'), ('Womens E-Mail')) AS o (email),
                   LATERAL (SELECT c.recency, c.history, c.mens, c.womens, c.newbie, c.zip_code, c.channel, o.email) r
              ORDER BY value DESC LIMIT 1) best,
     LATERAL (SELECT mtl_rank('email', r) AS value
              FROM (SELECT c.recency, c.history, c.mens, c.womens, c.newbie, c.zip_code, c.channel, 'No E-Mail' AS email) r) none
WHERE part = 'test'
ORDER BY gain DESC
LIMIT 10;

\echo
\echo 'That is all. demo/demo.sql holds these statements, docs/training.md all that training can do, and'
\echo 'docs/model-format.md says what is in a model.'
\echo
