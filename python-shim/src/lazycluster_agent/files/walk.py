"""What is in a folder: depth first, a folder before what is in it, links not followed."""

from __future__ import annotations

import os
import stat

from ..base.errors import Failure, printable
from .entries import DIRECTORY, FILE, LINK
from .links import stays_inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Iterator, List, NoReturn, Optional, Tuple

    #: Kind, path below the root, status, where it is, target of a link.
    Found = Tuple[bytes, bytes, os.stat_result, bytes, bytes]

ADVICE = "Check who may read it."


class Walk:
    """With `leaving`, links that leave the tree are taken as they are; else what they lead to comes along."""

    def __init__(self, root: bytes, leaving: bool = False) -> None:
        self._root = root
        self._leaving = leaving
        self.notes: List[str] = []

    def all(self) -> Iterator[Optional[Found]]:
        """The root first. None comes where something was left out."""
        status = os.stat(self._root)
        yield DIRECTORY, b"", status, self._root, b""
        stack: List[Tuple[bytes, Iterator[os.DirEntry[bytes]]]] = [(b"", self._list(self._root))]
        while stack:
            folder, entries = stack[-1]
            entry = next(entries, None)
            if entry is None:
                stack.pop()
                continue
            path = folder + entry.name
            found = self._look(path, entry.path)
            yield found
            if found is not None and found[0] == DIRECTORY:
                stack.append((path + b"/", self._list(entry.path)))

    def some(self, paths: Iterable[bytes]) -> Iterator[Optional[Found]]:
        """Only these, in the order in which they are given."""
        for path in paths:
            yield self._look(path, os.path.join(self._root, path) if path else self._root)

    def _look(self, path: bytes, source: bytes) -> Optional[Found]:
        try:
            status = os.stat(source, follow_symlinks=not path)
            kind = stat.S_IFMT(status.st_mode)
            if kind == stat.S_IFDIR:
                return DIRECTORY, path, status, source, b""
            if kind == stat.S_IFREG:
                return FILE, path, status, source, b""
            if kind == stat.S_IFLNK:
                return self._link(path, source, status, os.readlink(source))
        except OSError as error:
            fail("cannot be read", error, source)
        self.notes.append("%s was left out: it is neither a file nor a folder." % printable(source))
        return None

    def _link(self, path: bytes, source: bytes, status: os.stat_result, target: bytes) -> Optional[Found]:
        if self._leaving or stays_inside(target, path.count(b"/")):
            return LINK, path, status, source, target
        try:
            # What lies outside does not come along, so a file's content takes the link's place.
            status = os.stat(source)
        except OSError:
            self.notes.append("%s was left out: it is a link that leads nowhere." % printable(source))
            return None
        if stat.S_ISDIR(status.st_mode):
            text = "%s is a link to the folder %s, which is not in the folder that is sent. "
            text += "Send that one, too, or remove the link."
            raise Failure("transfer", text % (printable(source), printable(target)), path=source)
        if stat.S_ISREG(status.st_mode):
            return FILE, path, status, os.path.realpath(source), b""
        self.notes.append("%s was left out: it leads to neither a file nor a folder." % printable(source))
        return None

    def _list(self, path: bytes) -> Iterator[os.DirEntry[bytes]]:
        try:
            with os.scandir(path) as entries:
                return iter(sorted(entries, key=lambda entry: entry.name))
        except OSError as error:
            fail("cannot be listed", error, path)


def fail(what: str, error: OSError, path: bytes) -> NoReturn:
    raise Failure.of("path", error, path, "%s %s" % (printable(path), what), ADVICE) from None
