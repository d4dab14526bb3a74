"""Ranking: the best 10 of 500 candidates of one context.

R, the realistic query: the context is a row of one table, the candidates are rows of another, found by an index and lying all over it;
24 sparse features with vocabularies of 10 to 100,000 and 16 dense ones, half of them of the context. S, M, L and E: one array per
candidate.
"""

import numpy as np

import models
from parts.query import FOREIGN_TOLERANCE, PRECISIONS
from peers import client
from server import Connection
from timing import Clocks, Method, median, spread, take_turns

CANDIDATES, TOP = 500, 10
CONTEXTS = 20           # of one run
CHECKED = range(1, 4)   # contexts whose scores are compared

PYTHON = """
CREATE OR REPLACE FUNCTION torch_candidates(path text, x real[], ids int[]) RETURNS real[] LANGUAGE plpython3u AS $$
if path not in GD:
    import torch
    torch.set_num_threads(1)
    GD['torch'], GD[path] = torch, torch.jit.load(path)
torch = GD['torch']
with torch.no_grad():
    return GD[path](torch.tensor(x), *([torch.tensor(ids)] if ids else []))[:, 0].tolist()
$$;
"""


def create_tables(connection, groups):
    """groups: {number of candidates: contexts}. Candidates are inserted in random order."""
    context, candidate = models.ranking_columns()
    values = {**{name: f"floor(random() * {size})::int" for name, size in context.items() if size},
              **{name: f"floor(random() * {size})::int" for name, size in candidate.items() if size}}

    def array(width):
        return f"(SELECT array_agg((random() * 2 - 1)::real) FROM generate_series(1, {width}) WHERE c = c)"

    def columns(features):
        return ", ".join(f"{values[name] if size else array(models.RANKING_DENSE)} AS {name}" for name, size in features.items())

    numbers = " UNION ALL ".join(f"SELECT c, {count} AS n FROM generate_series({min(ids)}, {max(ids)}) c" for count, ids in groups.items())
    connection.run("SELECT setseed(0.5)")
    connection.run("DROP TABLE IF EXISTS contexts, candidates")
    connection.run(f"CREATE TABLE contexts AS SELECT c AS id, {columns(context)} FROM ({numbers}) g")
    connection.run("ALTER TABLE contexts ADD PRIMARY KEY (id)")
    connection.run(f"CREATE TABLE candidates AS SELECT c AS context, row_number() OVER () AS item, {columns(candidate)} "
                   f"FROM (SELECT c FROM ({numbers}) g, generate_series(1, n) ORDER BY random()) g")
    connection.run("CREATE INDEX ON candidates (context)")
    connection.run("VACUUM ANALYZE contexts, candidates")


def create_array_table(connection, table, contexts, width):
    connection.run(f"DROP TABLE IF EXISTS {table}")
    connection.run(f"CREATE TABLE {table} (context int, item int, x real[])")
    connection.run(f"ALTER TABLE {table} ALTER x SET STORAGE main")
    connection.run(f"INSERT INTO {table} SELECT c, row_number() OVER (), (SELECT array_agg((random() * 2 - 1)::real) "
                   f"FROM generate_series(1, {width}) WHERE c = c) FROM (SELECT c FROM generate_series(1, {contexts}) c, "
                   f"generate_series(1, {CANDIDATES}) ORDER BY random()) g")
    connection.run(f"CREATE INDEX ON {table} (context)")
    connection.run(f"VACUUM ANALYZE {table}")


class Ranking:
    """One kind of candidates: where they come from, what they are for a model, and who scores them."""

    def __init__(self, name, options, peers):
        self.name, self.options, self.peers = name, options, peers
        self.connection = options.connection
        self.model = models.make(name)
        self.connection.register(name, self.model)
        self.exported = peers.export(name, self.model)
        self.prepared = {}

    def statement(self, connection, name, sql):
        """Prepares "name", and returns what runs it for each context."""
        connection.run(f"PREPARE {name} (int) AS {sql}")
        return lambda: [connection.ask(f"EXECUTE {name} ({c})") for c in range(1, CONTEXTS + 1)]

    def our_method(self, name, model, tolerance=0.0, batching="on"):
        # A connection of its own has its setting from the beginning, and its own plan.
        connection = Connection(**{"mtl_rank.batching": batching})
        order = self.score_sql(model)
        run = self.statement(connection, "rank", f"SELECT item FROM {self.source} WHERE {self.condition} ORDER BY {order} DESC LIMIT {TOP}")

        def scores():
            return np.concatenate([np.array(connection.ask(f"SELECT {order} FROM {self.source} WHERE {self.condition} ORDER BY item"
                                                           .replace("$1", str(c))), np.float32) for c in CHECKED])
        return Method(name, CONTEXTS, run, scores, tolerance), connection

    def methods(self):
        """Pairs of a method and the connections whose time counts."""
        floor = self.statement(self.connection, f"floor_{self.name}",
                               f"SELECT item FROM {self.source} WHERE {self.condition} ORDER BY read_array(x) DESC LIMIT {TOP}")
        yield Method(FLOOR, CONTEXTS, floor), self.connection
        yield self.our_method(PER_ROW, self.name, batching="off")
        yield self.our_method(OURS, self.name)
        for precision, tolerance in PRECISIONS.items():
            model = f"{self.name}_{precision}"
            self.connection.run(f"SELECT mtl_register('{model}', mtl_quantize('{self.name}', '{precision}'))")
            yield self.our_method(f"ours, {precision}", model, tolerance)
        if self.peers.plpython:
            yield self.python_method(), self.connection
        yield self.client_method("text", self.fetch_text), self.connection
        if hasattr(self, "fetch_binary"):
            yield self.client_method("binary", self.fetch_binary), self.connection
        if self.peers.runtime:
            yield self.alone_method(), self.connection

    def python_method(self):
        path = self.exported.script_path
        self.connection.run(PYTHON)
        batch = (f"SELECT array_agg(item) AS items, torch_candidates('{path}', array_agg({self.dense_sql}), {self.ids_sql}) AS y "
                 f"FROM (SELECT * FROM {self.source} WHERE {self.condition} ORDER BY item) s")
        run = self.statement(self.connection, f"python_{self.name}",
                             f"SELECT item FROM ({batch}) b, unnest(items, y) AS u (item, p) ORDER BY p DESC LIMIT {TOP}")

        def scores():
            return np.concatenate([np.array(self.connection.value(f"SELECT y FROM ({batch}) b".replace("$1", str(c))), np.float32)[:, None]
                                   for c in CHECKED])
        return Method("PL/Python + PyTorch, one batch", CONTEXTS, run, scores, FOREIGN_TOLERANCE)

    def client_method(self, how, fetch):
        def rank(context):
            items, *inputs = fetch(context)
            scores = self.exported.score(*inputs)[:, :1]
            return items, scores

        def run():
            for context in range(1, CONTEXTS + 1):
                items, scores = rank(context)
                items[np.argpartition(-scores[:, 0], TOP)[:TOP]].tolist()

        def scores():
            result = []
            for context in CHECKED:
                items, values = rank(context)
                result.append(values[np.argsort(items)])
            return np.concatenate(result)
        return Method(f"client: fetch as {how} + PyTorch", CONTEXTS, run, scores, FOREIGN_TOLERANCE)

    def alone_method(self):
        sorted_inputs = []
        for context in range(1, CONTEXTS + 1):
            items, *inputs = self.fetch_text(context)
            sorted_inputs.append([x[np.argsort(items)] for x in inputs])
        inputs = [np.concatenate(x) for x in zip(*sorted_inputs)]
        scorer = self.peers.scorer(self.exported, inputs, len(self.outputs), CANDIDATES)

        def scores():
            scorer.run()
            return scorer.scores[:len(CHECKED) * CANDIDATES, :1]
        return Method("ONNX Runtime alone", CONTEXTS, scorer.run, scores, FOREIGN_TOLERANCE)


class TwoTables(Ranking):
    source, condition = "contexts c, candidates i", "c.id = $1 AND i.context = $1"
    outputs = ["t0"]

    def __init__(self, options, peers):
        super().__init__("R", options, peers)
        sparse = ", ".join(f"s{i}" for i in range(models.SPARSE))
        self.dense_sql, self.ids_sql = "u || x", f"array_agg(ARRAY[{sparse}])"
        self.columns = f"item, u, x, {sparse}"

    def score_sql(self, model):
        return f"mtl_score('{model}', c, i, 't0')"

    def fetch_text(self, context):
        """An application would fetch the context once, and its share of each row is then a copy."""
        rows = self.connection.ask(f"SELECT item, x, {', '.join(self.candidate_ids)} FROM candidates WHERE context = {context}")
        user = self.connection.ask(f"SELECT u, {', '.join(self.context_ids)} FROM contexts WHERE id = {context}")[0]
        dense = np.empty((len(rows), 2 * models.RANKING_DENSE), np.float32)
        dense[:, :models.RANKING_DENSE] = user[0]
        dense[:, models.RANKING_DENSE:] = [row[1] for row in rows]
        ids = np.empty((len(rows), models.SPARSE), np.int64)
        ids[:, 0::2] = user[1:]
        ids[:, 1::2] = [row[2:] for row in rows]
        return np.array([row[0] for row in rows]), dense, ids

    context_ids = [f"s{i}" for i in range(0, models.SPARSE, 2)]
    candidate_ids = [f"s{i}" for i in range(1, models.SPARSE, 2)]


class Arrays(Ranking):
    condition = "context = $1"
    dense_sql, ids_sql = "x", "NULL"

    def __init__(self, name, options, peers):
        super().__init__(name, options, peers)
        self.source = f"candidates_{name.lower()}"
        self.width = models.architectures()[name][0]
        self.outputs = [task["name"] for task in self.model.contract["tasks"]]
        create_array_table(self.connection, self.source, CONTEXTS, self.width)

    def score_sql(self, model):
        return f"mtl_score('{model}', x, '{self.outputs[0]}')"

    def fetch_text(self, context):
        return client.fetch_text(self.connection, f"SELECT item, x FROM {self.source} WHERE context = {context}")

    def fetch_binary(self, context):
        return client.fetch_binary(self.connection, f"SELECT item, x FROM {self.source} WHERE context = {context}", self.width)


FLOOR, PER_ROW, OURS = "floor: the query with a function that reads an array", "ours, row by row", "ours"


def measure(ranking, options):
    pairs = list(ranking.methods())
    expected = next(m for m, _ in pairs if m.name == PER_ROW).scores()
    for method, _ in pairs:
        if method.scores:
            method.check(expected)
    clocks = Clocks(*{connection.pid for _, connection in pairs})
    times = take_turns([m for m, _ in pairs], options.rounds, clocks)
    ours = median(times[OURS])
    return [{"method": m.name, "us": median(times[m.name]) * 1e6, "over ours": median(times[m.name]) / ours,
             "spread": spread(times[m.name]), "difference": m.difference} for m, _ in pairs]


def run(options, peers):
    create_tables(options.connection, {CANDIDATES: range(1, CONTEXTS + 1)})
    rankings = [TwoTables(options, peers)] + [Arrays(name, options, peers) for name in options.models]
    return {ranking.name: measure(ranking, options) for ranking in rankings}
