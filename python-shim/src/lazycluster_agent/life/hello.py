"""The first message of an agent: who and where it is."""

from __future__ import annotations

import os
import sys

from ..base import user
from ..base.errors import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

    from ..wire.frames import Header

PROTOCOL = 1


def hello(home: bytes, shell: bytes, capabilities: List[str]) -> Header:
    account = user.account()
    uname = os.uname()
    return {
        "op": "hello",
        "v": PROTOCOL,
        "pid": os.getpid(),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "implementation": sys.implementation.name,
        "executable": printable(sys.executable or ""),
        "home": printable(home),
        "user": account.pw_name if account else os.environ.get("USER", str(os.getuid())),
        "uid": os.getuid(),
        "shell": printable(shell),
        "hostname": uname.nodename,
        "system": uname.sysname,
        "network": user.network_stack(),
        "caps": capabilities,
    }
