"""Writes value documents: a msgpack tree with the large bytes behind it."""

from __future__ import annotations

import struct

from ..base.package import PACKAGE
from ..wire.msgpack import INT64_MAX, INT64_MIN, PLAIN, NotData, Packer, pack_int
from .codes import (
    EXT_BUFFER,
    EXT_INTEGER,
    EXT_MAP,
    EXT_SET,
    MAX_SPECIALS,
    MAX_TREE,
    Special,
)
from .integers import to_digits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple, Union

    from ..wire.frames import Buffer
    from ..wire.msgpack import Encoder

_U32 = struct.Struct(">I")
ADVICE = (
    "Data is None, bool, int, float, str, bytes, dates, lists, tuples, sets and dicts of these, "
    "NumPy arrays, and data frames. Convert it first, for example with .tolist(), dict(…) or str(…)."
)


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
        packer.ext(EXT_INTEGER, to_digits(value))


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
    ("datetime", "datetime"): ("dates", "pack_datetime"),
    ("datetime", "date"): ("dates", "pack_date"),
    ("numpy", "MaskedArray"): ("arrays", "pack_masked"),
    ("numpy", "ndarray"): ("arrays", "pack_array"),
    ("numpy", "generic"): ("arrays", "pack_scalar"),
    ("pandas", "NAType"): ("pandas", "pack_missing"),
    ("pandas", "NaTType"): ("pandas", "pack_missing"),
    ("pandas", "DataFrame"): ("pandas", "pack_frame"),
    ("pandas", "Series"): ("pandas", "pack_series"),
    ("polars", "DataFrame"): ("polars", "pack_frame"),
    ("polars", "Series"): ("polars", "pack_series"),
    ("pyarrow", "Table"): ("arrow", "pack_table"),
    ("pyarrow", "RecordBatch"): ("arrow", "pack_table"),
}


def _find(kind: type) -> Encoder:
    for base in kind.__mro__:
        encoder = ENCODERS.get(base)
        if encoder is not None:
            return encoder
        place = LIBRARIES.get((str(base.__module__).partition(".")[0], base.__name__))
        if place is not None:
            module = __import__("%s.values.%s" % (PACKAGE, place[0]), fromlist=["*"])
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
