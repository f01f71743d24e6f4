"""What becomes of the processes that we start: what marks them, how they come back to us, how they end."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Tuple

signal: Any = __import__("_signal")

PR_SET_CHILD_SUBREAPER = 36
#: Marks every process that was started by this connection, in its environment.
CONNECTION_VARIABLE = b"LAZYCLUSTER_CONNECTION"
#: Marks every process of one step.
TAG_VARIABLE = b"LAZYCLUSTER_TAG"


def become_subreaper() -> None:
    """Orphans of our descendants become our children, so that none can get out of sight.

    Where this is not possible they are still found by session, group and environment.
    """
    try:
        _prctl(PR_SET_CHILD_SUBREAPER)
    except (ImportError, AttributeError, OSError):
        pass


def _prctl(option: int) -> None:
    # Kept, for later these modules count as used by whoever touches them (child/warmth.py).
    global _prctl
    try:
        c: Any = __import__("_ctypes")
        call, function = c.call_function, c.dlsym(c.dlopen(None, 0), "prctl")

        def _prctl(option: int) -> None:
            call(function, (option, 1, 0, 0, 0))

    except (ImportError, AttributeError, OSError):
        import ctypes

        library = ctypes.CDLL(None)

        def _prctl(option: int) -> None:
            library.prctl(option, 1, 0, 0, 0)

    _prctl(option)


def wake_on_child() -> int:
    """A descriptor that becomes readable when a child has ended."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    if sys.version_info >= (3, 7):
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    else:
        signal.set_wakeup_fd(writing)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    return reading


def reap() -> Optional[Tuple[int, int]]:
    """Pid and wait status of one child that has ended."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None
