"""How many functions run at once; the others wait for their turn, in order, and hold no descriptor."""

from __future__ import annotations

import os

from ..base.limits import RESERVE, descriptors_allowed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List

#: Functions often wait for something, so far more of them may run than there are cores; but a child has a few
#: megabytes of its own, and beyond some hundred they only take time from each other. Node.js has many more.
AT_ONCE, JS_AT_ONCE = 256, 64
#: At least so many for each core.
PER_CORE = 4
#: Of the agent, while a function runs: two for its control socket, and its stdout and stderr.
DESCRIPTORS = 4


def most_at_once(usual: int) -> int:
    wanted = max(usual, PER_CORE * (os.cpu_count() or 1))
    return max(1, min(wanted, (descriptors_allowed() - RESERVE) // DESCRIPTORS))


class Turn:
    def __init__(self, turns: Turns, begin: Callable[[], None]) -> None:
        self._turns, self.begin = turns, begin
        self.number = 0

    def wait(self) -> None:
        """Calls `begin` when it is this one's turn, which may be now."""
        self._turns.add(self)

    def leave(self) -> None:
        """It has ended, or is wanted no more."""
        self._turns.remove(self)

    def wait_again(self) -> bool:
        """The host had no room for it. It begins when another one has ended; False if there is no other."""
        return self._turns.put_back(self)


class Turns:
    def __init__(self, at_once: int) -> None:
        #: How many run at most, and how many as long as the host has no room for more.
        self._most = self._allowed = most_at_once(at_once)
        #: Those that have begun and those that have not, each in the order in which they came.
        self._running: List[Turn] = []
        self._waiting: List[Turn] = []
        self._count = 0
        self._advancing = False

    def add(self, turn: Turn) -> None:
        self._count += 1
        turn.number = self._count
        self._waiting.append(turn)
        self._advance()

    def remove(self, turn: Turn) -> None:
        if turn in self._running:
            self._running.remove(turn)
            # After trouble the host is asked for more step by step.
            self._allowed = min(self._allowed + 1, self._most)
            self._advance()
        elif turn in self._waiting:
            self._waiting.remove(turn)

    def put_back(self, turn: Turn) -> bool:
        if turn not in self._running or len(self._running) == 1:
            return False
        self._running.remove(turn)
        self._allowed = len(self._running)
        self._waiting.append(turn)
        self._waiting.sort(key=lambda turn: turn.number)
        return True

    def _advance(self) -> None:
        # One that ends as it begins comes here again; many in a row must not nest.
        if self._advancing:
            return
        self._advancing = True
        try:
            while self._waiting and len(self._running) < self._allowed:
                turn = self._waiting.pop(0)
                self._running.append(turn)
                turn.begin()
        finally:
            self._advancing = False
