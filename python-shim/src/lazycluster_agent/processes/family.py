"""Which processes belong to a step, to a tag, or to the connection."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterable, List, Optional, Set

    from .table import Look


class Family:
    """Processes found by session, group, descent and environment.

    Whoever was found once stays known, also when its parent has died and nothing shows where it came from.
    """

    def __init__(
        self,
        variable: bytes,
        value: bytes,
        *,
        below: bool = False,
        leaders: Iterable[int] = (),
        ancestor: Optional[int] = None,
    ) -> None:
        """Whoever has `variable` set to `value` (with `below`, also to a path below it), is in a session of
        one of the `leaders`, or descends from `ancestor`."""
        self._mark = variable, value, below
        self._leaders: Set[int] = set(leaders)
        self._ancestor = ancestor
        self._known: Dict[int, int] = {}

    def members(self, look: Look) -> Set[int]:
        """Those that ran at that moment."""
        found: Dict[int, int] = {}
        alive: Set[int] = set()
        pending = self._first(look)
        while pending:
            pid = pending.pop()
            process = look.get(pid)
            if process is None or pid in found or pid in look.untouchable:
                continue
            found[pid] = process.started
            if process.alive:
                alive.add(pid)
            pending.extend(look.children(pid))
            led = look.led_by(pid)
            if led:
                # A session or group that a member has opened holds only members.
                self._leaders.add(pid)
                pending.extend(led)
        self._known = found
        return alive

    def _first(self, look: Look) -> List[int]:
        """Those that show by themselves where they belong."""
        pids = list(look.marked(*self._mark))
        for pid, started in self._known.items():
            process = look.get(pid)
            if process is not None and process.started == started:
                pids.append(pid)
        for leader in self._leaders:
            pids.extend(look.led_by(leader))
        if self._ancestor is not None:
            pids.extend(look.children(self._ancestor))
        return pids
