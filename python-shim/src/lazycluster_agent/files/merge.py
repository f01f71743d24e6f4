"""Moves a collected folder onto one that exists, file by file, each by a rename."""

from __future__ import annotations

import os
import stat

from ..base.errors import Failure, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Container, Iterator, List, Optional, Set


def check_merge(source: bytes, target: bytes, gone: Container[bytes]) -> Iterator[bool]:
    """Looks for conflicts before anything is moved, so that a refused folder has changed nothing."""
    return _walk(source, target, None, gone, False)


def merge(source: bytes, target: bytes, new: Set[bytes], open_up: bool) -> Iterator[bool]:
    """Fills `new` with the relative paths of the directories that did not exist.

    With `open_up`, folders that forbid it are made writable: their modes are set afterwards.
    """
    return _walk(source, target, new, (), open_up)


def _walk(
    source: bytes, target: bytes, new: Optional[Set[bytes]], gone: Container[bytes], open_up: bool
) -> Iterator[bool]:
    pending: List[bytes] = [b""]
    merged: List[bytes] = []
    while pending:
        yield True
        folder = pending.pop()
        merged.append(os.path.join(source, folder))
        if open_up:
            make_writable(os.path.join(target, folder))
        with os.scandir(os.path.join(source, folder)) as entries:
            children = list(entries)
        for entry in children:
            name = os.path.join(folder, entry.name)
            place = os.path.join(target, name)
            is_folder = entry.is_dir(follow_symlinks=False)
            mode = None if name in gone else _mode(place)
            if mode is not None and stat.S_ISDIR(mode) != is_folder:
                text = "%s is %s, and %s of that name was to take its place. "
                text += "Remove it first, or choose another path."
                kinds = ("no folder", "a folder") if is_folder else ("a folder", "a file")
                raise Failure("path", text % (printable(place), *kinds), path=place)
            if is_folder and mode is not None:
                pending.append(name)
            elif new is not None:
                os.rename(entry.path, place)
                if is_folder:
                    new.update(_below(target, name))
    if new is not None:
        for folder in reversed(merged):
            os.rmdir(folder)


def make_writable(folder: bytes) -> None:
    """Where it is ours. What forbids it shows itself by the next system call."""
    try:
        mode = os.lstat(folder).st_mode
        if stat.S_ISDIR(mode) and mode & 0o300 != 0o300:
            os.chmod(folder, stat.S_IMODE(mode) | 0o700)
    except OSError:
        pass


def _below(target: bytes, name: bytes) -> Iterator[bytes]:
    """A directory that was moved, and all in it."""
    pending = [name]
    while pending:
        folder = pending.pop()
        yield folder
        with os.scandir(os.path.join(target, folder)) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(os.path.join(folder, entry.name))


def _mode(path: bytes) -> Optional[int]:
    try:
        return os.lstat(path).st_mode
    except FileNotFoundError:
        return None
