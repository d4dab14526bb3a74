#!/usr/bin/python3
"""A page in Markdown out of the numbers, with plots beside it.

usage: report.py FOLDER [README.md]

makes the page in a folder again from its results.json, and replaces what is between the marks in a README.
"""

import argparse
import json
import math
import pathlib

import charts
import goals

MARKS = "<!-- measured -->", "<!-- /measured -->"


def number(value, digits=3):
    """With so many digits that count."""
    if value is None:
        return ""
    if value == 0:
        return "0"
    places = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    return f"{value:,.{places}f}"


def percent(share):
    return "" if share is None else f"{100 * share:.1f}%"


def table(headings, rows):
    """The first column is text, the others are numbers, as text."""
    lines = ["| " + " | ".join(headings) + " |", "|---" + "|---:" * (len(headings) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def machine_section(results):
    machine = dict(results["machine"])
    peaks = machine.pop("multiply-adds per second")
    lines = [f"- {name}: {number(value) if isinstance(value, float) else value}" for name, value in machine.items()]
    lines += [f"- multiply-adds of float32 per second, one core, {kernel}: {number(value / 1e9)} billion" for kernel, value in peaks.items()]
    if results["quick"]:
        lines.append("- **a quick run, with few rows and rounds: not for quoting**")
    lines += [f"- **missing**: {peer}: {reason.splitlines()[0]}" for peer, reason in results["missing"].items()]
    return "\n".join(lines)


def by_model(part, cell):
    """One row per method, one column per model."""
    names = []
    for model in sorted(part.values(), key=lambda model: -len(model["methods"])):
        names += [m["method"] for m in model["methods"] if m["method"] not in names]
    rows = []
    for name in names:
        found = [next((m for m in model["methods"] if m["method"] == name), None) for model in part.values()]
        rows.append([name] + [cell(m) if m else "" for m in found])
    return rows


def methods_tables(part, limits=(), ratios=()):
    """Times, ratios, spreads and differences of scores, by method and model; with more rows in the first two."""
    headings = ["method", *part]
    differences = by_model(part, lambda m: "" if m["difference"] is None else f"{m['difference']:.1e}")
    return [
        table(headings, by_model(part, lambda m: number(m["us"])) + list(limits)),
        "Times that of \"ours\" (more is slower).",
        table(headings, by_model(part, lambda m: number(m["over ours"])) + list(ratios)),
        "Half the distance of the quartiles, in percent of the median.",
        table(headings, by_model(part, lambda m: percent(m["spread"]))),
        "The largest difference of a score from ours, row by row.",
        table(headings, [row for row in differences if any(row[1:])])]


def query_section(part, folder):
    for name, model in part.items():
        bars = [(m["method"], m["us"]) for m in model["methods"]] + [("limit: the multiply-adds alone", model["arithmetic, us"])]
        (folder / f"query-{name}.svg").write_text(charts.bars(f"{name}: microseconds per row, whole query", sorted(bars, key=lambda b: b[1])))
    return "\n\n".join([
        "## The whole query",
        "Microseconds per row, one core (two processes: elapsed time, two cores).",
        *methods_tables(part, [["limit: the multiply-adds alone"] + [number(model["arithmetic, us"]) for model in part.values()]],
                        [["ours over (floor + limit)"] + [number(model["over floor and arithmetic"]) for model in part.values()]]),
        "".join(f"![{name}](query-{name}.svg)\n" for name in part)])


def ranking_section(part, folder):
    sections = ["## Ranking", "The best 10 of 500 candidates: microseconds per query, one core. R: context and candidates in two tables, sparse and "
                "dense features; the others: an array per candidate."]
    part = {name: {"methods": methods} for name, methods in part.items()}
    for name, model in part.items():
        bars = sorted(((m["method"], m["us"]) for m in model["methods"]), key=lambda b: b[1])
        (folder / f"ranking-{name}.svg").write_text(charts.bars(f"{name}: microseconds per query, the best 10 of 500", bars))
    sections += methods_tables(part)
    return "\n\n".join(sections + ["".join(f"![{name}](ranking-{name}.svg)\n" for name in part)])


def sessions_section(part, folder):
    rows = [[f"{r['candidates']:,} candidates, {r['sessions']} sessions", number(r["p50, ms"]), number(r["p99, ms"]), number(r["queries per second"])]
            for r in part]
    series = {f"{n:,}, {p}": [(r["sessions"], r[f"{p}, ms"]) for r in part if r["candidates"] == n]
              for n in dict.fromkeys(r["candidates"] for r in part) for p in ("p50", "p99")}
    (folder / "sessions.svg").write_text(charts.lines("The best 10 of so many candidates", series, "sessions", "ms"))
    return "\n\n".join(["## Sessions", "The ranking query R, by sessions that ask at the same time, all cores: milliseconds.",
                         table(["", "p50", "p99", "queries per second"], rows), "![sessions](sessions.svg)"])


def growth_section(part, folder):
    titles = {"rows": "rows of the table (S)", "units": "units of an expert (MMoE of 3 experts [n, n / 2], 128 inputs)",
              "tasks": "tasks (3 experts [128, 64])"}
    sections = ["## Growth", "Microseconds per row, one core."]
    for name, cases in part.items():
        rows = [[f"{c['x']:,}"] + [number(c[k]) for k in ("floor, us", "arithmetic, us", "ours, us", "over floor and arithmetic")] for c in cases]
        series = {label: [(c["x"], value(c)) for c in cases] for label, value in (
            ("ours", lambda c: c["ours, us"]), ("floor and limit", lambda c: c["floor, us"] + c["arithmetic, us"]))}
        (folder / f"growth-{name}.svg").write_text(charts.lines(f"Microseconds per row by {titles[name]}", series, name, "us"))
        sections += [table([titles[name], "floor", "limit", "ours", "ours over (floor + limit)"], rows), f"![{name}](growth-{name}.svg)"]
    return "\n\n".join(sections)


def connections_section(part, folder):
    keys = ["first, elapsed, ms", "first minus warm, elapsed, ms", "first, CPU, ms", "first minus warm, CPU, ms"]
    first = [[case["case"]] + [number(case[k]) for k in keys] for case in part["first"]]
    memory = [[f"{m['connections']}", number(m["without a score, MB"]), number(m["with scores, MB"]),
               number(m["with scores, MB"] - m["without a score, MB"])] for m in part["memory"]]
    return "\n\n".join([
        "## Connections", f"A model of {number(part['model, MB'])} MB. The first score of a new connection:",
        table(["", *keys], first),
        "Memory of all connections together (proportional set sizes), MB:",
        table(["connections", "without a score", "with scores", "difference"], memory)])


def precision_section(part, folder):
    rows = [[f"{p['precision']}, {task}", f"{p['AUC of float32'][task]:.5f}", f"{change:+.5f}"]
            for p in part for task, change in p["changes of AUC"].items()]
    return "\n\n".join(["## Precision", "AUC on Census-Income, and what it changes by when weights are rounded.",
                         table(["", "AUC of float32", "change"], rows)])


def engine_section(part, folder):
    batches = list(next(iter(part.values()))["us"])
    rows = [[name, number(model["limit, us"])] + [f"{number(model['us'][b])} ({number(model['us'][b] / model['limit, us'])})" for b in batches]
            for name, model in part.items()]
    return "\n\n".join(["## The engine alone", "Microseconds per row by rows at once, and what they are over the limit.",
                         table(["model", "limit", *(str(b) for b in batches)], rows)])


def train_section(part, folder):
    rows = [[name, number(r["rows per second"]), " / ".join(f"{a:.4f}" for a in r["AUC"])] for name, r in part.items()]
    ratio = part["mtl_train"]["rows per second"] / part["PyTorch"]["rows per second"]
    return "\n\n".join(["## Training", "MMoE on one half of a part of Census-Income, one thread each; AUC of both tasks on the other half.",
                         table(["", "rows per second", "AUC"], rows), f"mtl_train over PyTorch: {number(ratio)}"])


def goals_section(parts):
    rows = []
    for what, direction, goal, measured in goals.compare(parts):
        verdict = "not measured" if measured is None else "yes" if goals.reached(direction, goal, measured) else "**no**"
        rows.append([what, f"{direction} {number(goal)}", number(measured, 4), verdict])
    return "## Goals\n\n" + table(["", "goal", "measured", "reached"], rows)


SECTIONS = {"query": query_section, "ranking": ranking_section, "sessions": sessions_section, "growth": growth_section,
            "connections": connections_section, "precision": precision_section, "engine": engine_section, "train": train_section}


def summary(results):
    """For the README: what others take over ours, for whole queries and rankings."""
    machine = results["machine"]
    peak = max(machine["multiply-adds per second"].values()) / 1e9
    parts = [(title, results["parts"][name], name) for name, title in (("query", "all rows of a table"), ("ranking", "the best 10 of 500 candidates"))
             if name in results["parts"]]
    tables = []
    for title, part, name in parts:
        models = {k: v if name == "query" else {"methods": v} for k, v in part.items()}
        rows = by_model(models, lambda m: number(m["over ours"]))
        tables.append(table([title, *models], rows))
    conditions = (f"Times over ours, medians of {results['rounds']} rounds of one run on {machine['date']}: version {machine['mtl_rank']}, "
                  f"PostgreSQL {machine['PostgreSQL']}, one core of an {machine['processor']} ({number(peak)} billion multiply-adds of "
                  f"float32 per second)" + (", a quick run" if results["quick"] else "") + ".")
    return "\n\n".join([conditions, *tables])


def replace_summary(readme, results):
    begin, end = (readme.read_text().find(mark) for mark in MARKS)
    if not 0 <= begin < end:
        raise SystemExit(f"{readme} does not have {MARKS[0]} and {MARKS[1]}")
    text = readme.read_text()
    readme.write_text(f"{text[:begin]}{MARKS[0]}\n{summary(results)}\n{text[end:]}")


def write(results, folder):
    page = folder / "results.md"
    sections = ["# Measured", machine_section(results), goals_section(results["parts"])]
    sections += [SECTIONS[name](part, folder) for name, part in results["parts"].items()]
    page.write_text("\n\n".join(sections) + "\n")
    return page


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("readme", type=pathlib.Path, nargs="?")
    arguments = parser.parse_args()
    results = json.loads((arguments.folder / "results.json").read_text())
    write(results, arguments.folder)
    if arguments.readme:
        replace_summary(arguments.readme, results)


if __name__ == "__main__":
    main()
