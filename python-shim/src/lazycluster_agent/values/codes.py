"""What value documents are made of: the ext types, the limits, and results that an ext type tells."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

MAX_TREE = 16 * 1024 * 1024
#: Buffers of a document, and ext values in its tree: each takes many times its bytes in memory.
MAX_SPECIALS = 1024 * 1024
EXT_INTEGER, EXT_BUFFER, EXT_SET, EXT_MAP, EXT_DATE, EXT_ARRAY, EXT_FRAME, EXT_TEXT = range(1, 9)
EXT_HANDLE, EXT_REFERENCE, EXT_FUNCTION, EXT_DISPLAY = range(9, 13)


class Special:
    """A result that is told by an ext type: a handle (9), a reference (10), a display object (12)."""

    __slots__ = ("content", "kind")

    def __init__(self, kind: int, content: Dict[str, Any]) -> None:
        self.kind = kind
        self.content = content
