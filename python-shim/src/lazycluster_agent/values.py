"""Value documents: arguments and results as a msgpack tree with the large bytes behind it."""

from __future__ import annotations

import struct

from .msgpack import INT64_MAX, INT64_MIN, PLAIN, NotData, Packer, Reader, WireError, pack_int

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

    from .frames import Buffer
    from .msgpack import Encoder

    #: Makes an argument of an ext type that is not ours: 9 with its index, 10 with its id, 11 with its list.
    SpecialReader = Callable[[int, Any], object]

MAX_TREE = 16 * 1024 * 1024
#: Longer integers would take seconds to write as decimal digits.
MAX_DIGITS = 100_000
#: Buffers of a document, and ext values in its tree: each takes many times its bytes in memory.
MAX_SPECIALS = 1024 * 1024

EXT_INTEGER, EXT_BUFFER, EXT_SET, EXT_MAP, EXT_DATE, EXT_ARRAY, EXT_FRAME, EXT_TEXT = range(1, 9)
EXT_HANDLE, EXT_REFERENCE, EXT_FUNCTION, EXT_DISPLAY = range(9, 13)

_U32 = struct.Struct(">I")
#: Digits that are converted at once; Python refuses more than 4300.
_DIGITS = 4000

ADVICE = (
    "Data is None, bool, int, float, str, bytes, dates, lists, tuples, sets and dicts of these, "
    "NumPy arrays, and data frames. Convert it first, for example with .tolist(), dict(…) or str(…)."
)


class Special:
    """A result that is told by an ext type: a handle (9), a reference (10), a display object (12)."""

    __slots__ = ("content", "kind")

    def __init__(self, kind: int, content: Dict[str, Any]) -> None:
        self.kind = kind
        self.content = content


class ValuePacker(Packer):
    """Its table grows by what it meets: libraries' types are found by name, so that none is imported."""

    __slots__ = ("buffers", "count")

    def __init__(self) -> None:
        super().__init__(dict(ENCODERS))
        self.buffers: List[Buffer] = []
        self.count = 0

    def pack(self, value: object, depth: int = 0) -> None:
        kind = type(value)
        encoder = self.encoders.get(kind)
        if encoder is None:
            encoder = self.encoders[kind] = _find(kind)  # type: ignore[index]
        encoder(self, value, depth)

    def ext(self, kind: int, content: Union[bytes, bytearray]) -> None:
        self.count += 1
        if self.count > MAX_SPECIALS:
            text = "is one of more than %d dates, byte strings and the like, which are too many at once"
            raise NotData(text % MAX_SPECIALS)
        super().ext(kind, content)  # type: ignore[arg-type]

    def special(self, kind: int, content: object, depth: int) -> None:
        """An ext value with any value as its content."""
        outer, self.out = self.out, bytearray()
        self.pack(content, depth)
        content, self.out = self.out, outer
        self.ext(kind, content)


def _pack_integer(packer: Any, value: int, depth: int) -> None:
    if INT64_MIN <= value <= INT64_MAX:
        pack_int(packer, value, depth)
    else:
        packer.ext(EXT_INTEGER, _digits(value))


def _pack_buffer(packer: Any, value: Union[bytes, bytearray, memoryview], depth: int) -> None:
    if isinstance(value, memoryview) and (value.format != "B" or value.ndim != 1 or not value.c_contiguous):
        # Few formats can be cast, and none of an empty array.
        value = value.tobytes()
    packer.ext(EXT_BUFFER, _U32.pack(len(packer.buffers)))
    packer.buffers.append(value)


def _pack_set(packer: Any, value: Any, depth: int) -> None:
    packer.special(EXT_SET, list(value), depth)


def _pack_dict(packer: Any, value: Dict[Any, Any], depth: int) -> None:
    if all(isinstance(key, str) for key in value):
        PLAIN[dict](packer, value, depth)
        return
    items = [part for pair in value.items() for part in pair]
    try:
        packer.special(EXT_MAP, items, depth)
    except NotData as error:
        if error.path:
            at = error.path.pop()
            key = items[at - at % 2] if isinstance(at, int) else at
            error.path.append(key if type(key) in (int, str) else "%.80r" % (key,))
        raise


def _pack_special(packer: Any, value: Special, depth: int) -> None:
    packer.special(value.kind, value.content, depth)


#: Which types are data. A new kind is one more line here, or below, and one in `ValueReader.special`.
ENCODERS: Dict[type, Encoder] = {
    **PLAIN,
    int: _pack_integer,
    bytes: _pack_buffer,
    bytearray: _pack_buffer,
    memoryview: _pack_buffer,
    set: _pack_set,
    frozenset: _pack_set,
    dict: _pack_dict,
    Special: _pack_special,
}

#: Types by package and name: the module of ours and the function that encode them, loaded when one is met.
LIBRARIES: Dict[Tuple[str, str], Tuple[str, str]] = {
    ("datetime", "datetime"): ("values_dates", "pack_datetime"),
    ("datetime", "date"): ("values_dates", "pack_date"),
    ("numpy", "MaskedArray"): ("values_arrays", "pack_masked"),
    ("numpy", "ndarray"): ("values_arrays", "pack_array"),
    ("numpy", "generic"): ("values_arrays", "pack_scalar"),
    ("pandas", "NAType"): ("values_pandas", "pack_missing"),
    ("pandas", "NaTType"): ("values_pandas", "pack_missing"),
    ("pandas", "DataFrame"): ("values_pandas", "pack_frame"),
    ("pandas", "Series"): ("values_pandas", "pack_series"),
    ("polars", "DataFrame"): ("values_polars", "pack_frame"),
    ("polars", "Series"): ("values_polars", "pack_series"),
    ("pyarrow", "Table"): ("values_arrow", "pack_table"),
    ("pyarrow", "RecordBatch"): ("values_arrow", "pack_table"),
}


def _find(kind: type) -> Encoder:
    for base in kind.__mro__:
        encoder = ENCODERS.get(base)
        if encoder is not None:
            return encoder
        place = LIBRARIES.get((str(base.__module__).partition(".")[0], base.__name__))
        if place is not None:
            module = __import__("%s.%s" % (__package__, place[0]), fromlist=["*"])
            found: Encoder = getattr(module, place[1])
            return found
    module_name = "" if kind.__module__ == "builtins" else "%s." % (kind.__module__,)
    raise NotData("is a %s%s" % (module_name, kind.__qualname__))


def encode_document(value: object, name: str = "value") -> List[Buffer]:
    """The document as a list of pieces, so that large buffers are never copied. Raises NotData."""
    packer = ValuePacker()
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
            "%s takes %d bytes besides its byte strings and arrays; at most %d can be sent. "
            "Return it as a NumPy array or as bytes, or write it to a file and send that."
            % (name, size, MAX_TREE)
        )
    return [_U32.pack(size), lengths.out, packer.out, *packer.buffers]


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
            return _integer(self.take(size))
        if kind == EXT_BUFFER:
            buffer = self.buffer(self.index(size))
            return buffer if self.raw else bytes(buffer)
        if kind == EXT_SET:
            return {hashable(item) for item in self.list(size, depth)}
        if kind == EXT_MAP:
            return _dict(self.list(size, depth))
        if kind == EXT_DATE:
            from .values_dates import read_date

            return read_date(self.list(size, depth))
        if kind == EXT_ARRAY:
            from .values_arrays import read_array

            return read_array(self.raw_list(size, depth))
        if kind == EXT_TEXT:
            from .values_text import read_texts

            return read_texts(self.raw_list(size, depth))
        if kind == EXT_FRAME:
            from .values_frames import read_frame

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
