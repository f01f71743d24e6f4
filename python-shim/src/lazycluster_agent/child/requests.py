"""A function child's end of its control socket: requests come in, answers go out."""

from __future__ import annotations

import os

from ..base.descriptors import close_quietly
from ..base.old import after_fork
from ..call.arguments import Arguments
from ..wire.frames import PIECE, FrameDecoder, frame_head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, List, Optional, Tuple

    from ..wire.frames import Buffer, Header

    #: A request without a document was withdrawn before all of it was there.
    Request = Tuple[Header, Optional[Arguments]]


class Line:
    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._decoder = FrameDecoder()
        #: Messages that leave with the next ones.
        self._unsent: List[Buffer] = []
        # A fork without exec must not hold the channel to the agent open, nor say anything on it.
        after_fork(self._lose)

    @property
    def lost(self) -> bool:
        """Whether this process was forked by the function."""
        return self._fd < 0

    def _lose(self) -> None:
        close_quietly(self._fd)
        self._fd = -1
        self._unsent.clear()

    def receive(self) -> Optional[Request]:
        """A request and all of its arguments; None when there will be none."""
        request: Optional[Header] = None
        document = Arguments()
        data = b""
        while True:
            for header, payload in self._decoder.feed(data):
                if request is None:
                    request = header
                else:
                    document.feed(payload)
                    if header.get("eof"):
                        return request, None if header.get("aborted") else document
            data = os.read(self._fd, PIECE)
            if not data:
                return None

    def tell(self, op: str, payload: Buffer = b"", **fields: Any) -> None:
        header = {"op": op}
        header.update(fields)
        self._unsent += frame_head(header, len(payload)), payload

    def tell_document(self, document: Iterable[Buffer]) -> None:
        pieces = list(document)
        if sum(map(len, pieces)) <= PIECE:
            self.tell("result", b"".join(pieces))
            return
        for buffer in pieces:
            view = memoryview(buffer).cast("B")
            for start in range(0, len(view), PIECE):
                self.tell("result", view[start : start + PIECE])
                self.send()

    def send(self) -> None:
        pending = self._unsent
        while pending:
            written = os.writev(self._fd, pending)
            while pending and written >= len(pending[0]):
                written -= len(pending.pop(0))
            if pending:
                pending[0] = memoryview(pending[0])[written:]
