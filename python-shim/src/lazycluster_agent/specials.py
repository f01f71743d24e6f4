"""What travels in value documents and is no data: handles, refs, functions, displays."""

from __future__ import annotations

from .msgpack import NotData, Packer, Reader, WireError
from .values import _U32, ENCODERS, _cut, _integer, _ValuePacker, encode_document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, List

    ReadSpecial = Callable[[int, Any], object]

HANDLE, REF, SOURCE, DISPLAY = 9, 10, 11, 12


class Special:
    __slots__ = ("content", "kind")

    def __init__(self, kind: int, content: Any) -> None:
        self.kind, self.content = kind, content


def _pack_special(packer: Any, value: Special, depth: int) -> None:
    if value.kind == HANDLE and isinstance(value.content, int):
        packer.ext(HANDLE, _U32.pack(value.content))
        return
    inner = _ValuePacker()
    inner.buffers = packer.buffers
    inner.pack(value.content, depth + 1)
    packer.ext(value.kind, bytes(inner.out))


ENCODERS[Special] = _pack_special


class DocumentReader:
    def __init__(self) -> None:
        self._pieces: List[bytes] = []

    def feed(self, data: Any) -> None:
        self._pieces.append(bytes(data))

    def finish(self, read_special: ReadSpecial) -> Any:
        document = memoryview(b"".join(self._pieces))
        if len(document) < 4:
            raise WireError("a value document of %d bytes" % len(document))
        (size,) = _U32.unpack(document[:4])
        if size > len(document) - 4:
            raise WireError("a value document that is cut off")
        buffers: List[memoryview] = []

        def read_ext(kind: int, content: bytes) -> object:
            if kind == 1:
                return _integer(content)
            if kind == 2:
                return bytes(buffers[_U32.unpack(content)[0]])
            if kind == HANDLE:
                if len(content) == 4:
                    return read_special(kind, _U32.unpack(content)[0])
            if kind in (HANDLE, REF, SOURCE, DISPLAY):
                inner = Reader(content, read_ext)
                with inner:
                    return read_special(kind, inner.read(1))
            raise WireError("ext type %d" % kind)

        reader = Reader(bytes(document[4 : 4 + size]), read_ext)
        with reader:
            if reader.take(1) != b"\x92":
                raise WireError("a value document that is no pair of lengths and value")
            buffers += _cut(reader.read(1), document[4 + size :])
            return reader.read(1)


__all__ = [
    "DISPLAY",
    "HANDLE",
    "REF",
    "SOURCE",
    "DocumentReader",
    "NotData",
    "Packer",
    "Special",
    "encode_document",
]
