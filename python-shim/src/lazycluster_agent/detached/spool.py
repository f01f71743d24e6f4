"""The file of a recording: a row of whole frames, whatever happens to the disk."""

from __future__ import annotations

import errno
import os
import time

from ..wire.frames import frame_head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..wire.frames import Buffer, Header

#: Bytes that are taken from the disk ahead of what is written, and those of them that no output gets: on a
#: full disk it must still be told how the task ended.
AHEAD, RESERVE = 256 * 1024, 64 * 1024


class Spool:
    def __init__(self, path: bytes) -> None:
        """Raises OSError."""
        self.path = path
        #: Bytes of whole frames; what lies behind them is room.
        self.size = 0
        self._room = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            self._make_room(RESERVE)
        except OSError:
            os.close(self._file)
            raise

    def append(self, header: Header, payload: Buffer = b"") -> None:
        """Raises OSError; then the file is as it was."""
        head = frame_head(dict(header, time=int(time.time() * 1000)), len(payload))
        size = len(head) + len(payload)
        if header["op"] == "data":
            self._make_room(self.size + size + RESERVE)
        at = self.size
        for part in (head, payload):
            view = memoryview(part)
            while view:
                written = os.pwrite(self._file, view, at)
                at += written
                view = view[written:]
        self.size += size

    def read(self, file: int, offset: int, most: int) -> bytes:
        """From the same file, opened for reading."""
        return os.pread(file, max(min(most, self.size - offset), 0), offset)

    def end(self) -> None:
        """Nothing more comes."""
        try:
            os.ftruncate(self._file, self.size)
        finally:
            os.close(self._file)

    def _make_room(self, size: int) -> None:
        """Raises OSError where the disk has no more."""
        if size <= self._room:
            return
        for wanted in (size + AHEAD, size):
            try:
                os.posix_fallocate(self._file, self._room, wanted - self._room)
            except OSError as error:
                if error.errno in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                    return  # This file system takes what comes, or does not.
                if wanted == size:
                    raise
            else:
                self._room = wanted
                return
