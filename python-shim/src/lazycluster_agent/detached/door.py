"""Agents that outlive their connection: each lives in a folder of its own, and is reached by its name.

What the manager starts over ssh is only a door to such an agent then: it passes bytes on between its own
stdin and stdout and the agent's socket, until one of them ends.
"""

from __future__ import annotations

import os
import socket
import stat
import sys

from ..base import descriptors, signals, user
from ..base.errors import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import io
    from typing import Callable, Iterator, NoReturn, Optional

    Role = Callable[[], NoReturn]
    #: Makes the role of an agent that listens on this descriptor, in this folder.
    Divide = Callable[[int, bytes], Role]

SOCKET = b"socket"
PIECE = 256 * 1024
MAX_NAME = 80
#: To make a folder in one that others remove when it is empty.
TRIES = 5

EXIT_NOT_THERE = 4
#: Of names.
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")


def is_name(name: str) -> bool:
    return 8 <= len(name) <= MAX_NAME and set(name) <= LETTERS and bool(name.strip("-"))


def start(name: str, stdin: io.BufferedReader, divide: Divide) -> Role:
    """Starts an agent of its own in the background, and becomes the door to it; in it, becomes the agent."""
    folder = make_folder(name)
    listener = socket.socket(socket.AF_UNIX)
    try:
        # A long path would not fit into an address; a name below the current directory does.
        os.chdir(folder)
        listener.bind(SOCKET)
        listener.listen(8)
        door = socket.socket(socket.AF_UNIX)
        door.connect(SOCKET)
    except OSError as error:
        refuse("cannot listen in %s: %s" % (printable(folder), error.strerror))
    os.chdir("/")
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        door.close()
        descriptors.null_stdio(0, 1, 2)
        return divide(listener.detach(), folder)
    os.waitpid(child, 0)
    listener.close()
    return lambda: pass_on(door, stdin)


def attach(name: str, stdin: io.BufferedReader) -> Role:
    """Becomes the door to an agent that was started before."""
    for base in bases():
        folder = os.path.join(base, name.encode())
        if is_private(base) and is_private(folder):
            door = socket.socket(socket.AF_UNIX)
            try:
                os.chdir(folder)
                door.connect(SOCKET)
            except OSError:
                door.close()
                continue
            os.chdir("/")
            return lambda: pass_on(door, stdin)
    sys.stdout.write("lazycluster: not there %s\n" % name)
    sys.stdout.flush()
    sys.exit(EXIT_NOT_THERE)


def pass_on(door: socket.socket, stdin: io.BufferedReader) -> NoReturn:
    signals.ignore_signals("SIGINT", "SIGPIPE")

    def inwards() -> None:
        try:
            leftover = stdin.peek()
            if leftover:
                door.sendall(stdin.read(len(leftover)))
            while True:
                data = os.read(0, PIECE)
                if not data:
                    break
                door.sendall(data)
            door.shutdown(socket.SHUT_WR)
        except OSError:
            # The agent is gone; the other direction tells.
            pass

    import _thread

    _thread.start_new_thread(inwards, ())
    try:
        while True:
            data = door.recv(PIECE)
            if not data:
                break
            view = memoryview(data)
            while view:
                view = view[os.write(1, view) :]
    except OSError:
        pass
    os._exit(0)


def make_folder(name: str) -> bytes:
    reason: Optional[OSError] = None
    for base in bases():
        for _ in range(TRIES):
            try:
                os.makedirs(base, 0o700, exist_ok=True)
                if not is_private(base):
                    break
                folder = os.path.join(base, name.encode())
                os.mkdir(folder, 0o700)
            except FileNotFoundError as error:
                # An agent that has just ended took the empty folder of all away.
                reason = error
            except OSError as error:
                reason = error
                break
            else:
                return folder
    return refuse("no folder for what runs detached: %s" % (reason or "others may write there"))


def bases() -> Iterator[bytes]:
    """Where such agents live. Not below TMPDIR, which may differ from login to login."""
    yield b"/tmp/lazycluster-%d" % os.getuid()
    yield os.path.join(user.home_directory(), b".cache", b"lazycluster")


def is_private(path: bytes) -> bool:
    """A folder that only we can use, and no link to one."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def refuse(why: str) -> NoReturn:
    sys.stderr.write("lazycluster: %s\n" % why)
    sys.stderr.flush()
    sys.exit(1)
