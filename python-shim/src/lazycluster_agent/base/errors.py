"""What goes wrong, in two kinds: with the protocol, and with one operation."""

from __future__ import annotations

import errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Union

    PathLike = Union[str, bytes]


class ProtocolError(Exception):
    """The manager broke the protocol; the connection cannot go on."""


class Failure(Exception):
    """One operation failed; the manager gets it as an `error` message."""

    def __init__(
        self,
        kind: str,
        message: str,
        code: Optional[int] = None,
        path: Optional[PathLike] = None,
        raised: Optional[Dict[str, Any]] = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        # It may have names of files in it, and must never be what cannot be sent.
        self.message = message.encode("utf-8", "backslashreplace").decode("utf-8")
        self.errno = errno.errorcode.get(code, str(code)) if code is not None else None
        self.path = printable(path) if path is not None else None
        self.raised = raised
        #: What else the message has.
        self.more: Dict[str, Any] = {}

    @classmethod
    def of(cls, kind: str, error: OSError, path: PathLike, what: str, advice: str = "") -> Failure:
        """For example: 'The folder /x cannot be created: Permission denied (EACCES). Choose another one.'"""
        name = errno.errorcode.get(error.errno or 0, str(error.errno))
        text = "%s: %s (%s)." % (what, error.strerror or "unknown error", name)
        return cls(kind, "%s %s" % (text, advice) if advice else text, error.errno, path)

    def fields(self) -> Dict[str, Any]:
        fields: Dict[str, Any] = {
            "kind": self.kind,
            "message": self.message,
            "errno": self.errno,
            "path": self.path,
        }
        if self.raised is not None:
            fields["raised"] = self.raised
        fields.update(self.more)
        return fields


def exhausted(error: OSError) -> Optional[Failure]:
    """When the host has no more of something that it gives us only so much of."""
    if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ETOOMANYREFS):
        return None
    what = "The host allows the agent no more files, memory or processes"
    return Failure.of("limit", error, b"", what, "Run fewer steps at once, or raise its limits (ulimit -a).")


def failure_of(error: Exception) -> Failure:
    """What the manager is told of whatever ends an operation."""
    if isinstance(error, Failure):
        return error
    return (exhausted(error) if isinstance(error, OSError) else None) or internal(error)


def internal(error: BaseException) -> Failure:
    """A fault of ours. It costs one operation, not the connection."""
    try:
        import traceback

        trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except OSError:
        # No descriptor was left to read that module.
        trace = repr(error)
    return Failure("internal", "The agent failed; please report this.\n%s" % trace)


def printable(path: PathLike) -> str:
    """A path for messages: valid UTF-8 whatever its bytes are."""
    raw = path.encode("utf-8", "surrogateescape") if isinstance(path, str) else path
    return raw.decode("utf-8", "replace")
