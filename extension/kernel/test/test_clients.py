"""The kernel in other programs: papermill, nbclient, jupyter console, and the command that registers it."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

ROOT = pathlib.Path(__file__).resolve().parents[3]
PROGRAM = ROOT / "core" / "bin" / "lazycluster.js"
KERNELSPEC = {"name": "lazycluster", "display_name": "TypeScript (lazycluster)", "language": "typescript"}


def notebook(*cells):
    return new_notebook(cells=list(cells), metadata={"kernelspec": KERNELSPEC})


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


@pytest.mark.parametrize("by", ["command line", "library"])
def test_papermill_gives_parameters(tmp_path, by):
    cells = [
        new_code_cell("let count = 1;\nlet names: string[] = [];", metadata={"tags": ["parameters"]}),
        new_code_cell("console.log(JSON.stringify([count + 1, names, big, nested]));"),
    ]
    nbformat.write(notebook(*cells), tmp_path / "in.ipynb")
    given = {"count": 41, "names": ["a \"b\" `${c}`", "💡"], "big": True, "nested": {"x-y": [1.5, None, {"z": "q"}]}}
    if by == "library":
        import papermill

        papermill.execute_notebook(str(tmp_path / "in.ipynb"), str(tmp_path / "out.ipynb"), given, cwd=str(tmp_path), progress_bar=False)
    else:
        (tmp_path / "parameters.yaml").write_text(json.dumps(given, ensure_ascii=False))
        ended = run(sys.executable, "-m", "papermill", "in.ipynb", "out.ipynb", "-f", "parameters.yaml", cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
    done = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert json.loads(done.cells[-1].outputs[0]["text"]) == [42, given["names"], True, given["nested"]]


def test_papermill_says_which_cell_failed(tmp_path):
    nbformat.write(notebook(new_code_cell("1"), new_code_cell("throw new Error('on purpose')")), tmp_path / "in.ipynb")
    ended = run(sys.executable, "-m", "papermill", "in.ipynb", "out.ipynb", cwd=tmp_path)
    assert ended.returncode != 0
    assert "In [2]" in ended.stderr and "on purpose" in ended.stderr


def test_half_a_character_is_no_reason_not_to_save(tmp_path):
    """What is no Unicode can be written to no file, and all of the notebook with it."""
    cells = [
        "'😀'[0] + 'a😀' + '😀'[1]",
        "[String.raw`\\ud83d \\\\ud83d`, '\\\\'].join('') + '😀'[0]",
        "throw new Error('half ' + '😀'[0])",
        'import { display } from "lazycluster";\ndisplay({ "text/plain": "plain", "application/json": { ["😀"[0]]: ["😀"[1], "😀"] } }, { displayId: "😀"[0] });',
        "console.log('😀'[0]); process.stderr.write('😀'[1]);",
    ]
    document = notebook(*(new_code_cell(cell) for cell in cells))
    NotebookClient(document, kernel_name="lazycluster", allow_errors=True, resources={"metadata": {"path": str(tmp_path)}}).execute()
    nbformat.write(document, tmp_path / "saved.ipynb")
    saved = nbformat.read(tmp_path / "saved.ipynb", as_version=4)
    outputs = [{output.get("name", output.output_type): output for output in cell.outputs} for cell in saved.cells]
    assert outputs[0]["execute_result"]["data"]["text/plain"] == "�a😀�"
    assert outputs[1]["execute_result"]["data"]["text/plain"] == "\\ud83d \\\\ud83d\\�"
    assert outputs[2]["error"]["evalue"] == "half �"
    assert "half �" in "\n".join(outputs[2]["error"]["traceback"])
    assert outputs[3]["display_data"]["data"]["application/json"] == {"�": ["�", "😀"]}
    assert (outputs[4]["stdout"]["text"], outputs[4]["stderr"]["text"]) == ("�\n", "�")


def test_nbclient_keeps_outputs_as_they_are(tmp_path):
    document = notebook(
        new_code_cell("console.log('out'); console.error('err'); 6 * 7"),
        new_code_cell("throw new TypeError('on purpose')"),
        new_code_cell("'after'"),
    )
    client = NotebookClient(document, timeout=60, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    first, second, third = document.cells
    assert [(output["output_type"], output.get("name")) for output in first.outputs] == [
        ("stream", "stdout"),
        ("stream", "stderr"),
        ("execute_result", None),
    ]
    assert first.outputs[-1]["execution_count"] == first.execution_count == 1
    assert second.outputs[0]["ename"] == "TypeError"
    assert third.outputs[0]["data"]["text/plain"] == "after"
    nbformat.validate(document)
    with pytest.raises(CellExecutionError, match="on purpose"):
        NotebookClient(document, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()


def test_jupyter_console_runs_cells(tmp_path):
    ended = run(
        sys.executable, "-m", "jupyter_console", "--simple-prompt", "--kernel", "lazycluster", "--ZMQTerminalInteractiveShell.confirm_exit=False",
        cwd=tmp_path, input="const six: number = 6;\nsix * 7\nthrow new Error('on purpose')\n", env={**os.environ, "TERM": "dumb"},
    )
    assert "42" in ended.stdout
    assert "on purpose" in ended.stdout + ended.stderr


def test_the_command_registers_and_removes_the_kernel(tmp_path):
    site = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    spec = tmp_path / "env" / "share" / "jupyter" / "kernels" / "lazycluster" / "kernel.json"

    def command(*arguments, **variables):
        return run("node", str(PROGRAM), "kernel", *arguments, env={**os.environ, **variables})

    assert command("install", "--prefix", str(tmp_path / "env")).returncode == 0
    assert json.loads(spec.read_text())["interrupt_mode"] == "message"
    assert (site / "lazycluster_papermill.py").exists()
    assert command("install", "--sys-prefix", VIRTUAL_ENV=str(tmp_path / "env")).returncode == 0
    assert json.loads(command("uninstall", "--prefix", str(tmp_path / "env"), "--json").stdout) == {"removed": True}
    assert not spec.parent.exists() and list(site.iterdir()) == []
    assert json.loads(command("uninstall", "--prefix", str(tmp_path / "env"), "--json").stdout) == {"removed": False}
    assert command("install", "--user", JUPYTER_DATA_DIR=str(tmp_path / "data")).returncode == 0
    assert (tmp_path / "data" / "kernels" / "lazycluster" / "kernel.json").exists()
    assert command("install", "--user", "--sys-prefix").returncode == 2
