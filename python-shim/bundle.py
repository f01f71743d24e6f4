"""Writes the agent as the manager sends it: `.venv/bin/python bundle.py >OUT`.

Two zlib streams, one behind the other. What bootstrap.sh runs ends with the first.

1. Python source of two lines: `SOURCE = ` and the text of boot.py as a literal, all in ASCII; and a line that
   runs it.
2. The other modules: for each a line with its name and the length of its text in bytes, sorted by name; an
   empty line; and the texts, one behind the other. Names are paths below the package, without `.py`; those of
   cloudpickle begin with `cloudpickle/`.

The texts are what hosts need of them (strip.py). Of ours no `__init__` is sent: it only says what its folder
is for.
"""

from __future__ import annotations

import sys
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Dict

from strip import strip

PACKAGE = Path(__file__).resolve().parent / "src" / "lazycluster_agent"
#: Part of the agent, and not ours.
BORROWED = "cloudpickle"
RUN = 'exec(compile(SOURCE, "<lazycluster_agent/boot.py>", "exec"))'


def sources() -> Dict[str, str]:
    """The text of every module by its name, as hosts get it."""
    texts = {name: strip(text) for name, text in read(PACKAGE).items() if not name.endswith("__init__")}
    for name, text in read(borrowed()).items():
        # Its licence asks for its notices.
        texts["%s/%s" % (BORROWED, name)] = strip(text, keep_docstring=True)
    return texts


def read(folder: Path) -> Dict[str, str]:
    return {
        path.relative_to(folder).with_suffix("").as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*.py")
    }


def borrowed() -> Path:
    spec = find_spec(BORROWED)
    if spec is None or not spec.origin:
        raise SystemExit("%s is missing here. It is in scripts/requirements.txt." % BORROWED)
    return Path(spec.origin).parent


def bundle(texts: Dict[str, str]) -> bytes:
    others = {name: text.encode() for name, text in sorted(texts.items()) if name != "boot"}
    index = "\n".join("%s %d" % (name, len(text)) for name, text in others.items())
    first = "SOURCE = %s\n%s\n" % (ascii(texts["boot"]), RUN)
    rest = index.encode() + b"\n\n" + b"".join(others.values())
    return zlib.compress(first.encode(), 9) + zlib.compress(rest, 9)


if __name__ == "__main__":
    sys.stdout.buffer.write(bundle(sources()))
