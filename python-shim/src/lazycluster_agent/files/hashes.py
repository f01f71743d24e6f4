"""`hash`: the SHA-256 of files, or of their blocks."""

from __future__ import annotations

import os

from ..base.errors import Failure, internal, printable
from ..base.loop import Job
from ..wire import fields
from ..wire.frames import PIECE
from .opening import READ_FLAGS
from .selection import Selection
from .sending import PieceSender

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Optional

    from ..connection.host import Host
    from ..wire.frames import Header


class Hash(Selection):
    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id, header)
        #: 0: a hash for the whole file.
        self._block = fields.integer(header, "block")
        #: Bytes of a file that count; 0: all.
        self._limit = fields.integer(header, "limit") if "limit" in header else 0
        self._job: Optional[Job] = None

    def on_end(self, header: Header) -> None:
        if self._job is None:
            self._job = Job(self.loop, self._guarded(self.path(), self.selected()))

    def resume(self) -> None:
        if self._job is not None:
            self._job.wake()

    def release(self) -> None:
        if self._job is not None:
            self._job.cancel()

    def _guarded(self, root: bytes, names: List[bytes]) -> Iterator[bool]:
        sender = PieceSender(self)
        path = root
        try:
            for name in names:
                path = os.path.join(root, name) if name else root
                digests: List[bytes] = []
                yield from hash_file(path, self._block, digests, self._limit)
                yield from sender.add(b"".join(digests))
            yield from sender.flush()
        except OSError as error:
            what = "%s cannot be read" % printable(path)
            self.fail(Failure.of("path", error, path, what, "Check who may read it."))
        except Exception as error:
            self.fail(internal(error))
        else:
            self.finish("done", count=len(names))


def hash_file(path: bytes, block: int, digests: List[bytes], limit: int = 0) -> Iterator[bool]:
    """Appends the digest of each block, or of the whole. Raises OSError."""
    from hashlib import sha256

    fd = os.open(path, READ_FLAGS)
    try:
        digest, left = sha256(), block
        to_go = limit or os.fstat(fd).st_size
        while to_go:
            data = os.read(fd, min(PIECE, to_go, left) if block else min(PIECE, to_go))
            if not data:
                break
            to_go -= len(data)
            digest.update(data)
            left -= len(data)
            if block and not left:
                digests.append(digest.digest())
                digest, left = sha256(), block
            yield True
        if not block or left < block:
            digests.append(digest.digest())
    finally:
        os.close(fd)
