"""Signals, by the C half of `signal` alone: the other half (enum, functools) costs too much."""

from __future__ import annotations

import os

from .descriptors import close_quietly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, Callable, Dict, Optional, Tuple

    Handler = Callable[[int, Optional[FrameType]], Any]

signal: Any = __import__("_signal")

SIGINT, SIGTERM, SIGKILL, SIGCONT = map(int, (signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGCONT))


def ignore_signals(*names: str) -> None:
    for name in names:
        signal.signal(getattr(signal, name), signal.SIG_IGN)


def on_termination(action: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: action())


def on_interrupt(handler: Handler) -> None:
    signal.signal(signal.SIGINT, handler)


def handlers() -> Dict[int, Handler]:
    """All that are written in Python."""
    found = ((number, signal.getsignal(number)) for number in range(1, signal.NSIG))
    return {number: handler for number, handler in found if callable(handler)}


def handler_of(number: int) -> object:
    return signal.getsignal(number)


def set_handler(number: int, handler: Handler) -> None:
    signal.signal(number, handler)


def restore_signals() -> None:
    """The state in which a program expects to start: nothing ignored, nothing blocked."""
    signal.set_wakeup_fd(-1)
    for number in DEFAULTED_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def become_function_child() -> None:
    """From the signals of a fork server to those of every Python program."""
    close_quietly(signal.set_wakeup_fd(-1))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def signal_state() -> Tuple[object, ...]:
    """What a program may have set for itself."""
    handlers = tuple(map(signal.getsignal, ALL_SIGNALS))
    timers = tuple(map(signal.getitimer, (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)))
    return handlers, timers, signal.pthread_sigmask(signal.SIG_BLOCK, ())


#: What we, or whoever started us, may have changed and a started program must not inherit.
DEFAULTED_NAMES = (
    "SIGHUP SIGINT SIGQUIT SIGPIPE SIGTERM SIGCHLD SIGUSR1 SIGUSR2 "
    "SIGALRM SIGTSTP SIGTTIN SIGTTOU SIGXFSZ SIGWINCH"
)
DEFAULTED_SIGNALS = tuple(int(getattr(signal, name)) for name in DEFAULTED_NAMES.split())
ALL_SIGNALS = tuple(range(1, int(signal.NSIG)))


def signal_name(number: int) -> str:
    names: Dict[int, str] = {}
    for name in dir(signal):
        if name.startswith("SIG") and not name.startswith(("SIG_", "SIGCLD", "SIGIOT", "SIGPOLL", "SIGRT")):
            names[int(getattr(signal, name))] = name
    first = int(signal.SIGRTMIN)
    return names.get(number) or ("SIGRTMIN+%d" % (number - first) if number >= first else "SIG%d" % number)


def outcome(status: int) -> Tuple[Optional[int], Optional[str]]:
    """Exit code and signal name of a wait status; one of them is None."""
    if os.WIFSIGNALED(status):
        return None, signal_name(os.WTERMSIG(status))
    return os.WEXITSTATUS(status), None
