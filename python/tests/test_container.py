"""The container: bytes out, bytes in, and what is refused."""

import hashlib
import json
import unittest
from unittest import mock

import numpy as np

from mtl_rank import ModelError
from mtl_rank import container

CONTRACT = {"format": 1, "note": "Łódź"}
TENSORS = {
    "b": np.arange(6, dtype="<f4").reshape(2, 3),
    "a": np.array([7, -1], "<i8"),
    "c": np.frombuffer(b"xyz", "u1"),
}


def parts(data):
    """Header and body of a file."""
    start = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:start]), data[start:]


def join(header, body):
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + body


class RoundTrip(unittest.TestCase):
    def test_contract_and_tensors_come_back(self):
        contract, tensors = container.decode(container.encode(CONTRACT, TENSORS))
        self.assertEqual(contract, CONTRACT)
        self.assertEqual(set(tensors), set(TENSORS))
        for name, tensor in TENSORS.items():
            self.assertEqual(tensors[name].dtype, tensor.dtype)
            np.testing.assert_array_equal(tensors[name], tensor)

    def test_same_content_gives_same_bytes(self):
        backwards = dict(reversed(TENSORS.items()))
        self.assertEqual(container.encode(CONTRACT, TENSORS), container.encode(CONTRACT, backwards))

    def test_layout(self):
        data = container.encode(CONTRACT, TENSORS)
        header, body = parts(data)
        self.assertEqual(int.from_bytes(data[:8], "little") % 8, 0)
        self.assertEqual(header["a"], {"dtype": "I64", "shape": [2], "data_offsets": [0, 16]})
        self.assertEqual(header["b"], {"dtype": "F32", "shape": [2, 3], "data_offsets": [16, 40]})
        self.assertEqual(header["c"], {"dtype": "U8", "shape": [3], "data_offsets": [40, 43]})
        self.assertEqual(body, TENSORS["a"].tobytes() + TENSORS["b"].tobytes() + b"xyz")

    def test_tensors_are_converted(self):
        _, tensors = container.decode(container.encode(CONTRACT, {
            "double": [0.5, 0.1], "short": np.array([3], "i2"), "big": np.array([1.5], ">f4"),
            "transposed": TENSORS["b"].T,
        }))
        self.assertEqual({name: container.dtype_name(t) for name, t in tensors.items()},
                         {"double": "F32", "short": "I64", "big": "F32", "transposed": "F32"})
        np.testing.assert_array_equal(tensors["double"], np.array([0.5, 0.1], "f4"))
        self.assertEqual(tensors["big"][0], 1.5)
        np.testing.assert_array_equal(tensors["transposed"], TENSORS["b"].T)


    def test_compact_types_come_back(self):
        given = {"half": np.array([[0x3F80, 0xC020]], "u2"), "byte": np.array([-128, 127], "i1"), "big": np.array([0x3F80], ">u2")}
        data = container.encode(CONTRACT, given)
        _, tensors = container.decode(data)
        self.assertEqual({name: container.dtype_name(t) for name, t in tensors.items()}, {"half": "BF16", "byte": "I8", "big": "BF16"})
        for name, tensor in given.items():
            np.testing.assert_array_equal(tensors[name], tensor)
        self.assertEqual(parts(data)[0]["half"]["data_offsets"], [2, 6])


class Digest(unittest.TestCase):
    def test_is_the_documented_one(self):
        header, _ = parts(container.encode(CONTRACT, TENSORS))
        text = header["__metadata__"]["mtl_rank"]
        expected = hashlib.sha256(
            text.encode() + b"a" + TENSORS["a"].tobytes() + b"b" + TENSORS["b"].tobytes() + b"cxyz").hexdigest()
        self.assertEqual(header["__metadata__"]["mtl_rank_sha256"], expected)

    def test_names_are_sorted_by_bytes(self):
        x, y = np.array([1], "f4"), np.array([2], "f4")
        expected = hashlib.sha256("{}".encode() + b"Z" + x.tobytes() + "é".encode() + y.tobytes()).hexdigest()
        self.assertEqual(container.digest("{}", {"é": y, "Z": x}), expected)

    def test_every_changed_byte_of_the_tensors_is_found(self):
        data = container.encode(CONTRACT, TENSORS)
        body = len(data) - len(parts(data)[1])
        for place in range(body, len(data)):
            with self.assertRaises(ModelError):
                container.decode(data[:place] + bytes([data[place] ^ 1]) + data[place + 1:])

    def test_changed_contract_is_found(self):
        header, body = parts(container.encode(CONTRACT, TENSORS))
        header["__metadata__"]["mtl_rank"] = header["__metadata__"]["mtl_rank"].replace("1", "2")
        with self.assertRaisesRegex(ModelError, "^checksum does not match: the file says [0-9a-f]{64}, "):
            container.decode(join(header, body))


class Refused(unittest.TestCase):
    def assert_refused(self, data, message):
        with self.assertRaisesRegex(ModelError, message):
            container.decode(data)

    def test_truncated(self):
        data = container.encode(CONTRACT, TENSORS)
        for length in range(len(data)):
            with self.assertRaises(ModelError):
                container.decode(data[:length])
        self.assert_refused(data[:5], "^5 bytes are too few for a safetensors file$")
        self.assert_refused(data[:20], "^header of [0-9]+ bytes in a file of 20 bytes: truncated")
        self.assert_refused(data[:-1], 'tensor "c" lies at bytes 40 to 43 of 42 bytes of data')

    def test_padded(self):
        self.assert_refused(container.encode(CONTRACT, TENSORS) + b"\0", "^the tensors cover 43 bytes of data, the file has 44$")

    def test_header(self):
        self.assert_refused(join(b"\xff", b""), "^the header is not UTF-8 text: ")
        self.assert_refused(join(b"[]", b""), "^the header is not a JSON object$")
        self.assert_refused(join(b"{", b""), "^the header is not JSON: ")
        self.assert_refused(join(b"[" * 100_000, b""), "^the header is (nested too deeply|not JSON)")
        self.assert_refused(join(b'{"a": 1, "a": 2}', b""), '^key of the header "a" appears twice$')
        self.assert_refused(join(b'{"a": NaN}', b""), "^the header holds NaN, which is not JSON$")
        self.assert_refused(join({}, b""), '^the safetensors file has no "__metadata__"$')
        self.assert_refused(join({"__metadata__": {}}, b""), '^"__metadata__" has no "mtl_rank"$')

    def test_entries(self):
        header, body = parts(container.encode(CONTRACT, TENSORS))
        for change, message in (
            ({"dtype": "F16"}, '^tensor "a" has the dtype \'F16\', expected one of I64, F32, BF16, I8, U8$'),
            ({"shape": [3]}, r'^tensor "a" of shape \[3\] has 16 bytes of data, expected 24$'),
            ({"shape": [-2]}, r'^tensor "a" has the shape \[-2\], expected a list of sizes$'),
            ({"shape": []}, '^tensor "a" of shape .* has 16 bytes of data, expected 8$'),
            ({"shape": [1, 1, 1, 1, 2]}, '^tensor "a" has 5 dimensions, expected 1 to 4$'),
            ({"data_offsets": [16, 0]}, '^tensor "a" lies at bytes 16 to 0 of 43 bytes of data$'),
            ({"data_offsets": [0, 1 << 60]}, '^tensor "a" lies at bytes 0 to 1152921504606846976 of 43 bytes'),
            ({"data_offsets": [8, 24]}, '^tensor "a" begins at byte 8 of the data, expected 0$'),
            ({"more": 1}, '^tensor "a": expected the keys "dtype", "shape" and "data_offsets"$'),
        ):
            with self.subTest(change):
                self.assert_refused(join({**header, "a": {**header["a"], **change}}, body), message)

        for change in ({"dtype": ["I64"]}, {"dtype": None}, {"shape": [0, 1 << 62, 1 << 62], "data_offsets": [0, 0]}):
            with self.subTest(change):
                self.assert_refused(join({**header, "a": {**header["a"], **change}}, body), '^tensor "a" has the (dtype|shape) ')

    def test_numbers_of_many_digits(self):
        self.assert_refused(join(b'{"a": ' + b"1" * 5_000 + b"}", b""), "^(the header is not JSON|the safetensors file has no)")

    def test_tensors_over_each_other_are_not_all_copied(self):
        header, body = parts(container.encode({}, {"w": np.zeros(1_000, "f4")}))
        header.update({f"w{i}": header["w"] for i in range(1_000)})
        with mock.patch.object(container, "stored_array", wraps=container.stored_array) as stored:
            self.assert_refused(join(header, body), '^tensor "w0" begins at byte 0 of the data, expected 4000$')
        self.assertLess(stored.call_count, 5)

    def test_weights_that_are_not_finite(self):
        for value in (np.nan, np.inf, -np.inf, 1e39):
            with self.assertRaisesRegex(ModelError, r'^tensor "w" has -?(nan|inf) at \[1, 0\], expected a finite number$'):
                container.encode(CONTRACT, {"w": np.array([[0, 1], [value, 2]])})

    def test_tensors_that_cannot_be_stored(self):
        for tensor, message in (
            (np.zeros((1,) * 5, "f4"), '^tensor "w" has 5 dimensions, expected 1 to 4$'),
            (3.0, '^tensor "w" has 0 dimensions, expected 1 to 4$'),
            (np.zeros((0, 3), "f4"), r'^tensor "w" of shape \[0, 3\] is empty$'),
            (np.array([True]), '^tensor "w" has the type bool, expected floats, integers or bytes$'),
            (np.array(["a"]), '^tensor "w" has the type <U1, expected floats, integers or bytes$'),
        ):
            with self.subTest(message), self.assertRaisesRegex(ModelError, message):
                container.encode(CONTRACT, {"w": tensor})


if __name__ == "__main__":
    unittest.main()
