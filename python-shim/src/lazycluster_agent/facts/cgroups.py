"""What control groups (v1 and v2) allow this process: a container's quotas.

`root` is where the file system begins.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Iterator, List, NamedTuple, Optional

    class Mount(NamedTuple):
        root: str
        point: str


#: The unified hierarchy has no controllers in its name.
UNIFIED = ""


def cpu_quota(root: str = "") -> Optional[float]:
    """How many processors' time it may use; None: no limit."""
    return _least(_folders("cpu", root), _cpu_quota)


def memory_limit(root: str = "") -> Optional[int]:
    """[bytes] None: no limit."""
    limit = _least(_folders("memory", root), _memory_limit)
    return None if limit is None else int(limit)


def memory_used(root: str = "") -> Optional[int]:
    """[bytes] of its own group, without the page cache that the kernel would give up; None: unknown."""
    for folder in _folders("memory", root):
        used = _number(_first(folder, "memory.current", "memory.usage_in_bytes"))
        if used is not None:
            cached = _fields(folder).get("inactive_file", _fields(folder).get("total_inactive_file", 0))
            return max(0, int(used) - cached)
    return None


def _cpu_quota(folder: str) -> Optional[float]:
    quota, _, period = read(folder + "/cpu.max").strip().partition(" ")
    if not quota:
        quota, period = read(folder + "/cpu.cfs_quota_us"), read(folder + "/cpu.cfs_period_us")
    allowed, per = _number(quota), _number(period)
    # `max`, and -1 in v1: no limit.
    return allowed / per if allowed is not None and per and allowed > 0 else None


def _memory_limit(folder: str) -> Optional[float]:
    limits = [_number(_first(folder, "memory.max", "memory.limit_in_bytes"))]
    # Of the groups above, which a container does not see.
    limits.append(_fields(folder).get("hierarchical_memory_limit"))
    return min((limit for limit in limits if limit is not None), default=None)


def _least(folders: List[str], limit_of: Callable[[str], Optional[float]]) -> Optional[float]:
    limits = [limit for limit in map(limit_of, folders) if limit is not None]
    return min(limits, default=None)


def _folders(controller: str, root: str) -> List[str]:
    """The group of this process and all above it: each limits it."""
    groups = _groups(root)
    mounts = _mounts(root)
    found: List[str] = []
    # A host may have both hierarchies; a controller is in one of them.
    for name in (controller, UNIFIED):
        mount = mounts.get(name)
        if name in groups and mount is not None:
            found.extend(_upwards(mount, groups[name], root))
    return found


def _upwards(mount: Mount, path: str, root: str) -> Iterator[str]:
    # Without a namespace of its own a container sees the host's path, and only its own group mounted.
    inside = path == mount.root or path.startswith(mount.root.rstrip("/") + "/")
    below = path[len(mount.root.rstrip("/")) :].strip("/") if inside else ""
    steps = [step for step in below.split("/") if step]
    # A group that lies outside of what is mounted begins with dots.
    while steps and ".." not in steps:
        yield os.path.join(root + mount.point, *steps)
        steps.pop()
    yield root + mount.point


def _groups(root: str) -> Dict[str, str]:
    """This process's path in each hierarchy, by controller."""
    groups = {}
    for line in read(root + "/proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            groups[controller] = path
    return groups


def _mounts(root: str) -> Dict[str, Mount]:
    """Where each hierarchy is mounted, and which part of it, by controller."""
    from collections import namedtuple

    make = namedtuple("make", "root point")
    mounts: Dict[str, Mount] = {}
    for line in read(root + "/proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, system = before.split(), after.split()
        if len(fields) < 5 or len(system) < 3:
            continue
        names = [UNIFIED] if system[0] == "cgroup2" else system[2].split(",") if system[0] == "cgroup" else []
        for name in names:
            mounts.setdefault(name, make(fields[3], fields[4]))  # type: ignore[arg-type]
    return mounts


def _fields(folder: str) -> Dict[str, int]:
    pairs = (line.split() for line in read(folder + "/memory.stat").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _first(folder: str, *names: str) -> str:
    for name in names:
        text = read(os.path.join(folder, name))
        if text:
            return text
    return ""


def _number(text: str) -> Optional[float]:
    try:
        return float(text.strip())
    except ValueError:
        return None


def read(path: str) -> str:
    """Empty when it is not there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 20)
    except OSError:
        return ""
