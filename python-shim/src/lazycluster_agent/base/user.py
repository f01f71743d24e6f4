"""Who we are on this host, and where."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pwd
    from typing import Optional


def home_directory() -> bytes:
    home = os.environb.get(b"HOME", b"")
    if home.startswith(b"/"):
        return home
    record = account()
    return os.fsencode(record.pw_dir) if record else b"/"


def network_stack() -> str:
    """The same text for all who share their ports: a boot and a network namespace. Empty: unknown."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return "%s %s" % (file.read().strip(), os.readlink("/proc/self/ns/net"))
    except OSError:
        return ""


def account() -> Optional[pwd.struct_passwd]:
    """Our entry in the user database, if there is one."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid())
    except (ImportError, KeyError):
        return None


def user_shell() -> bytes:
    record = account()
    for shell in (os.environb.get(b"SHELL", b""), os.fsencode(record.pw_shell) if record else b""):
        if shell.startswith(b"/") and os.access(shell, os.X_OK):
            return shell
    return b"/bin/sh"


def interpreter() -> str:
    return sys.executable or os.readlink("/proc/self/exe")
