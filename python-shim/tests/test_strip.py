"""What is sent to hosts does what the modules say, line by line."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import List

import pytest

from bundle import borrowed
from strip import is_docstring, is_for_readers, strip

SOURCES = sorted((Path(__file__).parents[1] / "src").rglob("*.py"))

ODD = '''\
"""The module's."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

x: Dict[str, int] = {"ä # no comment": 1}  # ä comment
y: int
TEXT = """
  trailing   \n

  # no comment
"""


class Empty(Exception):
    """Nothing else."""


class Fields:
    """Of a class."""

    a: int
    b: "str" = "->"


def nothing(a: int, /, *b: Dict[str, int], c: str = "x: int", **d: object) -> Dict[str, "int"]:
    """Only this."""


def lines(
    first: int,  # one
    second: Dict[
        str, int
    ] = {},  # two
) -> (
    int
):
    self.z: int = first
    "not a docstring"
    return f"{first!r:>{second}}"  # three
'''


class Bare(ast.NodeTransformer):
    """The tree without what is for readers, by the standard library alone."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                stays: List[ast.stmt] = [
                    statement
                    for statement in body
                    if not is_for_readers(statement)
                    and not (name == "body" and is_docstring(node, statement) and statement is body[0])
                ]
                if body and not stays and not isinstance(node, ast.Module):
                    stays = [ast.copy_location(ast.Pass(), body[0])]
                setattr(node, name, stays)
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            return ast.copy_location(ast.Assign([node.target], node.value), node)
        return node


def lines_of(tree: ast.AST) -> str:
    for node in ast.walk(tree):
        for name in ("col_offset", "end_col_offset", "end_lineno"):
            if hasattr(node, name):
                delattr(node, name)
    return ast.dump(tree, include_attributes=True)


TEXTS = {"odd": ODD, **{str(path): path.read_text() for path in [*SOURCES, *borrowed().rglob("*.py")]}}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_same_statements_on_the_same_lines(text: str) -> None:
    stripped = strip(text)
    assert lines_of(ast.parse(stripped)) == lines_of(Bare().visit(ast.parse(text)))
    assert len(stripped) <= len(text)
    assert strip(stripped) == stripped


def test_strings_that_stand_alone_are_docstrings() -> None:
    for path in SOURCES:
        left = ast.walk(ast.parse(strip(path.read_text())))
        alone = [node.value for node in left if isinstance(node, ast.Expr)]
        texts = [value.value for value in alone if isinstance(value, ast.Constant)]
        assert not any(isinstance(text, str) for text in texts), (path, texts)


def test_runs_under_python_3_6() -> None:
    for path in SOURCES:
        ast.parse(strip(path.read_text()), feature_version=(3, 6))


def test_what_is_for_hosts_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="line 4"):
        strip("if TYPE_CHECKING:\n    x = 1\nelse:\n    x = 2\n")


def test_a_licence_stays() -> None:
    assert "The module's." in strip(ODD, keep_docstring=True)
    assert "Of a class." not in strip(ODD, keep_docstring=True)
