"""Writes the agent as the manager sends it: `python3 bundle.py OUT`.

The format, simple enough to make anywhere: one text, compressed with zlib, of two lines.

1. `SOURCES = ` and a dict literal: the text of every `*.py` file of the package by its name without `.py`,
   and of cloudpickle by `cloudpickle/` and its name, sorted, with all strings in ASCII.
2. `exec(compile(SOURCES["boot"], "<lazycluster_agent/boot.py>", "exec"))`
"""

from __future__ import annotations

import os
import sys

PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "src")


def main() -> None:
    sys.path.insert(0, PACKAGE)
    from lazycluster_agent.base.bundle import bundle

    with open(sys.argv[1], "wb") as file:
        file.write(bundle())


if __name__ == "__main__":
    main()
