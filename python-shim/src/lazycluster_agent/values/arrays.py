"""NumPy arrays in value documents: [dtype, [shape], bytes in little endian and C order]."""

from __future__ import annotations

import sys

from ..base.errors import Failure
from ..base.old import require_newer
from ..wire.msgpack import NotData, WireError
from .codes import EXT_ARRAY, EXT_DATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, NoReturn

#: How many bytes an item has.
NUMBERS = {"int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8}
NUMBERS.update({"float32": 4, "float64": 8, "bool": 1})
TIMES = ("datetime64[", "timedelta64[")
UNITS = frozenset(["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"])
#: NumPy's "no time".
NO_TIME = -(1 << 63)


def pack_array(packer: Any, array: Any, depth: int) -> None:
    """Raises NotData for types that a typed array of JavaScript cannot hold."""
    require_newer("Arrays")
    import numpy

    array = numpy.asarray(array)
    dtype = array.dtype
    if dtype.kind in "US":
        packer.pack(array.tolist(), depth)
        return
    if dtype == numpy.float16:
        dtype = numpy.dtype("float32")
    if not is_known(dtype.name):
        advice = "; use .astype(…) or .tolist()" if dtype.kind in "Ofc" else ""
        raise NotData("is an array of dtype %s, which has no counterpart%s" % (dtype, advice))
    # Copies only what is not in little endian and C order already.
    plain = array.astype(little(dtype), order="C", copy=False)
    packer.special(EXT_ARRAY, [dtype.name, list(array.shape), flat_bytes(plain)], depth)


def little(dtype: Any) -> Any:
    return dtype.newbyteorder("=" if sys.byteorder == "little" else "<")


def flat_bytes(array: Any) -> memoryview:
    """The bytes of an array in C order. (Times have no buffer of their own.)"""
    return memoryview(array.reshape(-1).view("u1")) if array.size else memoryview(b"")


def pack_masked(packer: Any, array: Any, depth: int) -> None:
    if array.mask.any():
        raise NotData("is an array with masked items; call .filled(…) first")
    pack_array(packer, array.data, depth)


def pack_scalar(packer: Any, value: Any, depth: int) -> None:
    kind = value.dtype.kind
    if kind == "M":
        micros = int(value.astype("datetime64[us]").astype("int64"))
        if micros == NO_TIME:
            packer.pack(None, depth)
        else:
            packer.special(EXT_DATE, [micros, "datetime"], depth)
        return
    item = value.item() if kind in "biufUS" else value
    if type(item) not in (bool, int, float, str, bytes):
        raise NotData("is a numpy.%s" % type(value).__name__)
    packer.pack(item, depth)


def is_known(name: str) -> bool:
    if name in NUMBERS:
        return True
    if not name.startswith(TIMES) or not name.endswith("]"):
        return False
    unit = name[name.index("[") + 1 : -1]
    step = unit.rstrip("YMWDhmsunpfa")
    return unit[len(step) :] in UNITS and (not step or (step.isascii() and step.isdigit() and len(step) < 10))


def read_array(parts: List[Any]) -> Any:
    """A writable view of its bytes. Raises WireError, and Failure where there is no NumPy."""
    require_newer("Arrays")
    if len(parts) != 3 or not isinstance(parts[2], bytearray):
        raise WireError("an array without type, shape and bytes")
    name, shape, data = parts
    if not isinstance(name, str) or not is_known(name):
        raise WireError("an array of dtype %.40r" % (name,))
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise WireError("an array without a shape")
    size = NUMBERS.get(name, 8)
    for length in shape:
        size *= length
    if size != len(data):
        raise WireError("an array of %d bytes where %d are there" % (size, len(data)))
    try:
        import numpy
    except ImportError as error:
        missing("NumPy", "an array", "numpy", error)
    try:
        array: Any = numpy.ndarray(tuple(shape), little(numpy.dtype(name)), data)
    except (TypeError, ValueError, OverflowError) as error:
        raise WireError("an array that is none: %s" % error) from None
    return array


def missing(library: str, what: str, package: str, error: ImportError) -> NoReturn:
    why = "" if isinstance(error, ModuleNotFoundError) and error.name == package else " (%s)" % error
    python = sys.executable or "python3"
    raise Failure(
        "module",
        "There is no %s on this host%s, which %s among the arguments needs. "
        "Install it there: %s -m pip install %s" % (library, why, what, python, package),
    ) from None
