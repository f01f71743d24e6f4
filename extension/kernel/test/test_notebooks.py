"""Notebooks whose cells show what is stored in them: those of this folder, and a folder of somebody else's."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

OWN = pathlib.Path(__file__).parent / "notebooks"
# A folder of notebooks for stock tslab with their outputs, such as `notebooks` of tslab's examples.
VARIABLE = "LAZYCLUSTER_TSLAB_NOTEBOOKS"
THEIRS = pathlib.Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None
CELL_TIMEOUT_S = 120

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
NUMBER = re.compile(r"v?\d+(\.\d+)*")
STOCK_DIAGNOSTIC = re.compile(r"^(\d+):\d+ - ", re.MULTILINE)
IMPORTED = re.compile(r"""\b(?:from|require\()\s*["']([^."'][^"']*)["']""")
NODES = {"fs", "os", "path", "buffer", "util", "crypto", "child_process", "events", "stream", "url", "zlib"}

Shown = list[tuple[Any, ...]]


def normal(text: str) -> str:
    """Without what may differ: colours, which need a terminal; times and versions."""
    return NUMBER.sub("0", COLOUR.sub("", text))


def shown(cell: Any) -> Shown:
    """What a cell shows, whether by this kernel or by stock tslab, which prints results and what the compiler found."""
    found: Shown = []

    def say(stream: str, text: str) -> None:
        if found and found[-1][0] == stream:
            text = found.pop()[1] + text
        found.append((stream, text))

    for output in cell.outputs:
        kind = output.output_type
        if kind == "stream" and output.name == "stderr" and (lines := STOCK_DIAGNOSTIC.findall(output.text)):
            found.append(("does not compile", lines[0]))
        elif kind == "stream":
            say(output.name, normal(output.text))
        elif kind == "error" and output.ename == "TypeScriptError":
            found.append(("does not compile", re.findall(r"line (\d+)", output.evalue)[0]))
        elif kind == "error":
            found.append(("error", output.ename, normal(output.evalue)))
        elif kind == "execute_result" and list(output.data) == ["text/plain"]:
            say("stdout", normal(output.data["text/plain"]) + "\n")
        else:
            found.append(("display", {mime: data.strip() if isinstance(data, str) else data for mime, data in output.data.items()}))
    return found


def code_cells(document: Any) -> list[Any]:
    return [cell for cell in document.cells if cell.cell_type == "code"]


def check(file: pathlib.Path, folder: pathlib.Path) -> None:
    """Runs the notebook in a copy of its folder."""
    shutil.copytree(file.parent, folder, dirs_exist_ok=True)
    document = nbformat.read(file, as_version=4)
    before = [(cell.source, shown(cell)) for cell in code_cells(document)]
    client = NotebookClient(
        document,
        timeout=CELL_TIMEOUT_S,
        kernel_name="lazycluster",
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    assert [(cell.source, shown(cell)) for cell in code_cells(document)] == before


@pytest.mark.parametrize("name", sorted(file.name for file in OWN.glob("*.ipynb")))
def test_notebook(name, tmp_path):
    check(OWN / name, tmp_path / "notebook")


@pytest.mark.parametrize("name", sorted(file.name for file in THEIRS.glob("*.ipynb")) if THEIRS else [None])
def test_notebook_for_tslab(name, tmp_path):
    if THEIRS is None or name is None:
        pytest.skip(f"{VARIABLE} names no folder")
    document = nbformat.read(THEIRS / name, as_version=4)
    language = document.metadata.get("kernelspec", {}).get("language")
    if language != "typescript":
        pytest.skip(f"{name} is in {language}")
    imported = {word for cell in code_cells(document) for word in IMPORTED.findall(cell.source)}
    missing = sorted(word for word in imported if word.removeprefix("node:").split("/")[0] not in NODES | {"tslab", "lazycluster"})
    if missing:
        pytest.skip(f"{name} needs {', '.join(missing)}")
    check(THEIRS / name, tmp_path / "notebook")
