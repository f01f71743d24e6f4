"""Sends a stream of bytes in pieces, deflated where the line is slow and the data is worth it."""

from __future__ import annotations

import time

from ..connection.operation import Operation
from ..wire.frames import INITIAL_CREDIT, PIECE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List

#: [bytes/s] below which packing is worth a try, and the share of its size that a piece must shrink to.
SLOW, WORTH = 40e6, 0.8
#: Pieces until the next try, after one that was not worth it.
PATIENCE = 64
#: [bytes] after which the speed is known.
SAMPLE = INITIAL_CREDIT + PIECE


class Packing:
    """Decides from what arrived of what was sent; core/src/host/transfer/packing.ts does the same."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._mark = 0
        self._slow = False
        self._wait = 0

    def measure(self, arrived: int) -> None:
        if arrived - self._mark >= SAMPLE:
            now = time.monotonic()
            self._slow = arrived - self._mark < SLOW * (now - self._start)
            self._start, self._mark = now, arrived

    def pack(self, data: bytes) -> bytes:
        """Deflated, or empty where it is not worth it."""
        if not self._slow or len(data) < 1024:
            return b""
        if self._wait:
            self._wait -= 1
            return b""
        packed = deflate(data)
        if len(packed) > WORTH * len(data):
            self._wait = PATIENCE
            return b""
        return packed


class Always(Packing):
    """For what is known to shrink."""

    def pack(self, data: bytes) -> bytes:
        return deflate(data) if len(data) >= 1024 else b""


def deflate(data: bytes) -> bytes:
    import zlib

    return zlib.compress(data, 1)


class PieceSender:
    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._parts: List[bytes] = []
        self._size = 0
        self._packing = Packing()

    def always_pack(self) -> None:
        self._packing = Always()

    def add(self, data: bytes) -> Iterator[bool]:
        """Yields where it must wait, and now and then."""
        self._parts.append(data)
        self._size += len(data)
        if self._size >= PIECE:
            yield from self.flush()

    def flush(self) -> Iterator[bool]:
        data = b"".join(self._parts) if len(self._parts) != 1 else self._parts[0]
        self._parts.clear()
        self._size = 0
        for at in range(0, len(data), PIECE):
            operation = self._operation
            while not operation.may_send:
                yield False
            piece = data if len(data) <= PIECE else data[at : at + PIECE]
            self._packing.measure(operation.arrived)
            packed = self._packing.pack(piece)
            if packed:
                operation.send("data", packed, z=True)
            else:
                operation.send("data", piece)
            yield True
