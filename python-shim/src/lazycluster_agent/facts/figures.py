"""What the system's files say of a host."""

from __future__ import annotations

import os

from . import cgroups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List


def gather(root: str = "") -> Dict[str, Any]:
    """What the system's files say."""
    quota, limit = cgroups.cpu_quota(root), cgroups.memory_limit(root)
    cores = float(usable_processors())
    total, available = memory(root)
    if limit is not None and limit < total:
        used = cgroups.memory_used(root)
        available = min(available, max(0, limit - used)) if used is not None else min(available, limit)
        total = limit
    return {
        "os": os_name(root),
        "cores": cores if quota is None else min(cores, quota),
        "memory": total,
        "available": available,
        "load": [float(value) for value in load(root)],
    }


def usable_processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return os.cpu_count() or 1


def memory(root: str = "") -> List[int]:
    """[bytes] in total, and what could be had now."""
    values = {}
    for line in cgroups.read(root + "/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        amount = rest.split()
        if amount and amount[0].isdigit():
            values[name] = int(amount[0]) * 1024
    total = values.get("MemTotal", 0)
    return [total, values.get("MemAvailable", values.get("MemFree", total))]


def load(root: str = "") -> List[float]:
    """Of the last 1, 5 and 15 minutes; empty when it is unknown."""
    words = cgroups.read(root + "/proc/loadavg").split()[:3]
    try:
        return [float(word) for word in words]
    except ValueError:
        return []


def os_name(root: str = "") -> str:
    """Such as `Debian GNU/Linux 12 (bookworm)`."""
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        for line in cgroups.read(root + path).splitlines():
            name, _, value = line.partition("=")
            if name == "PRETTY_NAME" and value.strip("\"' "):
                return value.strip().strip("\"'")
    uname = os.uname()
    return "%s %s" % (uname.sysname, uname.release)


def disk(folder: bytes) -> Dict[str, int]:
    """[bytes] of the file system that holds, or would hold, this folder."""
    while True:
        try:
            found = os.statvfs(folder)
            return {"diskTotal": found.f_blocks * found.f_frsize, "diskFree": found.f_bavail * found.f_frsize}
        except (OSError, ValueError):
            above = os.path.dirname(folder)
            if above == folder:
                return {"diskTotal": 0, "diskFree": 0}
            folder = above
