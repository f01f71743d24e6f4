"""Which operation a `call` outside sessions is."""

from __future__ import annotations

from .function import Function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..connection.host import Host
    from ..wire.frames import Header


def function(agent: Host, id: int, header: Header) -> Function:
    """The call of a function of any language, outside sessions."""
    told = header.get("fn")
    if isinstance(told, dict) and told.get("kind") == "js":
        from .js import JsFunction

        return JsFunction(agent, id, header)
    return Function(agent, id, header)
