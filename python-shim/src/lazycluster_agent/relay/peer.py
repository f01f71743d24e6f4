"""Who is at the other end of a connection over the loopback."""

from __future__ import annotations

import _socket
import os
import struct

from ..connection.operation import Operation
from ..wire import fields
from .sockets import LOOPBACK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from ..connection.host import Host
    from ..wire.frames import Header

NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST = 4, 20, 1
#: A request of the kernel's inet_diag for one socket, and what is read of the answer: uid and inode.
REQUEST = struct.Struct("=IHHII BBBxI")
SOCKET_ID = struct.Struct("!HH4s12x4s12x")
NO_INTERFACE, NO_COOKIE = b"\0" * 4, b"\xff" * 8
HEADER, SOCKET_AT, UID_AT = 16, 20, 16 + 4 + 48 + 12


class Peer(Operation):
    """`peer`: about a connection that somebody else has accepted."""

    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id)
        self._theirs = fields.integer(header, "theirs", 1, 65535)
        self._ours = fields.integer(header, "ours", 1, 65535)

    def start(self) -> None:
        peers = Peers(os.getuid())
        trusted = peers.trusts(self._theirs, self._ours)
        peers.close()
        self.finish("done", trusted=trusted)


class Peers:
    """Trusts processes of one user, and of root, who could do everything anyway."""

    def __init__(self, uid: int) -> None:
        self._trusted = (uid, 0)
        self._netlink: Optional[_socket.socket] = None
        try:
            kinds = _socket.SOCK_RAW | _socket.SOCK_CLOEXEC
            self._netlink = _socket.socket(_socket.AF_NETLINK, kinds, NETLINK_SOCK_DIAG)
            self._netlink.settimeout(1)
        except (AttributeError, OSError):
            pass  # /proc has the same; on large machines it takes milliseconds.

    def close(self) -> None:
        if self._netlink is not None:
            self._netlink.close()

    def trusts(self, theirs: int, ours: int) -> bool:
        """Whether the socket of port `theirs` that is connected to our port `ours` belongs to a trusted user.

        A socket that was closed already belongs to nobody.
        """
        uid = self._ask_kernel(theirs, ours) if self._netlink is not None else from_proc(theirs, ours)
        return uid in self._trusted

    def _ask_kernel(self, theirs: int, ours: int) -> Optional[int]:
        assert self._netlink is not None
        loopback = _socket.inet_aton(LOOPBACK)
        names = SOCKET_ID.pack(theirs, ours, loopback, loopback) + NO_INTERFACE + NO_COOKIE
        head = REQUEST.pack(
            REQUEST.size + len(names),
            SOCK_DIAG_BY_FAMILY,
            NLM_F_REQUEST,
            0,
            0,
            _socket.AF_INET,
            _socket.IPPROTO_TCP,
            0,
            0xFFFFFFFF,
        )
        try:
            self._netlink.sendto(head + names, (0, 0))
            answer = self._netlink.recv(4096)
        except OSError:
            self._netlink.close()
            self._netlink = None
            return from_proc(theirs, ours)
        kind = struct.unpack_from("=H", answer, 4)[0]
        if kind != SOCK_DIAG_BY_FAMILY:
            return None  # An error: there is no such socket.
        # Where there is no connection, the answer may be somebody who listens on that port.
        if struct.unpack_from("!HH", answer, SOCKET_AT) != (theirs, ours):
            return None
        uid, inode = struct.unpack_from("=II", answer, UID_AT)
        return int(uid) if inode else None


def from_proc(theirs: int, ours: int) -> Optional[int]:
    """The same from the tables of /proc. A program may use a socket of IPv6 for an address of IPv4."""
    address = "%08X" % struct.unpack("=I", _socket.inet_aton(LOOPBACK))[0]
    local, remote = ("%s:%04X" % (address, port) for port in (theirs, ours))
    for table in ("tcp", "tcp6"):
        try:
            with open("/proc/net/%s" % table) as lines:
                for line in lines:
                    words = line.split()
                    if words[1].endswith(local) and words[2].endswith(remote):
                        return int(words[7]) if words[9] != "0" else None
        except (OSError, IndexError, ValueError):
            continue
    return None
