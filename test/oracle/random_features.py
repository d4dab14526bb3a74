"""Random features of a contract, with their vocabularies and tables."""

import re

import numpy as np

NAMES = ["age", "income", "price", "city", "item_id", "clicked", "user id", "Height (cm)", "été", "名前", "say \"hi\"",
         "it's", "back\\slash", "select", "0", "$x", "a,b", "{c}", "%s", "tab_le", "brand", "device", "hour", "tags",
         "UPPER", "Ünïcödé", "n" * 63, "cat-1", "cat-2", "shop", "level", "dense", "position", "query", "weekday", "c1",
         "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "w1", "w2", "w3", "w4"]

WORDS = ["Amsterdam", "Berlin", "København", "Łódź", "東京", "São Paulo", "true", "false", "NULL", "null", "a b", " a", "a",
         "A", "0", "00", "17", "-17", "1.5", "it's", "\"q\"", "{x,y}", "back\\slash", "new\nline", "tab\there", "x" * 200,
         "pad", "other", "😀", "é", "e\u0301"]


class Plan:
    """What the contract itself does not say: vocabularies, sizes of the tables, and what values a feature gets."""

    def __init__(self):
        self.vocabularies = {}    # name -> entries
        self.tables = {}          # name -> (rows, dim)
        self.styles = {}          # feature name -> how its values are drawn
        self.raw = {}             # dense feature name -> function of a Draw that gives a raw number
        self.slices = 1           # vectors of features can be cut in so many


def random_features(d, plan):
    names = d.shuffled(NAMES)
    features = []
    for _ in range(d.integer(1, 6)):
        kind = d.pick(["dense", "sparse", "sequence"])
        feature = {"name": names.pop(), "kind": kind}
        if kind == "dense":
            complete_dense(d, plan, feature, names)
        else:
            complete_lookup(d, plan, feature)
            if kind == "sequence":
                complete_sequence(d, plan, feature, names)
        features.append(feature)
    return features


# ---------------------------------------------------------------- dense

def complete_dense(d, plan, feature, names):
    embedded = d.chance(0.35)
    width = d.pick([1, 1, 1, 2, 3, 5]) * (1 if embedded else plan.slices)
    d.option(feature, "width", width, 1)
    if d.chance(0.3):
        feature["columns"] = [names.pop() for _ in range(width)]

    transforms, plan.raw[feature["name"]] = random_transforms(d, width)
    if len(transforms) == 1 and d.chance(0.6):
        transforms = transforms[0]
    d.option(feature, "transform", transforms or None)

    if embedded:
        feature["embedding_dim"] = d.pick([1, 2, 4, 7, 8]) * plan.slices
        d.option(feature, "embedding_bias", d.chance(0.5), False)
    number = plan.raw[feature["name"]](d)
    d.option(feature, "missing", d.pick(["error", number, {"value": number}, "zero"]), "error")


def random_transforms(d, width):
    """Transforms that fit each other, and the raw numbers that suit them."""
    def parameter(low, high):
        if d.chance(0.4):
            return [d.uniform(low, high) for _ in range(width)]
        return d.uniform(low, high)

    def normal(draw):
        return round(float(draw.random.normal()), draw.pick([0, 1, 4, 15]))

    kind = d.pick(["none", "standardize", "min_max", "log1p", "clip", "log_chain", "clip_chain", "standardize_chain"])
    if kind == "none":
        return [], normal
    if kind == "standardize":
        mean = d.uniform(-50, 50)
        t = {"type": "standardize", "mean": d.pick([mean, [mean + i for i in range(width)]]), "std": parameter(5, 20)}
        return [t], lambda draw: mean + 10 * normal(draw)
    if kind == "min_max":
        return [{"type": "min_max", "min": parameter(-2, 0), "max": parameter(3, 100)}], lambda draw: 10 * normal(draw)
    if kind == "log1p":
        return [{"type": "log1p"}], lambda draw: draw.pick([draw.integer(0, 30), draw.uniform(-0.5, 20)])
    if kind == "clip":
        t = {"type": "clip"}
        bounds = d.pick(["both", "min", "max"])
        d.option(t, "min", parameter(-1.5, -0.2) if bounds != "max" else None)
        d.option(t, "max", parameter(0.2, 1.5) if bounds != "min" else None)
        return [t], normal
    if kind == "log_chain":
        chain = [{"type": "clip", "min": parameter(0, 1), "max": parameter(500, 1000)}, {"type": "log1p"},
                 {"type": "standardize", "mean": parameter(2, 4), "std": parameter(1, 2)}]
        return chain, lambda draw: draw.pick([draw.integer(-5, 2000), draw.uniform(-1, 100)])
    if kind == "clip_chain":
        chain = [{"type": "min_max", "min": parameter(-4, -2), "max": parameter(2, 4)},
                 {"type": "clip", "min": parameter(0.1, 0.3), "max": parameter(0.6, 0.9)}]
        return chain, normal
    chain = [{"type": "standardize", "mean": parameter(-1, 1), "std": parameter(1, 2)}, {"type": "log1p"}]
    return chain, lambda draw: abs(normal(draw)) + 1


# ---------------------------------------------------------------- sparse, and the values of a sequence

def complete_lookup(d, plan, feature):
    """Table, lookup, and the rules for unknown and missing values."""
    shared = sorted(plan.tables)
    if shared and d.chance(0.4):
        table = d.pick(shared)
    elif d.chance(0.3):
        table = "table %d" % len(plan.tables)
    else:
        table = feature["name"]
    d.option(feature, "embedding", table, feature["name"])

    feature["lookup"] = random_lookup(d, plan, table, feature["name"])
    rows, dim = plan.tables[table]
    if d.chance(0.4):
        feature["vocabulary_size"] = rows
    if d.chance(0.4):
        feature["embedding_dim"] = dim

    sequence = feature["kind"] == "sequence"
    d.option(feature, "oov", d.pick(["error", "zero", d.integer(0, rows - 1)] + (["skip"] if sequence else [])), "error")
    if sequence:
        d.option(feature, "missing", d.pick(["error", "empty"]), "error")
        return
    value = known_value(d, plan, feature)
    if feature.get("oov") not in (None, "error") and d.chance(0.2):
        value = unknown_value(d, plan, feature)
    choices = ["error", "zero"]
    if feature.get("oov") not in (None, "error"):
        choices += ["oov", "oov"]
    if value is not None and not isinstance(value, bool):
        choices += [{"value": value}] if isinstance(value, str) else [{"value": value}, value]
    d.option(feature, "missing", d.pick(choices), "error")


def random_lookup(d, plan, table, name):
    """A lookup that fits the table; the table is made when it is new."""
    kind = d.pick(["index", "vocabulary", "hash"])
    offset = d.pick([0, 0, 1, 2])
    lookup = {"type": kind}
    entries = 0
    if kind == "vocabulary":
        vocabulary = table
        others = sorted(plan.vocabularies)
        if others and d.chance(0.3):
            vocabulary = d.pick(others)
        elif d.chance(0.3):
            vocabulary = "words %d" % len(plan.vocabularies)
        known = table in plan.tables
        entries = plan.vocabularies.get(vocabulary) or random_vocabulary(d, plan.tables[table][0] if known else 30)
        if known and len(entries) > plan.tables[table][0]:
            vocabulary, entries = None, 0     # too many for this table: an index will do
            lookup["type"] = "index"
        else:
            plan.vocabularies[vocabulary] = entries
            d.option(lookup, "vocabulary", vocabulary, table)
            entries = len(entries)

    if table not in plan.tables:
        rows = max(3, offset + (entries or d.integer(3, 40)) + d.pick([0, 1, 3]))
        dims = [1, 2, 3, 4, 8, 8, 11, 16, 24, 32]
        if kind == "index" and plan.slices == 1 and d.chance(0.15):
            rows, dims = d.integer(1000, 10000), [24, 32]       # too large to be folded, but for narrow layers
        plan.tables[table] = (rows, d.pick(dims) * plan.slices)
    rows = plan.tables[table][0]
    offset = min(offset, rows - max(entries, 2))     # hashes with mask_zero need two buckets
    if lookup["type"] == "index" and d.chance(0.3):
        lookup["precision"] = "float32"
        offset = d.pick([offset, -2 ** 24])     # from there on odd numbers fall on even ones
    elif lookup["type"] == "index":
        d.option(lookup, "precision", "double", "double")
    d.option(lookup, "offset", offset, 0)

    if lookup["type"] == "hash":
        d.option(lookup, "function", "farmhash64", "farmhash64")
        d.option(lookup, "num_buckets", d.pick([rows - offset, d.integer(2, rows - offset)]), rows - offset)
        d.option(lookup, "mask_zero", d.chance(0.4), False)
        d.option(lookup, "number_format", d.pick(["integer", "float"]), "integer")
        plan.styles[name] = d.pick(["text", "number", "mixed"])
    return lookup


def random_vocabulary(d, at_most):
    """Distinct integers, texts, or texts that are integers."""
    n = d.integer(1, min(at_most, 12))
    kind = d.pick(["integers", "large integers", "texts", "decimal texts"])
    if kind == "texts":
        return d.shuffled(WORDS + [""])[:n]
    bound = 2 ** 62 if kind == "large integers" else 1000
    numbers = d.shuffled(sorted({0, -17, 1} | {d.integer(-bound, bound) for _ in range(n)}))[:n]
    return [str(v) for v in numbers] if kind == "decimal texts" else numbers


def is_decimal(text):
    return re.fullmatch("0|-?[1-9][0-9]*", text, re.ASCII) is not None


def vocabulary_of(plan, feature):
    """The entries of the vocabulary that a feature looks up in, or None."""
    lookup = feature["lookup"]
    if lookup["type"] != "vocabulary":
        return None
    table = feature.get("embedding") or feature["name"]
    return plan.vocabularies[lookup.get("vocabulary") or table]


def known_value(d, plan, feature):
    """A value that the lookup knows."""
    lookup = feature["lookup"]
    if lookup["type"] == "hash":
        return hash_value(d, plan, feature)
    if lookup["type"] == "vocabulary":
        return disguised(d, d.pick(vocabulary_of(plan, feature)))
    rows = plan.tables[feature.get("embedding") or feature["name"]][0]
    offset = lookup.get("offset") or 0
    value = disguised(d, d.integer(-offset, rows - offset - 1))
    # The last one may be rounded to the number after it.
    return value if 0 <= index_read(lookup, value) + offset < rows else -offset


def index_read(lookup, value):
    """The number that an index takes a value for."""
    return int(np.float32(value)) if lookup.get("precision") == "float32" else int(value)


def disguised(d, value):
    """The same value in another of the forms in which a row may bring it."""
    if isinstance(value, str):
        if value in ("true", "false") and d.chance(0.3):
            return value == "true"
        if is_decimal(value) and d.chance(0.5):
            return int(value)
    elif value in (0, 1) and d.chance(0.1):
        return value == 1
    elif abs(value) < 2 ** 53 and d.chance(0.1):
        return float(value)
    return value


def hash_value(d, plan, feature):
    style = plan.styles[feature["name"]]
    if style == "text" or (style == "mixed" and d.chance(0.5)):
        if style == "mixed" and d.chance(0.2):
            return d.chance(0.5)
        if d.chance(0.2):
            return "x" * d.pick([0, 1, 7, 8, 16, 17, 32, 33, 64, 65, 127, 128, 129, 500]) + d.pick(["", "é"])
        return d.pick(WORDS)
    if d.chance(0.15):
        return 0
    if feature["lookup"].get("number_format") == "float" and d.chance(0.7):
        return d.pick([d.uniform(-1, 1), d.uniform(0, 1e6), float(d.random.normal())])
    return d.pick([d.integer(-9, 9), d.integer(-2 ** 31, 2 ** 31), d.integer(-2 ** 53, 2 ** 53), float(d.integer(0, 99))])


def unknown_value(d, plan, feature):
    """A value that the lookup does not know; None for hashes, which know everything."""
    lookup = feature["lookup"]
    if lookup["type"] == "hash":
        return None
    if lookup["type"] == "index":
        rows = plan.tables[feature.get("embedding") or feature["name"]][0]
        offset = lookup.get("offset") or 0
        unknown = [rows - offset, -offset - 1, rows - offset + d.integer(1, 10 ** 9), -10 ** 12]
        return d.pick([v for v in unknown if not 0 <= index_read(lookup, v) + offset < rows])
    entries = vocabulary_of(plan, feature)
    if not isinstance(entries[0], str):
        return d.pick([v for v in (2, -3, 123456789, 2 ** 53 + 1, -2 ** 63, 2 ** 63 - 1) if v not in entries])
    return d.pick([v for v in (987654321, "never seen", "ZZZ", "東", "x" * 300, True) if as_key(v) not in entries])


def as_key(value):
    return "true" if value is True else str(value)


# ---------------------------------------------------------------- sequences

def complete_sequence(d, plan, feature, names):
    feature["max_length"] = d.pick([1, 2, 3, 5, 8, 20])
    d.option(feature, "truncate", d.pick(["tail", "head"]), "tail")
    d.option(feature, "padding", random_padding(d, plan, feature))
    d.option(feature, "combiner", d.pick(["sum", "mean", "max", "concat"]), "mean")
    if feature.get("combiner") == "concat":
        feature["max_length"] = min(feature["max_length"], 8)
        d.option(feature, "unused", d.pick(["tail", "head"]), "tail")
        return
    if d.chance(0.5):
        d.option(feature, "epsilon", d.pick([0, 1e-8, 1e-16, 0.5]), 0)
    if d.chance(0.5):
        d.option(feature, "empty_value", d.pick([0, -1, 0.25]), 0)
    if d.chance(0.35):
        feature["weights"] = {"column": names.pop()}
        d.option(feature["weights"], "normalize", d.pick(["none", "sum", "softmax"]), "none")


def random_padding(d, plan, feature):
    """A number for lookups of numbers, a text for lookups of texts, or none."""
    if d.chance(0.35):
        return None
    lookup = feature["lookup"]
    if lookup["type"] == "hash":
        return d.pick([0, -1]) if plan.styles[feature["name"]] == "number" else d.pick(["", "a", "pad"])
    entries = vocabulary_of(plan, feature)
    if entries is None:
        return d.pick([0, 0, -1, 1])
    if isinstance(entries[0], str) and not all(is_decimal(e) for e in entries):
        return d.pick(["pad", "", entries[0]])
    return d.pick([0, -1, 999])
