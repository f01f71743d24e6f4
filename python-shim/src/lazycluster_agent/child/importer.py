"""What fork servers and their children ask of what makes our modules importable (boot.py). Types only."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, Protocol

    class Importer(Protocol):
        #: What is done when a package of this name is first looked for.
        awaited: Dict[str, Callable[[], None]]

        def stand_in_for(self, package: str) -> None: ...
