"""Ends processes: politely, then for certain, until /proc shows none."""

from __future__ import annotations

import time

from ..base.children import reap
from ..base.signals import SIGCONT, SIGKILL, SIGTERM
from .procfs import kill
from .table import ProcessTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List, Optional, Set, Tuple

    from ..base.loop import Loop, Timer
    from .family import Family
    from .table import Look

    Done = Callable[[int], None]

#: [s] between two looks, at first and at most.
FIRST_LOOK, LAST_LOOK = 0.004, 0.1
#: The time between two looks is so many times what one takes, at least: on a large host that is long.
REST = 2.0
#: [s] after SIGKILL; what is left then is stuck in the kernel.
PATIENCE = 2.0
#: Kills that follow each other at once, so that a family that forks fast cannot keep ahead; and the time [s]
#: after which others get their turn all the same.
BURST, BURST_TIME = 20, 0.2


class Round:
    """The end of one family."""

    def __init__(self, family: Family, grace: float) -> None:
        self._family = family
        self._begin = time.monotonic()
        self._grace = grace
        self._told: Set[int] = set()
        self._members: Set[int] = set()
        self._look = FIRST_LOOK
        self._killing = False
        #: How many there were.
        self.count = 0

    def strike(self, look: Look) -> bool:
        """Sends the signal that is due; whether somebody new was killed, who may have had time to fork."""
        self._members = members = self._family.members(look)
        new = members - self._told
        self._told |= members
        self.count += len(new)
        if self._elapsed() >= self._grace:
            if not self._killing:
                self._killing, self._look = True, FIRST_LOOK
            for pid in members:
                kill(pid, SIGKILL)
            return bool(new)
        for pid in new:
            kill(pid, SIGTERM)
            kill(pid, SIGCONT)  # A stopped process gets it only when it goes on.
        return False

    @property
    def over(self) -> bool:
        """Nobody was left at the last look, or nothing more can be done."""
        return self.late or not self._members

    @property
    def late(self) -> bool:
        return self._elapsed() > self._grace + PATIENCE

    def wait(self) -> float:
        """The time until the next look: never beyond the end of the grace."""
        look, self._look = self._look, min(self._look * 2, LAST_LOOK)
        left = self._grace - self._elapsed()
        return min(look, left) if left > 0 else look

    def _elapsed(self) -> float:
        return time.monotonic() - self._begin


def strike(rounds: List[Round], table: ProcessTable) -> None:
    """Raises OSError where nothing could be seen."""
    end = time.monotonic() + BURST_TIME
    for _ in range(BURST):
        look = table.look()
        rounds = [round for round in rounds if round.strike(look)]
        if not rounds or time.monotonic() > end:
            break


class Endings:
    """Beside everything else that the loop does: one look serves all that end at the time."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._table = ProcessTable()
        self._rounds: List[Tuple[Round, Done]] = []
        self._timer: Optional[Timer] = None
        #: Not before then.
        self._next = 0.0

    def end(self, family: Family, grace: float, done: Done) -> None:
        """Calls `done` later, never at once, with the number of processes that there were."""
        self._rounds.append((Round(family, grace), done))
        self._strike_in(0)

    def _strike_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.later(max(seconds, self._next - time.monotonic()), self._strike)

    def _strike(self) -> None:
        self._timer = None
        begin = time.monotonic()
        try:
            strike([round for round, _ in self._rounds], self._table)
        except OSError:
            # There is no descriptor to look with. Whoever has them may end by itself.
            self._strike_in(LAST_LOOK)
            return
        now = time.monotonic()
        self._next = now + REST * (now - begin)
        going_on: List[Tuple[Round, Done]] = []
        ended: List[Tuple[Round, Done]] = []
        for entry in self._rounds:
            (ended if entry[0].over else going_on).append(entry)
        self._rounds = going_on
        if going_on:
            self._strike_in(min(round.wait() for round, _ in going_on))
        for round, done in ended:
            done(round.count)


def end_now(family: Family, grace: float) -> None:
    """Ends a family when there is nothing else left to do; reaps on the way."""
    round, table = Round(family, grace), ProcessTable()
    while not round.late:
        try:
            strike([round], table)
            if round.over:
                break
        except OSError:
            pass  # There is no descriptor to look with.
        time.sleep(max(round.wait(), 0))
        while reap():
            pass
    while reap():
        pass
