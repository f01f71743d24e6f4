"""One thread, one epoll: descriptors, timers, and jobs that run in slices between them."""

from __future__ import annotations

import select
import time
from _heapq import heapify, heappop, heappush

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Deque, Dict, Iterator, List, Optional, Tuple

    Action = Callable[[], None]

# `collections` itself takes longer to import than the rest of this module.
deque: Any = __import__("_collections").deque

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
#: [s] that a job may run before descriptors are looked at again.
SLICE = 0.004
#: [s] of one wait; epoll counts it in milliseconds that must fit into 31 bits.
LONGEST = 86400.0
MOST_TIMERS = 64


class Timer:
    __slots__ = ("action", "due")

    def __init__(self, due: float, action: Action) -> None:
        self.due = due
        self.action: Optional[Action] = action

    def cancel(self) -> None:
        self.action = None


class Job:
    """Work of unknown length, a generator: it yields True to let others pass, False to pause until `wake`."""

    def __init__(self, loop: Loop, steps: Iterator[bool]) -> None:
        self._loop = loop
        self._steps: Optional[Iterator[bool]] = steps
        self._running = False
        self.wake()

    def wake(self) -> None:
        if not self._running and self._steps is not None:
            self._running = True
            self._loop.soon(self._slice)

    def cancel(self) -> None:
        self._steps = None

    def _slice(self) -> None:
        end = time.monotonic() + SLICE
        while self._steps is not None:
            going_on = next(self._steps, None)
            if going_on is None:
                self._steps = None
            elif not going_on:
                self._running = False
                return
            elif time.monotonic() > end:
                self._loop.soon(self._slice)
                return
        self._running = False


class Loop:
    """What its users see of it."""

    def watch(self, fd: int, events: int, action: Action) -> None:
        """Calls `action` while `fd` is ready. It must cope with a call for nothing."""
        raise NotImplementedError

    def forget(self, fd: int) -> None:
        """Must come before `fd` is closed: a forked child may keep what it refers to open."""
        raise NotImplementedError

    def later(self, seconds: float, action: Action) -> Timer:
        raise NotImplementedError

    def soon(self, action: Action) -> None:
        raise NotImplementedError


class GuardedLoop(Loop):
    """For one user, whose guard runs its actions: what goes wrong in one of them is that user's alone."""

    def __init__(self, loop: Loop, guard: Callable[[Action], None]) -> None:
        self._loop, self._guard = loop, guard

    def watch(self, fd: int, events: int, action: Action) -> None:
        self._loop.watch(fd, events, lambda: self._guard(action))

    def forget(self, fd: int) -> None:
        self._loop.forget(fd)

    def later(self, seconds: float, action: Action) -> Timer:
        return self._loop.later(seconds, lambda: self._guard(action))

    def soon(self, action: Action) -> None:
        self._loop.soon(lambda: self._guard(action))


class MainLoop(Loop):
    def __init__(self, before_wait: Action) -> None:
        #: Called before every wait, to send what the round has gathered.
        self._before_wait = before_wait
        self._epoll = select.epoll()
        self._watched: Dict[int, Action] = {}
        #: A heap; the number keeps the order of those that are due at the same time.
        self._timers: List[Tuple[float, int, Timer]] = []
        self._count = 0
        #: So many timers may be there before those that were cancelled are looked for.
        self._most = MOST_TIMERS
        self._soon: Deque[Action] = deque()
        self._stopped = False

    def watch(self, fd: int, events: int, action: Action) -> None:
        self._epoll.register(fd, events)
        self._watched[fd] = action

    def forget(self, fd: int) -> None:
        if self._watched.pop(fd, None):
            self._epoll.unregister(fd)

    def later(self, seconds: float, action: Action) -> Timer:
        timer = Timer(time.monotonic() + seconds, action)
        self._count += 1
        heappush(self._timers, (timer.due, self._count, timer))
        if len(self._timers) > self._most:
            self._timers = [entry for entry in self._timers if entry[2].action]
            heapify(self._timers)
            self._most = max(MOST_TIMERS, 2 * len(self._timers))
        return timer

    def soon(self, action: Action) -> None:
        self._soon.append(action)

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        """In a forked child: lets go of what it shares with its parent."""
        self._epoll.close()

    def run(self) -> None:
        while not self._stopped:
            # One by one: what one of them raises must not take the others along.
            for _ in range(len(self._soon)):
                self._soon.popleft()()
            wait = self._run_timers()
            self._before_wait()
            if self._soon or self._stopped:
                wait = 0
            for fd, _ in self._epoll.poll(wait, 128):
                watcher = self._watched.get(fd)
                if watcher:
                    watcher()

    def _run_timers(self) -> Optional[float]:
        """Runs what is due and returns the seconds until the next one."""
        # What the timers of this round start waits for the next one, so that descriptors get their turn.
        last = self._count
        while self._timers:
            due, number, timer = self._timers[0]
            wait = due - time.monotonic()
            if timer.action and (wait > 0 or number > last):
                return min(max(wait, 0), LONGEST)
            heappop(self._timers)
            if timer.action:
                timer.action()
        return None
