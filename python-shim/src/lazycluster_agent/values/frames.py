"""Data frames in value documents: [rows, [names], [columns]]."""

from __future__ import annotations

from ..wire.msgpack import NotData, WireError
from .codes import EXT_FRAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Sequence


class Column:
    """A column that packs itself."""

    __slots__ = ("pack",)

    def __init__(self, pack: Callable[[Any, int], None]) -> None:
        self.pack = pack


def pack_columns(packer: Any, names: Sequence[str], columns: Sequence[Column], rows: int, depth: int) -> None:
    """Raises NotData, as for whatever a library says about a column that it cannot give."""
    seen = set()
    for name in names:
        if name in seen:
            raise NotData("has two columns named %.80r; rename one" % name)
        seen.add(name)
    packer.encoders.setdefault(Column, lambda packer, column, depth: column.pack(packer, depth))
    try:
        packer.special(EXT_FRAME, [rows if columns else 0, list(names), list(columns)], depth)
    except NotData as error:
        # From inside out: …, the index of the column, the place of the columns.
        if len(error.path) >= 2 and error.path[-1] == 2 and isinstance(error.path[-2], int):
            error.path[-2:] = [names[error.path[-2]]]
        raise


def pack_items(packer: Any, items: List[Any], depth: int) -> None:
    """A column of anything."""
    from .text import is_text, pack_texts

    if is_text(items):
        pack_texts(packer, items, depth)
    else:
        packer.pack(items, depth)


def read_frame(parts: List[Any]) -> Any:
    """With pandas where it is installed, else with polars, else as a dict of columns. Raises WireError."""
    if len(parts) != 3 or not isinstance(parts[1], list) or not isinstance(parts[2], list):
        raise WireError("a data frame without names and columns")
    rows, names, columns = parts
    if len(names) != len(columns) or not all(isinstance(name, str) for name in names):
        raise WireError("a data frame whose names are not those of its columns")
    if len(set(names)) != len(names):
        raise WireError("a data frame with a name twice")
    for column in columns:
        if not isinstance(column, list) and getattr(column, "ndim", None) != 1:
            raise WireError("a data frame with a column that is none")
        if len(column) != rows:
            raise WireError("a data frame whose columns differ in length")
    if not columns and rows != 0:
        raise WireError("a data frame of rows without columns")
    return make_frame(dict(zip(names, columns)))


def make_frame(columns: Dict[str, Any]) -> Any:
    try:
        import pandas

        return pandas.DataFrame(columns, copy=False)
    except ImportError:
        pass
    try:
        import polars

        return polars.DataFrame(columns)
    except ImportError:
        return columns
