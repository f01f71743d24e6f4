"""What a fork server imports before it forks its next children, once a function has used it.

Only what may be imported ahead: it comes from the interpreter's own folders, a fork loses no thread of it,
and what it remembers can be put back.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable, List, Tuple

PICKLES = "pickles"
LIBRARIES = ("numpy",)
#: What comes with one: parts that it would import when they are first asked for.
PARTS = {"numpy": ("numpy.random",)}
NAMES = (PICKLES, *LIBRARIES)
#: Variables that the libraries read when they are imported: who sets one gets a child without them.
VARIABLES = (b"OMP_", b"OPENBLAS_", b"GOTO_", b"MKL_", b"BLIS_", b"KMP_", b"NPY_", b"LD_")


def used(path: Iterable[str]) -> List[str]:
    """In a child: what its function has brought in. `path`: where the interpreter's own modules are."""
    found = [PICKLES] if "%s.%s" % (__package__, PICKLES) in sys.modules else []
    for name in LIBRARIES:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file and os.path.dirname(os.path.dirname(file)) in path:
            found.append(name)
    return found


def prepare(name: str) -> None:
    """In the fork server."""
    if name == PICKLES:
        from . import pickles

        pickles.prepare()
    else:
        try:
            for module in (name, *PARTS[name]):
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
    numpy: Any = sys.modules.get("numpy")
    return () if numpy is None else (numpy.geterr(), numpy.geterrcall(), numpy.get_printoptions())


def unwanted(wanted: Dict[bytes, bytes], given: Dict[bytes, bytes], cwd: bytes) -> bool:
    """By the agent: whether a function must not find a library that was imported before.

    `wanted`: the function's variables. `given`: those of the fork server."""
    if any(name.startswith(VARIABLES) and given.get(name) != value for name, value in wanted.items()):
        return True
    # The working directory comes first where modules are looked for.
    own = [os.path.join(cwd, os.fsencode(name)) for name in LIBRARIES]
    return any(os.path.exists(path + b".py") or os.path.exists(path + b"/__init__.py") for path in own)
