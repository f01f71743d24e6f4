"""A tree as a stream of bytes: a record for each entry, the content of a file right behind its record."""

from __future__ import annotations

import struct

from ..base.errors import Failure, printable
from ..wire.frames import MAX_PAYLOAD

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Callable, Union

    OnRecord = Callable[[bytes, int, int, int, bytes, bytes], None]

DIRECTORY, FILE, LINK = b"d", b"f", b"l"
#: A file whose content comes by operations of its own.
APART = b"p"
#: The hash of a file that came before.
SUM = b"s"
#: Of a sync: mode and time of what is there already, and what shall go.
TOUCH, GONE = b"t", b"x"

#: Kind, mode, time, size, length of the path, length of what belongs to the kind.
HEAD = struct.Struct(">cHqQHH")
#: Bytes of a path, and of a link's target: what the system takes.
MAX_PATH = 4096
MAX_TIME = 2**63 - 1


def time_of(status: os.stat_result) -> int:
    """[ns] As far as a record can hold it; core/src/host/transfer/times.ts does the same."""
    return max(-MAX_TIME, min(MAX_TIME, status.st_mtime_ns))


def pack_record(kind: bytes, mode: int, mtime: int, size: int, path: bytes, extra: bytes = b"") -> bytes:
    if len(path) > MAX_PATH or len(extra) > MAX_PATH:
        raise Failure("limit", "A path of the tree is too long: %s…" % printable(path[:200]), path=path[:200])
    return HEAD.pack(kind, mode, mtime, size, len(path), len(extra)) + path + extra


class RecordReader:
    """Cuts pieces, which may end anywhere, into records and content."""

    def __init__(self, on_record: OnRecord, on_content: Callable[[memoryview], None]) -> None:
        self._on_record = on_record
        self._on_content = on_content
        #: The beginning of a record whose end has not come.
        self._rest = b""
        #: Content of the last file that has not come.
        self.left = 0

    def feed(self, data: memoryview) -> None:
        if self._rest:
            data = memoryview(self._rest + data.tobytes())
        at, end = 0, len(data)
        while at < end:
            if self.left:
                take = min(self.left, end - at)
                self.left -= take
                self._on_content(data[at : at + take])
                at += take
                continue
            names = at + HEAD.size
            if names > end:
                break
            kind, mode, mtime, size, path_size, extra_size = HEAD.unpack_from(data, at)
            extra = names + path_size
            after = extra + extra_size
            if after > end:
                break
            at = after
            if kind == FILE:
                self.left = size
            self._on_record(kind, mode, mtime, size, data[names:extra].tobytes(), data[extra:after].tobytes())
        self._rest = data[at:].tobytes()

    @property
    def whole(self) -> bool:
        return not self._rest and not self.left


def inflate(payload: Union[bytes, memoryview]) -> memoryview:
    import zlib

    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(payload, MAX_PAYLOAD)
    except zlib.error as error:
        raise Failure("transfer", "A piece cannot be unpacked: %s." % error) from None
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise Failure("transfer", "A piece becomes more than %d bytes." % MAX_PAYLOAD)
    return memoryview(data)
