"""How many files the agent may have open; what it starts does not notice when that is more than usual."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Sequence

#: Descriptors that the agent needs for itself, for spare children and for what else it does at a time; and
#: those of them that no step gets even if it is alone: to end steps the agent must be able to look around.
RESERVE, UNTOUCHED = 64, 8
#: More than this is asked of no host.
MOST = 65536
#: What the limit was before it was raised, and so for all that is started.
_usual: List[int] = []


def descriptors_allowed() -> int:
    return os.sysconf("SC_OPEN_MAX")


def check_room(fds: Sequence[int]) -> None:
    """Raises OSError when one of the descriptors, just opened, is among those that are left to the agent."""
    if fds and max(fds) >= descriptors_allowed() - UNTOUCHED:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def allow_more(error: OSError) -> bool:
    """Raises our limit as far as we may, if that is what `error` calls for. False: it is as high already."""
    if error.errno != errno.EMFILE or _usual:
        return False
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if wanted <= soft:
        return False
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return False
    _usual.append(soft)
    return True


def is_raised() -> bool:
    return bool(_usual)


def restore_limit() -> None:
    """In a child: many programs cannot cope with high numbers, or close all that there may be."""
    if _usual:
        import resource

        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (_usual.pop(), hard))
