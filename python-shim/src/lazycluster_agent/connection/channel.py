"""The connection to the manager: frames in, frames out, nothing that ever blocks."""

from __future__ import annotations

import os
import time

from ..base.errors import ProtocolError
from ..base.loop import READ, WRITE
from ..wire.frames import FrameDecoder, frame_head
from ..wire.msgpack import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List

    from ..base.loop import Loop
    from ..wire.frames import Buffer, Header

MARKER = b"\0\x01lazycluster-agent/1\x02\n"
#: Bytes in the queue from which on nobody adds output, and to which it falls before they go on.
HIGH_WATER, LOW_WATER = 1024 * 1024, 256 * 1024
READ_SIZE = 256 * 1024
#: Buffers of one system call (IOV_MAX is 1024).
GATHER = 256


class Channel:
    def __init__(
        self,
        loop: Loop,
        reading: int,
        writing: int,
        on_frame: Callable[[Header, memoryview], None],
        on_end: Callable[[str], None],
        on_drained: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._reading, self._writing = reading, writing
        self._on_frame, self._on_end, self._on_drained = on_frame, on_end, on_drained
        self._decoder = FrameDecoder()
        self._queue: List[Buffer] = [MARKER]
        self._queued = len(MARKER)
        self._waiting = False
        self._dead = False
        #: True from the high water mark down to the low one: whoever produces output waits meanwhile.
        self.congested = False
        #: When something came in last.
        self.heard = time.monotonic()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)

    def start(self, leftover: bytes) -> None:
        self._loop.watch(self._reading, READ, self._readable)
        if leftover:
            self._loop.soon(lambda: self._feed(leftover))

    def send(self, header: Header, payload: Buffer = b"") -> None:
        head = frame_head(header, len(payload))
        self._queue.append(head)
        self._queued += len(head)
        if payload:
            self._queue.append(payload)
            self._queued += len(payload)
            if self._queued > HIGH_WATER:
                self.congested = True

    def flush(self) -> None:
        """Writes what can be written now; the loop calls it before every wait."""
        if not self._waiting:
            self._write()

    def close(self) -> None:
        """Neither reads nor writes any more; the descriptors are the owner's."""
        self._dead = True
        self._loop.forget(self._reading)
        self._loop.forget(self._writing)

    def _write(self) -> None:
        while self._queue and not self._dead:
            try:
                written = os.writev(self._writing, self._queue[:GATHER])
            except BlockingIOError:
                if not self._waiting:
                    self._waiting = True
                    self._loop.watch(self._writing, WRITE, self._write)
                break
            except OSError as error:
                self._dead = True
                self._on_end("writing to the manager failed: %s" % error.strerror)
                return
            self._queued -= written
            self._drop(written)
        else:
            if self._waiting:
                self._waiting = False
                self._loop.forget(self._writing)
        if self.congested and self._queued <= LOW_WATER:
            self.congested = False
            self._on_drained()

    def _drop(self, written: int) -> None:
        count = 0
        for buffer in self._queue:
            if written < len(buffer):
                break
            written -= len(buffer)
            count += 1
        del self._queue[:count]
        if written:
            self._queue[0] = memoryview(self._queue[0])[written:]

    def _readable(self) -> None:
        try:
            data = os.read(self._reading, READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._on_end("reading from the manager failed: %s" % error.strerror)
            return
        self.heard = time.monotonic()
        if data:
            self._feed(data)
        else:
            self._on_end("")

    def _feed(self, data: bytes) -> None:
        try:
            for header, payload in self._decoder.feed(data):
                self._on_frame(header, payload)
        except WireError as error:
            raise ProtocolError("the manager sent %s" % error) from None
