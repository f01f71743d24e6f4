"""What a `call` asks for, as far as the agent looks at it."""

from __future__ import annotations

import os

from ..base.errors import Failure, ProtocolError
from ..wire import fields
from ..wire.frames import frame_head
from ..wire.msgpack import NotData

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict

    from ..connection.host import Host
    from ..wire.frames import Header
    from .spares import Identity

#: The strings that each kind of function is told by.
TEXTS = {
    "source": ("source", "name", "file"),
    "module": ("module", "name"),
    "cell": ("source", "file"),
    "define": ("source", "file"),
    "js": ("source", "name", "file", "form"),
}
#: The integers.
NUMBERS = {"pickle": "handle", "ref": "id"}
KINDS = {"value", "dump", "forget", *TEXTS, *NUMBERS}
RESULTS = ("auto", "data", "handle", "ref", "display")
#: What has a meaning only in a session.
SESSION_KINDS = ("ref", "define", "forget")


class Calling:
    def __init__(self, header: Header, kept: bool) -> None:
        self.kept = kept
        self.function = fields.mapping(header, "fn")
        kind = fields.text(self.function, "kind")
        if kind not in KINDS:
            raise ProtocolError("a function of kind %.40r" % kind)
        for name in TEXTS.get(kind, ()):
            fields.text(self.function, name)
        if kind in NUMBERS:
            fields.integer(self.function, NUMBERS[kind])
        self.result = "auto" if header.get("result") is None else fields.text(header, "result")
        if self.result not in RESULTS:
            raise ProtocolError("a result of the form %.40r" % self.result)
        if kept and kind == "js":
            raise ProtocolError("a JavaScript function in a session")
        if not kept and (kind in SESSION_KINDS or self.result == "ref"):
            raise ProtocolError("a call of kind %.40r without a session" % kind)
        self.handles = [] if header.get("handles") is None else fields.raw_list(header, "handles")
        self.modules = [] if header.get("modules") is None else fields.text_list(header, "modules")
        self.interpreter = fields.optional_text(header, "python")
        #: What tells its code from that of other calls; what is bound is data.
        self.identity: Identity = (
            tuple((name, value) for name, value in self.function.items() if name != "bind"),
            tuple(self.handles) if kind in NUMBERS else (),
        )

    def request(self, agent: Host, **more: Any) -> bytes:
        """The frame that tells a child what to do. Raises Failure."""
        header: Dict[str, Any] = {
            "fn": self.function,
            "result": self.result,
            "handles": self.handles,
            "modules": self.modules,
            "folder": os.path.join(agent.temporary_path(), b"handles"),
            "kept": self.kept,
        }
        header.update(more)
        try:
            return frame_head(header)
        except NotData as error:
            text = "The function %s. Put its data into arguments or files." % error.message
            raise Failure("limit", text) from None


def block(environment: Dict[bytes, bytes]) -> bytes:
    return b"\0".join(map(b"=".join, environment.items()))
