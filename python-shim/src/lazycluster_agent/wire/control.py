"""Descriptors travel between processes over a socket pair.

`socket` would import selectors and enum, so its C half is used directly.
"""

from __future__ import annotations

import _socket
import os
import struct

from .msgpack import WireError, pack, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Sequence, Tuple

MAX_MESSAGE = 4096
MAX_DESCRIPTORS = 4


def pair(kind: int) -> Tuple[int, int]:
    """Both ends of a socket pair, closed on exec."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, kind)
    return ours.detach(), theirs.detach()


class Control:
    """Small messages with descriptors, between the agent and a fork server.

    Receiving never waits; sending does if the descriptor blocks.
    """

    def __init__(self, fd: int) -> None:
        self._socket = _socket.socket(fileno=fd)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send(self, message: Dict[str, Any], fds: Sequence[int] = ()) -> None:
        rights = (
            [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("%di" % len(fds), *fds))] if fds else []
        )
        self._socket.sendmsg([pack(message)], rights)

    def receive(self) -> Tuple[Dict[str, Any], List[int]]:
        """Raises EOFError at the end, BlockingIOError when there is nothing, else OSError or WireError."""
        space = _socket.CMSG_SPACE(MAX_DESCRIPTORS * 4)
        data, ancillary, _, _ = self._socket.recvmsg(
            MAX_MESSAGE, space, _socket.MSG_CMSG_CLOEXEC | _socket.MSG_DONTWAIT
        )
        fds: List[int] = []
        for level, kind, content in ancillary:
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                fds += struct.unpack("%di" % (len(content) // 4), content[: len(content) // 4 * 4])
        if not data:
            raise EOFError
        message = unpack(data)
        if not isinstance(message, dict):
            for fd in fds:
                os.close(fd)
            raise WireError("a message that is no map")
        return message, fds


def control_pair() -> Tuple[int, int]:
    return pair(_socket.SOCK_SEQPACKET)


def stream_pair() -> Tuple[int, int]:
    return pair(_socket.SOCK_STREAM)


def shut_down_writing(fd: int) -> None:
    """Tells the other end that no more comes, while it can still answer."""
    # All told, so that nothing has to be asked.
    stream = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, fd)
    try:
        stream.shutdown(_socket.SHUT_WR)
    except OSError:
        pass
    finally:
        stream.detach()
