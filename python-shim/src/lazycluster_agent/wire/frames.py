"""Frames: u32 header length, u32 payload length, header, payload."""

from __future__ import annotations

import struct

from .msgpack import NotData, WireError, pack, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Tuple, Union

    Buffer = Union[bytes, bytearray, memoryview]
    Header = Dict[str, Any]
    Frame = Tuple[Header, memoryview]

#: What neither end may exceed; core/src/wire/limits.ts has the same numbers.
MAX_HEADER = 1024 * 1024
MAX_PAYLOAD = 1024 * 1024
#: The credit of each operation and direction at its start.
INITIAL_CREDIT = 1024 * 1024
#: Every `data` and `entry` frame costs this and the bytes of its payload.
FRAME_COST = 64
#: Bytes of one `data` frame as we send it.
PIECE = 256 * 1024

_LENGTHS = struct.Struct(">II")


def frame_head(header: Header, payload_size: int = 0) -> bytes:
    """A frame but its payload, which follows unchanged."""
    body = pack(header)
    if len(body) > MAX_HEADER:
        raise NotData("is a message of %d bytes; at most %d can be sent" % (len(body), MAX_HEADER))
    return _LENGTHS.pack(len(body), payload_size) + body


class FrameDecoder:
    """Cuts a stream of bytes into frames.

    Pieces wait in a list until a frame is whole and are joined once; what was only announced takes no memory.
    """

    def __init__(self) -> None:
        self._pieces: List[memoryview] = []
        self._buffered = 0
        #: Lengths of the frame that is being read; header 0 means that its prefix is not there yet.
        self._header = 0
        self._payload = 0

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that end within `data`. After a WireError the stream is of no use any more."""
        if data:
            self._pieces.append(memoryview(data))
            self._buffered += len(data)
        while True:
            if not self._header:
                if self._buffered < _LENGTHS.size:
                    return
                self._header, self._payload = _LENGTHS.unpack(self._take(_LENGTHS.size))
                if not 0 < self._header <= MAX_HEADER or self._payload > MAX_PAYLOAD:
                    raise WireError("a frame of %d + %d bytes" % (self._header, self._payload))
            if self._buffered < self._header + self._payload:
                return
            header = unpack(bytes(self._take(self._header)))
            if not isinstance(header, dict):
                raise WireError("a header that is no map")
            payload = self._take(self._payload)
            self._header = 0
            yield header, payload

    @property
    def pending(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return self._buffered

    def _take(self, count: int) -> memoryview:
        self._buffered -= count
        if not count:
            return memoryview(b"")
        first = self._pieces[0]
        if len(first) > count:
            self._pieces[0] = first[count:]
            return first[:count]
        used, found = 0, 0
        while found < count:
            found += len(self._pieces[used])
            used += 1
        parts = self._pieces[:used]
        del self._pieces[:used]
        if found > count:
            last = parts[-1]
            cut = len(last) - (found - count)
            parts[-1] = last[:cut]
            self._pieces.insert(0, last[cut:])
        return parts[0] if used == 1 else memoryview(b"".join(parts))
