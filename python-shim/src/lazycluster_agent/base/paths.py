"""What a path in a message means on this host."""

from __future__ import annotations

import os.path

from .errors import Failure


def resolve(path: bytes, cwd: bytes, home: bytes) -> bytes:
    """Absolute: `~` is the home directory, `cwd` is relative to it and `path` to `cwd`."""
    if b"\0" in path or b"\0" in cwd:
        raise Failure("path", "A path cannot hold a NUL character.", path=path)
    if not path:
        raise Failure("path", "The path is empty. Give a path, or . for the working directory.", path=path)
    return os.path.join(working_directory(cwd, home), expand(path, home))


def working_directory(cwd: bytes, home: bytes) -> bytes:
    return os.path.join(home, expand(cwd, home))


def expand(path: bytes, home: bytes) -> bytes:
    if path == b"~":
        return home
    if path.startswith(b"~/"):
        return os.path.join(home, path[2:].lstrip(b"/"))
    return path


def tidy(path: bytes) -> bytes:
    """The same place, written plainly. `..` is resolved by the file system, for a link may come before it."""
    steps = path.split(b"/")
    return os.path.realpath(path) if b".." in steps else os.path.normpath(path)
