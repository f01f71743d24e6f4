"""polars' frames and series in value documents."""

from __future__ import annotations

import sys

from .arrays import pack_array
from .frames import Column, pack_columns, pack_items

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


INTEGERS = frozenset(["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"])


def pack_series(packer: Any, series: Any, depth: int) -> None:
    pack_columns(packer, [series.name or "value"], [polars_column(series)], len(series), depth)


def pack_frame(packer: Any, frame: Any, depth: int) -> None:
    pack_columns(packer, frame.columns, list(map(polars_column, frame.get_columns())), frame.height, depth)


def polars_column(series: Any) -> Column:
    return Column(lambda packer, depth: pack_column(packer, series, depth))


def pack_column(packer: Any, series: Any, depth: int) -> None:
    import polars

    dtype = series.dtype
    if dtype in (polars.Categorical, polars.Enum):
        series = series.cast(polars.String)
        dtype = polars.String
    if dtype == polars.String and "pyarrow" in sys.modules:
        from .arrow import pack_arrow

        pack_arrow(packer, series.to_arrow(), depth)
        return
    if dtype == polars.Datetime and getattr(dtype, "time_zone", None) is not None:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    # Missing numbers are NaN, missing times NaT; other arrays cannot miss any.
    numeric = dtype.is_float() or (
        (str(dtype) in INTEGERS or dtype == polars.Boolean) and series.null_count() == 0
    )
    if numeric or dtype in (polars.Datetime, polars.Duration, polars.Date):
        try:
            array = series.to_numpy()
        except ImportError:
            pass  # polars does without NumPy.
        else:
            pack_array(packer, array, depth)
            return
    pack_items(packer, series.to_list(), depth)
