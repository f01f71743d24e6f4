"""Small things to do with descriptors."""

from __future__ import annotations

import os


def drain(fd: int) -> bool:
    """Reads away what is there; False at the end of the input."""
    try:
        while True:
            data = os.read(fd, 65536)
            if len(data) < 65536:
                return bool(data)
    except BlockingIOError:
        return True
    except OSError:
        return False


def write_quietly(fd: int, data: bytes) -> None:
    """Where nothing can be done if it fails."""
    try:
        os.write(fd, data)
    except OSError:
        pass


def close_quietly(fd: int) -> None:
    try:
        os.close(fd)
    except OSError:
        pass


def null_stdio(*fds: int) -> None:
    """/dev/null in place of standard streams. Descriptors 0 to 2 must never be free for other files."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in fds:
        os.dup2(null, fd)
    if null > 2:
        os.close(null)
