#!/usr/bin/python3
"""Writes a psql script that scores hostile rows: jsonb, arrays and records of all kinds of types and values.

usage: inputs.py --seeds DIR --count N --phase NAME [--seed S]

DIR is what test/oracle/generate.py wrote. A row is the text of one or two SQL expressions, see fuzz_rows() in setup.sql. The phase
is a name for report.sql.
"""

import argparse
import copy
import json
import sys

from mutate import copy_field, read_seeds

import hostile
from draw import Draw
from mutant import dumps
from mutations import places

# Literals of each type, and of arrays of them. The types at the end are no features, and setup.sql makes those named odd_.
LITERALS = {
    "int2": ["0", "1", "-1", "32767", "-32768", "7"],
    "int4": ["0", "1", "-1", "2147483647", "-2147483648", "17"],
    "int8": ["0", "1", "-17", "9223372036854775807", "-9223372036854775808", "9007199254740993"],
    "float4": ["0", "1", "-0", "NaN", "Infinity", "-Infinity", "3.4028235e38", "1e-45", "0.1", "16777217"],
    "float8": ["0", "1", "-0", "NaN", "Infinity", "-Infinity", "1.7976931348623157e308", "5e-324", "1e39", "1e300", "0.5", "1e18",
               "9223372036854775808", "-1e-300"],
    "numeric": ["0", "1", "1.000", "NaN", "Infinity", "-Infinity", "1e1000", "1e131071", "1e-16383", "0.1", "1e309", "9223372036854775807",
                "9223372036854775808", "-9223372036854775809", "9" * 300, "0." + "0" * 500 + "1"],
    "bool": ["true", "false"],
    "text": [t for t in hostile.TEXTS if t != "\ud800"],
    "varchar(5)": ["", "x", "é点", "17   "],
    "bpchar": ["", "  ", "17  ", "x "],
    "char(7)": ["17", "x"],
    '"char"': ["", "x", "1"],
    "name": ["", "x", "17", "n" * 63],
    "uuid": ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "date": ["1970-01-01", "infinity", "-infinity", "4713-01-01 BC", "5874897-12-31", "2000-02-29"],
    "timestamp": ["1970-01-01", "infinity", "-infinity", "4713-01-01 BC", "294276-12-31 23:59:59.999999", "1969-12-31 23:59:59.9"],
    "timestamptz": ["1970-01-01 UTC", "infinity", "-infinity", "294276-12-31 UTC", "2000-01-01 00:00:00.000001 UTC"],
    "odd_enum": ["17", "", "x", "é点", "l" * 63],
    "odd_number": ["0", "17", "-1.5", "NaN"],
    "odd_text": ["17", "x"],
    "point": ["(1,2)", "(NaN,Infinity)", "(0,-1e300)"],
    "lseg": ["(1,2),(3,4)"], "box": ["(1,2),(3,4)"], "circle": ["<(1,2),3>"], "path": ["((1,2))"],
    "json": ["1", "{}", "[1]"], "jsonb": ["1", "{}", "[1]", "null", '"x"'], "bytea": ["\\x00", ""], "interval": ["1 day", "1e6 years"],
    "time": ["12:00"], "oid": ["0", "4294967295"], "money": ["1"], "bit(3)": ["101"], "inet": ["::1"], "int4range": ["[1,2)", "empty"],
    "tsvector": ["a"], "regtype": ["int4"], "tid": ["(0,1)"], "xid8": ["1"], "int2vector": ["1 2"], "oidvector": ["1 2"], "pg_lsn": ["0/1"],
}
NUMBER_TYPES = ["int2", "int4", "int8", "float4", "float8", "numeric"]
TYPES = list(LITERALS)


def quote(text):
    return "'" + text.replace("'", "''") + "'"


def identifier(name):
    return '"' + name.replace('"', '""') + '"'


def array_text(d, elements):
    """An array's text form; None is NULL."""
    return "{%s}" % ",".join("NULL" if e is None else '"%s"' % e.replace("\\", "\\\\").replace('"', '\\"') for e in elements)


def scalar(d, type_name=None):
    type_name = type_name or d.pick(d.pick([NUMBER_TYPES, TYPES[:20], TYPES]))
    if d.chance(0.05):
        return "NULL::" + type_name
    return "%s::%s" % (quote(d.pick(LITERALS[type_name])), type_name)


def array(d, length=None, type_name=None):
    """Of random or of hostile shape."""
    type_name = type_name or d.pick(d.pick([NUMBER_TYPES, TYPES[:20], TYPES]))
    length = d.pick([0, 1, 2, 3, 5, 20, 300]) if length is None else length
    tame = d.chance(0.6)
    literals = LITERALS[type_name][:2] if tame else LITERALS[type_name]
    elements = [d.pick(literals) for _ in range(length)]
    if elements and d.chance(0.15):
        elements[d.integer(0, length - 1)] = None
    text = array_text(d, elements)
    shape = d.pick(["plain"] * 8 + ["two", "three", "bounds", "null", "huge", "slice", "ragged"])
    if shape == "two":
        text = "{%s,%s}" % (text, text)
    elif shape == "three":
        text = "{{%s},{%s}}" % (text, text)
    elif shape == "bounds":
        text = "[%d:%d]=" % (-5, length - 6) + text if length else "{}"
    elif shape == "null":
        return "NULL::%s[]" % type_name
    elif shape == "huge":
        return "array_fill(%s::%s, ARRAY[%d])" % (quote(d.pick(literals)), type_name, d.pick([length, 10000, 70000]))
    elif shape == "slice":
        return "(%s::%s[])[2:%d]" % (quote(text), type_name, length + 3)
    elif shape == "ragged":
        text = d.pick(["{{1},{1,2}}", "{", "{,}", "{1", "1}", "{{}}", "{{},{}}"])
    return "%s::%s[]" % (quote(text), type_name)


# ---------------------------------------------------------------- jsonb

def jsonb(d, seed):
    row = copy.deepcopy(seed.row)
    for _ in range(d.pick([0, 1, 1, 2, 5])):
        found = places(row)
        change = d.pick(["value", "value", "list", "remove", "add", "wrap"])
        if not found or change == "add":
            row[d.pick(hostile.TEXTS)] = hostile.value(d)
            continue
        container, key = d.pick(found)
        if change == "remove":
            del container[key]
        elif change == "value":
            container[key] = hostile.value(d)
        elif change == "wrap":
            container[key] = d.pick([[container[key]], {"value": container[key]}, hostile.repeat([container[key]], 1000), str(container[key])])
        elif isinstance(container[key], list):
            container[key] = hostile.repeat(container[key], d.pick([0, 2, 100])) + [d.pick(d.pick([hostile.NUMBERS, hostile.TEXTS]))]
    if d.chance(0.05):
        row = hostile.value(d)
    return quote(dumps(row)) + "::jsonb"


# ---------------------------------------------------------------- arrays

def places_of(feature):
    """Numbers that a feature takes in the array form."""
    if feature["kind"] == "dense":
        return feature.get("width") or len(feature.get("columns") or [1])
    return 1 if feature["kind"] == "sparse" else feature["max_length"] * (2 if feature.get("weights") else 1)


def feature_array(d, seed):
    length = sum(places_of(f) for f in seed.mutant.contract["features"])
    return array(d, d.pick([length] * 6 + [length - 1, length + 1, 2 * length, 0]), d.pick(d.pick([NUMBER_TYPES] * 3 + [TYPES])))


# ---------------------------------------------------------------- rows

def good_value(d, value):
    """SQL for a value of a row in JSON."""
    if value is None:
        return "NULL::" + d.pick(["int4", "float8[]", "text"])
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quote(value) + "::" + d.pick(["text", "varchar"])
    if isinstance(value, (int, float)):
        return "(%r)::%s" % (value, d.pick(["numeric", "float8"]))
    if value and all(isinstance(v, str) for v in value):
        return quote(array_text(d, value)) + "::text[]"
    if isinstance(value, list) and all(isinstance(v, (int, float)) for v in value):
        return quote(array_text(d, [str(int(v) if isinstance(v, bool) else v) for v in value])) + "::" + d.pick(["numeric[]", "float8[]"])
    return quote(json.dumps(value)) + "::jsonb"


def columns(d, seed):
    """(name, SQL) for each column, with some hostile ones."""
    found = [(name, good_value(d, value)) for name, value in seed.row.items() if name]
    for _ in range(d.pick([0, 1, 1, 2, 5])):
        place = d.integer(0, max(len(found) - 1, 0))
        change = d.pick(["value", "value", "value", "remove", "add", "twice", "rename"])
        sql = d.pick([scalar, array])(d)
        if change == "add" or not found:
            found.insert(place, ("c%d" % len(found), sql))
        elif change == "value":
            found[place] = (found[place][0], d.pick([sql, sql, "ROW(1)", "ROW(1, 2)::odd_row", "NULL::odd_row", "NULL"]))
        elif change == "remove":
            del found[place]
        elif change == "twice":
            found.append((found[place][0], sql))
        else:
            found[place] = (found[place][0][:-1] + "X", found[place][1])
    return found


def record(found):
    return "(SELECT r FROM (SELECT %s) r)" % ", ".join("%s AS %s" % (sql, identifier(name)) for name, sql in found)


def row(d, seed):
    found = columns(d, seed)
    if d.chance(0.1):
        found += [("more%d" % i, "NULL::int4") for i in range(d.pick([1, 100, 1000]))]
    return record(found)


def pair(d, seed):
    """Two rows; what is between them in a shuffled list of columns goes to the second."""
    found = d.shuffled(columns(d, seed))
    middle = d.integer(0, len(found))
    first, second = record(found[:middle]), record(found[middle:])
    if d.chance(0.1):
        second = d.pick([scalar(d, "text"), jsonb(d, seed), "ROW(1, 2)", "NULL::record", "'x'", first])
    return first + ", " + second


def other(d, seed):
    """What is no row of features at all."""
    return d.pick([scalar(d), scalar(d), "NULL", "'{}'", "'x'", "ROW()", "ROW(1)", "ROW(NULL)", "ROW(1, 'x', NULL)", "ROW(1, 2)::odd_row",
                   "ROW(1, 2)::odd_row_domain", "NULL::odd_row", "NULL::odd_row_domain", "ARRAY[ROW(1, 2)::odd_row]", "ARRAY[ROW(1)]",
                   "'{1,2}'::odd_array", "'{NULL}'::odd_array", "$1", "ROW($1)", "ARRAY[$1]", "(SELECT t FROM pg_type t LIMIT 1)",
                   "now()", "current_user", "ARRAY[]::text[]", "'{}'::odd_enum[]", "(SELECT r FROM pg_class r WHERE false)"])


def expression(d, seed):
    kind, make = d.pick([("jsonb", jsonb)] * 3 + [("array", feature_array)] * 3 + [("row", row)] * 3 + [("pair", pair), ("other", other)])
    return kind, make(d, seed)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", required=True)
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--phase", required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    seeds = read_seeds(options.seeds)
    each = -(-options.count // len(seeds))
    for place, seed in enumerate(seeds):
        numbers = range(place * each, min((place + 1) * each, options.count))
        sys.stdout.write("COPY fuzz_row FROM STDIN;\n")
        for number in numbers:
            kind, sql = expression(Draw(options.seed, number), seed)
            model = "\\\\x" + seed.file.hex() if number == numbers[0] else "\\N"
            sys.stdout.write("%d\t%s\t%s\t%s\n" % (number, model, kind, copy_field(sql)))
        sys.stdout.write("\\.\nCALL fuzz_rows();\nCALL fuzz_look('%s');\n" % options.phase)


if __name__ == "__main__":
    main()
