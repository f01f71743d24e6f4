"""The processes of this host, as /proc shows them."""

from __future__ import annotations

import errno
import os

from ..base.signals import SIGINT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Set

    Table = Dict[int, "Process"]


class Process:
    __slots__ = ("group", "parent", "pid", "program", "session", "started", "state")

    def __init__(self, pid: int, stat: bytes) -> None:
        # The command's name, in parentheses, may hold anything.
        end = stat.rindex(b")")
        rest = stat[end + 2 :].split()
        self.pid = pid
        self.state = rest[0]
        self.parent, self.group, self.session = int(rest[1]), int(rest[2]), int(rest[3])
        self.started = int(rest[19])
        #: Another one after each exec: name and place of the environment (0 where we may not know) tell.
        self.program = self.started, stat[:end], tuple(rest[47:49])

    @property
    def alive(self) -> bool:
        return self.state not in (b"Z", b"X")


def snapshot() -> Table:
    """Raises OSError when we may not open anything now."""
    table: Table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = _read("/proc/%s/stat" % name)
            if stat:
                table[int(name)] = Process(int(name), stat)
    return table


def environment(pid: int) -> bytes:
    """NUL before every variable, so that `\\0NAME=value\\0` finds one. Empty if we may not read it."""
    return b"\0" + _read("/proc/%d/environ" % pid)


def descendants(table: Table, roots: Set[int]) -> Set[int]:
    """Everything below `roots`, without them."""
    children: Dict[int, List[int]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: Set[int] = set()
    pending = list(roots)
    while pending:
        for child in children.get(pending.pop(), ()):
            if child not in found and child not in roots:
                found.add(child)
                pending.append(child)
    return found


def ancestors(table: Table, pid: int) -> Set[int]:
    """`pid` and everything above it."""
    found: Set[int] = set()
    process: Optional[Process] = table.get(pid)
    while process is not None and process.pid not in found:
        found.add(process.pid)
        process = table.get(process.parent)
    return found | {0, 1}


def kill(pid: int, signal: int) -> None:
    try:
        os.kill(pid, signal)
    except OSError:
        pass  # It is gone already, or runs as another user now.


def interrupt_group(leader: int) -> None:
    """What Ctrl-C does to the program in a terminal and to all that it runs."""
    try:
        os.killpg(leader, SIGINT)
    except OSError:
        pass  # It is gone already.


def _read(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise  # It may well run.
        return b""
    try:
        pieces: List[bytes] = []
        while True:
            piece = os.read(fd, 65536)
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
    except OSError:
        return b""
    finally:
        os.close(fd)
