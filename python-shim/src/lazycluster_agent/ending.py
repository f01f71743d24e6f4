"""Ends processes: politely, then for certain, until /proc shows none."""

from __future__ import annotations

import time

from .procfs import kill
from .system import SIGCONT, SIGKILL, SIGTERM, reap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Set

    from .family import Family
    from .loop import Loop

#: [s] between two looks, at first and at most.
FIRST_LOOK, LAST_LOOK = 0.004, 0.1
#: [s] after SIGKILL; what is left then is stuck in the kernel.
PATIENCE = 2.0
#: Kills that follow each other at once, so that a family that forks fast cannot keep ahead.
BURST = 20


class Round:
    """One look at a family, and the signal that is due."""

    def __init__(self, family: Family, grace: float) -> None:
        self._family = family
        self._begin = time.monotonic()
        self._grace = grace
        self._told: Set[int] = set()
        self.count = 0

    def strike(self) -> bool:
        """True when nobody is left, or nothing more can be done."""
        members = self._family.members()
        self.count += len(members - self._told)
        elapsed = time.monotonic() - self._begin
        if elapsed < self._grace:
            for pid in members - self._told:
                kill(pid, SIGTERM)
                kill(pid, SIGCONT)  # A stopped process gets it only when it goes on.
        else:
            for _ in range(BURST):
                for pid in members:
                    kill(pid, SIGKILL)
                self._told |= members
                members = self._family.members()
                self.count += len(members - self._told)
                if not members - self._told:
                    break
        self._told |= members
        return not members or elapsed > self._grace + PATIENCE

    def wait(self, look: float) -> float:
        """The time until the next look: never beyond the end of the grace."""
        left = self._begin + self._grace - time.monotonic()
        return min(look, left) if left > 0 else look


class Ending:
    """The same beside everything else that the loop does."""

    def __init__(self, loop: Loop, family: Family, grace: float, done: Callable[[int], None]) -> None:
        self._loop = loop
        self._round = Round(family, grace)
        self._done = done
        self._look = FIRST_LOOK
        # Not at once: `done` must not be called before whoever makes this has it.
        loop.soon(self._strike)

    def _strike(self) -> None:
        if self._round.strike():
            self._done(self._round.count)
        else:
            self._loop.later(self._round.wait(self._look), self._strike)
            self._look = min(self._look * 2, LAST_LOOK)


def end_now(family: Family, grace: float) -> None:
    """Ends a family when there is nothing else left to do; reaps on the way."""
    round = Round(family, grace)
    look = FIRST_LOOK
    while not round.strike():
        time.sleep(max(round.wait(look), 0))
        while reap():
            pass
        look = min(look * 2, LAST_LOOK)
    while reap():
        pass
