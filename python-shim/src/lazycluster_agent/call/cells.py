"""Runs source as a notebook cell does: its value is that of the last expression, and it may `await`."""

from __future__ import annotations

import _ast
import linecache

from ..base.errors import Failure
from .raised import describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Set

    Wait = Callable[[Any], object]

#: Python 3.8 is the first that knows it.
AWAIT = getattr(_ast, "PyCF_ALLOW_TOP_LEVEL_AWAIT", 0)
#: Of a code object: running it makes a coroutine.
COROUTINE = 0x80


def remember(source: str, file: str) -> None:
    """Tracebacks show its lines."""
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)


def compile_source(source: str, file: str, flags: int = 0) -> Any:
    remember(source, file)
    try:
        return compile(source, file, "exec", flags, dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        text = "The source does not compile: %s" % error
        if not AWAIT and "await" in source:
            text += ". Outside of functions `await` needs Python 3.8 or newer."
        raise Failure("function", text, raised=describe(error)) from None


def compile_cell(source: str, file: str) -> List[CodeType]:
    """One piece that is executed, and one that is evaluated if the cell ends with an expression."""
    tree: Any = compile_source(source, file, AWAIT | _ast.PyCF_ONLY_AST)
    last: Optional[Any] = None
    if tree.body and isinstance(tree.body[-1], _ast.Expr) and not source.rstrip().endswith(";"):
        last = _ast.Expression(tree.body.pop().value)
    pieces = [compile(tree, file, "exec", AWAIT, dont_inherit=True)]
    if last is not None:
        pieces.append(compile(last, file, "eval", AWAIT, dont_inherit=True))
    return pieces


def run_cell(source: str, file: str, names: Dict[str, Any], wait: Wait) -> object:
    value: object = None
    pieces = compile_cell(source, file)
    for piece in pieces:
        value = eval(piece, names)
        if piece.co_flags & COROUTINE:
            value = wait(value)
    return value if len(pieces) > 1 else None


class Recorder:
    """Local names of a module's top level, which are its global ones; remembers which were bound."""

    def __init__(self, names: Dict[str, Any]) -> None:
        self._names = names
        self.bound: Set[str] = set()

    def __getitem__(self, name: str) -> Any:
        return self._names[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._names[name] = value
        self.bound.add(name)

    def __delitem__(self, name: str) -> None:
        del self._names[name]
        self.bound.discard(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def keys(self) -> Any:
        return self._names.keys()


def define(source: str, file: str, names: Dict[str, Any]) -> Mapping[str, Any]:
    """Runs source and gives the public names that it bound."""
    recorder = Recorder(names)
    code = compile_source(source, file)
    exec(code, names, recorder)  # type: ignore[arg-type]
    return {
        name: names[name] for name in sorted(recorder.bound) if not name.startswith("_") and name in names
    }
