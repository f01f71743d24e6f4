"""What a host needs of a module: its text without annotations, docstrings, comments and TYPE_CHECKING blocks.

Every statement keeps its line, so tracebacks are right. What is left runs under Python 3.6, which knows no
`from __future__ import annotations`.
"""

from __future__ import annotations

import ast
import io
import tokenize
from typing import Iterator, NamedTuple, TypeGuard


class Edit(NamedTuple):
    """Bytes of a text, from one place to another, and what stands there instead."""

    start: int
    end: int
    instead: bytes
    #: What each line end becomes: no line moves.
    newline: bytes = b"\n"


def strip(text: str, keep_docstring: bool = False) -> str:
    """`keep_docstring`: that of the module, which may hold a licence."""
    source = text.encode("utf-8")
    starts = line_starts(source)
    tree = ast.parse(text)
    edits = [*structure(tree, source, starts, keep_docstring), *comments(text, starts)]
    return apply(source, edits).decode("utf-8").rstrip("\n") + "\n"


def line_starts(source: bytes) -> list[int]:
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


def apply(source: bytes, edits: list[Edit]) -> bytes:
    """An edit inside of another one is part of that."""
    pieces, position = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.start, -edit.end)):
        if edit.start < position:
            continue
        kept = source[position : edit.start]
        pieces += [kept if edit.instead else kept.rstrip(b" \t"), edit.instead]
        pieces.append(edit.newline * source.count(b"\n", edit.start, edit.end))
        position = edit.end
    return b"".join([*pieces, source[position:]])


def structure(tree: ast.Module, source: bytes, starts: list[int], keep_docstring: bool) -> Iterator[Edit]:
    def place(node: ast.AST) -> tuple[int, int]:
        return (
            starts[node.lineno - 1] + node.col_offset,  # type: ignore[attr-defined]
            starts[node.end_lineno - 1] + node.end_col_offset,  # type: ignore[attr-defined]
        )

    def without(node: ast.stmt, alone: bool) -> Edit:
        return Edit(*place(node), b"pass" if alone else b"")

    for node in ast.walk(tree):
        for body in bodies(node):
            goes = [statement for statement in body if is_for_readers(statement)]
            first = body[0] if body else None
            if is_docstring(node, first) and not (node is tree and keep_docstring):
                goes.insert(0, body[0])
            for statement in goes:
                alone = len(goes) == len(body) and statement is goes[0] and node is not tree
                yield without(statement, alone)
        if is_for_checkers(node) and node.orelse:
            yield Edit(*place(node.test), b"0")
            for statement in node.body:
                yield without(statement, statement is node.body[0])
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            yield annotation(place(node.target)[1], *place(node.annotation), source)
        elif isinstance(node, ast.arg) and node.annotation is not None:
            name = len(node.arg.encode("utf-8"))
            yield annotation(place(node)[0] + name, *place(node.annotation), source)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.returns is not None:
            start, end = place(node.returns)
            yield annotation(source.rindex(b"->", 0, start), start, end, source)


def annotation(mark: int, start: int, end: int, source: bytes) -> Edit:
    """With the colon or arrow ahead of it, and the parentheses around it, which no node has."""
    for _ in range(source.count(b"(", mark, start)):
        end = source.index(b")", end) + 1
    return Edit(mark, end, b"", b"\\\n")


def bodies(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        body = getattr(node, name, None)
        if isinstance(body, list):
            yield body


def is_docstring(node: ast.AST, first: ast.stmt | None) -> bool:
    return (
        isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
        and first in node.body[:1]
    )


def is_for_checkers(node: ast.AST) -> TypeGuard[ast.If]:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def is_for_readers(statement: ast.stmt) -> bool:
    """Of no use where the code runs."""
    if isinstance(statement, ast.AnnAssign):
        return statement.value is None and isinstance(statement.target, ast.Name)
    if is_for_checkers(statement):
        return not statement.orelse
    if isinstance(statement, ast.Assign):
        return [getattr(target, "id", "") for target in statement.targets] == ["TYPE_CHECKING"]
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def comments(text: str, starts: list[int]) -> Iterator[Edit]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            line, column = token.start
            start = starts[line - 1] + len(token.line[:column].encode("utf-8"))
            yield Edit(start, start + len(token.string.encode("utf-8")), b"")
