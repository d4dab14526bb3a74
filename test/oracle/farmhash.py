"""FarmHash's Fingerprint64 (farmhashna::Hash64) of a byte string, in plain Python.

Integers of Python have no fixed width: every sum and product below is cut to 64 bits with `MASK`.
"""

MASK = (1 << 64) - 1

# The primes of the CityHash family.
K0 = 0xC3A5C85C97CB3127
K1 = 0xB492B66FBE98F273
K2 = 0x9AE16A3B2F90404F


def rotate(value, shift):
    """The 64-bit value turned right by 0 < shift < 64 bits."""
    value &= MASK
    return (value >> shift) | (value << (64 - shift)) & MASK


def shift_mix(value):
    value &= MASK
    return value ^ (value >> 47)


def word(data, at):
    """The 8 bytes at a position, counted from the end when negative, as a little-endian number."""
    at = at if at >= 0 else len(data) + at
    return int.from_bytes(data[at:at + 8], "little")


def half_word(data, at):
    at = at if at >= 0 else len(data) + at
    return int.from_bytes(data[at:at + 4], "little")


def mix(u, v, mul):
    """Two words into one, by Murmur's finisher with a multiplier that depends on the length."""
    a = shift_mix((u ^ v) * mul)
    b = shift_mix(((v & MASK) ^ a) * mul)
    return b * mul & MASK


def hash_up_to_16(data):
    n = len(data)
    mul = K2 + 2 * n
    if n >= 8:
        a = word(data, 0) + K2
        b = word(data, -8)
        c = rotate(b, 37) * mul + a
        d = (rotate(a, 25) + b) * mul
        return mix(c & MASK, d & MASK, mul)
    if n >= 4:
        return mix(n + (half_word(data, 0) << 3), half_word(data, -4), mul)
    if n > 0:
        y = data[0] + (data[n // 2] << 8)
        z = n + (data[n - 1] << 2)
        return shift_mix(y * K2 & MASK ^ z * K0 & MASK) * K2 & MASK
    return K2


def hash_17_to_32(data):
    mul = K2 + 2 * len(data)
    a = word(data, 0) * K1
    b = word(data, 8)
    c = word(data, -8) * mul
    d = word(data, -16) * K2
    y = rotate(a + b, 43) + rotate(c, 30) + d
    z = a + rotate(b + K2, 18) + c
    return mix(y & MASK, z & MASK, mul)


def hash_33_to_64(data):
    mul = K2 + 2 * len(data)
    a = word(data, 0) * K2
    b = word(data, 8)
    c = word(data, -8) * mul
    d = word(data, -16) * K2
    y = (rotate(a + b, 43) + rotate(c, 30) + d) & MASK
    z = mix(y, (a + rotate(b + K2, 18) + c) & MASK, mul)
    e = word(data, 16) * mul
    f = word(data, 24)
    g = (y + word(data, -32)) * mul
    h = (z + word(data, -24)) * mul
    return mix((rotate(e + f, 43) + rotate(g, 30) + h) & MASK, (e + rotate(f + a, 18) + g) & MASK, mul)


def mix_32_bytes(data, at, a, b):
    """Four words at a position and two seeds into two words."""
    w, x, y, z = (word(data, at + 8 * i) for i in range(4))
    a += w
    b = rotate(b + a + z, 21)
    c = a
    a += x + y
    b += rotate(a, 44)
    return (a + z) & MASK, (b + c) & MASK


def hash_above_64(data):
    n = len(data)
    seed = 81
    x = (seed * K2 + word(data, 0)) & MASK
    y = (seed * K1 + 113) & MASK
    z = shift_mix(y * K2 + 113) * K2 & MASK
    v = (0, 0)
    w = (0, 0)

    # All whole blocks of 64 bytes but the last (a whole one, too, is left for the end).
    for at in range(0, (n - 1) // 64 * 64, 64):
        x = rotate(x + y + v[0] + word(data, at + 8), 37) * K1 & MASK
        y = rotate(y + v[1] + word(data, at + 48), 42) * K1 & MASK
        x ^= w[1]
        y = (y + v[0] + word(data, at + 40)) & MASK
        z = rotate(z + w[0], 33) * K1 & MASK
        v = mix_32_bytes(data, at, v[1] * K1, x + w[0])
        w = mix_32_bytes(data, at + 32, z + w[1], y + word(data, at + 16))
        z, x = x, z

    # The last 64 bytes, which may overlap the block before.
    at = n - 64
    mul = K1 + ((z & 0xFF) << 1)
    w = (w[0] + ((n - 1) & 63), w[1])
    v = (v[0] + w[0], v[1])
    w = (w[0] + v[0], w[1])
    x = rotate(x + y + v[0] + word(data, at + 8), 37) * mul & MASK
    y = rotate(y + v[1] + word(data, at + 48), 42) * mul & MASK
    x ^= w[1] * 9 & MASK
    y = (y + v[0] * 9 + word(data, at + 40)) & MASK
    z = rotate(z + w[0], 33) * mul & MASK
    v = mix_32_bytes(data, at, v[1] * mul, x + w[0])
    w = mix_32_bytes(data, at + 32, z + w[1], y + word(data, at + 16))
    z, x = x, z
    return mix((mix(v[0], w[0], mul) + shift_mix(y) * K0 + z) & MASK, (mix(v[1], w[1], mul) + x) & MASK, mul)


def fingerprint64(data):
    if len(data) <= 16:
        return hash_up_to_16(data)
    if len(data) <= 32:
        return hash_17_to_32(data)
    if len(data) <= 64:
        return hash_33_to_64(data)
    return hash_above_64(data)
