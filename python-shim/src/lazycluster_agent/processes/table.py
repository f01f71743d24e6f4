"""The processes of this host at one moment, looked at once for all who ask."""

from __future__ import annotations

import os

from ..base.children import CONNECTION_VARIABLE, TAG_VARIABLE
from .procfs import ancestors, environment, snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, List, Optional, Tuple

    from .procfs import Process, Table

    #: By variable, the value that a process has of it.
    Marks = Dict[bytes, bytes]

VARIABLES = (TAG_VARIABLE, CONNECTION_VARIABLE)


class ProcessTable:
    """Looks, and keeps what it has read of an environment as long as the process runs the same program."""

    def __init__(self) -> None:
        self._marks: Dict[int, Tuple[object, Marks]] = {}

    def look(self) -> Look:
        table = snapshot()
        before, self._marks = self._marks, {}
        for pid, process in table.items():
            known = before.get(pid)
            if known is None or known[0] != process.program:
                known = process.program, marks_of(process)
            self._marks[pid] = known
        return Look(table, {pid: marks for pid, (_, marks) in self._marks.items()})


class Look:
    def __init__(self, table: Table, marks: Dict[int, Marks]) -> None:
        self.processes = table
        #: Never we ourselves or who started us.
        self.untouchable = ancestors(table, os.getpid())
        self._children: Dict[int, List[int]] = {}
        self._led: Dict[int, List[int]] = {}
        self._marked: Dict[bytes, Dict[bytes, List[int]]] = {variable: {} for variable in VARIABLES}
        for pid, process in table.items():
            self._children.setdefault(process.parent, []).append(pid)
            self._led.setdefault(process.session, []).append(pid)
            if process.group != process.session:
                self._led.setdefault(process.group, []).append(pid)
            for variable, value in marks[pid].items():
                self._marked[variable].setdefault(value, []).append(pid)

    def get(self, pid: int) -> Optional[Process]:
        return self.processes.get(pid)

    def children(self, pid: int) -> Iterable[int]:
        return self._children.get(pid, ())

    def led_by(self, pid: int) -> Iterable[int]:
        """Everybody in the session, or in the group, of this number."""
        return self._led.get(pid, ())

    def marked(self, variable: bytes, value: bytes, below: bool) -> Iterable[int]:
        """Those with this value of the variable; with `below`, also those with a path below it."""
        values = self._marked[variable]
        if not below:
            return values.get(value, ())
        prefix = value + b"/"
        return [
            pid
            for found, pids in values.items()
            if found == value or found.startswith(prefix)
            for pid in pids
        ]


def marks_of(process: Process) -> Marks:
    marks: Marks = {}
    text = environment(process.pid) if process.alive else b""
    for variable in VARIABLES:
        _, name, rest = text.partition(b"\0%s=" % variable)
        value, end, _ = rest.partition(b"\0")
        if name and end:
            marks[variable] = value
    return marks
