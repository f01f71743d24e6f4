"""What is never removed, by whatever name somebody comes to it: the root, and the home with all it is in."""

from __future__ import annotations

import os

from . import user
from .errors import Failure, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Set, Tuple

    #: Device and inode: two paths lead to one directory if they agree on it, over links and bind mounts.
    Identity = Tuple[int, int]


def identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino


def precious(home: bytes) -> Set[Identity]:
    record = user.account()
    homes = {home} if record is None else {home, os.fsencode(record.pw_dir)}
    places = {b"/"}
    found: Set[Identity] = set()
    for path in homes:
        try:
            # The login needs the link as well.
            found.add(identity(os.lstat(path)))
        except OSError:
            continue
        for way in (path, os.path.realpath(path)):
            # Behind `..` a name says nothing of where it leads.
            while b".." not in way.split(b"/") and way not in places:
                places.add(way)
                way = os.path.dirname(way)
    for path in places:
        try:
            found.add(identity(os.stat(path)))
        except OSError:
            pass  # Then it cannot be removed, either.
    return found


def refused(path: bytes, what: str = "which is never removed") -> Failure:
    text = "%s is the root or the home directory, or holds it, %s. Name what is in it."
    return Failure("path", text % (printable(path), what), path=path)
