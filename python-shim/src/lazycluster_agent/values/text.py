"""Columns of texts, as Arrow has them: [rows, offsets (int64), UTF-8 bytes, bitmap or None]."""

from __future__ import annotations

import sys
from array import array
from itertools import accumulate, chain

from ..wire.msgpack import NotData, WireError
from .codes import EXT_TEXT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional, Sequence


def is_text(items: Sequence[Any]) -> bool:
    """Whether it is strings and None, and strings among them."""
    kinds = set(map(type, items))
    return str in kinds and kinds <= {str, type(None)}


def pack_texts(packer: Any, items: Sequence[Optional[str]], depth: int) -> None:
    try:
        encoded = [b"" if item is None else item.encode() for item in items]
    except UnicodeEncodeError:
        raise NotData("has a string with lone surrogates, which is no valid text") from None
    offsets = array("q", accumulate(chain((0,), map(len, encoded))))
    if sys.byteorder == "big":
        offsets.byteswap()
    bitmap = None
    if None in items:
        bitmap = bytearray((len(items) + 7) // 8)
        for row, item in enumerate(items):
            if item is not None:
                bitmap[row >> 3] |= 1 << (row & 7)
    parts = [len(items), memoryview(offsets).cast("B"), b"".join(encoded), bitmap]
    packer.special(EXT_TEXT, parts, depth)


def read_texts(parts: List[Any]) -> List[Optional[str]]:
    """Raises WireError."""
    if len(parts) != 4 or type(parts[0]) is not int or not isinstance(parts[1], bytearray):
        raise WireError("a text column that is none")
    rows, raw_offsets, data, bitmap = parts
    if not isinstance(data, bytearray) or not isinstance(bitmap, (bytearray, type(None))):
        raise WireError("a text column that is none")
    if len(raw_offsets) != (rows + 1) * 8 or (bitmap is not None and len(bitmap) < (rows + 7) // 8):
        raise WireError("a text column whose parts do not agree")
    offsets = array("q", bytes(raw_offsets))
    if sys.byteorder == "big":
        offsets.byteswap()
    if offsets[0] != 0 or offsets[-1] != len(data) or any(map(int.__gt__, offsets, offsets[1:])):
        raise WireError("a text column with wrong offsets")
    try:
        text = data.decode()
        # One byte for each character.
        if len(text) == len(data):
            cut: List[Optional[str]] = [text[a:b] for a, b in zip(offsets, offsets[1:])]
        else:
            cut = [data[a:b].decode() for a, b in zip(offsets, offsets[1:])]
    except UnicodeDecodeError:
        raise WireError("a text column that is no UTF-8") from None
    if bitmap is not None:
        cut = [item if bitmap[row >> 3] >> (row & 7) & 1 else None for row, item in enumerate(cut)]
    return cut
