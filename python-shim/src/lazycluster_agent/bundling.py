"""The text that an interpreter is started from, and how it is started."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List

#: Packages that are part of a bundle and not ours.
BORROWED = ("cloudpickle",)
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
    texts = read_folder(os.path.dirname(os.path.abspath(__file__)))
    for folder in borrowed():
        texts.update(read_folder(folder, os.path.basename(folder) + "/"))
    return dict(sorted(texts.items()))


def read_folder(folder: str, prefix: str = "") -> Dict[str, str]:
    texts = {}
    for name in os.listdir(folder):
        if name.endswith(".py"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                texts[prefix + name[:-3]] = file.read()
    return texts


def borrowed() -> List[str]:
    """Their folders."""
    from importlib.util import find_spec

    folders = []
    for package in BORROWED:
        spec = find_spec(package)
        if spec is None or not spec.origin:
            raise RuntimeError("%s is missing here. It is in scripts/requirements.txt." % package)
        folders.append(os.path.dirname(spec.origin))
    return folders


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
