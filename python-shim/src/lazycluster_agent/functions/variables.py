"""Which variables count when a process starts: a fork of a running interpreter would not know of them."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Tuple

    Variables = Tuple[Tuple[bytes, bytes], ...]

#: Read by the loader and the C library, by Python, and by libraries for numbers when they are imported.
PREFIXES = (
    *(b"LD_", b"GLIBC_", b"MALLOC_", b"LANG", b"LC_", b"TZ"),
    b"PYTHON",
    *(b"OMP_", b"OPENBLAS_", b"GOTO_", b"MKL_", b"BLIS_", b"KMP_", b"NPY_"),
)
#: Whole names. Below the home directory there are packages of the user's own.
NAMES = (b"HOME", b"LOCPATH", b"NLSPATH")
PATH = b"PYTHONPATH"


def counting(environment: Dict[bytes, bytes]) -> Dict[bytes, bytes]:
    return {name: value for name, value in environment.items() if name.startswith(PREFIXES) or name in NAMES}


def settle(variables: Dict[bytes, bytes], cwd: bytes) -> Variables:
    """The same in one order, and what is relative as it is for a process that starts in `cwd`."""
    path = variables.get(PATH)
    if path:
        folders = (os.path.join(cwd, folder).rstrip(b"/") or b"/" for folder in path.split(b":"))
        variables = {**variables, PATH: b":".join(folders)}
    return tuple(sorted(variables.items()))
