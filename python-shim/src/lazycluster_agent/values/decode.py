"""Reads value documents: arguments and results as a msgpack tree with the large bytes behind it."""

from __future__ import annotations

import struct

from ..wire.msgpack import INT64_MAX, Reader, WireError
from .codes import (
    EXT_ARRAY,
    EXT_BUFFER,
    EXT_DATE,
    EXT_FRAME,
    EXT_FUNCTION,
    EXT_HANDLE,
    EXT_INTEGER,
    EXT_MAP,
    EXT_SET,
    EXT_TEXT,
    MAX_SPECIALS,
    MAX_TREE,
)
from .integers import from_digits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Sequence, Union

    from ..wire.frames import Buffer

    #: Makes an argument of an ext type that is not ours: 9 with its index, 10 with its id, 11 with its list.
    SpecialReader = Callable[[int, Any], object]


_U32 = struct.Struct(">I")


class DocumentReader:
    """Takes a document in pieces, then gives its value.

    Each buffer grows as its bytes come, in a bytearray of its own that an array may keep; so nothing is
    allocated that was only announced.
    """

    def __init__(self) -> None:
        self._head = bytearray()
        self._tree: Optional[ValueReader] = None
        self._lengths: List[int] = []
        self._buffers: List[bytearray] = []

    def feed(self, data: Buffer) -> None:
        """Raises WireError, after which it is of no use any more."""
        view = memoryview(data)
        while self._tree is None and len(view):
            view = self._feed_head(view)
        while len(view):
            buffer = self._buffers[-1] if self._buffers else bytearray()
            part = view[: self._missing()]
            if not part:
                raise WireError("bytes behind the last buffer")
            buffer += part
            view = view[len(part) :]
            self._next()

    def value(self, read_special: Optional[SpecialReader] = None) -> Any:
        """Raises WireError, and Failure where a library is missing that it needs. To be called once."""
        if self._tree is None or self._missing():
            raise WireError("a value document that is cut off")
        self._tree.read_special = read_special
        self._tree.buffers = list(self._buffers)
        self._buffers.clear()
        with self._tree as reader:
            return reader.read(1)

    def _feed_head(self, view: memoryview) -> memoryview:
        wanted = 4
        if len(self._head) >= 4:
            wanted += _U32.unpack_from(self._head)[0]
            if not 4 < wanted <= MAX_TREE + 4:
                raise WireError("a value document with a tree of %d bytes" % (wanted - 4))
        part = view[: wanted - len(self._head)]
        self._head += part
        if len(self._head) == wanted > 4:
            self._start(bytes(memoryview(self._head)[4:]))
        return view[len(part) :]

    def _start(self, tree: bytes) -> None:
        reader = ValueReader(tree)
        try:
            if reader.take(1) != b"\x92":
                raise WireError("a value document that is no pair of lengths and value")
            lengths: Any = reader.read(1)
        except (IndexError, struct.error):
            raise WireError("the value is cut off") from None
        if type(lengths) is not list or not all(type(length) is int and length >= 0 for length in lengths):
            raise WireError("a value document without a list of lengths")
        if len(lengths) > MAX_SPECIALS or sum(lengths) > INT64_MAX:
            raise WireError("a value document with %d buffers" % len(lengths))
        self._tree, self._lengths = reader, lengths
        self._next()

    def _next(self) -> None:
        """Goes on to the next buffer when this one is full."""
        while len(self._buffers) < len(self._lengths) and not self._missing():
            self._buffers.append(bytearray())

    def _missing(self) -> int:
        """Bytes of the current buffer that have not come; 0 after the last."""
        at = len(self._buffers) - 1
        return self._lengths[at] - len(self._buffers[at]) if at >= 0 else 0


def decode_document(data: Union[bytes, Sequence[bytes]], read_special: Optional[SpecialReader] = None) -> Any:
    """The value of a whole document. Raises as `DocumentReader.value`."""
    reader = DocumentReader()
    for piece in (data,) if isinstance(data, bytes) else data:
        reader.feed(piece)
    return reader.value(read_special)


class ValueReader(Reader):
    __slots__ = ("buffers", "count", "raw", "read_special")

    def __init__(self, data: bytes) -> None:
        super().__init__(data, None)
        self.buffers: List[Optional[bytearray]] = []
        self.count = 0
        #: Whether a buffer is given as it is, and not as bytes.
        self.raw = False
        self.read_special: Optional[SpecialReader] = None

    def tagged(self, code: int, depth: int) -> object:
        if 0xC7 <= code <= 0xC9:
            size = self.unsigned(1 << (code - 0xC7))
        elif 0xD4 <= code <= 0xD8:
            size = 1 << (code - 0xD4)
        else:
            return super().tagged(code, depth)
        kind = self.take(1)[0]
        end = self.position + size
        self.count += 1
        if end > len(self.data) or self.count > MAX_SPECIALS:
            raise WireError("an ext value that is cut off, or too many of them")
        value = self.special(kind, size, depth)
        if self.position != end:
            raise WireError("an ext value of type %d that does not fill its bytes" % kind)
        return value

    def special(self, kind: int, size: int, depth: int) -> object:
        if kind == EXT_INTEGER:
            return from_digits(self.take(size))
        if kind == EXT_BUFFER:
            buffer = self.buffer(self.index(size))
            return buffer if self.raw else bytes(buffer)
        if kind == EXT_SET:
            return {hashable(item) for item in self.list(size, depth)}
        if kind == EXT_MAP:
            return _dict(self.list(size, depth))
        if kind == EXT_DATE:
            from .dates import read_date

            return read_date(self.list(size, depth))
        if kind == EXT_ARRAY:
            from .arrays import read_array

            return read_array(self.raw_list(size, depth))
        if kind == EXT_TEXT:
            from .text import read_texts

            return read_texts(self.raw_list(size, depth))
        if kind == EXT_FRAME:
            from .frames import read_frame

            return read_frame(self.list(size, depth))
        if self.read_special is not None and EXT_HANDLE <= kind <= EXT_FUNCTION:
            content = self.index(size) if kind == EXT_HANDLE else self.content(size, depth)
            return self.read_special(kind, content)
        raise WireError("ext type %d" % kind)

    def content(self, size: int, depth: int) -> object:
        """The one value in an ext. It is no ext itself, so that nesting is bounded by the depth."""
        code = self.data[self.position] if size else 0xC7
        if 0xC7 <= code <= 0xC9 or 0xD4 <= code <= 0xD8:
            raise WireError("an ext value that is empty, or another one")
        raw, self.raw = self.raw, False
        value = self.read(depth)
        self.raw = raw
        return value

    def list(self, size: int, depth: int) -> List[Any]:
        value = self.content(size, depth)
        if not isinstance(value, list):
            raise WireError("an ext value that is no list")
        return value

    def raw_list(self, size: int, depth: int) -> List[Any]:
        code = self.data[self.position] if size else 0
        if not 0x90 <= code < 0xA0:
            raise WireError("an ext value that is no short list")
        self.raw = True
        value: Any = self.read(depth)
        self.raw = False
        return value  # type: ignore[no-any-return]

    def index(self, size: int) -> int:
        if size != 4:
            raise WireError("an index of %d bytes" % size)
        return int(_U32.unpack(self.take(4))[0])

    def buffer(self, index: int) -> bytearray:
        """Each buffer belongs to one value."""
        buffer = self.buffers[index] if index < len(self.buffers) else None
        if buffer is None:
            raise WireError("buffer %d of %d, or used twice" % (index, len(self.buffers)))
        self.buffers[index] = None
        return buffer


def hashable(value: object) -> object:
    """Lists in sets and as keys become tuples, sets frozen ones."""
    if isinstance(value, list):
        return tuple(map(hashable, value))
    if isinstance(value, set):
        return frozenset(value)
    try:
        hash(value)
    except TypeError:
        raise WireError("a %s in a set or as a key" % type(value).__name__) from None
    return value


def _dict(items: List[Any]) -> Dict[Any, Any]:
    if len(items) % 2:
        raise WireError("a key without a value")
    result: Dict[Any, Any] = {}
    for at in range(0, len(items), 2):
        key = hashable(items[at])
        if key in result:
            raise WireError("a dict with the key %.80r twice" % (key,))
        result[key] = items[at + 1]
    return result
