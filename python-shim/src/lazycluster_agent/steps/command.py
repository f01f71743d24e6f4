"""`run`: a command line through the user's shell."""

from __future__ import annotations

import os

from ..base.errors import ProtocolError
from ..base.limits import allow_more, check_room
from ..processes.spawn import spawn
from ..processes.streams import Inlet
from ..wire import fields
from .step import STDERR, STDOUT, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional, Tuple

    from ..connection.host import Host
    from ..wire.frames import Header

#: What a terminal's user would type at the end of the input.
END_OF_INPUT = b"\x04"
ROWS, COLUMNS = 24, 80


class Command(Step):
    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id, header)
        self._command = fields.text(header, "cmd").encode("utf-8", "surrogateescape")
        self._wants_input = fields.flag(header, "stdin")
        self._terminal = fields.flag(header, "pty")
        self._inlet: Optional[Inlet] = None
        #: The program's end of its terminal. Where nobody has it open, the terminal hangs up, and the program
        #: is ended by SIGHUP: also one that only closes its output before it ends, as `seq` does.
        self._kept: Optional[int] = None
        #: Input that came before the process was there.
        self._early: List[Tuple[memoryview, int, bool]] = []

    def start(self) -> None:
        ours: List[int] = []
        theirs: List[int] = []
        try:
            try:
                reads, stdio, writes = self._open(ours, theirs)
            except OSError as error:
                if not allow_more(error):
                    raise
                for fds in (ours, theirs):
                    while fds:
                        os.close(fds.pop())
                reads, stdio, writes = self._open(ours, theirs)
            shell = self.agent.shell
            argv = [os.path.basename(shell), b"-c", self._command]
            pid = spawn(argv, shell, self.full_environment(), self.cwd, stdio, self._terminal)
            if self._terminal:
                self._kept = theirs.pop()
        except BaseException:
            for fd in ours:
                os.close(fd)
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        self.started(pid)
        for stream, fd in reads:
            self.attach(fd, stream)
        if writes is not None:
            self._inlet = Inlet(self.loop, writes, self.repay)
        for data, cost, end in self._early:
            self._input(data, cost, end)
        self._early.clear()

    def _open(
        self, ours: List[int], theirs: List[int]
    ) -> Tuple[List[Tuple[int, int]], List[int], Optional[int]]:
        """What we read, by stream, the program's descriptors, and what we write to."""
        opened = self._open_terminal(ours, theirs) if self._terminal else self._open_pipes(ours, theirs)
        check_room([*ours, *theirs])
        return opened

    def _open_pipes(
        self, ours: List[int], theirs: List[int]
    ) -> Tuple[List[Tuple[int, int]], List[int], Optional[int]]:
        writes, stdin = None, self.agent.null
        if self._wants_input:
            stdin, writes = os.pipe()
            theirs.append(stdin)
            ours.append(writes)
        stdio, reads = [stdin], []
        for stream in (STDOUT, STDERR):
            reading, writing = os.pipe()
            ours.append(reading)
            theirs.append(writing)
            reads.append((stream, reading))
            stdio.append(writing)
        return reads, stdio, writes

    def _open_terminal(
        self, ours: List[int], theirs: List[int]
    ) -> Tuple[List[Tuple[int, int]], List[int], Optional[int]]:
        import fcntl
        import struct
        import termios

        master, slave = os.openpty()
        ours.append(master)
        theirs.append(slave)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.environment.setdefault(b"TERM", self.agent.environment.get(b"TERM", b"xterm"))
        writes = None
        if self._wants_input:
            writes = os.dup(master)
            ours.append(writes)
        return [(STDOUT, master)], [slave if self._wants_input else self.agent.null, slave, slave], writes

    def on_data(self, header: Header, payload: memoryview) -> None:
        if not self._wants_input:
            raise ProtocolError("input for step %d, which was started without" % self.id)
        cost = self.received(payload)
        end = fields.flag(header, "eof")
        if self.pid is None:
            self._early.append((memoryview(bytes(payload)), cost, end))
        else:
            self._input(payload, cost, end)

    def _input(self, data: memoryview, cost: int, end: bool) -> None:
        if self._inlet is None:
            self.repay(cost)
            return
        self._inlet.write(data, cost)
        if end and self._terminal:
            # On an unfinished line the first one only hands over the line.
            self._inlet.write(memoryview(END_OF_INPUT * (1 if bytes(data[-1:]) in (b"\n", b"") else 2)), 0)
        elif end:
            self._inlet.end()

    def exited(self, status: int) -> None:
        self._hang_up()
        super().exited(status)

    def _hang_up(self) -> None:
        if self._kept is not None:
            os.close(self._kept)
            self._kept = None

    def release(self) -> None:
        super().release()
        self._hang_up()
        if self._inlet is not None:
            self._inlet.close()
