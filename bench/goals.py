"""What the project means to reach, and what was measured of it."""

ENOUGH, AT_MOST = "at least", "at most"


def method(methods, name):
    return next((m for m in methods if m["method"].startswith(name)), None)


def over_ours(methods, name, choose=min):
    """Of the methods whose names begin so, the one that is best for them."""
    found = [m["over ours"] for m in methods if m["method"].startswith(name)]
    return choose(found) if found else None


def query(part):
    for model, limit in (("S", 1.2), ("M", 1.06), ("L", 1.06), ("E", 1.06)):
        if model in part:
            yield f"{model}: whole query over floor and multiply-adds", AT_MOST, limit, part[model]["over floor and arithmetic"]
    for name, short, limits in (
            ("ONNX Runtime alone", "ONNX Runtime alone over ours", {"S": 1, "M": 1, "L": 1, "E": 0.9}),
            ("PL/Python + PyTorch, batches", "PL/Python + PyTorch, batches of 256, over ours", {"S": 6, "M": 2.4, "L": 1.7, "E": 4})):
        for model, limit in limits.items():
            if model in part:
                yield f"{model}: {short}", ENOUGH, limit, over_ours(part[model]["methods"], name)
    for precision, limit in (("bf16", 1.7), ("int8", 2.5)):
        for model in "ML":
            if model in part:
                found = over_ours(part[model]["methods"], f"ours, {precision}")
                yield f"{model}: float32 over {precision}", ENOUGH, limit, found and 1 / found
    for model in part:
        found = over_ours(part[model]["methods"], "ours, two processes")
        yield f"{model}: one process over two", ENOUGH, 1.85, found and 1 / found


def ranking(part):
    alone = method(part["R"], "ONNX Runtime alone")
    for name, limit in (("ours", 3), ("ours, bf16", 5), ("ours, int8", 5)):
        ours = next((m for m in part["R"] if m["method"] == name), None)
        yield f"R: ONNX Runtime alone over {name}", ENOUGH, limit, alone["us"] / ours["us"] if alone and ours else None
    for model in part:
        yield f"{model}: client, fetch as text + PyTorch, over ours", ENOUGH, 10, over_ours(part[model], "client: fetch as text")


def precision(part):
    for name, task, change in ((p["precision"], t, c) for p in part for t, c in p["changes of AUC"].items()):
        yield f"AUC of {task}, change by {name}", AT_MOST, 0.0005, abs(change)


def connections(part):
    shared = next(case for case in part["first"] if case["case"] == "shared copy there")
    yield "first score of a connection minus a warm one, ms, 100 MB model", AT_MOST, 2, shared["first minus warm, elapsed, ms"]
    one, *_, many = part["memory"]
    difference = {m["connections"]: m["with scores, MB"] - m["without a score, MB"] for m in (one, many)}
    limit = 1.1 * difference[one["connections"]] + many["connections"]
    yield f"memory of {many['connections']} connections, MB, 100 MB model", AT_MOST, limit, difference[many["connections"]]


def compare(parts):
    """(what, "at least" or "at most", goal, measured or None) for what is in the results."""
    for name, goals in (("query", query), ("ranking", ranking), ("precision", precision), ("connections", connections)):
        if name in parts:
            yield from goals(parts[name])


def reached(direction, goal, measured):
    return measured >= goal if direction == ENOUGH else measured <= goal
