"""`reap`: ends what is left of a task, whichever connection started it."""

from __future__ import annotations

from ..base import children
from ..base.errors import ProtocolError
from ..connection.operation import Operation
from ..processes.family import Family
from ..wire import fields
from .step import GRACE, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..connection.host import Host
    from ..wire.frames import Header


class Reap(Operation):
    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id)
        self._tag = fields.text(header, "tag").encode("utf-8", "surrogateescape")
        if not self._tag:
            raise ProtocolError("reap without a tag")

    def start(self) -> None:
        # A function's process was forked, so /proc does not show its environment; we know it by its session.
        leaders = [
            step.pid
            for step in self.agent.operations.values()
            if isinstance(step, Step) and step.pid is not None and self._covers(step.tag)
        ]
        sessions = self.agent.kept.get("sessions")
        for session in sessions.all() if sessions is not None else ():
            if self._covers(session.tag):
                leaders += [session.pid] if session.pid is not None else []
                session.end(lambda: None)
        family = Family(children.TAG_VARIABLE, self._tag, below=True, leaders=leaders)
        self.agent.endings.end(family, GRACE, self.guarded(self._ended))

    def _covers(self, tag: bytes) -> bool:
        return tag == self._tag or tag.startswith(self._tag + b"/")

    def _ended(self, count: int) -> None:
        self.agent.reap()
        self.finish("done", count=count)

    def cancel(self) -> None:
        """Half-way is no place to stop; it takes three seconds at most."""
