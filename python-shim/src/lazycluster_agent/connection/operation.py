"""What every operation has: its id, credit in both directions, and exactly one last frame."""

from __future__ import annotations

from ..base.errors import Failure, ProtocolError
from ..base.loop import GuardedLoop
from ..wire.frames import FRAME_COST, INITIAL_CREDIT, MAX_PAYLOAD
from ..wire.msgpack import NotData

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, TypeVar

    from ..wire.frames import Buffer, Header
    from .host import Host

    T = TypeVar("T")


class Operation:
    """Its constructor reads what the message says, and nothing else: what may fail comes with `start`."""

    #: Whether it starts only when the login environment is known.
    needs_environment = False

    def __init__(self, agent: Host, id: int) -> None:
        self.agent = agent
        self.loop = GuardedLoop(agent.loop, self._guard)
        self.id = id
        self.finished = False
        #: What we may still send.
        self._credit = INITIAL_CREDIT
        #: Cost of what we sent and the manager has no more.
        self.arrived = 0
        #: What the manager may still send, and what of it waits to be given back.
        self._inbound = INITIAL_CREDIT
        self._owed = 0

    def _guard(self, action: Callable[[], None]) -> None:
        self.agent.guard(self, action)

    def guarded(self, action: Callable[[T], None]) -> Callable[[T], None]:
        """For whoever else calls us back."""
        return lambda value: self._guard(lambda: action(value))

    # What kinds of operations differ in.

    def start(self) -> None:
        """Called once; may raise Failure."""

    def cancel(self) -> None:
        self.fail(Failure("cancelled", "The operation was cancelled."))

    def on_data(self, header: Header, payload: memoryview) -> None:
        raise ProtocolError("data for operation %d, which takes none" % self.id)

    def on_end(self, header: Header) -> None:
        raise ProtocolError("an end for operation %d, which takes none" % self.id)

    def on_abort(self, header: Header) -> None:
        raise ProtocolError("an abort for operation %d, which sends nothing to us" % self.id)

    def resume(self) -> None:
        """There is credit again, or the connection takes output again."""

    def release(self) -> None:
        """Called once, after the last frame or when the connection ends: lets go of everything, also after a
        failure half-way."""

    # Sending.

    @property
    def may_send(self) -> bool:
        return self._credit > 0 and not self.agent.channel.congested

    def send(self, op: str, payload: Buffer = b"", **fields: Any) -> None:
        header = {"op": op, "id": self.id}
        header.update(fields)
        if op == "data":
            self._credit -= FRAME_COST + len(payload)
        self.agent.channel.send(header, payload)

    def on_credit(self, units: int) -> None:
        self._credit += units
        self.arrived += units
        if self.may_send:
            self.resume()

    def finish(self, op: str, **fields: Any) -> None:
        if not self.finished:
            self.give_back()
            self.finished = True
            try:
                self.send(op, **fields)
            except NotData as error:
                text = "The outcome of the operation %s." % error.message
                self.send("error", **Failure("limit", text).fields())
            self.agent.forget(self)
            self.release()

    def fail(self, failure: Failure) -> None:
        self.finish("error", **failure.fields())

    # Receiving.

    def received(self, payload: memoryview) -> int:
        """The cost of a frame that came in, to be repaid when its bytes are gone."""
        cost = FRAME_COST + len(payload)
        self._inbound -= cost
        if self._inbound < -(FRAME_COST + MAX_PAYLOAD):
            raise ProtocolError("operation %d was sent more than its credit" % self.id)
        return cost

    @property
    def takes_more(self) -> bool:
        """Whether its credit allows more input."""
        return self._inbound > 0

    def repay(self, cost: int) -> None:
        if not self._owed and not self.finished:
            self.agent.debtors.append(self)
        self._owed += cost

    def give_back(self) -> None:
        """Returns the credit that this round has gathered, as one message."""
        if self._owed and not self.finished:
            self._inbound += self._owed
            self.send("credit", n=self._owed)
        self._owed = 0
