"""Paths that must not outlive the connection. The keeper knows them too, should the agent be killed."""

from __future__ import annotations

import os

from ..base.descriptors import write_quietly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Set


class Leftovers:
    def __init__(self, keeper: int) -> None:
        self._keeper = keeper
        self._paths: Set[bytes] = set()
        # A keeper that does not read must not stop us; then only it knows less.
        os.set_blocking(keeper, False)

    def greet(self) -> None:
        """Lets the keeper get to work."""
        write_quietly(self._keeper, b"\0")

    def add(self, path: bytes) -> None:
        self._paths.add(path)
        write_quietly(self._keeper, b"+" + path + b"\0")

    def discard(self, path: bytes) -> None:
        """The path is gone, or has become something that stays."""
        self._paths.discard(path)
        write_quietly(self._keeper, b"-" + path + b"\0")

    def remove_all(self) -> None:
        remove_quietly(self._paths)
        self._paths.clear()


def remove_quietly(paths: Iterable[bytes]) -> None:
    if not paths:
        return
    from ..base.remove import remove_tree

    # A folder that ends with a slash is shared with others of ours: it goes when it is empty.
    for path in sorted(paths, key=lambda path: (path.endswith(b"/"), path)):
        try:
            if path.endswith(b"/"):
                os.rmdir(path)
                continue
            for _ in remove_tree(path, force=True):
                pass
        except OSError:
            pass
