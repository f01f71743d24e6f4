"""Where the names of functions live: for one call, or for all calls of a session."""

from __future__ import annotations

import sys

from ..base.errors import Failure
from ..base.old import run
from .raised import MODULE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List

    from ..values.codes import Special
    from .published import Source


class Space:
    """Of one call: the function is in a module of its own."""

    def __init__(self) -> None:
        self._count = 0
        #: What its modules are made of.
        self._sources: List[Source] = []

    @property
    def names(self) -> Dict[str, Any]:
        """Where cells run."""
        return sys.modules["__main__"].__dict__

    def module(self) -> Any:
        """For the source of the function."""
        return self._add(MODULE)

    def new_module(self) -> Any:
        """For the source of a function that is an argument."""
        if MODULE not in sys.modules:
            self._add(MODULE)
        self._count += 1
        return self._add("%s.%d" % (MODULE, self._count))

    def _add(self, name: str) -> Any:
        # It is found by this name where functions are pickled for processes of the function's own.
        module = sys.modules[name] = type(sys)(name)
        return module

    def remember(self, source: Source) -> None:
        self._sources.append(source)

    def publish(self) -> None:
        """The function is about to start processes that may need its modules."""
        from .published import publish

        publish(self._sources)

    def wait(self, awaitable: Any) -> object:
        return run(await_it(awaitable))

    def shows(self, show: Callable[..., None]) -> None:
        import builtins

        builtins.display = show  # type: ignore[attr-defined]

    def ref(self, value: object) -> Special:
        raise outside()

    def deref(self, id: int) -> Any:
        raise outside()

    def forget(self, ids: List[Any]) -> None:
        raise outside()


async def await_it(awaitable: Any) -> object:
    return await awaitable


def outside() -> Failure:
    return Failure("session", "A reference to an object of a session has a meaning only in that session.")
