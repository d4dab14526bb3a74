"""Random rows for a contract, and their array form where there is one."""

from random_features import as_key, index_read, is_decimal, known_value, unknown_value, vocabulary_of

MISSING = object()


def random_row(d, plan, contract, events):
    """A row in its jsonb form. What happens in it is added to the set `events`."""
    row = {}
    whole = d.chance(0.6)     # rows that lack nothing can have an array form
    for feature in contract["features"]:
        row.update({"dense": dense, "sparse": sparse, "sequence": sequence}[feature["kind"]](d, plan, feature, whole, events))
    if d.chance(0.2):
        row["not of the model"] = d.pick([1, "text", None, [1, "a", None], {"a": 1}])
        events.add("row: key of no feature")
    columns = d.shuffled(list(row))
    return {name: row[name] for name in columns if row[name] is not MISSING}


def is_missing(d, feature, whole, events):
    """Whether to leave this value out: null, or no key at all."""
    if whole or (feature.get("missing") or "error") == "error" or not d.chance(0.3):
        return False
    events.add("row: missing " + feature["kind"])
    return True


def nothing(d, events):
    value = d.pick([None, MISSING])
    events.add("row: null" if value is None else "row: absent key")
    return value


def dense(d, plan, feature, whole, events):
    def number():
        if d.chance(0.05) and feature.get("transform") is None:
            events.add("row: truth value as number")
            return d.chance(0.5)
        value = plan.raw[feature["name"]](d)
        return value if value != 0 else 0     # jsonb has no negative zero

    columns, width = feature.get("columns"), feature.get("width") or 1
    if columns is not None:
        return {c: nothing(d, events) if is_missing(d, feature, whole, events) else number() for c in columns}
    if is_missing(d, feature, whole, events):
        return {feature["name"]: nothing(d, events)}
    return {feature["name"]: number() if width == 1 else [number() for _ in range(width)]}


def random_value(d, plan, feature, events, may_be_unknown):
    if may_be_unknown and d.chance(0.25):
        value = unknown_value(d, plan, feature)
        if value is not None:
            events.add("row: unknown value of a " + feature["kind"])
            return value
    value = known_value(d, plan, feature)
    if feature["lookup"]["type"] == "index" and index_read(feature["lookup"], value) != value:
        events.add("row: number that float32 rounds")
    if isinstance(value, bool):
        events.add("row: truth value in a lookup")
    return value if value != 0 or isinstance(value, bool) else 0


def knows_rule(feature):
    return (feature.get("oov") or "error") != "error"


def sparse(d, plan, feature, whole, events):
    if is_missing(d, feature, whole, events):
        return {feature["name"]: nothing(d, events)}
    return {feature["name"]: random_value(d, plan, feature, events, knows_rule(feature))}


def sequence(d, plan, feature, whole, events):
    column = feature["weights"]["column"] if feature.get("weights") else None
    if is_missing(d, feature, whole, events):
        row = {feature["name"]: nothing(d, events)}
        if column:
            row[column] = nothing(d, events)
        return row

    n = feature["max_length"]
    length = d.pick([0, 1, n - 1, n, n, n + 1, n + 5, d.integer(0, n), d.integer(0, n), d.integer(0, n)])
    if length == 0:
        events.add("row: empty sequence")
    if length < n and feature.get("combiner") == "concat":
        events.add("row: unused places, %s" % (feature.get("unused") or "tail"))
    if length > n:
        events.add("row: sequence over max_length, %s kept" % (feature.get("truncate") or "tail"))

    padding = feature.get("padding")
    values = []
    for _ in range(length):
        if padding is not None and d.chance(0.15):
            values.append(padding)
            events.add("row: padding")
            if feature.get("combiner") == "concat":
                events.add("row: padding in its place")
            continue
        value = random_value(d, plan, feature, events, knows_rule(feature))
        values.append(padding if only_reads_like(value, padding) else value)
    row = {feature["name"]: values}
    if column:
        weights = [d.uniform(0.1, 2) for _ in values]
        if feature["weights"].get("normalize") != "sum" and d.chance(0.3):
            weights = [w if d.chance(0.7) else -w for w in weights]
        if d.chance(0.1):
            weights = [1] * len(values)
        row[column] = weights
    return row


def only_reads_like(value, padding):
    """The number 0 under the padding "0", or the text under the number: the format does not say whether they are equal."""
    return padding is not None and isinstance(value, str) != isinstance(padding, str) and as_key(value) == as_key(padding)


# ---------------------------------------------------------------- the array form

class NoArray(Exception):
    pass


def array_form(plan, contract, row):
    """The row as a list of numbers, or None when it cannot be one."""
    try:
        array = []
        for feature in contract["features"]:
            if feature["kind"] == "dense":
                array += dense_places(feature, row)
            elif feature["kind"] == "sparse":
                array.append(place(plan, feature, row.get(feature["name"])))
            else:
                array += sequence_places(plan, feature, row)
        return array
    except NoArray:
        return None


def dense_places(feature, row):
    columns, value = feature.get("columns"), row.get(feature["name"])
    if columns is not None:
        value = [row.get(c) for c in columns]
    elif not isinstance(value, list):
        value = [value]
    if None in value:
        raise NoArray
    return [int(v) if isinstance(v, bool) else v for v in value]


def place(plan, feature, value):
    """One value of a lookup as a number."""
    entries = numeric_entries(plan, feature)
    reads_texts = feature["lookup"]["type"] == "hash" or (entries is not None and isinstance(entries[0], str))
    if isinstance(value, str) and entries is not None and is_decimal(value):
        value = int(value)
    if value is None or isinstance(value, str) or (reads_texts and isinstance(value, bool)):
        raise NoArray
    value = int(value) if isinstance(value, bool) else value
    if float(value) != value:
        raise NoArray
    return value


def numeric_entries(plan, feature):
    """The vocabulary, if any; its entries must be integers, at least in text form."""
    entries = vocabulary_of(plan, feature)
    if entries is not None and isinstance(entries[0], str) and not all(map(is_decimal, entries)):
        raise NoArray
    return entries


def sequence_places(plan, feature, row):
    n, padding = feature["max_length"], feature.get("padding")
    values = row.get(feature["name"])
    concat = feature.get("combiner") == "concat"
    if values is None or isinstance(padding, str) or (padding is None and not (concat and len(values) == n)):
        raise NoArray
    numeric_entries(plan, feature)
    if concat:
        places, unused = [place(plan, feature, v) for v in values], [padding] * (n - len(values))
        if len(places) > n:
            raise NoArray
        return unused + places if feature.get("unused") == "head" else places + unused
    weights = row[feature["weights"]["column"]] if feature.get("weights") else None
    pairs = list(zip(values, weights or [0] * len(values)))
    if len(pairs) > n:
        pairs = [(v, w) for v, w in pairs if isinstance(v, str) or v != padding]
    if len(pairs) > n:
        raise NoArray
    places = [place(plan, feature, v) for v, _ in pairs] + [padding] * (n - len(pairs))
    if weights is not None:
        places += [w for _, w in pairs] + [0] * (n - len(pairs))
    return places
