"""How files of the user are opened: never through a link, and never waiting."""

from __future__ import annotations

import os

from ..base.errors import Failure, printable

READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
WRITE_FLAGS = os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


def changed(path: bytes) -> Failure:
    text = "%s has changed while it was sent. Send it when nothing writes to it." % printable(path)
    return Failure("transfer", text, path=path)
