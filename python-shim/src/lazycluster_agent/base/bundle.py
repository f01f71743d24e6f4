"""The text that an interpreter is started from, and how it is started."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List


def bundle() -> bytes:
    """What came, for another interpreter of this host."""
    came = [finder for finder in sys.meta_path if hasattr(finder, "lazycluster_bundle")]
    return bytes(getattr(came[0], "lazycluster_bundle"))  # noqa: B009


def start_line() -> List[bytes]:
    """What makes an interpreter read a bundle: the arguments that started us, as bootstrap.sh has them."""
    with open("/proc/self/cmdline", "rb") as file:
        words = file.read().split(b"\0")
    at = words.index(b"-c")
    return words[at : at + 3]
