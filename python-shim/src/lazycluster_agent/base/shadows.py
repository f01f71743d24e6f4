"""Keeps our own imports apart from those of the user: PYTHONPATH may have a `struct.py`, or an old `enum`.

The user's code finds such a module, as in any Python; ours finds the standard library's. So there are two of
each such name, and at any time `sys.modules` has one of them: ours only while a module of ours is executed,
or something of the standard library's that imports more when it is called.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional

ENDS = (".py", ".pyc", ".so")
DYNAMIC = "lib-dynload"


#: Where there are such names.
_current: Optional[Shadows] = None


def begin(path: List[str]) -> Optional[Shadows]:
    """`path`: the user's `sys.path`."""
    global _current
    shadows = Shadows(path)
    _current = shadows if shadows.names else None
    return _current


def among_ours(action: Callable[[], str]) -> str:
    if _current is None:
        return action()
    with _current:
        return action()


class Shadows:
    def __init__(self, path: List[str]) -> None:
        library = os.path.dirname(os.path.dirname(sys.modules["encodings"].__file__ or ""))
        own = [folder for folder in path if folder == library or os.path.basename(folder) == DYNAMIC]
        first = path.index(library) if library in path else 0
        others = path[:first]
        taken = {name for folder in others for name in names_in(folder)}
        if taken:
            taken &= {name for folder in own for name in names_in(folder)}
        imp: Any = __import__("_imp")
        #: Names in the standard library that other folders have too, and before it.
        self.names = {name for name in taken if not imp.is_builtin(name) and not imp.is_frozen(name)}
        self._path = own + [folder for folder in path if folder not in own]
        self._ours: Dict[str, Any] = {}
        self._theirs: Dict[str, Any] = {}
        self._their_path: List[str] = []
        self._depth = 0
        # So far only `site` has run, with their path, and the first lines of ours, with our path.
        for name, module in self._take().items():
            file = getattr(module, "__file__", None) or ""
            theirs = file.startswith(tuple(os.path.join(folder, "") for folder in others))
            (sys.modules if theirs else self._ours)[name] = module

    def __enter__(self) -> None:
        self._depth += 1
        if self._depth == 1:
            self._theirs, self._their_path = self._take(), sys.path[:]
            sys.modules.update(self._ours)
            sys.path[:] = self._path

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._ours = self._take()
            sys.modules.update(self._theirs)
            sys.path[:] = self._their_path

    def _take(self) -> Dict[str, Any]:
        """Out of `sys.modules`."""
        names = [name for name in sys.modules if name.partition(".")[0] in self.names]
        return {name: sys.modules.pop(name) for name in names}


def names_in(folder: str) -> Iterator[str]:
    """Of the modules that an import finds in it."""
    try:
        entries = os.listdir(folder)
    except OSError:
        return  # Not there, or an archive.
    for entry in entries:
        name, dot, _ = entry.partition(".")
        if entry.endswith(ENDS) or (not dot and os.path.exists(os.path.join(folder, name, "__init__.py"))):
            yield name
