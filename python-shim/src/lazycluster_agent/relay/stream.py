"""A TCP connection of this host, whose bytes travel over the manager's connection."""

from __future__ import annotations

import _socket
import os
import struct

from ..base.descriptors import close_quietly
from ..base.errors import Failure
from ..base.limits import check_room
from ..base.loop import READ, WRITE
from ..connection.operation import Operation
from ..wire import fields
from ..wire.frames import PIECE
from .sockets import configure, half_close

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Tuple

    from ..connection.host import Host
    from ..wire.frames import Header

#: Of `data` to the manager, as a command's output.
STREAM = 1


class Relay(Operation):
    """Both directions, each with its own end. One that breaks ends as an error, never as an end of file."""

    def __init__(self, agent: Host, id: int) -> None:
        super().__init__(agent, id)
        #: The same socket twice, for the loop has one action for each descriptor.
        self._reader = self._writer = -1
        self._reading = False
        self._read_all = False
        self._queue: List[Tuple[memoryview, int]] = []
        self._waiting = False
        #: The manager's end came; it was passed on.
        self._ending = False
        self._written_all = False

    def attach(self, fd: int) -> None:
        """Takes the descriptor of a connected socket over."""
        self._reader = fd
        os.set_blocking(fd, False)
        self._writer = os.dup(fd)
        check_room([self._reader, self._writer])
        configure(fd, _socket.IPPROTO_TCP, _socket.TCP_NODELAY, struct.pack("i", 1))
        self.resume()
        self._write()

    def cancel(self) -> None:
        self._break(Failure("cancelled", "The connection was closed."))

    def _break(self, failure: Failure) -> None:
        """Also for who is at the other end it is no orderly end."""
        if self._reader >= 0:
            configure(self._reader, _socket.SOL_SOCKET, _socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.fail(failure)

    def _broken(self, error: OSError) -> None:
        self._break(Failure.of("connection", error, b"", "The connection broke"))

    # To the manager.

    def resume(self) -> None:
        if self._reader >= 0 and not self._read_all and not self._reading and self.may_send:
            self._reading = True
            self.loop.watch(self._reader, READ, self._readable)

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            self.loop.forget(self._reader)

    def _readable(self) -> None:
        try:
            data = os.read(self._reader, PIECE)
        except BlockingIOError:
            return
        except OSError as error:
            self._broken(error)
            return
        if data:
            self.send("data", data, s=STREAM)
            if not self.may_send:
                self._pause()
        else:
            self._pause()
            self._read_all = True
            self.send("data", s=STREAM, eof=True)
            self._settle()

    # From the manager.

    def on_data(self, header: Header, payload: memoryview) -> None:
        cost = self.received(payload)
        self._ending = fields.flag(header, "eof") or self._ending
        # A small piece must not keep the large buffer alive that it came in.
        self._queue.append((payload if len(payload) > 65536 else memoryview(bytes(payload)), cost))
        if not self._waiting:
            self._write()

    def _write(self) -> None:
        if self._writer < 0:
            return
        while self._queue:
            data, cost = self._queue[0]
            try:
                written = os.write(self._writer, data) if len(data) else 0
            except BlockingIOError:
                self._wait(True)
                return
            except OSError as error:
                self._broken(error)
                return
            if written < len(data):
                self._queue[0] = (data[written:], cost)
            else:
                del self._queue[0]
                self.repay(cost)
        self._wait(False)
        if self._ending and not self._written_all:
            self._written_all = True
            half_close(self._writer)
            self._settle()

    def _wait(self, wanted: bool) -> None:
        if wanted != self._waiting:
            self._waiting = wanted
            if wanted:
                self.loop.watch(self._writer, WRITE, self._write)
            else:
                self.loop.forget(self._writer)

    def _settle(self) -> None:
        if self._read_all and self._written_all:
            self.finish("done")

    def release(self) -> None:
        self._pause()
        self._wait(False)
        self._queue.clear()
        for fd in (self._reader, self._writer):
            if fd >= 0:
                close_quietly(fd)
        self._reader = self._writer = -1
