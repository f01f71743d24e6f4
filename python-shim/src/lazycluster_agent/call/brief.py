"""How an object is told of in a few words."""

from __future__ import annotations

import reprlib
import sys

from .raised import own_module, shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_REPR = 16 * 1024
#: Items from which on a container is not written out whole.
MANY = 5000


def type_name(kind: type) -> str:
    module = getattr(kind, "__module__", "builtins")
    return kind.__qualname__ if own_module(str(module)) else "%s.%s" % (module, kind.__qualname__)


def short_repr(subject: object) -> str:
    try:
        value = brief(subject) if is_long(subject) else repr(subject)
        return shorten(value, MAX_REPR, head=MAX_REPR)
    except Exception as error:
        return "<%s, whose repr raised %s>" % (type_name(type(subject)), type(error).__name__)


def is_long(subject: Any) -> bool:
    # Only of builtin types it is known what their repr costs.
    return type(subject) in (list, tuple, dict, set, frozenset, str, bytes, bytearray) and len(subject) > MANY


def brief(subject: object) -> str:
    shortener = reprlib.Repr()
    for limit in ("maxlist", "maxtuple", "maxset", "maxfrozenset", "maxdict"):
        setattr(shortener, limit, 100)
    shortener.maxstring = MANY
    if isinstance(subject, (bytes, bytearray)):
        return "%s... (%d bytes)" % (repr(subject[:100]), len(subject))
    return shortener.repr(subject)


def loaded(module: str, name: str) -> Any:
    """An attribute of a module, if somebody has imported that; else None."""
    return getattr(sys.modules.get(module), name, None)
