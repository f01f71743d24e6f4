"""Kept pieces of big files whose transfer was interrupted: hidden files, few and not for long.

Others may write into the folder, too: so the names hold a secret of the user, and only what is surely our
own is taken.
"""

from __future__ import annotations

import os
import stat
import time

from .opening import READ_FLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Tuple

PREFIX = b".lazycluster-partial-"
#: In a folder at once; the oldest go first.
LIMIT = 8
#: [s] until one is removed by the next transfer that looks into the folder.
EXPIRY = 7 * 24 * 3600.0


def partial_path(place: bytes, key: bytes, target: bytes) -> bytes:
    """Of what shall become `target`; core/src/host/transfer/partials.ts makes names in the same way."""
    from hashlib import sha256

    return os.path.join(place, PREFIX + sha256(key + target).hexdigest()[:16].encode())


def claim(place: bytes, key: bytes, target: bytes, staged: bytes, fresh: os.stat_result) -> bool:
    """Moves a kept piece to where it is filled, in the place of the empty file there. One gets it."""
    path = partial_path(place, key, target)
    try:
        if not is_like(os.lstat(path), fresh):
            return False
        os.rename(path, staged)
    except OSError:
        return False
    return True


def is_like(status: os.stat_result, fresh: os.stat_result) -> bool:
    """Whether it may be one of ours: as private as what we have just made beside it, and under one name only.

    To ask who we are would not do: some file systems give all files to one user, and know no modes.
    """
    return (
        stat.S_ISREG(status.st_mode)
        and (status.st_uid, status.st_mode) == (fresh.st_uid, fresh.st_mode)
        and status.st_nlink == 1
    )


def keep(place: bytes, key: bytes, target: bytes, staged: bytes) -> None:
    """Never raises: a piece that cannot be kept is lost."""
    try:
        fd = os.open(staged, READ_FLAGS)
        try:
            os.fchmod(fd, 0o600)
            os.utime(fd)
        finally:
            os.close(fd)
        os.rename(staged, partial_path(place, key, target))
    except OSError:
        return
    tidy_up(place)


def tidy_up(place: bytes) -> None:
    """Of our own: what others keep in the same folder is theirs."""
    found: List[Tuple[float, bytes]] = []
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                if not entry.name.startswith(PREFIX):
                    continue
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
                    found.append((status.st_mtime, entry.path))
    except OSError:
        return
    found.sort(reverse=True)
    oldest = time.time() - EXPIRY
    for number, (changed, path) in enumerate(found):
        if number >= LIMIT or changed < oldest:
            try:
                os.unlink(path)
            except OSError:
                pass
