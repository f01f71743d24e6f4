"""`read` and `write`: a range of one file, for files that travel in several pieces at once."""

from __future__ import annotations

import os
import stat

from ..base.errors import Failure, internal, printable
from ..base.loop import Job
from ..wire import fields
from ..wire.frames import PIECE
from .entries import inflate, time_of
from .opening import READ_FLAGS, WRITE_FLAGS, changed
from .places import PathOperation
from .sending import PieceSender

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Optional

    from ..connection.host import Host
    from ..wire.frames import Header


class Range(PathOperation):
    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id, header)
        self._offset = fields.integer(header, "offset")
        self._left = fields.integer(header, "size")
        self._fd = -1

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Write(Range):
    """Into the hidden file that a `put` has made."""

    def start(self) -> None:
        path = self.path()
        try:
            self._fd = os.open(path, WRITE_FLAGS)
        except OSError as error:
            raise self._failure(error) from None
        status = os.fstat(self._fd)
        # Somebody else may have put another file there, one that they cannot write to themselves.
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise Failure("transfer", "%s is not the hidden file of a transfer." % printable(path), path=path)

    def on_data(self, header: Header, payload: memoryview) -> None:
        cost = self.received(payload)
        if fields.flag(header, "z"):
            payload = inflate(payload)
        if len(payload) > self._left:
            raise Failure("transfer", "More content came than was announced.")
        self._left -= len(payload)
        try:
            while payload:
                written = os.pwrite(self._fd, payload, self._offset)
                self._offset += written
                payload = payload[written:]
        except OSError as error:
            raise self._failure(error) from None
        if self._left:
            self.repay(cost)
        else:
            self.finish("done")

    def _failure(self, error: OSError) -> Failure:
        path = self.path()
        advice = "Check the space on its file system and who may write there."
        return Failure.of("path", error, path, "%s cannot be written" % printable(path), advice)


class Read(Range):
    _job: Optional[Job] = None

    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id, header)
        self._total = fields.integer(header, "total")
        self._mtime = fields.integer(header, "mtime", -(2**63))

    def start(self) -> None:
        self._job = Job(self.loop, self._guarded(self.path()))

    def resume(self) -> None:
        if self._job is not None:
            self._job.wake()

    def release(self) -> None:
        if self._job is not None:
            self._job.cancel()
        super().release()

    def _guarded(self, path: bytes) -> Iterator[bool]:
        try:
            yield from self._send(path)
        except OSError as error:
            what = "%s cannot be read" % printable(path)
            self.fail(Failure.of("path", error, path, what, "Check who may read it."))
        except Failure as failure:
            self.fail(failure)
        except Exception as error:
            self.fail(internal(error))
        else:
            self.finish("done")

    def _send(self, path: bytes) -> Iterator[bool]:
        self._fd = os.open(path, READ_FLAGS)
        self._check(path)
        sender = PieceSender(self)
        while self._left:
            data = os.pread(self._fd, min(PIECE, self._left), self._offset)
            if not data:
                raise changed(path)
            self._offset += len(data)
            self._left -= len(data)
            yield from sender.add(data)
        yield from sender.flush()
        self._check(path)

    def _check(self, path: bytes) -> None:
        """It is still the file that was announced."""
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode) or (status.st_size, time_of(status)) != (
            self._total,
            self._mtime,
        ):
            raise changed(path)
