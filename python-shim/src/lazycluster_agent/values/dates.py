"""Dates in value documents: [µs since the epoch, "datetime" or "date"]."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

from ..wire.msgpack import NotData, WireError
from .codes import EXT_DATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


def pack_datetime(packer: Any, value: datetime, depth: int) -> None:
    """One without a zone is in the local time of this host, as Python's own timestamp() takes it."""
    try:
        micros = (value.astimezone(timezone.utc) - EPOCH) // _MICROSECOND
    except (OverflowError, ValueError, OSError) as error:
        raise NotData("is a datetime that is out of range (%s)" % error) from None
    packer.special(EXT_DATE, [micros, "datetime"], depth)


def pack_date(packer: Any, value: date, depth: int) -> None:
    packer.special(EXT_DATE, [(value - EPOCH.date()) // _MICROSECOND, "date"], depth)


def read_date(parts: List[Any]) -> date:
    """Raises WireError."""
    if len(parts) != 2 or type(parts[0]) is not int or parts[1] not in ("datetime", "date"):
        raise WireError("a date that is none")
    try:
        moment = EPOCH + timedelta(microseconds=parts[0])
    except OverflowError:
        raise WireError("a date outside the years 1 to 9999") from None
    return moment if parts[1] == "datetime" else moment.date()
