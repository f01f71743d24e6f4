"""Folders are floors: each imports from itself and from lower ones, and no two modules need each other.

Imports for types count as all others do: whoever reads one needs the other.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

SOURCES = Path(__file__).parents[1] / "src" / "lazycluster_agent"
PACKAGE = SOURCES.name

#: From the ground up. Folders of one floor know nothing of each other.
FLOORS: List[Tuple[str, ...]] = [
    ("base",),
    ("wire",),
    ("processes", "values"),
    ("connection",),
    ("steps", "files", "relay", "facts", "call"),
    ("child",),
    ("functions",),
    ("sessions", "detached"),
    ("life",),
    ("boot",),
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
#: Part of the bundle, and not ours.
BORROWED = "cloudpickle"

MODULES = {
    ".".join(path.relative_to(SOURCES).with_suffix("").parts): path
    for path in SOURCES.rglob("*.py")
    if path.name != "__init__.py"
}


def imported(module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            assert not any(name.partition(".")[0] == PACKAGE for name in names), module
        elif isinstance(node, ast.ImportFrom):
            above = [PACKAGE, *module.split(".")][: -node.level] if node.level else []
            base = [*above, *(node.module or "").split(".")] if node.module else above
            if base[:1] == [PACKAGE]:
                start = ".".join(base[1:])
                for alias in node.names:
                    whole = ("%s.%s" % (start, alias.name)).lstrip(".")
                    yield whole if whole in MODULES else start


IMPORTS: Dict[str, Set[str]] = {
    module: {name for name in imported(module) if name.partition(".")[0] != BORROWED} for module in MODULES
}


def test_imports_lead_downwards() -> None:
    wrong = [
        "%s imports %s" % (module, name)
        for module, names in IMPORTS.items()
        for name in names
        if room(module) != room(name) and FLOOR[room(module)] <= FLOOR[room(name)]
    ]
    assert wrong == []


def room(module: str) -> str:
    return module.partition(".")[0]


def test_every_import_is_of_a_module() -> None:
    assert {name for names in IMPORTS.values() for name in names} <= set(MODULES)


def test_no_two_modules_need_each_other() -> None:
    left = dict(IMPORTS)
    while left:
        free = [module for module, names in left.items() if not names & left.keys()]
        assert free, "a circle among %s" % sorted(left)
        for module in free:
            del left[module]


def test_every_folder_says_what_it_is_for() -> None:
    folders = [SOURCES, *(SOURCES / name for name in FLOOR if name != "boot")]
    assert {path.parent for path in SOURCES.rglob("*.py")} == set(folders)
    for folder in folders:
        # A host gets none of them, so nothing else may be in there.
        text = (folder / "__init__.py").read_text()
        assert text.count("\n") == 1, folder
        assert ast.get_docstring(ast.parse(text)), folder
