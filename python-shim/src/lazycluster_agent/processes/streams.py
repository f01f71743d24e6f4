"""Pipes between us and a process: output that can be held back, input that waits until it is taken."""

from __future__ import annotations

import os

from ..base.descriptors import close_quietly
from ..base.loop import READ, WRITE
from ..wire.frames import PIECE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional, Tuple

    from ..base.loop import Loop


#: What a pipe holds at first, and what it holds once it was found full: fewer and larger frames. All pipes of
#: a user share a budget of 64 MiB, so only those that need it get more.
PIPE_SIZE, LARGE_PIPE_SIZE = 65536, PIECE


class Outlet:
    """Reads what a process writes."""

    def __init__(
        self, loop: Loop, fd: int, deliver: Callable[[bytes], None], closed: Callable[[], None]
    ) -> None:
        self._loop, self._fd = loop, fd
        self._deliver, self._closed = deliver, closed
        #: Bytes that are still of interest, None for all.
        self._left: Optional[int] = None
        self._reading = False
        self._enlarged = False
        self.open = True
        #: The descriptor belongs to somebody else, or will as soon as nothing is left in the pipe.
        self._handed_over = False
        os.set_blocking(fd, False)
        self.resume()

    def pause(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.forget(self._fd)

    def resume(self) -> None:
        if not self._reading and self.open:
            self._reading = True
            self._loop.watch(self._fd, READ, self._readable)

    def pending(self) -> int:
        """Bytes that were written and not read yet."""
        return pending_bytes(self._fd) if self.open else 0

    def expire(self) -> None:
        """What is in the pipe now is delivered, what comes later is not: it belongs to nobody."""
        if self.open and self._left is None:
            self._left = self.pending()
            if self._left == 0:
                self._detach()

    def hand_over(self) -> None:
        """What is in the pipe now is delivered; then it is closed for us, but not the descriptor."""
        self._handed_over = True
        self.expire()

    @property
    def handed_over(self) -> bool:
        return self._handed_over and not self.open

    def close(self) -> None:
        if self.open or self._handed_over:
            self.pause()
            self.open = self._handed_over = False
            os.close(self._fd)

    def _readable(self) -> None:
        size = PIECE if self._left is None else min(PIECE, self._left)
        try:
            data = os.read(self._fd, size)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # The way in which a terminal ends.
        if not data:
            self.close()
            self._closed()
            return
        if self._left is not None:
            self._left -= len(data)
        if len(data) >= PIPE_SIZE and not self._enlarged:
            self._enlarged = True
            enlarge_pipe(self._fd)
        self._deliver(data)
        if self._left == 0 and self.open:
            self._detach()

    def _detach(self) -> None:
        self.pause()
        self.open = False
        if not self._handed_over:
            self._discard()
        self._closed()

    def _discard(self) -> None:
        """A process in the background keeps a reader, else it would die of its next line of output."""
        fd, loop = self._fd, self._loop

        def discard() -> None:
            try:
                data = os.read(fd, PIECE)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                loop.forget(fd)
                os.close(fd)

        loop.watch(fd, READ, discard)


class Inlet:
    """Writes what a process reads. Data that nobody takes any more counts as taken."""

    def __init__(
        self, loop: Loop, fd: int, taken: Callable[[int], None], finish: Optional[Callable[[], None]] = None
    ) -> None:
        self._loop = loop
        self.fd = fd
        self._taken = taken
        #: How the end is told; without it, by closing.
        self._finish = finish
        self._queue: List[Tuple[memoryview, int]] = []
        self._waiting = False
        self._ending = False
        self._open = True
        os.set_blocking(fd, False)

    def write(self, data: memoryview, cost: int) -> None:
        if self._open and not self._ending:
            # A small piece must not keep the large buffer alive that it came in.
            piece = data if len(data) > 65536 else memoryview(bytes(data))
            self._queue.append((piece, cost))
            if not self._waiting:
                self._write()
        else:
            self._taken(cost)

    def end(self) -> None:
        self._ending = True
        if not self._queue:
            self._end_now()

    def hand_over(self) -> bool:
        """Lets go of the descriptor without closing it; False where something still waits."""
        if not self._open or self._queue:
            return False
        self._open = False
        return True

    def close(self) -> None:
        """Drops what waits."""
        if self._open:
            self._open = False
            self._wait(False)
            if self._finish is None:
                close_quietly(self.fd)
            for _, cost in self._queue:
                self._taken(cost)
            self._queue.clear()

    def _write(self) -> None:
        while self._queue:
            data, cost = self._queue[0]
            try:
                written = os.write(self.fd, data) if len(data) else 0
            except BlockingIOError:
                self._wait(True)
                return
            except OSError:
                self.close()
                return
            if written < len(data):
                self._queue[0] = (data[written:], cost)
            else:
                del self._queue[0]
                self._taken(cost)
        self._wait(False)
        if self._ending:
            self._end_now()

    def _wait(self, wanted: bool) -> None:
        if wanted != self._waiting:
            self._waiting = wanted
            if wanted:
                self._loop.watch(self.fd, WRITE, self._write)
            else:
                self._loop.forget(self.fd)

    def _end_now(self) -> None:
        if self._open and self._finish is not None:
            self._finish()
        self.close()


def enlarge_pipe(fd: int) -> None:
    import fcntl

    set_size = 1031  # F_SETPIPE_SZ, which older Pythons do not name
    try:
        fcntl.fcntl(fd, set_size, LARGE_PIPE_SIZE)
    except OSError:
        pass  # Not a pipe, or the user's budget is used up.


def pending_bytes(fd: int) -> int:
    import fcntl
    import struct
    import termios

    try:
        answer = fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0")
    except OSError:
        return 0
    return int(struct.unpack("i", answer)[0])
