"""What Pythons before 3.8 lack: hosts may have 3.6, which is what old distributions come with."""

from __future__ import annotations

import gc
import os
import stat
import sys

from .errors import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Coroutine, Iterator, Tuple


def freeze() -> None:
    """What there is now is no garbage for long."""
    if sys.version_info >= (3, 7):
        gc.freeze()


def after_fork(action: Callable[[], None]) -> None:
    """Calls it in every child that this process forks."""
    if sys.version_info >= (3, 7):
        os.register_at_fork(after_in_child=action)
        return
    fork, forkpty = os.fork, os.forkpty

    def forked() -> int:
        pid = fork()
        if pid == 0:
            action()
        return pid

    def forked_on_terminal() -> Tuple[int, int]:
        pid, terminal = forkpty()
        if pid == 0:
            action()
        return pid, terminal

    os.fork, os.forkpty = forked, forked_on_terminal


def entries(folder: int) -> Iterator[Tuple[bytes, bool]]:
    """What is in an open folder, and whether it is one itself."""
    if sys.version_info >= (3, 7):
        with os.scandir(folder) as found:
            for entry in found:
                yield os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)
        return
    for name in os.listdir(folder):
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        yield os.fsencode(name), stat.S_ISDIR(mode)


def memory_file(name: str) -> int:
    """A descriptor of a file that nobody else can come to."""
    if sys.version_info >= (3, 8):
        return os.memfd_create(name)
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def run(work: Coroutine[Any, Any, object]) -> object:
    import asyncio

    if sys.version_info >= (3, 7):
        return asyncio.run(work)
    loop = asyncio.new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(work)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def require_newer(what: str) -> None:
    """Raises Failure on Pythons that cannot have it."""
    if sys.version_info < (3, 8):
        version = "%d.%d" % sys.version_info[:2]
        advice = "Name a newer interpreter of the host with the option `python`."
        text = "%s need Python 3.8 or newer, and this is Python %s. %s" % (what, version, advice)
        raise Failure("python", text)
