"""Layers of bf16 and int8, after docs/model-format.md, "Precision": in exact integers, and in float32 where it says so.

The inputs of such a layer are rounded. What the oracle and the server compute on the way there differs by a few units in the last
place, which can turn a rounding where a number lies in the middle between two neighbours, within that difference: `near_tie` says so.
"""

import numpy as np

LEAST = 2.0 ** -56              # bf16 below it counts as 0
LEAST_RANGE = 2.0 ** -100       # int8: of a row that is not zeros
NEAR = 4e-7                     # a share of the vector's largest number

FOLD_NUMBERS = {"bf16": 24, "int8": 32}     # the shortest embeddings that are folded
STRIP = 16


def bf16_bits(numbers):
    """The nearest bf16 of float32 numbers, ties to even: their upper halves as integers."""
    bits = np.ascontiguousarray(numbers, "<f4").view("<u4").astype(np.int64)
    lower = bits & 0xFFFF
    upper = bits >> 16
    up = (lower > 0x8000) | ((lower == 0x8000) & (upper & 1 == 1))
    return (upper + up).astype("<u2")


def bf16_values(bits):
    return (bits.astype("<u4") << 16).view("<f4").astype("f8")


def bf16_numbers(numbers):
    """As layers read them: rounded, and 0 for those that are too small."""
    values = bf16_values(bf16_bits(numbers)) if numbers.dtype != np.dtype("<u2") else bf16_values(numbers)
    return np.where(np.abs(values) < LEAST, 0, values)


def bf16_near_tie(x):
    """Whether some number lies about in the middle of two of bf16, or by the least."""
    size = np.abs(x)
    exponent = np.floor(np.log2(np.maximum(size, LEAST / 2)))
    steps = size / 2.0 ** (exponent - 7)
    away = np.abs(steps - np.floor(steps) - 0.5) * 2.0 ** (exponent - 7)
    return bool((away < NEAR * max(size.max(), LEAST)).any())


def bf16_sums(weights, x):
    """Sums of products: of each pair of inputs first the later one, each product exact, each sum rounded to float32."""
    w, x = bf16_numbers(weights), bf16_numbers(np.asarray(x, "<f4"))
    sums = np.zeros(len(w), "f4")
    for begin in range(0, len(x), 2):
        for k in (begin + 1, begin):
            if k < len(x):
                # 16 and 24 digits: float64 holds all but what lies far below
                sums = (sums.astype("f8") + w[:, k] * x[k]).astype("f4")
    return sums


def int8_row(x):
    """The integers q, the scale and the zero of a row: x is about scale * (q - zero)."""
    x = np.asarray(x, "f4")
    low, high = min(x.min(), np.float32(0)), max(x.max(), np.float32(0))
    spread = np.float32(high - low)
    if spread < LEAST_RANGE:
        return np.zeros(len(x), np.int64), np.float32(0), 0
    scale, inverse = np.float32(spread / np.float32(255)), np.float32(np.float32(255) / spread)
    zero = int(np.rint(np.float32(-low * inverse)))
    q = np.rint(x * inverse).astype(np.int64) + zero
    return np.clip(q, 0, 255), scale, zero


def int8_near_tie(x):
    spread = max(x.max(), 0) - min(x.min(), 0)
    if spread == 0:
        return False
    steps = np.append(x, -min(x.min(), 0)) * 255 / spread
    away = np.abs(steps - np.floor(steps) - 0.5)
    return bool((away < NEAR * 255).any() or spread < 2 * LEAST_RANGE)


def int8_sums(weights, x):
    """The exact sums of (q - zero) * weight as float32, and the row's scale."""
    q, scale, zero = int8_row(x)
    return (weights.astype(np.int64) @ (q - zero)).astype("f4"), scale


def rounded_to_int8(weights):
    """Weights (units, inputs) as integers, and the units' scales."""
    weights = np.asarray(weights, "f4")
    scales = (np.abs(weights).max(axis=1) / np.float32(127)).astype("f4")
    steps = np.rint(weights.astype("f8") / np.where(scales > 0, scales, 1).astype("f8")[:, None])
    return np.clip(np.where(scales[:, None] > 0, steps, 0), -127, 127).astype("i1"), scales


def rounded_units(units):
    """Up to a multiple of a strip."""
    return -(-units // STRIP) * STRIP


def folded(precision, tables, units, inputs):
    """The names of the features that are folded, for layers of so many units each that read `x`, which has so many numbers.
    `tables`: (name, kind, rows, numbers, whether it is of the context) of each feature with a table, as declared."""
    U = sum(rounded_units(u) for u in units)
    N = sum(units) * inputs + sum(rows * numbers for _, _, rows, numbers, _ in tables)
    N = min(max(N, 2 ** 18), 2 ** 22)
    cost = 2 ** 30
    names = set()
    # sorted() keeps the declared order of equals
    for name, kind, rows, numbers, _ in sorted(tables, key=lambda t: (t[4], t[2])):
        if kind != "sparse" or numbers < FOLD_NUMBERS[precision] or U * (rows + numbers) > N or U * rows * numbers > cost:
            continue
        N -= U * (rows + numbers)
        cost -= U * rows * numbers
        names.add(name)
    return names
