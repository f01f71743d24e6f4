"""The keeper outlives the agent by a moment: it kills and removes what a killed agent has left behind."""

from __future__ import annotations

import os
import select

from ..base import children, descriptors, signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Set


class Keeper:
    def __init__(self, agent: int, notes: int, mark: bytes) -> None:
        self._agent = agent
        self._notes = notes
        self._mark = mark
        self._unread = b""
        self._leftovers: Set[bytes] = set()

    def run(self) -> int:
        """Returns the exit status for our own end."""
        descriptors.null_stdio(0, 1, 2)
        children.become_subreaper()
        signals.ignore_signals("SIGINT")
        os.set_blocking(self._notes, False)
        woken = children.wake_on_child()
        poller = select.poll()
        poller.register(self._notes, select.POLLIN)
        poller.register(woken, select.POLLIN)
        status: Optional[int] = None
        while status is None:
            status = self._reap()
            if status is None:
                poller.poll()
                descriptors.drain(woken)
                if not self._read_notes():
                    poller.unregister(self._notes)
                    self._notes = -1
        self._read_notes()
        self._clean_up()
        code, _ = signals.outcome(status)
        return 1 if code is None else code

    def _reap(self) -> Optional[int]:
        """The agent's wait status once it has ended."""
        while True:
            ended = children.reap()
            if ended is None:
                return None
            if ended[0] == self._agent:
                return ended[1]

    def _read_notes(self) -> bool:
        """Follows which paths must not stay. False when no more will come."""
        try:
            while self._notes >= 0:
                data = os.read(self._notes, 65536)
                if not data:
                    return False
                *notes, self._unread = (self._unread + data).split(b"\0")
                for note in notes:
                    (self._leftovers.add if note[:1] == b"+" else self._leftovers.discard)(note[1:])
        except BlockingIOError:
            pass
        return True

    def _clean_up(self) -> None:
        from ..connection.leftovers import remove_quietly
        from ..processes.ending import end_now
        from ..processes.family import Family

        end_now(Family(children.CONNECTION_VARIABLE, self._mark, ancestor=os.getpid()), grace=0)
        remove_quietly(self._leftovers)
