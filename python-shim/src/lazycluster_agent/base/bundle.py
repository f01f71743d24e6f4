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
    """On a host what came; else it is made of the files."""
    for finder in sys.meta_path:
        came = getattr(finder, "lazycluster_bundle", None)
        if came is not None:
            return bytes(came)
    import zlib

    return zlib.compress(("SOURCES = %s\n%s\n" % (ascii(sources()), RUN)).encode(), 9)


def sources() -> Dict[str, str]:
    """The text of every module by its name."""
    texts = read_folder(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    # They say what a folder is for, and no more.
    texts = {name: text for name, text in texts.items() if os.path.basename(name) != "__init__"}
    for folder in borrowed():
        texts.update(read_folder(folder, os.path.basename(folder) + "/"))
    return dict(sorted(texts.items()))


def read_folder(folder: str, prefix: str = "") -> Dict[str, str]:
    texts = {}
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            texts.update(read_folder(path, prefix + name + "/"))
        elif name.endswith(".py"):
            with open(path, encoding="utf-8") as file:
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
    """What makes an interpreter read a bundle: the arguments that started us, as bootstrap.sh has them."""
    with open("/proc/self/cmdline", "rb") as file:
        words = file.read().split(b"\0")
    at = words.index(b"-c")
    return words[at : at + 3]
