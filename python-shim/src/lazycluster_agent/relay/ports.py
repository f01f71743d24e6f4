"""`ports`: which ports of this host are free."""

from __future__ import annotations

import _socket

from ..base.errors import exhausted
from ..base.loop import Job
from ..connection.operation import Operation
from ..wire import fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Optional

    from ..connection.host import Host
    from ..wire.frames import Header


class FreePorts(Operation):
    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id)
        self._ports = fields.integers(header, "ports", 1, 65535)
        self._job: Optional[Job] = None

    def start(self) -> None:
        self._job = Job(self.loop, self._look())

    def _look(self) -> Iterator[bool]:
        free: List[int] = []
        for port in self._ports:
            if is_free(port):
                free.append(port)
            yield True
        self.finish("done", ports=free)

    def release(self) -> None:
        if self._job is not None:
            self._job.cancel()


def is_free(port: int) -> bool:
    """On every address: what listens on another one would be in the way of who takes the port."""
    return all(may_bind(family, address, port) for family, address in PLACES)


PLACES = [(_socket.AF_INET, "0.0.0.0"), (_socket.AF_INET6, "::")]


def may_bind(family: int, address: str, port: int) -> bool:
    try:
        probe = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    except OSError as error:
        if exhausted(error):
            raise  # That says nothing about the port.
        return family != _socket.AF_INET  # A host without IPv6.
    try:
        probe.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        if family == _socket.AF_INET6:
            probe.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
        probe.bind((address, port))
        return True
    except OSError as error:
        import errno

        return family == _socket.AF_INET6 and error.errno == errno.EADDRNOTAVAIL
    finally:
        probe.close()
