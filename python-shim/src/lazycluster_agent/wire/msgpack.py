"""The part of msgpack that the protocol uses: strict when reading, minimal when writing."""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Optional, Union

    Encoder = Callable[["Packer", Any, int], None]
    ExtReader = Callable[[int, bytes], object]

#: Containers inside containers.
MAX_DEPTH = 64

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1

_FLOAT32, _FLOAT64 = struct.Struct(">f"), struct.Struct(">d")
_TAGGED_FLOAT64, _TAGGED_U32 = struct.Struct(">Bd"), struct.Struct(">BI")


class WireError(ValueError):
    """Bytes that are not what the protocol allows."""


class NotData(TypeError):
    """A value that has no place in a message or a document. `path` leads to it, innermost step first."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.path: List[Union[int, str]] = []


class Packer:
    """Appends values to `out`. Its table of encoders says which types are data."""

    __slots__ = ("encoders", "out")

    def __init__(self, encoders: Mapping[type, Encoder]) -> None:
        self.encoders = encoders
        self.out = bytearray()

    def pack(self, value: object, depth: int = 0) -> None:
        kind = type(value)
        encoder = self.encoders.get(kind)
        if encoder is None:
            for base in kind.__mro__[1:]:
                encoder = self.encoders.get(base)
                if encoder is not None:
                    break
            else:
                module = "" if kind.__module__ == "builtins" else kind.__module__ + "."
                raise NotData("is a %s%s" % (module, kind.__qualname__))
        encoder(self, value, depth)

    def head(self, length: int, small: int, limit: int, codes: bytes) -> None:
        """The length of a str, bin, array or map, in the shortest form that it has."""
        out = self.out
        if length < limit:
            out.append(small | length)
        elif length < 0x100 and codes[0]:
            out += bytes((codes[0], length))
        elif length < 0x10000:
            out.append(codes[1])
            out += length.to_bytes(2, "big")
        elif length < 0x100000000:
            out += _TAGGED_U32.pack(codes[2], length)
        else:
            raise NotData("is longer than 4 GiB")

    def ext(self, kind: int, content: bytes) -> None:
        size = len(content)
        if size in (1, 2, 4, 8, 16):
            self.out.append(0xD3 + size.bit_length())
        else:
            self.head(size, 0, 0, b"\xc7\xc8\xc9")
        self.out.append(kind)
        self.out += content


def _pack_nil(packer: Packer, value: None, depth: int) -> None:
    packer.out.append(0xC0)


def _pack_bool(packer: Packer, value: bool, depth: int) -> None:
    packer.out.append(0xC3 if value else 0xC2)


def pack_int(packer: Packer, value: int, depth: int) -> None:
    out = packer.out
    if -0x20 <= value < 0x80:
        out.append(value & 0xFF)
    elif value >= 0:
        for code, size in ((0xCC, 1), (0xCD, 2), (0xCE, 4), (0xD3, 8)):
            if value < 1 << (size * 8 - (size == 8)):
                out.append(code)
                out += value.to_bytes(size, "big")
                return
        raise NotData("is an integer beyond 64 bits")
    else:
        for code, size in ((0xD0, 1), (0xD1, 2), (0xD2, 4), (0xD3, 8)):
            if value >= -(1 << (size * 8 - 1)):
                out.append(code)
                out += value.to_bytes(size, "big", signed=True)
                return
        raise NotData("is an integer beyond 64 bits")


def _pack_float(packer: Packer, value: float, depth: int) -> None:
    packer.out += _TAGGED_FLOAT64.pack(0xCB, value)


def _pack_str(packer: Packer, value: str, depth: int) -> None:
    try:
        raw = value.encode("utf-8")
    except UnicodeEncodeError:
        raise NotData("is a string with lone surrogates, which is no valid text") from None
    packer.head(len(raw), 0xA0, 32, b"\xd9\xda\xdb")
    packer.out += raw


def _pack_bin(packer: Packer, value: Union[bytes, bytearray, memoryview], depth: int) -> None:
    raw = bytes(value)
    packer.head(len(raw), 0, 0, b"\xc4\xc5\xc6")
    packer.out += raw


def _pack_array(packer: Packer, value: Union[List[Any], tuple[Any, ...]], depth: int) -> None:
    _check_depth(depth)
    packer.head(len(value), 0x90, 16, b"\0\xdc\xdd")
    index = 0
    try:
        for item in value:
            packer.pack(item, depth + 1)
            index += 1
    except NotData as error:
        error.path.append(index)
        raise


def _pack_map(packer: Packer, value: Mapping[Any, Any], depth: int) -> None:
    _check_depth(depth)
    packer.head(len(value), 0x80, 16, b"\0\xde\xdf")
    key: Any = ""
    try:
        for key, item in value.items():
            if not isinstance(key, str):
                key = "<key %.80r>" % (key,)
                raise NotData("is no string, as the keys of a dict must be")
            _pack_str(packer, key, depth)
            packer.pack(item, depth + 1)
    except NotData as error:
        error.path.append(key)
        raise


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise NotData("is nested deeper than %d levels" % MAX_DEPTH)


#: Which types plain msgpack holds. `values` has a table of its own that goes further.
PLAIN: Dict[type, Encoder] = {
    type(None): _pack_nil,
    bool: _pack_bool,
    int: pack_int,
    float: _pack_float,
    str: _pack_str,
    bytes: _pack_bin,
    bytearray: _pack_bin,
    memoryview: _pack_bin,
    list: _pack_array,
    tuple: _pack_array,
    dict: _pack_map,
}


def pack(value: object) -> bytearray:
    packer = Packer(PLAIN)
    packer.pack(value)
    return packer.out


def unpack(data: bytes, ext: Optional[ExtReader] = None) -> object:
    """Reads exactly one value that fills `data`; raises WireError for anything else."""
    with Reader(data, ext) as reader:
        return reader.read(0)


class Reader:
    """Reads values one after the other. As a context it refuses a premature end, and a rest."""

    __slots__ = ("data", "ext", "position")

    def __init__(self, data: bytes, ext: Optional[ExtReader]) -> None:
        self.data = data
        self.ext = ext
        self.position = 0

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: Optional[type], error: object, trace: object) -> None:
        if isinstance(error, (IndexError, struct.error)):
            raise WireError("the value is cut off") from None
        if kind is None and self.position != len(self.data):
            raise WireError("%d bytes follow the value" % (len(self.data) - self.position))

    def read(self, depth: int) -> object:
        code = self.data[self.position]
        self.position += 1
        if code < 0x80:
            return code
        if code >= 0xE0:
            return code - 0x100
        if code < 0x90:
            return self.map(code & 0x0F, depth)
        if code < 0xA0:
            return self.array(code & 0x0F, depth)
        if code < 0xC0:
            return self.text(code & 0x1F)
        return self.tagged(code, depth)

    def tagged(self, code: int, depth: int) -> object:
        if code == 0xC0:
            return None
        if code in (0xC2, 0xC3):
            return code == 0xC3
        if 0xD9 <= code <= 0xDB:
            return self.text(self.unsigned(1 << (code - 0xD9)))
        if 0xC4 <= code <= 0xC6:
            return self.take(self.unsigned(1 << (code - 0xC4)))
        if 0xCC <= code <= 0xCF:
            number = self.unsigned(1 << (code - 0xCC))
            if number > INT64_MAX:
                raise WireError("an integer beyond int64")
            return number
        if 0xD0 <= code <= 0xD3:
            return int.from_bytes(self.take(1 << (code - 0xD0)), "big", signed=True)
        if code == 0xCB:
            return _FLOAT64.unpack(self.take(8))[0]
        if code == 0xCA:
            return _FLOAT32.unpack(self.take(4))[0]
        if code in (0xDC, 0xDD):
            return self.array(self.unsigned(2 if code == 0xDC else 4), depth)
        if code in (0xDE, 0xDF):
            return self.map(self.unsigned(2 if code == 0xDE else 4), depth)
        if code == 0xC1:
            raise WireError("the reserved byte 0xc1")
        if self.ext is None:
            raise WireError("an ext type where none is allowed")
        size = self.unsigned(1 << (code - 0xC7)) if code <= 0xC9 else 1 << (code - 0xD4)
        kind = self.take(1)[0]
        return self.ext(kind, self.take(size))

    def unsigned(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def take(self, size: int) -> bytes:
        start = self.position
        end = self.position = start + size
        if end > len(self.data):
            raise WireError("the value is cut off")
        return self.data[start:end]

    def text(self, size: int) -> str:
        try:
            return self.take(size).decode("utf-8")
        except UnicodeDecodeError:
            raise WireError("a string that is no UTF-8") from None

    def array(self, count: int, depth: int) -> List[object]:
        self.enter(count, depth)
        return [self.read(depth + 1) for _ in range(count)]

    def map(self, count: int, depth: int) -> Dict[str, object]:
        self.enter(count * 2, depth)
        result: Dict[str, object] = {}
        for _ in range(count):
            key = self.read(depth + 1)
            if not isinstance(key, str):
                raise WireError("a map with a key that is no string")
            if key in result:
                raise WireError("a map with a key twice")
            result[key] = self.read(depth + 1)
        return result

    def enter(self, least: int, depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise WireError("nested deeper than %d levels" % MAX_DEPTH)
        # Every item takes a byte at least, so a longer announcement can never come true.
        if least > len(self.data) - self.position:
            raise WireError("the value is cut off")
