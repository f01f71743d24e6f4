"""What fork servers import ahead: the names, and where a user's own module of such a name comes first."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, Tuple

PICKLES = "pickles"
NUMPY = "numpy"
#: Of the standard library, quick to import, and without a state that a program changes by using them.
PLAIN_NAMES = (
    "base64 binascii bisect cmath collections copy copyreg dataclasses datetime enum functools hashlib heapq "
    "itertools json keyword math operator re reprlib string struct textwrap time types zlib"
)
PLAIN = frozenset(PLAIN_NAMES.split())
AHEAD = (PICKLES, NUMPY, *sorted(PLAIN))
#: [ns] within which a file system may give two changes of a folder the same time.
GRAIN = 2_000_000_000
#: Folders that are remembered.
MOST = 100


class Folders:
    """Working directories, which come first where modules are looked for."""

    def __init__(self) -> None:
        self._names: Tuple[bytes, ...] = ()
        #: By path: the time of the folder's last change, and what was found then.
        self._known: Dict[bytes, Tuple[int, bool]] = {}

    def add(self, names: Iterable[str]) -> None:
        """Some server has these from now on."""
        new = {os.fsencode(name) for name in names if name != PICKLES}
        if not new.issubset(self._names):
            self._names = tuple(new.union(self._names))
            self._known.clear()

    def shadow(self, folder: bytes) -> bool:
        """Whether a function in this folder must not find what was imported ahead."""
        if not self._names:
            return False
        try:
            changed = os.stat(folder).st_mtime_ns
        except OSError:
            return False  # The call will say so.
        known = self._known.get(folder)
        if known is not None and known[0] == changed:
            return known[1]
        now = int(time.time() * 1e9)
        paths = [os.path.join(folder, name) for name in self._names]
        found = any(os.path.exists(path + b".py") or os.path.exists(path + b"/__init__.py") for path in paths)
        if now - changed > GRAIN:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[folder] = changed, found
        return found
