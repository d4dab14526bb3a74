"""Writes pickles opcode by opcode, as torch.save() would, or as nobody should."""

import io
import zipfile

MARK, STOP, NONE, TRUE, EMPTY_TUPLE, REDUCE, BUILD, PERSISTENT = b"(", b".", b"N", b"\x88", b")", b"R", b"b", b"Q"
PROTOCOL = b"\x80\x02"


def text(value):
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def integer(value):
    data = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
    width = 1 if len(data) < 256 else 4
    return (b"\x8a" if width == 1 else b"\x8b") + len(data).to_bytes(width, "little") + data


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def stack_name(module, attribute):
    return text(module) + text(attribute) + b"\x93"


def items(*parts):
    """A tuple."""
    return MARK + b"".join(parts) + b"t"


def call(function, *arguments):
    return function + items(*arguments) + REDUCE


def mapping(**parts):
    return b"}" + MARK + b"".join(text(key) + part for key, part in parts.items()) + b"u"


def put(number):
    return b"r" + number.to_bytes(4, "little")


def get(number):
    return b"j" + number.to_bytes(4, "little")


def whole(body):
    return PROTOCOL + body + STOP


# ---------------------------------------------------------------- PyTorch


def storage(key, count, kind="FloatStorage"):
    return items(text("storage"), name("torch", kind), text(key), text("cpu"), integer(count)) + PERSISTENT


def tensor(stored, shape, strides, offset=0):
    sizes = lambda numbers: items(*map(integer, numbers))
    return call(name("torch._utils", "_rebuild_tensor_v2"), stored, integer(offset), sizes(shape), sizes(strides),
                b"\x89", call(name("collections", "OrderedDict")))


def archive(pickled, storages=(), extra=(), compression=zipfile.ZIP_STORED):
    """A file of PyTorch 1.6 or later. storages: (key, bytes)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        file.writestr("model/data.pkl", pickled)
        for key, data in storages:
            file.writestr(f"model/data/{key}", data)
        for entry, data in extra:
            file.writestr(entry, data)
    return buffer.getvalue()
