"""Small random damage to a model file: to its bytes, its header, its contract, its tensors.

A change of the header, the contract or the tensors comes with a right checksum, so that the checks behind it are reached.
"""

import copy
import struct

import numpy as np

import hostile
from mutant import assemble, dumps, encode


def mutate(d, seeds):
    """Bytes of a mutated file, the number of the seed that it came from, and what was done."""
    number = d.integer(0, len(seeds) - 1)
    other = d.pick(seeds)
    kind = d.pick(["bytes"] * 5 + ["header"] * 3 + ["contract"] * 7 + ["tensors"] * 4 + ["both"])
    if kind == "bytes":
        return damage_bytes(d, seeds[number].file, other.file), number, kind
    mutant = seeds[number].mutant.copy()
    for _ in range(d.pick([1, 1, 1, 1, 2, 3, 5])):
        if kind in ("contract", "both"):
            d.pick(CONTRACT)(d, mutant, other.mutant)
        if kind in ("tensors", "both"):
            d.pick(TENSORS)(d, mutant, other.mutant)
    if kind == "header":
        for _ in range(d.pick([1, 1, 2])):
            d.pick(HEADER)(d, mutant)
    return mutant.file(), number, kind


# ---------------------------------------------------------------- bytes

def cut(d, data):
    """A range of the bytes; short ones more often than long ones."""
    length = min(len(data), d.pick([1, 1, 2, 4, 8, 16, 64, 256, d.integer(1, max(len(data), 1))]))
    start = d.integer(0, len(data) - length)
    return start, start + length


def damage_bytes(d, data, other):
    for _ in range(d.pick([1, 1, 1, 2, 4, 16])):
        if not data:
            return bytes(d.random.bytes(d.integer(0, 20)))
        data = d.pick(BYTES)(d, data, other)
    return data


def truncate(d, data, other):
    return data[:d.pick([0, 7, 8, 9, len(data) - 1, len(data) - 4, d.integer(0, len(data))])]


def pad(d, data, other):
    return data + d.pick([b"\0", b" ", b"\0" * 8, bytes(d.random.bytes(d.integer(1, 300))), other])


def flip_bits(d, data, other):
    changed = bytearray(data)
    for _ in range(d.pick([1, 1, 2, 8])):
        changed[d.integer(0, len(data) - 1)] ^= 1 << d.integer(0, 7)
    return bytes(changed)


def replace_bytes(d, data, other):
    start, end = cut(d, data)
    return data[:start] + d.pick([bytes(d.random.bytes(end - start)), b"\0" * (end - start), b"\xff" * (end - start)]) + data[end:]


def remove_bytes(d, data, other):
    start, end = cut(d, data)
    return data[:start] + data[end:]


def repeat_bytes(d, data, other):
    start, end = cut(d, data)
    return data[:end] + data[start:end] * d.pick([1, 1, 2, 10]) + data[end:]


def move_bytes(d, data, other):
    start, end = cut(d, data)
    rest = data[:start] + data[end:]
    place = d.integer(0, len(rest))
    return rest[:place] + data[start:end] + rest[place:]


def splice(d, data, other):
    return data[:d.integer(0, len(data))] + other[d.integer(0, len(other)):]


def change_length(d, data, other):
    """The header's length, which should be the first eight bytes."""
    true = int.from_bytes(data[:8], "little")
    length = d.pick([0, 1, 2, true - 1, true + 1, len(data), len(data) - 8, len(data) - 7, 2**24, 2**24 + 1, 2**31, 2**32 + true, 2**63,
                     2**64 - 1, 2**64 - 8])
    return (length % 2**64).to_bytes(8, "little") + data[8:]


def insert_json(d, data, other):
    """Hostile JSON in place of a piece of the header; its length is set right."""
    start = min(8 + int.from_bytes(data[:8], "little"), len(data))
    header = data[8:start]
    if not header:
        return data
    place, end = cut(d, header)
    header = header[:place] + encode(dumps(hostile.value(d))) + header[d.pick([place, end]):]
    return assemble(header, data[start:])


def replace_all(d, data, other):
    return d.pick([b"", b"{}", assemble(b"{}", b""), assemble(b"[]", b""), assemble(b"", b""), assemble(b"null", b""),
                   assemble(b'{"__metadata__":{}}', b""), assemble(b'{"__metadata__":{"mtl_rank":"{}","mtl_rank_sha256":""}}', b""),
                   bytes(d.random.bytes(d.integer(0, 1000)))])


BYTES = [truncate, pad, flip_bits, flip_bits, flip_bits, replace_bytes, replace_bytes, remove_bytes, repeat_bytes, move_bytes, splice,
         change_length, insert_json, insert_json, replace_all]


# ---------------------------------------------------------------- header

def entries_of(mutant):
    if mutant.entries is None:
        mutant.entries = mutant.true_entries()
    return mutant.entries


def change_entry(d, mutant):
    """A field of a tensor's entry, or an offset or a dimension."""
    entries = entries_of(mutant)
    entry = entries[d.pick(list(entries))]
    if not isinstance(entry, dict) or not entry:
        return
    field = d.pick(list(entry))
    if isinstance(entry[field], list) and entry[field] and d.chance(0.7):
        values = list(entry[field])
        place = d.integer(0, len(values) - 1)
        if isinstance(values[place], int) and d.chance(0.6):
            values[place] += d.pick([-1, 1, -4, 4, 8, -8, 2**31, 2**32, 2**62])
        else:
            values[place] = hostile.value(d)
        entry[field] = values
    else:
        entry[field] = hostile.value(d)


def change_fields(d, mutant):
    entries = entries_of(mutant)
    name = d.pick(list(entries))
    if d.chance(0.3):
        entries[name] = hostile.value(d)
    elif isinstance(entries[name], dict):
        if d.chance(0.5) and entries[name]:
            del entries[name][d.pick(list(entries[name]))]
        else:
            entries[name][d.pick(["strides", "", "dtype", "shape", "data_offsets"])] = hostile.value(d)


def swap_entries(d, mutant):
    entries = entries_of(mutant)
    a, b = d.pick(list(entries)), d.pick(list(entries))
    entries[a], entries[b] = entries[b], entries[a]


def rename_entry(d, mutant):
    entries = entries_of(mutant)
    name = d.pick(list(entries))
    entry = entries.pop(name)
    entries[d.pick([d.pick(hostile.TEXTS), name + "x", name[:-1], name.upper(), name.replace(".", "")])] = entry
    if not entries or d.chance(0.2):
        entries[name] = entry


def add_entry(d, mutant):
    size = len(mutant.data())
    begin = d.pick([0, size, size - 4, d.integer(0, size)])
    entries_of(mutant)[d.pick(hostile.TEXTS)] = {"dtype": d.pick(["F32", "U8", "I64", "F16"]), "shape": [d.pick([0, 1, 2, 2**40])],
                                                 "data_offsets": [begin, d.pick([begin, size, begin + 4])]}


def change_metadata(d, mutant):
    metadata = dict(mutant.true_metadata() if mutant.metadata is None else mutant.metadata)
    key = d.pick(["mtl_rank", "mtl_rank_sha256", d.pick(hostile.TEXTS)])
    change = d.pick(["remove", "value", "text", "case", "all"])
    if change == "remove":
        metadata.pop(key, None)
    elif change == "value":
        metadata[key] = hostile.value(d)
    elif change == "text":
        metadata[key] = d.pick(hostile.TEXTS)
    elif change == "case":
        metadata["mtl_rank_sha256"] = str(metadata.get("mtl_rank_sha256")).upper()
    else:
        metadata = hostile.value(d)
    mutant.metadata = metadata if isinstance(metadata, dict) else {"mtl_rank": metadata}


def change_padding(d, mutant):
    mutant.padding = d.pick([1, 7, 8, 1000, 70000])


HEADER = [change_entry, change_entry, change_entry, change_entry, change_fields, swap_entries, rename_entry, add_entry, change_metadata,
          change_padding]


# ---------------------------------------------------------------- contract

def places(tree):
    """All (container, key) of a JSON value."""
    found = []
    stack = [tree]
    while stack:
        container = stack.pop()
        items = container.items() if isinstance(container, dict) else enumerate(container)
        for key, child in items:
            found.append((container, key))
            if isinstance(child, (dict, list)):
                stack.append(child)
    return found


def containers(tree, kind):
    return [tree] * isinstance(tree, kind) + [c[k] for c, k in places(tree) if isinstance(c[k], kind)]


def pick_place(d, contract):
    """Any place; the provenance, which is not read, seldom."""
    contract.setdefault("format", 1)
    found = places(contract)
    for _ in range(3):
        container, key = d.pick(found)
        if not (container is contract and key == "provenance"):
            break
    return container, key


def change_value(d, mutant, other):
    container, key = pick_place(d, mutant.contract)
    container[key] = hostile.value(d)


def nudge_value(d, mutant, other):
    """A value near the true one."""
    container, key = pick_place(d, mutant.contract)
    value = container[key]
    if isinstance(value, bool):
        container[key] = d.pick([not value, int(value), str(value)])
    elif isinstance(value, (int, float)):
        container[key] = d.pick([value + 1, value - 1, -value, value * 2, value + 0.5, value / 2, str(value), [value], 10 * value])
    elif isinstance(value, str):
        container[key] = d.pick([value + "x", value[:-1], value.upper(), value * 2, [value], {"type": value}, {value: value},
                                 d.pick(hostile.WORDS)])
    elif isinstance(value, list):
        container[key] = d.pick([value[:-1], value + value[:1], value * 2, value[::-1], hostile.repeat(value, 100), value[:1] * 2])
    else:
        container[key] = d.pick([[value], [], {}, value])


def remove_value(d, mutant, other):
    container, key = pick_place(d, mutant.contract)
    del container[key]


def swap_values(d, mutant, other):
    (a, i), (b, k) = pick_place(d, mutant.contract), pick_place(d, mutant.contract)
    first, second = copy.deepcopy(a[i]), copy.deepcopy(b[k])
    a[i] = second
    b[k] = first


def graft_value(d, mutant, other):
    """A piece of another contract, in the same place if there is one."""
    donor, donor_key = pick_place(d, other.contract)
    twins = [(c, k) for c, k in places(mutant.contract) if k == donor_key] if isinstance(donor_key, str) else []
    container, key = d.pick(twins) if twins and d.chance(0.8) else pick_place(d, mutant.contract)
    container[key] = copy.deepcopy(donor[donor_key])


def add_key(d, mutant, other):
    target = d.pick(containers(mutant.contract, dict))
    key = d.pick(d.pick([hostile.KEYS, hostile.KEYS, hostile.KEYS, hostile.TEXTS]))
    twins = [c[k] for c, k in places(other.contract) if k == key]
    target[key] = copy.deepcopy(d.pick(twins)) if twins and d.chance(0.5) else hostile.value(d)


def rename_key(d, mutant, other):
    target = d.pick(containers(mutant.contract, dict))
    if target:
        target[d.pick(d.pick([hostile.KEYS, hostile.TEXTS]))] = target.pop(d.pick(list(target)))


def tune(d, mutant, other):
    """A factor at the end of what is allowed."""
    knobs = ["temperature", "epsilon", "negative_slope", "empty_value", "tolerance", "mean", "std", "min", "max", "missing",
             "max_length", "offset", "num_buckets", "oov", "padding"]
    present = [(c, k) for c, k in places(mutant.contract) if k in knobs]
    gates = [c[k] for c, k in places(mutant.contract) if k in ("gate", "normalization", "logit_normalization") and isinstance(c[k], dict)]
    if gates and d.chance(0.5):
        gate = d.pick(gates)
        gate["epsilon" if "type" in gate else "temperature"] = d.pick(hostile.EXTREME_NUMBERS)
    elif present:
        container, key = d.pick(present)
        number = d.pick(hostile.EXTREME_NUMBERS)
        container[key] = d.pick([number, number, -number, int(min(number, 2.0**62))])


def tune_rank(d, mutant, other):
    contract = mutant.contract
    names = [t.get("name") for t in contract.get("tasks") or [] if isinstance(t, dict)] if isinstance(contract.get("tasks"), list) else []
    names = [n for n in names if isinstance(n, str)] or ["x"]
    contract["rank"] = {"form": d.pick(["sum", "product"]),
                        "weights": {d.pick(names): d.pick(d.pick([hostile.NUMBERS, hostile.EXTREME_NUMBERS])) for _ in range(3)}}


def rename_all(d, mutant, other):
    """A feature, table or task gets another name wherever it is named, also in the tensors."""
    named = [c[k] for c, k in places(mutant.contract) if k in ("name", "embedding", "vocabulary") and isinstance(c[k], str)]
    if not named:
        return
    old, new = d.pick(named), d.pick(hostile.TEXTS)
    for container, key in places(mutant.contract):
        if container[key] == old:
            container[key] = new
    for target in containers(mutant.contract, dict):
        if old in target and old not in hostile.KEYS:
            target[new] = target.pop(old)
    mutant.tensors = {name.replace(".%s." % old, ".%s." % new): tensor for name, tensor in mutant.tensors.items()}


def change_text(d, mutant, other):
    """The contract's text, so that it is no JSON or says something twice."""
    text = mutant.contract_text()
    place = d.integer(0, len(text))
    end = min(len(text), place + d.pick([1, 1, 2, 5, 30]))
    kind = d.pick(["remove", "repeat", "insert", "twice", "truncate", "wrap", "spaces"])
    if kind == "remove":
        text = text[:place] + text[end:]
    elif kind == "repeat":
        text = text[:end] + text[place:end] + text[end:]
    elif kind == "insert":
        text = text[:place] + dumps(hostile.value(d)) + text[place:]
    elif kind == "truncate":
        text = text[:place]
    elif kind == "wrap":
        text = d.pick(["[%s]", '{"a": %s}', "%s%s", " %s ", "\ufeff%s", '"%s"']).replace("%s", text)
    elif kind == "spaces":
        text = text.replace(" ", d.pick(["", "\n\t  ", "\u00a0", "\f"]))
    else:
        brace = text.find("{", place)
        text = text[:brace + 1] + '"%s": %s, ' % (d.pick(hostile.KEYS), dumps(hostile.value(d))) + text[brace + 1:]
    mutant.text = text


CONTRACT = [change_value, change_value, change_value, change_value, nudge_value, nudge_value, nudge_value, remove_value, swap_values,
            graft_value, graft_value, add_key, rename_key, tune, tune, tune_rank, rename_all, change_text]


# ---------------------------------------------------------------- tensors

FLOATS = np.array([np.nan, np.inf, -np.inf, 3.4028235e38, -3.4028235e38, 1e-45, -1e-45, 1.1754944e-38, 0, -0.0, 1e30, -1e30, 1e19, 1, -1],
                  "<f4")
NANS = [b"\x01\x00\x80\x7f", b"\xff\xff\xff\xff", b"\x00\x00\xc0\xff"]
INTEGERS = [-1, 0, 1, 2, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, -2**63, -2**31]
SIZES = {"F32": 4, "BF16": 2, "I8": 1, "I64": 8, "F64": 8, "U8": 1}
# As bits of bf16: zeros, the least and the largest, ones, around 2^-56, infinities, NaN; the lower byte is one of int8.
HALVES = [0x0000, 0x8000, 0x0001, 0x807F, 0x0080, 0x7F7F, 0xFF7F, 0x3F80, 0xBF81, 0x237F, 0x2380, 0xA381, 0x4B80, 0x7F80, 0xFF80, 0x7FC0]
BAD_TEXT = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\0", b"\x80", b"\xf8\x88\x80\x80\x80"]
EXAMPLE_ROWS = [b"", b"[]", b"{}", b"null", b"0", b"[{}]", b"[[]]", b"[1]", b"[null]", b"[{}, {}, {}]", b"[{}, {}]", b'"x"', b"[{},",
                b"[" * 5000, b'[{"a": ' * 200, b"\xff", b"[{}]\0", b'[{"a": NaN}]']


def pick_tensor(d, mutant):
    return d.pick(list(mutant.tensors)) if mutant.tensors else None


def change_numbers(d, mutant, other):
    tensor = mutant.tensors.get(pick_tensor(d, mutant))
    size = SIZES.get(tensor.dtype, 4) if tensor else 0
    if not tensor or len(tensor.data) < size:
        return
    data = bytearray(tensor.data)
    for _ in range(d.pick([1, 1, 1, 3, 50])):
        place = size * d.integer(0, len(data) // size - 1)
        twin = size * d.integer(0, len(data) // size - 1)
        if tensor.dtype == "I64":
            near = int.from_bytes(data[twin:twin + 8], "little", signed=True) + d.pick([-1, 0, 1])
            data[place:place + 8] = struct.pack("<q", min(max(d.pick([near, near, d.pick(INTEGERS)]), -2**63), 2**63 - 1))
        elif tensor.dtype in ("BF16", "I8"):
            data[place:place + size] = struct.pack("<H", d.pick(HALVES))[:size]
        elif tensor.dtype == "U8":
            text = d.pick(BAD_TEXT) if d.chance(0.5) else bytes(data[twin:twin + 1])
            data[place:place + len(text)] = text
        else:
            data[place:place + 4] = d.pick(NANS) if d.chance(0.05) else d.pick(FLOATS).tobytes()
    tensor.data = bytes(data[:len(tensor.data)])


def fill_numbers(d, mutant, other):
    """One number everywhere, or all numbers times a factor."""
    tensor = mutant.tensors.get(pick_tensor(d, mutant))
    if not tensor or tensor.dtype != "F32" or len(tensor.data) % 4:
        return
    numbers = np.frombuffer(tensor.data, "<f4")
    if d.chance(0.4):
        numbers = np.full(len(numbers), d.pick(FLOATS[3:]), "<f4")
    elif d.chance(0.5):
        with np.errstate(all="ignore"):
            numbers = numbers * np.float32(d.pick([0, -1, 1e-30, 1e-44, 1e10, 1e30, 1e38]))
    else:
        numbers = np.frombuffer(d.random.bytes(len(tensor.data)), "<f4")
    tensor.data = numbers.astype("<f4").tobytes()


def reorder_numbers(d, mutant, other):
    tensor = mutant.tensors.get(pick_tensor(d, mutant))
    if tensor and tensor.dtype == "I64" and len(tensor.data) % 8 == 0:
        tensor.data = np.sort(np.frombuffer(tensor.data, "<i8"))[::d.pick([1, -1])].tobytes()
    elif tensor:
        tensor.data = tensor.data[::-1]


def change_shape(d, mutant, other):
    """Another shape, for the same number of elements or not."""
    tensor = mutant.tensors.get(pick_tensor(d, mutant))
    if not tensor:
        return
    count = int(np.prod([min(s, 2**31) for s in tensor.shape if isinstance(s, int)], dtype=object))
    tensor.shape = d.pick([tensor.shape[::-1], [count], [1, count], [count, 1], [1] + tensor.shape, tensor.shape + [1, 1, 1], [],
                           [0] + tensor.shape, [count * 2**32, 2**32], [-1] + tensor.shape[1:], [2**62, 4], [count + 1],
                           [s + 1 for s in tensor.shape]])


def change_type(d, mutant, other):
    tensor = mutant.tensors.get(pick_tensor(d, mutant))
    if tensor:
        tensor.dtype = d.pick(["F32", "I64", "U8", "F64", "BF16", "I8", "f32", ""])
        if d.chance(0.7):
            tensor.shape = [len(tensor.data) // SIZES.get(tensor.dtype, 1)]


def change_precision(d, mutant, other):
    if isinstance(mutant.contract, dict):
        mutant.contract["precision"] = d.pick(["float32", "bf16", "int8", "int8", "int4", "", None, 8, ["bf16"]])


def resize(d, mutant, other):
    """More or fewer rows, with the data for them."""
    tensor = mutant.tensors.get(pick_tensor(d, mutant))
    if not tensor or not tensor.shape or not tensor.shape[0]:
        return
    row = len(tensor.data) // tensor.shape[0]
    rows = d.pick([0, 1, tensor.shape[0] - 1, tensor.shape[0] + 1, 2 * tensor.shape[0], 1000])
    tensor.data = (tensor.data * (rows // tensor.shape[0] + 1))[:rows * row]
    tensor.shape = [rows] + tensor.shape[1:]


def remove_tensor(d, mutant, other):
    mutant.tensors.pop(pick_tensor(d, mutant), None)


def rename_tensor(d, mutant, other):
    name = pick_tensor(d, mutant)
    if name is None:
        return
    new = d.pick([d.pick(hostile.TEXTS), d.pick(list(other.tensors)), name + ".0", name.replace("weight", "bias"), name.replace("0", "1")])
    if new != "__metadata__":
        mutant.tensors = {new if n == name else n: t for n, t in mutant.tensors.items()}


def exchange_tensors(d, mutant, other):
    if mutant.tensors:
        a, b = pick_tensor(d, mutant), pick_tensor(d, mutant)
        mutant.tensors[a], mutant.tensors[b] = mutant.tensors[b], mutant.tensors[a]


def graft_tensor(d, mutant, other):
    name = d.pick(list(other.tensors))
    tensor = other.tensors[name]
    target = d.pick([name, pick_tensor(d, mutant) or name])
    mutant.tensors[target] = type(tensor)(tensor.dtype, list(tensor.shape), tensor.data)


def change_order(d, mutant, other):
    mutant.tensors = {name: mutant.tensors[name] for name in d.shuffled(list(mutant.tensors))}


def change_examples(d, mutant, other):
    """Examples that are no rows of the model, or no rows at all; added where there are none."""
    tensors = mutant.tensors
    make = type(next(iter(other.tensors.values())))
    text = d.pick(EXAMPLE_ROWS)
    outputs = d.pick([1, 2, 3, 4])
    count = d.pick([1, 1, 2, 3, 100000])
    if isinstance(mutant.contract, dict):
        mutant.contract["examples"] = {"count": count, "tolerance": d.pick([0, 1e-6, 1, 1e300])}
    tensors["examples.rows"] = make("U8", [len(text)], text)
    if "examples.scores" not in tensors or d.chance(0.5):
        count = min(count, 100)
        tensors["examples.scores"] = make("F32", [count, outputs], b"\0\0\0\0" * count * outputs)


TENSORS = [change_numbers, change_numbers, change_numbers, change_numbers, fill_numbers, fill_numbers, reorder_numbers, change_shape,
           change_shape, change_type, change_precision, resize, resize, remove_tensor, rename_tensor, exchange_tensors, graft_tensor, change_order,
           change_examples]
