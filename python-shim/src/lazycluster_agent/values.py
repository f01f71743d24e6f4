"""Value documents: a function's arguments and result as a msgpack tree with the large bytes behind it."""

from __future__ import annotations

import struct

from .msgpack import INT64_MAX, INT64_MIN, PLAIN, NotData, Packer, Reader, WireError, pack_int

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Sequence, Union

    from .frames import Buffer
    from .msgpack import Encoder

MAX_TREE = 16 * 1024 * 1024
#: Longer integers would take seconds to write as decimal digits.
MAX_DIGITS = 100_000

EXT_INTEGER = 1
EXT_BUFFER = 2

_U32 = struct.Struct(">I")
#: Digits that are converted at once; Python refuses more than 4300.
_DIGITS = 4000

ADVICE = (
    "Data is None, bool, int, float, str, bytes, and lists, tuples and dicts with string keys of these. "
    "Convert it first, for example with .tolist(), dict(…) or str(…)."
)


class _ValuePacker(Packer):
    __slots__ = ("buffers",)

    def __init__(self) -> None:
        super().__init__(ENCODERS)
        self.buffers: List[Buffer] = []


def _pack_integer(packer: Any, value: int, depth: int) -> None:
    if INT64_MIN <= value <= INT64_MAX:
        pack_int(packer, value, depth)
    else:
        packer.ext(EXT_INTEGER, _digits(value))


def _pack_buffer(packer: Any, value: Union[bytes, bytearray, memoryview], depth: int) -> None:
    if isinstance(value, memoryview):
        value = value.cast("B") if value.c_contiguous else value.tobytes()
    packer.ext(EXT_BUFFER, _U32.pack(len(packer.buffers)))
    packer.buffers.append(value)


#: Which types are data. A new kind of value is one more line here and one ext type in `_read_ext`.
ENCODERS: Dict[type, Encoder] = {
    **PLAIN,
    int: _pack_integer,
    bytes: _pack_buffer,
    bytearray: _pack_buffer,
    memoryview: _pack_buffer,
}


def encode_document(value: object, name: str = "value") -> List[Buffer]:
    """The document as a list of pieces, so that large buffers are never copied. Raises NotData."""
    packer = _ValuePacker()
    try:
        # The tree is [lengths, value]; the lengths are known last, so its first part is written last.
        packer.pack(value, 1)
    except NotData as error:
        steps = "".join(
            '["%s"]' % step if isinstance(step, str) else "[%d]" % step for step in reversed(error.path)
        )
        raise NotData("%s%s %s. %s" % (name, steps, error.message, ADVICE)) from None
    lengths = Packer(PLAIN)
    lengths.out.append(0x92)
    lengths.pack([len(buffer) for buffer in packer.buffers], 1)
    size = len(lengths.out) + len(packer.out)
    if size > MAX_TREE:
        raise NotData(
            "%s takes %d bytes besides its byte strings; at most %d can be sent. "
            "Write it to a file and send that, or return it as bytes." % (name, size, MAX_TREE)
        )
    return [_U32.pack(size), lengths.out, packer.out, *packer.buffers]


def decode_document(data: Union[bytes, Sequence[bytes]]) -> Any:
    """The value of a whole document. Raises WireError."""
    document = memoryview(data if isinstance(data, bytes) else b"".join(data))
    if len(document) < 4:
        raise WireError("a value document of %d bytes" % len(document))
    (size,) = _U32.unpack(document[:4])
    if size > MAX_TREE:
        raise WireError("a value document with a tree of %d bytes" % size)
    if size > len(document) - 4:
        raise WireError("a value document that is cut off")
    buffers: List[memoryview] = []

    def read_ext(kind: int, content: bytes) -> object:
        if kind == EXT_INTEGER:
            return _integer(content)
        if kind == EXT_BUFFER:
            if len(content) != 4:
                raise WireError("a buffer's index of %d bytes" % len(content))
            (index,) = _U32.unpack(content)
            if index >= len(buffers):
                raise WireError("buffer %d of %d" % (index, len(buffers)))
            return bytes(buffers[index])
        raise WireError("ext type %d" % kind)

    reader = Reader(bytes(document[4 : 4 + size]), read_ext)
    with reader:
        if reader.take(1) != b"\x92":
            raise WireError("a value document that is no pair of lengths and value")
        buffers += _cut(reader.read(1), document[4 + size :])
        return reader.read(1)


def _cut(lengths: object, content: memoryview) -> List[memoryview]:
    if not isinstance(lengths, list) or not all(type(length) is int and length >= 0 for length in lengths):
        raise WireError("a value document without a list of lengths")
    if sum(lengths) != len(content):
        raise WireError("buffers of %d bytes where %d follow" % (sum(lengths), len(content)))
    buffers = []
    start = 0
    for length in lengths:
        buffers.append(content[start : start + length])
        start += length
    return buffers


def _digits(value: int) -> bytes:
    """Decimal digits, in pieces, for Python limits the length of one conversion."""
    sign, value = (b"-", -value) if value < 0 else (b"", value)
    if value.bit_length() > MAX_DIGITS * 3.3219:
        raise NotData("is an integer of more than %d digits" % MAX_DIGITS)
    base = 10**_DIGITS
    parts = []
    while value >= base:
        value, part = divmod(value, base)
        parts.append(b"%0*d" % (_DIGITS, part))
    parts.append(b"%d" % value)
    return sign + b"".join(reversed(parts))


def _integer(content: bytes) -> int:
    negative = content[:1] == b"-"
    digits = content[negative:]
    # isdigit is ASCII-only on bytes; a leading zero would be a second form of the same number.
    if not digits.isdigit() or len(digits) > MAX_DIGITS or digits[:1] == b"0":
        raise WireError("an integer that is no row of digits")
    value = 0
    first = len(digits) % _DIGITS
    for start in range(first - _DIGITS if first else 0, len(digits), _DIGITS):
        value = value * 10**_DIGITS + int(digits[max(start, 0) : start + _DIGITS])
    return -value if negative else value
