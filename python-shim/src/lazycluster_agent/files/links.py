"""Which symbolic links may be part of a tree."""

from __future__ import annotations


def stays_inside(target: bytes, depth: int) -> bool:
    """Whether a link in a directory `depth` levels below the root leads to something in the tree.

    `..` is allowed only at the beginning, where it surely means the directories of the tree itself. After a
    name it could go up from wherever another link leads to.
    """
    if not target or target.startswith(b"/") or b"\0" in target:
        return False
    steps = [step for step in target.split(b"/") if step not in (b"", b".")]
    ups = 0
    while ups < len(steps) and steps[ups] == b"..":
        ups += 1
    return ups <= depth and b".." not in steps[ups:]
