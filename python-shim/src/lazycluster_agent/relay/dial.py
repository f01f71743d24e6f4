"""`dial`: a connection to a port of this host."""

from __future__ import annotations

import _socket
import os

from ..base.errors import Failure, exhausted
from ..base.loop import WRITE
from ..wire import fields
from .sockets import LOOPBACK
from .stream import Relay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from ..connection.host import Host
    from ..wire.frames import Header


class Dial(Relay):
    """`dial`: a connection to a port of this host."""

    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id)
        self._port = fields.integer(header, "port", 1, 65535)
        #: A service may listen on one of them only.
        self._places = [(_socket.AF_INET, LOOPBACK), (_socket.AF_INET6, "::1")]
        #: What the first place said, which is the one that people know.
        self._refusal: Optional[OSError] = None
        self._socket: Optional[_socket.socket] = None

    def start(self) -> None:
        family, address = self._places.pop(0)
        try:
            self._socket = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
            self._socket.connect((address, self._port))
        except BlockingIOError:
            assert self._socket is not None
            self.loop.watch(self._socket.fileno(), WRITE, self._answered)
        except OSError as error:
            self._refused(error)
        else:
            self._answered()

    def _answered(self) -> None:
        sock, self._socket = self._socket, None
        if sock is None:
            return
        self.loop.forget(sock.fileno())
        code = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        if code:
            sock.close()
            self._refused(OSError(code, os.strerror(code)))
        else:
            self.send("connected")
            self.attach(sock.detach())

    def _refused(self, error: OSError) -> None:
        self._drop()
        self._refusal = self._refusal or error
        if self._places:
            self.start()
            return
        what = "Port %d of the host cannot be reached" % self._port
        raise exhausted(self._refusal) or Failure.of(
            "connection", self._refusal, b"", what, "Does the service run there?"
        )

    def _drop(self) -> None:
        sock, self._socket = self._socket, None
        if sock is not None:
            self.loop.forget(sock.fileno())
            sock.close()

    def release(self) -> None:
        self._drop()
        super().release()
