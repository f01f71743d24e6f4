"""Ports of this host on which the agent accepts connections for the manager."""

from __future__ import annotations

import _socket
import os
import struct

from ..base.descriptors import close_quietly
from ..base.errors import Failure
from ..base.limits import allow_more, check_room
from ..base.loop import READ
from ..connection.operation import Operation
from ..wire import fields
from .peer import Peers
from .sockets import LOOPBACK, configure
from .stream import Relay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional, Tuple

    from ..base.loop import Timer
    from ..connection.host import Host
    from ..wire.frames import Header

#: Connections that wait in the kernel until we accept them; it allows less where its own limit is lower.
BACKLOG = 4096
#: Accepted connections that wait for the manager's word; more stay in the kernel's queue.
MAX_WAITING = 256
#: [s] until the next try when there is no descriptor left for another connection.
PAUSE = 0.1


class Listen(Operation):
    """`listen`: tells of each connection; the manager takes it by `accept`."""

    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id)
        self._port = fields.integer(header, "port", 0, 65535)
        self._any_user = fields.flag(header, "anyUser")
        self._peers: Optional[Peers] = None
        self._socket: Optional[_socket.socket] = None
        self._watching = False
        self._timer: Optional[Timer] = None
        self._count = 0
        self._waiting: Dict[int, int] = {}

    def start(self) -> None:
        try:
            self._open()
        except OSError as error:
            if not allow_more(error):
                raise
            self._open()
        self.send("listening", port=self._listener.getsockname()[1])
        self._watch()

    def _open(self) -> None:
        self._close()
        self._socket = listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        self._peers = None if self._any_user else Peers(os.getuid())
        check_room([listener.fileno()])
        listener.setblocking(False)
        listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, self._port))
            listener.listen(BACKLOG)
        except OSError as error:
            what = "The port %d of the host cannot be listened on" % self._port
            raise Failure.of("port", error, b"", what, "Choose another port.") from None

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._peers is not None:
            self._peers.close()
            self._peers = None

    @property
    def _listener(self) -> _socket.socket:
        assert self._socket is not None
        return self._socket

    def take(self, number: int) -> int:
        """The descriptor of a connection that waits; Failure when it does not any more."""
        fd = self._waiting.pop(number, -1)
        if fd < 0:
            raise Failure("connection", "The connection is gone.")
        self._watch()
        return fd

    def _watch(self) -> None:
        self._timer = None
        if not self._watching and not self.finished and len(self._waiting) < MAX_WAITING:
            self._watching = True
            self.loop.watch(self._listener.fileno(), READ, self._accept)

    def _pause(self) -> None:
        if self._watching:
            self._watching = False
            self.loop.forget(self._listener.fileno())

    def _accept(self) -> None:
        try:
            fd, address = self._listener._accept()  # type: ignore[attr-defined]
        except (BlockingIOError, ConnectionError):
            return
        except OSError:
            # Without a pause it would be tried again at once, and again.
            self._pause()
            self._timer = self.loop.later(PAUSE, self._watch)
            return
        if not self._lets_in(address):
            configure(fd, _socket.SOL_SOCKET, _socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(fd)
            return
        self._count += 1
        self._waiting[self._count] = fd
        self.send("incoming", conn=self._count)
        if len(self._waiting) >= MAX_WAITING:
            self._pause()

    def _lets_in(self, address: Tuple[str, int]) -> bool:
        if self._peers is None:
            return True
        # Who comes from another address of this host may use the port number of somebody who is trusted.
        return address[0] == LOOPBACK and self._peers.trusts(address[1], self._listener.getsockname()[1])

    def release(self) -> None:
        self._pause()
        if self._timer is not None:
            self._timer.cancel()
        self._close()
        for fd in self._waiting.values():
            close_quietly(fd)
        self._waiting.clear()


class Accept(Relay):
    """`accept`: a connection that `incoming` told of."""

    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id)
        self._listen = fields.integer(header, "listen", 1)
        self._number = fields.integer(header, "conn", 1)

    def start(self) -> None:
        listen = self.agent.operations.get(self._listen)
        if not isinstance(listen, Listen):
            raise Failure("connection", "The port is not listened on any more.")
        self.attach(listen.take(self._number))
