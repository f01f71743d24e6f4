"""Reads header fields with the types that they must have."""

from __future__ import annotations

from ..base.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Union

    from .frames import Header


def refuse(header: Header, name: str, expected: str) -> ProtocolError:
    return ProtocolError("%.40s: its field %s must be %s" % (header.get("op"), name, expected))


def text(header: Header, name: str) -> str:
    value = header.get(name)
    if not isinstance(value, str):
        raise refuse(header, name, "a string")
    return value


def optional_text(header: Header, name: str) -> Optional[str]:
    return None if header.get(name) is None else text(header, name)


def integer(header: Header, name: str, least: int = 0, most: int = 2**63 - 1) -> int:
    value = header.get(name)
    if type(value) is not int or not least <= value <= most:
        raise refuse(header, name, "an integer from %d to %d" % (least, most))
    return value


def number(header: Header, name: str) -> Union[int, float]:
    value = header.get(name)
    if type(value) not in (int, float):
        raise refuse(header, name, "a number")
    return value  # type: ignore[return-value]


def optional_milliseconds(header: Header, name: str) -> Optional[float]:
    """In seconds."""
    return None if header.get(name) is None else number(header, name) / 1000


def flag(header: Header, name: str) -> bool:
    value = header.get(name, False)
    if not isinstance(value, bool):
        raise refuse(header, name, "a boolean")
    return value


def raw(header: Header, name: str) -> bytes:
    """A path or a name: text when a user typed it, bytes when it comes from a file system."""
    value = header.get(name)
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if not isinstance(value, bytes):
        raise refuse(header, name, "a string or binary")
    return value


def raw_list(header: Header, name: str) -> List[bytes]:
    value = header.get(name)
    if not isinstance(value, list) or not all(isinstance(item, bytes) for item in value):
        raise refuse(header, name, "a list of binaries")
    return value


def text_list(header: Header, name: str) -> List[str]:
    value = header.get(name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise refuse(header, name, "a list of strings")
    return value


def integers(header: Header, name: str, least: int, most: int) -> List[int]:
    value = header.get(name)
    if not isinstance(value, list) or not all(type(item) is int and least <= item <= most for item in value):
        raise refuse(header, name, "a list of integers from %d to %d" % (least, most))
    return value


def mapping(header: Header, name: str) -> Dict[str, Any]:
    value = header.get(name)
    if not isinstance(value, dict):
        raise refuse(header, name, "a map")
    return value


def environment(header: Header, name: str) -> Dict[bytes, bytes]:
    result = {}
    for key, value in mapping(header, name).items():
        if isinstance(value, str):
            value = value.encode("utf-8", "surrogateescape")
        if not isinstance(value, bytes):
            raise refuse(header, name, "a map of strings")
        result[key.encode("utf-8", "surrogateescape")] = value
    return result
