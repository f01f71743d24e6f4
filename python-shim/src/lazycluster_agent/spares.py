"""The children of one fork server that wait for a function."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

    from .agent import Agent
    from .loop import Timer

    #: The child's pid; descriptors to write to it, to read its answers, its stdout and its stderr.
    Child = Tuple[int, Tuple[int, ...]]

#: So many are forked ahead of need.
SPARES = 2
#: Of those that have run a function so many stay, for so long [s].
MOST, IDLE = 8, 1.0


class Spares:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._children: List[Child] = []
        self._trimming: Optional[Timer] = None

    @property
    def missing(self) -> int:
        return max(SPARES - len(self._children), 0)

    def keep(self, child: Child) -> None:
        pid = child[0]
        self._agent.children[pid] = lambda status: self._died(pid)
        self._children.append(child)

    def take(self) -> Optional[Child]:
        """The latest, whose memory is warm."""
        return self._children.pop() if self._children else None

    def trim(self) -> None:
        """At once to what may stay for some time, and then to what may stay for ever."""
        self._cut(MOST)
        if len(self._children) > SPARES and self._trimming is None:
            self._trimming = self._agent.loop.later(IDLE, self._trim_again)

    def close(self) -> None:
        if self._trimming is not None:
            self._trimming.cancel()
            self._trimming = None
        self._cut(0)

    def _trim_again(self) -> None:
        self._trimming = None
        self._cut(SPARES)

    def _cut(self, most: int) -> None:
        while len(self._children) > most:
            pid, fds = self._children.pop(0)
            self._agent.children.pop(pid, None)
            # The child sees it and leaves.
            for fd in fds:
                os.close(fd)

    def _died(self, pid: int) -> None:
        for child in self._children:
            if child[0] == pid:
                self._children.remove(child)
                for fd in child[1]:
                    os.close(fd)
                return
