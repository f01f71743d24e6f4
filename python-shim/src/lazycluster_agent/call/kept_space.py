"""The names, objects and event loop that a session keeps."""

from __future__ import annotations

import sys

from ..base.errors import Failure
from ..values.codes import EXT_REFERENCE, Special
from .spaces import Space, await_it

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

    from .published import Source


class SessionSpace(Space):
    def __init__(self) -> None:
        super().__init__()
        self._refs: Dict[int, object] = {}
        self._last = 0
        self._loop: Any = None

    def module(self) -> Any:
        return sys.modules["__main__"]

    def _add(self, name: str) -> Any:
        # Thousands of calls may bring functions; they live as long as somebody holds them.
        return type(sys)(name)

    def remember(self, source: Source) -> None:
        """Its functions are those of `__main__`, which no other process can import."""

    def wait(self, awaitable: Any) -> object:
        """In one event loop, for objects may belong to it that are used by later calls."""
        import asyncio

        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        task = self._loop.create_task(await_it(awaitable))
        try:
            return self._loop.run_until_complete(task)
        finally:
            if not task.done():
                self._abandon(task)

    def _abandon(self, task: Any) -> None:
        """It was interrupted between two of its steps."""
        import asyncio

        task.cancel()
        try:
            self._loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass

    def ref(self, value: object) -> Special:
        from .brief import short_repr, type_name
        from .displays import mime_of
        from .handles import PYTHON

        self._last += 1
        self._refs[self._last] = value
        content = {
            "id": self._last,
            "repr": short_repr(value),
            "type": type_name(type(value)),
            "python": PYTHON,
            "mime": mime_of(value),
        }
        return Special(EXT_REFERENCE, content)

    def deref(self, id: int) -> Any:
        try:
            return self._refs[id]
        except KeyError:
            text = (
                "The session has no object %d: it was freed, or lived in a session of this name that ended."
            )
            raise Failure("session", text % id) from None

    def forget(self, ids: List[Any]) -> None:
        for id in ids:
            self._refs.pop(id, None)
