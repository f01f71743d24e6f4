"""`sshd`: whether the sshd above us may listen on a port in our stead.

It keeps its ports as long as its connection lives, and a connection that was cut off lives for hours. So from
then on the silence that ends us ends that session of it, too.
"""

from __future__ import annotations

import os
import signal

from ..connection.operation import Operation
from ..processes.procfs import snapshot
from ..wire import fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator

    from ..connection.host import Host
    from ..wire.frames import Header

LISTENING = "0A"
#: Addresses of the loopback, as the tables have them on any machine.
LOOPBACK = ("0100007F", "7F000001", "00000000000000000000000001000000", "00000000000000000000000000000001")


class Sshd(Operation):
    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id)
        self._port = fields.integer(header, "port", 1, 65535)

    def start(self) -> None:
        pid = session_above()
        fit = pid > 0 and all(address in LOOPBACK for address in listening_addresses(self._port))
        if fit:
            self.agent.session = pid
        self.finish("done", fit=fit)


def session_above() -> int:
    """The nearest sshd that started us, if it is one of our user; 0 without one."""
    table = snapshot()
    pid = os.getpid()
    while pid in table:
        pid = table[pid].parent
        if is_session(pid):
            return pid
    return 0


def is_session(pid: int) -> bool:
    """An sshd that runs as our user; the owner of its files in /proc is root."""
    found = {}
    try:
        with open("/proc/%d/status" % pid, errors="replace") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                found[name] = value.split()
    except OSError:
        return False
    return found.get("Name", [""])[0].startswith("sshd") and found["Uid"][:1] == [str(os.getuid())]


def end_session(pid: int) -> None:
    if is_session(pid):
        try:
            os.kill(pid, signal.SIGTERM)
        except OSError:
            pass  # It is gone.


def listening_addresses(port: int) -> Iterator[str]:
    wanted = "%04X" % port
    for table in ("tcp", "tcp6"):
        try:
            with open("/proc/net/%s" % table) as lines:
                for line in lines:
                    words = line.split()
                    address, _, number = words[1].partition(":")
                    if number == wanted and words[3] == LISTENING:
                        yield address
        except (OSError, IndexError):
            continue
