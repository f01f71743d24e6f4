"""What the agent needs of the operating system, without the costly parts of the standard library.

`signal` (enum, functools) and `ctypes` would double the start-up time, so their C halves are used directly.
"""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import pwd
    import signal
    from types import FrameType
    from typing import Any, Callable, Dict, Optional, Tuple

    Handler = Callable[[int, Optional[FrameType]], Any]
else:
    import _signal as signal

PR_SET_CHILD_SUBREAPER = 36
TOO_BIG = errno.E2BIG

SIGINT, SIGTERM, SIGKILL, SIGCONT = map(int, (signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGCONT))

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
    # Kept, for later these modules count as used by whoever touches them (warmth.py).
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


def reap() -> Optional[Tuple[int, int]]:
    """Pid and wait status of one child that has ended."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


def drain(fd: int) -> bool:
    """Reads away what is there; False at the end of the input."""
    try:
        while True:
            data = os.read(fd, 65536)
            if len(data) < 65536:
                return bool(data)
    except BlockingIOError:
        return True
    except OSError:
        return False


def write_quietly(fd: int, data: bytes) -> None:
    """Where nothing can be done if it fails."""
    try:
        os.write(fd, data)
    except OSError:
        pass


def close_quietly(fd: int) -> None:
    try:
        os.close(fd)
    except OSError:
        pass


def null_stdio(*fds: int) -> None:
    """/dev/null in place of standard streams. Descriptors 0 to 2 must never be free for other files."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in fds:
        os.dup2(null, fd)
    if null > 2:
        os.close(null)


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
