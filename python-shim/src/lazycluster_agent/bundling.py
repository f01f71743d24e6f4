"""The text that an interpreter is started from, and how it is started."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List

#: The last line of a bundle.
RUN = 'exec(compile(SOURCES["boot"], "<lazycluster_agent/boot.py>", "exec"))'


def bundle() -> bytes:
    import zlib

    return zlib.compress(("SOURCES = %s\n%s\n" % (ascii(sources()), RUN)).encode(), 9)


def sources() -> Dict[str, str]:
    """The text of every module by its name."""
    for finder in sys.meta_path:
        texts = getattr(finder, "lazycluster_sources", None)
        if texts is not None:
            return dict(texts)
    texts = {}
    folder = os.path.dirname(os.path.abspath(__file__))
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                texts[name[:-3]] = file.read()
    return texts


def start_line() -> List[bytes]:
    """The arguments of an interpreter that reads a bundle, as bootstrap.sh has them."""
    return [
        b"-u",
        b"-S",
        b"-c",
        b"import sys;v=sys.version_info;"
        b"v>=(3,8) or (sys.stdout.write(sys.argv[1]%v[:3]+chr(10)),sys.exit(3));"
        b"sys.path[:]=[d for d in sys.path if d];import zlib;f=sys.stdin.buffer;"
        b"exec(zlib.decompress(f.read(int(f.readline()))))",
        b"lazycluster: old python %d.%d.%d",
    ]
