"""The vectors and their tagged values (vectors/README.md)."""

from __future__ import annotations

import json
import math
import struct
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, List

import pytest

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
VECTORS = Path(__file__).parent / "vectors"


class Frame(Dict[str, Any]):
    """Stands for whatever library a host has for data frames."""


def load(file: str) -> List[Any]:
    return [pytest.param(vector, id=vector["name"]) for vector in json.loads((VECTORS / file).read_text())]


def raw(given: Any) -> bytes:
    if isinstance(given, str):
        return bytes.fromhex(given)
    return b"".join(bytes.fromhex(part) * count for part, count in given)


def untag(value: Any) -> Any:
    if isinstance(value, list):
        return [untag(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((tag, content),) = value.items()
    if tag == "int":
        digits = content.lstrip("-")
        number = 0
        for at in range(0, len(digits), 4000):
            part = digits[at : at + 4000]
            number = number * 10 ** len(part) + int(part)
        return -number if content.startswith("-") else number
    if tag == "float":
        return struct.unpack(">d", bytes.fromhex(content))[0]
    if tag == "bytes":
        return bytes.fromhex(content) if isinstance(content, str) else bytes.fromhex(content[0]) * content[1]
    if tag in ("map", "dict"):
        return {key if isinstance(key, str) else untag(key): untag(item) for key, item in content}
    if tag == "set":
        return {untag(item) for item in content}
    if tag == "tuple":
        return tuple(untag(item) for item in content)
    if tag in ("datetime", "date"):
        moment = EPOCH + timedelta(microseconds=int(content))
        return moment if tag == "datetime" else moment.date()
    if tag == "array":
        dtype, shape, data = content
        return pytest.importorskip("numpy").frombuffer(bytearray.fromhex(data) or b"", dtype).reshape(shape)
    if tag == "frame":
        return Frame((name, untag(column)) for name, column in content)
    if tag == "repeat":
        return [untag(content[0])] * content[1]
    if tag == "text":
        return content[0] * content[1]
    assert tag == "nest"
    inner = untag(content[0])
    for _ in range(content[1]):
        inner = [inner]
    return inner


def same(left: Any, right: Any) -> bool:
    """Equality that knows types, the sign of zero, the order of keys, and that NaN is NaN."""
    if type(left) is not type(right):
        return False
    if type(left).__name__ == "ndarray":
        return (left.dtype, left.shape, left.tobytes()) == (right.dtype, right.shape, right.tobytes())
    if isinstance(left, float):
        return struct.pack(">d", left) == struct.pack(">d", right) or (math.isnan(left) and math.isnan(right))
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    return bool(left == right)
