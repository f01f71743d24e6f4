"""Kept pieces of big files whose transfer was interrupted: hidden files, few and not for long."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Tuple

PREFIX = b".lazycluster-partial-"
#: In a folder at once; the oldest go first.
LIMIT = 8
#: [s] until one is removed by the next transfer that looks into the folder.
EXPIRY = 7 * 24 * 3600.0


def partial_path(place: bytes, target: bytes) -> bytes:
    """Of what shall become `target`; core/src/host/tree/partials.ts makes the same names."""
    from hashlib import sha256

    return os.path.join(place, PREFIX + sha256(target).hexdigest()[:16].encode())


def claim(place: bytes, target: bytes, staged: bytes) -> bool:
    """Moves a kept piece to where it is filled. Only one can have it."""
    try:
        os.rename(partial_path(place, target), staged)
    except OSError:
        return False
    return True


def keep(place: bytes, target: bytes, staged: bytes) -> None:
    """Never raises: a piece that cannot be kept is lost."""
    path = partial_path(place, target)
    try:
        os.chmod(staged, 0o600)
        os.utime(staged)
        os.rename(staged, path)
    except OSError:
        return
    tidy_up(place)


def tidy_up(place: bytes) -> None:
    found: List[Tuple[float, bytes]] = []
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith(PREFIX) and entry.is_file(follow_symlinks=False):
                    found.append((entry.stat(follow_symlinks=False).st_mtime, entry.path))
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
