"""Which processes belong to a step, to a tag, or to the connection."""

from __future__ import annotations

import os

from .procfs import ancestors, descendants, environment, snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, Optional, Set, Tuple

    from .procfs import Process, Table


class Family:
    """Processes found by session, group, descent and environment.

    Whoever was found once stays known, also when its parent has died and nothing shows where it came from.
    """

    def __init__(
        self,
        variable: bytes,
        value: bytes,
        *,
        below: bool = False,
        leaders: Iterable[int] = (),
        ancestor: Optional[int] = None,
    ) -> None:
        """Whoever has `variable` set to `value` (with `below`, also to a path below it), is in a session of
        one of the `leaders`, or descends from `ancestor`."""
        self._exact = b"\0%s=%s\0" % (variable, value)
        self._prefix = b"\0%s=%s/" % (variable, value) if below else self._exact
        self._sessions: Set[int] = set(leaders)
        self._above: Set[int] = set() if ancestor is None else {ancestor}
        self._known: Dict[int, int] = {}
        self._unmarked: Set[Tuple[int, int]] = set()

    def members(self) -> Set[int]:
        """Those that run now; never we ourselves or who started us."""
        table = snapshot()
        untouchable = ancestors(table, os.getpid())
        found = {
            pid for pid, started in self._known.items() if pid in table and table[pid].started == started
        }
        while True:
            before = len(found)
            for process in table.values():
                if process.pid not in found and process.pid not in untouchable and self._belongs(process):
                    found.add(process.pid)
            found |= descendants(table, found | self._above) - untouchable
            self._learn(table, found)
            if len(found) == before:
                break
        self._known = {pid: table[pid].started for pid in found if pid in table}
        return {pid for pid in found if pid in table and table[pid].alive}

    def _belongs(self, process: Process) -> bool:
        if process.session in self._sessions or process.group in self._sessions:
            return True
        identity = (process.pid, process.started)
        if identity in self._unmarked or not process.alive:
            return False
        variables = environment(process.pid)
        if self._exact in variables or self._prefix in variables:
            return True
        self._unmarked.add(identity)
        return False

    def _learn(self, table: Table, found: Set[int]) -> None:
        """A session or group that a member has opened holds only members."""
        for pid in found:
            process = table.get(pid)
            if process is not None:
                self._sessions.update({process.session, process.group} & found)
