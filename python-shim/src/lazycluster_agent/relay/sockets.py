"""What all sockets of relays need."""

from __future__ import annotations

import _socket

LOOPBACK = "127.0.0.1"


def configure(fd: int, level: int, option: int, value: bytes) -> None:
    """A socket's option, by its descriptor."""
    borrowed = _socket.socket(fileno=fd)
    try:
        borrowed.setsockopt(level, option, value)
    except OSError:
        pass  # It broke meanwhile, which the next read or write tells.
    finally:
        borrowed.detach()


def half_close(fd: int) -> None:
    borrowed = _socket.socket(fileno=fd)
    try:
        borrowed.shutdown(_socket.SHUT_WR)
    except OSError:
        pass  # The same.
    finally:
        borrowed.detach()
