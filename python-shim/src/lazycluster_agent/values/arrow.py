"""Arrow's tables and columns in value documents, taken from Arrow's own buffers."""

from __future__ import annotations

from ..wire.msgpack import NotData
from .arrays import NO_TIME
from .codes import EXT_ARRAY, EXT_TEXT
from .frames import Column, pack_columns, pack_items

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def pack_table(packer: Any, table: Any, depth: int) -> None:
    columns = [arrow_column(column) for column in table.columns]
    pack_columns(packer, list(table.schema.names), columns, table.num_rows, depth)


def arrow_column(column: Any) -> Column:
    return Column(lambda packer, depth: pack_arrow(packer, column, depth))


def pack_arrow(packer: Any, column: Any, depth: int) -> None:
    """An Array or a ChunkedArray."""
    import pyarrow

    try:
        array = plain_array(pyarrow, column)
        if pyarrow.types.is_large_string(array.type):
            pack_arrow_texts(packer, pyarrow, array, depth)
            return
        name = array_type(pyarrow, array)
        if name is None:
            pack_items(packer, array.to_pylist(), depth)
            return
        values = integers_or_floats(pyarrow, array, name)
    except pyarrow.ArrowException as error:
        raise NotData("is an Arrow column of type %s: %s" % (column.type, error)) from None
    width = values.type.bit_width // 8
    # An empty array has no buffer.
    data = memoryview(values.buffers()[1] or b"").cast("B")
    start = values.offset * width
    packer.special(EXT_ARRAY, [name, [len(values)], data[start : start + len(values) * width]], depth)


def plain_array(pyarrow: Any, column: Any) -> Any:
    """In one piece, dictionaries resolved, texts with wide offsets."""
    array = column
    if isinstance(array, pyarrow.ChunkedArray):
        array = array.combine_chunks()
        if isinstance(array, pyarrow.ChunkedArray):
            array = pyarrow.concat_arrays(array.chunks) if array.num_chunks else pyarrow.nulls(0, array.type)
    if pyarrow.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if pyarrow.types.is_string(kind) or str(kind) == "string_view":
        array = array.cast(pyarrow.large_string())
    return array


def array_type(pyarrow: Any, array: Any) -> Any:
    """NumPy's name of what it can be as an array; None: a list."""
    kind, types = array.type, pyarrow.types
    if types.is_timestamp(kind):
        return "datetime64[%s]" % kind.unit
    if types.is_duration(kind):
        return "timedelta64[%s]" % kind.unit
    if types.is_date32(kind):
        return "datetime64[D]"
    if types.is_date64(kind):
        return "datetime64[ms]"
    if types.is_floating(kind):
        return "float64" if types.is_float64(kind) else "float32"
    if array.null_count:
        return None
    if types.is_boolean(kind):
        return "bool"
    # Arrow's names of integers are NumPy's.
    return str(kind) if types.is_integer(kind) else None


def integers_or_floats(pyarrow: Any, array: Any, name: str) -> Any:
    """The same items in the type of their bytes; a missing number is NaN, a missing time NumPy's NaT."""
    if name == "bool":
        return array.cast(pyarrow.uint8())
    if name in ("float32", "float64"):
        if str(array.type) == "halffloat":
            array = array.cast(pyarrow.float32())
        return array.fill_null(float("nan")) if array.null_count else array
    if name.startswith(("datetime64", "timedelta64")):
        if pyarrow.types.is_date32(array.type):
            array = array.view(pyarrow.int32()).cast(pyarrow.int64())
        else:
            array = array.view(pyarrow.int64())
        return array.fill_null(NO_TIME) if array.null_count else array
    return array


def pack_arrow_texts(packer: Any, pyarrow: Any, array: Any, depth: int) -> None:
    import pyarrow.compute as compute

    rows = len(array)
    _, raw_offsets, data = array.buffers()
    offsets = pyarrow.array([0], pyarrow.int64())
    if rows:
        offsets = pyarrow.Array.from_buffers(
            pyarrow.int64(), rows + 1, [None, raw_offsets.slice(array.offset * 8, (rows + 1) * 8)]
        )
    first, last = offsets[0].as_py(), offsets[rows].as_py()
    if first:
        offsets = compute.subtract(offsets, first)
    text = memoryview(data or b"").cast("B")[first:last]
    bitmap = array.is_valid().buffers()[1] if array.null_count else None
    parts = [
        rows,
        memoryview(offsets.buffers()[1]).cast("B")[: (rows + 1) * 8],
        text,
        None if bitmap is None else memoryview(bitmap).cast("B")[: (rows + 7) // 8],
    ]
    packer.special(EXT_TEXT, parts, depth)
