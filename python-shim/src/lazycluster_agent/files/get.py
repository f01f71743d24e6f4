"""`get` sends a file or a folder to the manager, `list` what is in a folder."""

from __future__ import annotations

import os
import stat

from ..base.errors import Failure, internal, printable
from ..base.loop import Job
from ..wire import fields
from ..wire.frames import PIECE
from .entries import APART, FILE, SUM, pack_record, time_of
from .opening import READ_FLAGS, changed
from .selection import Selection
from .sending import PieceSender
from .walk import Walk, fail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Optional

    from ..connection.host import Host
    from ..wire.frames import Header
    from .walk import Found

    Steps = Iterator[bool]

#: Notes that are told; a folder may hold any number of sockets.
MAX_NOTES = 1000


class TreeSender(Selection):
    _job: Optional[Job] = None

    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id, header)
        self._bytes = 0
        self._entries = 0
        self._sender = PieceSender(self)
        self._notes: List[str] = []

    def begin(self, paths: Optional[List[bytes]]) -> None:
        if self._job is None:
            self._job = Job(self.loop, self._guarded(self.path(), paths))

    def resume(self) -> None:
        if self._job is not None:
            self._job.wake()

    def release(self) -> None:
        if self._job is not None:
            self._job.cancel()

    def _guarded(self, path: bytes, paths: Optional[List[bytes]]) -> Steps:
        try:
            yield from self.send_root(path, paths)
            yield from self._sender.flush()
        except Failure as failure:
            self.fail(failure)
        except Exception as error:
            self.fail(internal(error))
        else:
            notes = self._notes[:MAX_NOTES]
            if len(self._notes) > MAX_NOTES:
                notes.append("%d more were left out." % (len(self._notes) - MAX_NOTES))
            self.finish("end", bytes=self._bytes, entries=self._entries, notes=notes)

    def send_root(self, path: bytes, paths: Optional[List[bytes]]) -> Steps:
        raise NotImplementedError

    def record(self, kind: bytes, found: Found, extra: Optional[bytes] = None) -> Steps:
        _, path, status, _, target = found
        self._entries += 1
        extra = target if extra is None else extra
        mode = stat.S_IMODE(status.st_mode)
        return self._sender.add(pack_record(kind, mode, time_of(status), status.st_size, path, extra))


class Listing(TreeSender):
    """The records alone. No records: there is nothing."""

    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id, header)
        self._leaving = fields.flag(header, "leaving")

    def start(self) -> None:
        self.begin(None)

    def send_root(self, path: bytes, paths: Optional[List[bytes]]) -> Steps:
        self._sender.always_pack()
        try:
            path = os.path.realpath(path)
            status = os.stat(path)
        except FileNotFoundError:
            return
        except OSError as error:
            fail("cannot be read", error, path)
        if not stat.S_ISDIR(status.st_mode):
            raise Failure("path", "%s is no folder." % printable(path), path=path)
        walk = Walk(path, self._leaving)
        for found in walk.all():
            if found is not None:
                yield from self.record(APART if found[0] == FILE else found[0], found)
            yield True
        self._notes = walk.notes


class Get(TreeSender):
    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id, header)
        self._only = fields.flag(header, "only")
        #: Size from which on the content of a file is fetched by `read`; 0: never.
        self._apart = fields.integer(header, "apart") if "apart" in header else 0
        self._verify = fields.flag(header, "verify")

    def start(self) -> None:
        if not self._only:
            self.begin(None)

    def on_end(self, header: Header) -> None:
        if self._only:
            self.begin(self.selected())

    def send_root(self, path: bytes, paths: Optional[List[bytes]]) -> Steps:
        try:
            # The root was named by the user, so a link is followed here, and only here.
            path = os.path.realpath(path)
            status = os.stat(path)
        except OSError as error:
            what = "%s cannot be sent" % printable(path)
            raise Failure.of("path", error, path, what, "Check the path.") from None
        if stat.S_ISREG(status.st_mode):
            yield from self._send_file((FILE, b"", status, path, b""))
        elif stat.S_ISDIR(status.st_mode):
            walk = Walk(path)
            for found in walk.all() if paths is None else walk.some(paths):
                if found is None:
                    pass
                elif found[0] == FILE:
                    yield from self._send_file(found)
                else:
                    yield from self.record(found[0], found)
                yield True
            self._notes = walk.notes
        else:
            raise Failure("path", "%s is neither a file nor a folder." % printable(path), path=path)

    def _send_file(self, found: Found) -> Steps:
        _, path, _, source, _ = found
        try:
            fd = os.open(source, READ_FLAGS)
        except OSError as error:
            fail("cannot be read", error, source)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise changed(source)
            size = status.st_size
            found = FILE, path, status, source, b""
            self._bytes += size
            if self._apart and size >= self._apart:
                yield from self.record(APART, found, extra=source)
                yield from self._sender.flush()
            else:
                yield from self.record(FILE, found)
                yield from self._send_content(fd, path, source, size)
        finally:
            os.close(fd)

    def _send_content(self, fd: int, path: bytes, source: bytes, size: int) -> Steps:
        digest = None
        if self._verify:
            from hashlib import sha256

            digest = sha256()
        left = size
        while left:
            # One byte more than expected shows at no cost whether the file has grown.
            try:
                data = os.read(fd, min(PIECE, left + 1))
            except OSError as error:
                fail("cannot be read", error, source)
            if not data or len(data) > left:
                raise changed(source)
            left -= len(data)
            if digest is not None:
                digest.update(data)
            yield from self._sender.add(data)
        if digest is not None:
            yield from self._sender.add(pack_record(SUM, 0, 0, 0, path, digest.digest()))
