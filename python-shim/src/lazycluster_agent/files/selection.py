"""What operations on names below a path have in common."""

from __future__ import annotations

from .places import PathOperation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

    from ..connection.host import Host
    from ..wire.frames import Header


class Selection(PathOperation):
    """A path, and names below it that come as data, each with a NUL behind it."""

    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id, header)
        self._pieces: List[bytes] = []

    def on_data(self, header: Header, payload: memoryview) -> None:
        cost = self.received(payload)
        self._pieces.append(payload.tobytes())
        self.repay(cost)

    def selected(self) -> List[bytes]:
        names = b"".join(self._pieces).split(b"\0")
        self._pieces.clear()
        return names[:-1]
