"""The children of one fork server that wait for a function."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

    from ..base.loop import Timer
    from ..connection.host import Host

    #: The child's pid; descriptors to write to it, to read its answers, its stdout and its stderr.
    Child = Tuple[int, Tuple[int, ...]]
    #: What tells one function from another.
    Identity = Tuple[object, ...]

#: So many are forked ahead of need.
SPARES = 2
#: More of them, and those that have run a function, stay up to so many, and for so long without work [s].
MOST, IDLE = 8, 1.0


class Spares:
    def __init__(self, agent: Host) -> None:
        self._agent = agent
        #: Those that have run nothing.
        self._fresh: List[Child] = []
        #: The others, the latest last: what they have run, since when they wait.
        self._used: List[Tuple[Identity, float, Child]] = []
        self._trimming: Optional[Timer] = None

    @property
    def missing(self) -> int:
        return max(SPARES - len(self._fresh), 0)

    def add(self, child: Child) -> None:
        self._expect_end(child[0])
        self._fresh.append(child)

    def keep(self, child: Child, identity: Identity) -> None:
        """It has run this function, and takes it again."""
        self._expect_end(child[0])
        self._used.append((identity, time.monotonic(), child))

    def take(self, identity: Optional[Identity]) -> Optional[Child]:
        """The latest, whose memory is warm."""
        for at in range(len(self._used) - 1, -1, -1):
            if self._used[at][0] == identity:
                return self._used.pop(at)[2]
        return self._fresh.pop() if self._fresh else None

    def trim(self) -> None:
        """At once to what may stay for some time, and then to what may stay for ever."""
        self._drop(self._fresh[: max(len(self._fresh) - MOST, 0)])
        self._drop([child for _, _, child in self._used[: max(len(self._used) - MOST, 0)]])
        if (len(self._fresh) > SPARES or self._used) and self._trimming is None:
            now = time.monotonic()
            since = self._used[0][1] if self._used else now
            self._trimming = self._agent.loop.later(max(since + IDLE - now, 0), self._trim_again)

    def give_up(self) -> bool:
        """Makes room for another one; False where there is none to give."""
        if not self._used:
            return False
        self._drop([self._used[0][2]])
        return True

    def drop_all(self) -> None:
        if self._trimming is not None:
            self._trimming.cancel()
            self._trimming = None
        self._drop([*self._fresh, *(child for _, _, child in self._used)])

    def _trim_again(self) -> None:
        self._trimming = None
        before = time.monotonic() - IDLE
        self._drop(self._fresh[: max(len(self._fresh) - SPARES, 0)])
        self._drop([child for _, since, child in self._used if since <= before])
        self.trim()

    def _expect_end(self, pid: int) -> None:
        self._agent.children[pid] = lambda status: self._died(pid)

    def _drop(self, children: List[Child]) -> None:
        for pid, fds in children:
            self._agent.children.pop(pid, None)
            self._forget(pid)
            # The child sees it and leaves.
            for fd in fds:
                os.close(fd)

    def _died(self, pid: int) -> None:
        for found, fds in [*self._fresh, *(child for _, _, child in self._used)]:
            if found == pid:
                self._forget(pid)
                for fd in fds:
                    os.close(fd)
                return

    def _forget(self, pid: int) -> None:
        self._fresh = [child for child in self._fresh if child[0] != pid]
        self._used = [used for used in self._used if used[2][0] != pid]
