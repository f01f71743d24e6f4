"""pandas' frames and series in value documents."""

from __future__ import annotations

import sys

from ..wire.msgpack import NotData
from .arrays import pack_array
from .frames import Column, pack_columns, pack_items

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List


def pack_missing(packer: Any, value: object, depth: int) -> None:
    packer.pack(None, depth)


def pack_series(packer: Any, series: Any, depth: int) -> None:
    name = "value" if series.name is None else series.name
    pack_frame(packer, series.to_frame(name=name), depth)


def pack_frame(packer: Any, frame: Any, depth: int) -> None:
    """An index that is more than row numbers becomes the first columns, as reset_index() makes them."""
    import pandas

    if not (type(frame.index) is pandas.RangeIndex and frame.index.name is None):
        try:
            frame = frame.reset_index()
        except (ValueError, TypeError) as error:
            raise NotData("has an index that is no column: %s; rename it, or drop it" % error) from None
    names = [name if isinstance(name, str) else str(name) for name in frame.columns]
    columns = [pandas_column(frame.iloc[:, at]) for at in range(len(names))]
    pack_columns(packer, names, columns, len(frame), depth)


def pandas_column(series: Any) -> Column:
    return Column(lambda packer, depth: pack_column(packer, series, depth))


def pack_column(packer: Any, series: Any, depth: int) -> None:
    import numpy
    import pandas

    dtype = series.dtype
    if isinstance(dtype, pandas.CategoricalDtype):
        series = series.astype(dtype.categories.dtype if not series.isna().any() else object)
        dtype = series.dtype
    if isinstance(dtype, pandas.SparseDtype):
        series = series.sparse.to_dense()
        dtype = series.dtype
    if isinstance(dtype, pandas.DatetimeTZDtype):
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
        dtype = series.dtype
    if isinstance(dtype, numpy.dtype) and dtype.kind != "O":
        pack_array(packer, series.to_numpy(), depth)
        return
    arrow = sys.modules.get("pyarrow")
    if arrow is not None and (is_text(series) or type(dtype).__name__ == "ArrowDtype"):
        from .arrow import pack_arrow

        try:
            column = arrow.array(series, from_pandas=True)
        except arrow.ArrowException as error:
            raise NotData("is a column that Arrow cannot read: %s" % error) from None
        pack_arrow(packer, column, depth)
        return
    if dtype.kind in "iufb" and (dtype.kind == "f" or not series.isna().any()):
        wanted = dtype.name.lower() if dtype.kind != "b" else "bool"
        missing = {"na_value": float("nan")} if dtype.kind == "f" else {}
        pack_array(packer, series.to_numpy(dtype=wanted, **missing), depth)
        return
    pack_items(packer, items(series), depth)


def is_text(series: Any) -> bool:
    import pandas

    return bool(pandas.api.types.infer_dtype(series, skipna=True) == "string")


def items(series: Any) -> List[Any]:
    """Missing items become None, but for the NaN among numbers."""
    values = series.astype(object).tolist()
    text = is_text(series)
    result = []
    for value, gone in zip(values, series.isna().tolist()):
        result.append(None if gone and (text or not isinstance(value, float)) else value)
    return result
