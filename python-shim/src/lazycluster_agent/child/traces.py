"""What a function may leave behind in its process. A child in which nothing shows takes another function.

What is looked at is what Python code can change without bringing in a module of its own: everything else
shows as a module that was not there before. Attributes of classes and what containers hold are not looked at:
the same function finds what it has changed in them, and no other function gets the child.
"""

from __future__ import annotations

import _socket
import _thread
import atexit
import gc
import linecache
import os
import sys

from ..base import signals
from ..base.package import PACKAGE
from ..call.raised import MODULE
from . import warmth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Tuple

#: Bytes that a child may have grown by.
GROWTH = 16 * 1024 * 1024
PAGE = os.sysconf("SC_PAGESIZE")
#: Newer ones, and those that were mended, convert only so many.
digits: Callable[[], int] = getattr(sys, "get_int_max_str_digits", int)
#: Functions that one child runs: what cannot be seen must not add up.
MOST = 500


class Names:
    """Of the fork server, and so of its new children: the modules, and what they contain."""

    def __init__(self) -> None:
        self.modules = dict(sys.modules)
        self._names = [(names, dict(names)) for names in namespaces()]
        self._lists = [(kept, list(kept)) for kept in lists()]
        self._warmth = warmth.state()
        self.path = list(sys.path)
        self._sources = frozenset(linecache.cache)

    def renew(self) -> None:
        """In a child: what modules have changed in themselves after the fork."""
        self._names = [(now, before if now == before else dict(now)) for now, before in self._names]

    def restore(self, path: List[str]) -> bool:
        """Takes away what running a function left, and tells whether that was all.

        `path`: `sys.path` as the function was given it."""
        if sys.path != path:
            return False
        for name in [name for name in sys.modules if name.partition(".")[0] == MODULE]:
            del sys.modules[name]
        for file in [file for file in linecache.cache if file not in self._sources]:
            del linecache.cache[file]
        if len(sys.modules) != len(self.modules) or warmth.touched():
            return False
        if any(sys.modules.get(name) is not module for name, module in self.modules.items()):
            return False
        if any(now != before for now, before in self._names):
            return False
        if any(len(now) != len(before) or now != before for now, before in self._lists):
            return False
        sys.path[:] = self.path
        if warmth.state() != self._warmth:
            return False
        # As after a fork: nobody has told them a seed.
        random: Any = sys.modules.get("random")
        if random is not None:
            random.seed()
        warmth.begin()
        return True


def namespaces() -> Iterator[Dict[Any, Any]]:
    for name, module in sys.modules.items():
        if type(module) is type(sys) and name.partition(".")[0] != PACKAGE:
            yield vars(module)
    logging: Any = sys.modules.get("logging")
    if logging is not None:
        yield vars(logging.root)
        yield logging.root.manager.loggerDict


def lists() -> Iterator[List[Any]]:
    """What programs change in place."""
    yield from (sys.argv, sys.meta_path, sys.path_hooks, gc.callbacks)
    warnings: Any = sys.modules.get("warnings")
    if warnings is not None:
        yield warnings.filters
    logging: Any = sys.modules.get("logging")
    if logging is not None:
        yield logging.root.handlers
        yield logging.root.filters


class Traces:
    """Of one child."""

    def __init__(self, names: Names) -> None:
        names.renew()
        self._names = names
        self._left = MOST
        self._memory = 0
        self._state = self._look()

    def none(self, path: List[str], flush: Callable[[], None]) -> bool:
        """Whether the process is, as far as it can be seen, as it was before it ran a function.

        What objects print at their end is sent by `flush`: it belongs to the call that made them."""
        self._left -= 1
        try:
            if self._left <= 0 or not self._state or has_children() or not self._names.restore(path):
                return False
            # What nobody refers to any more may still hold a file.
            gc.collect()
            flush()
            return self._look() == self._state
        except Exception:
            # Something stands in the place of what we use.
            return False

    def _look(self) -> Tuple[Any, ...]:
        """Empty where it cannot be told."""
        try:
            with open("/proc/self/stat", "rb", buffering=0) as stat:
                status = stat.read().rpartition(b")")[2].split()
            threads, memory = int(status[17]), int(status[21]) * PAGE
            self._memory = self._memory or memory
            return (
                threads,
                memory > self._memory + GROWTH,
                sorted(os.listdir("/proc/self/fd")),
                *((file.st_dev, file.st_ino) for file in map(os.fstat, (0, 1, 2))),
                *map(os.get_blocking, (0, 1, 2)),
                mask(),
                os.getpriority(os.PRIO_PROCESS, 0),
                os.getresuid(),
                os.getresgid(),
                os.getgroups(),
                os.getpgid(0),
                os.getsid(0),
                os.sched_getaffinity(0),
                os.sched_getscheduler(0),
                signals.signal_state(),
                atexit._ncallbacks(),
                gc.isenabled(),
                gc.get_threshold(),
                gc.get_debug(),
                sys.getrecursionlimit(),
                sys.getswitchinterval(),
                sys.gettrace(),
                sys.getprofile(),
                sys.getdlopenflags(),
                sys.get_asyncgen_hooks(),
                getattr(sys, "get_coroutine_origin_tracking_depth", int)(),
                digits(),
                _thread.stack_size(),
                _socket.getdefaulttimeout(),
                locale(),
            )
        except OSError:
            return ()


def locale() -> object:
    """Python has it before `locale` is imported."""
    module: Any = sys.modules.get("_locale")
    return module and module.setlocale(module.LC_ALL)


def mask() -> int:
    value = os.umask(0o077)
    os.umask(value)
    return value


def has_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True
