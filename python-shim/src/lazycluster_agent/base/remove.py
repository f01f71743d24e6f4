"""Removes trees without ever following a link, however deep they are."""

from __future__ import annotations

import os
import stat

from .old import entries
from .precious import identity, refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Container, Iterator, List, Tuple

    from .precious import Identity

#: Levels that are held open at once; what lies deeper is moved up first.
MAX_OPEN = 50
OPEN_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: bytes, force: bool = False, never: Container[Identity] = ()) -> Iterator[bool]:
    """Removes a file, a link, or a directory with its contents, yielding True in between. Raises OSError.

    With `force`, directories that forbid it are made writable. At one of `never` it stops with a Failure,
    before anything of that is gone.
    """
    status = os.lstat(path)
    if identity(status) in never:
        raise refused(path)
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(path)
        return
    stack: List[Tuple[int, bytes, List[bytes]]] = []
    moved = 0
    try:
        stack.append(_open(path, None, force, never))
        while stack:
            yield True
            fd, name, subdirectories = stack[-1]
            if subdirectories:
                child = subdirectories.pop()
                if len(stack) > MAX_OPEN:
                    # Its place in the root's list makes it one of the next to be emptied.
                    moved += 1
                    hoisted = b".lazycluster-%d-%d" % (os.getpid(), moved)
                    os.rename(child, hoisted, src_dir_fd=fd, dst_dir_fd=stack[0][0])
                    stack[0][2].append(hoisted)
                else:
                    stack.append(_open(child, fd, force, never))
            else:
                stack.pop()
                os.close(fd)
                os.rmdir(name, dir_fd=stack[-1][0] if stack else None)
    finally:
        for fd, _, _ in stack:
            os.close(fd)


def _open(
    name: bytes, parent: int | None, force: bool, never: Container[Identity]
) -> Tuple[int, bytes, List[bytes]]:
    """Opens a directory, unlinks what is no directory in it, and lists the rest."""
    if force:
        mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode) and mode & 0o700 != 0o700:
            os.chmod(name, 0o700, dir_fd=parent)
    fd = os.open(name, OPEN_FLAGS, dir_fd=parent)
    subdirectories = []
    try:
        if never and identity(os.fstat(fd)) in never:
            raise refused(os.readlink(b"/proc/self/fd/%d" % fd))
        for child, is_folder in entries(fd):
            if is_folder:
                subdirectories.append(child)
            else:
                os.unlink(child, dir_fd=fd)
    except BaseException:
        os.close(fd)
        raise
    return fd, name, subdirectories
