"""What a fork server has imported before it forks its next children, once functions have used it.

Only what may be imported ahead: it comes from the interpreter's own folders, a fork loses no thread of it,
and what it remembers can be put back.
"""

from __future__ import annotations

import os
import sys

from ..base.package import PACKAGE
from .libraries import NUMPY, PICKLES, PLAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Mapping, Tuple

#: Whose import shows that a function has used pickles.
HANDLES = "%s.call.handles" % PACKAGE
#: What comes with one: parts that it would import when they are first asked for.
PARTS = {NUMPY: ("numpy.random",)}
#: Who uses one of these may change what cannot be seen.
POWERFUL = ("_ctypes", "ctypes", "resource")
LIBRARY = os.path.dirname(os.path.dirname(sys.modules["encodings"].__file__ or ""))
_touched: List[str] = []


class Watched(type(sys)):  # type: ignore[misc]
    """A module until somebody uses it."""

    def __getattribute__(self, name: str) -> Any:
        touch(self)
        return getattr(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        touch(self)
        setattr(self, name, value)


def touch(module: Any) -> None:
    _touched.append("")
    object.__setattr__(module, "__class__", type(sys))


def watch() -> None:
    """In the fork server: modules that came with others."""
    for name in POWERFUL:
        module = sys.modules.get(name)
        if type(module) is type(sys):
            module.__class__ = Watched


def touched() -> bool:
    return bool(_touched)


def used(before: Mapping[str, Any], path: List[str]) -> List[str]:
    """In a child: what its function has brought in."""
    found = []
    for name in sys.modules.keys() - before.keys():
        if name == HANDLES:
            found.append(PICKLES)
        elif name == NUMPY or name in PLAIN:
            file = getattr(sys.modules[name], "__file__", None)
            folder = os.path.dirname(file) if file else LIBRARY
            if os.path.basename(file or "").startswith("__init__."):
                folder = os.path.dirname(folder)
            if folder in path if name == NUMPY else folder.startswith(LIBRARY):
                found.append(name)
    return found


def prepare(name: str) -> None:
    """In the fork server."""
    if name == PICKLES:
        from ..call import handles

        handles.prepare()
    else:
        try:
            for module in (name, *PARTS.get(name, ())):
                __import__(module)
        except Exception:
            pass  # A child could; whoever needs it is told by its own import.


def begin() -> None:
    """In a child: all children of a server have the same state of what was imported before the fork."""
    random: Any = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()


def state() -> Tuple[Any, ...]:
    """What functions may set in it."""
    numpy: Any = sys.modules.get(NUMPY)
    if numpy is None:
        return ()
    return numpy.geterr(), numpy.geterrcall(), numpy.get_printoptions(), numpy.getbufsize()
