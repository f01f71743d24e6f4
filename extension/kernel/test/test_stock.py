"""`enableTslab()` in a stock tslab kernel, in a folder whose node_modules has the library."""

from __future__ import annotations

import json
import os
import pathlib
import time

import pytest
from conftest import Kernel, processes

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stock")
    modules = folder / "notebook" / "node_modules"
    modules.mkdir(parents=True)
    (modules / "lazycluster").symlink_to(ROOT / "core")
    (modules / "@types").symlink_to(ROOT / "node_modules" / "@types")
    spec = folder / "jupyter" / "kernels" / "stock-tslab"
    spec.mkdir(parents=True)
    argv = ["node", str(ROOT / "node_modules" / "tslab" / "bin" / "tslab"), "kernel", "--config-path={connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "tslab", "language": "typescript"}))
    before = os.environ.get("JUPYTER_PATH")
    os.environ["JUPYTER_PATH"] = str(folder / "jupyter")
    kernel = Kernel("stock-tslab", folder / "notebook")
    if before is None:
        del os.environ["JUPYTER_PATH"]
    else:
        os.environ["JUPYTER_PATH"] = before
    kernel.run('import * as lc from "lazycluster";\nlc.enableTslab();\nconst kept: number = 5;')
    yield kernel
    kernel.end()


def test_variables_stay_and_results_are_results(stock):
    assert stock.run("kept + 1").result == "6"
    assert stock.run("await Promise.resolve(kept + 2)").result == "7"
    assert stock.run("lc.enableTslab(); 'again'").result == "again"


def test_errors_are_errors(stock):
    number = stock.run("interface A { x: number }\n\nfunction fails() { throw new RangeError('boom'); }").reply["execution_count"]
    cell = stock.run("// a comment\nfails();")
    assert cell.error == "RangeError: boom"
    assert f"In[{number}]:3" in cell.traceback and f"In[{number + 1}]:2" in cell.traceback
    assert cell.text("stderr") == ""
    assert stock.run("await null; throw new TypeError('late');").error == "TypeError: late"
    assert stock.run("1;\nlet wrong: string = 5;").error.startswith("TypeScriptError: line 2: Type 'number'")


def test_errors_name_the_line_whatever_types_are_written_there(stock):
    lines = [
        "interface B { a: string }",
        "import * as path from 'path';",
        "const o: unknown = {};",
        "",
        "class C<T> { constructor(private readonly n: number) {}",
        "  get(): T { return (this as any).z.y as T; } }",
        "const c: C<string> = new C<string>(1);",
        "console.log(path.join('a', 'b'));",
    ]
    for last, line in (("console.log((o as any).z.y)", 9), ("const s: string = (o as any).z.y;", 9), ("(o as any).z.y as number", 9), ("c.get()", 6)):
        cell = stock.run("\n".join([*lines, last]))
        number = cell.reply["execution_count"]
        assert f"In[{number}]:{line}:" in cell.traceback, cell.traceback
        assert f"> {line} | {[*lines, last][line - 1]}" in cell.traceback
        stock.run("%lazycluster --help")


def test_output_is_complete_and_in_its_streams(stock):
    cell = stock.run("console.log('out'); console.error('err'); lc.display({ 'text/plain': 'shown' });")
    assert (cell.text(), cell.text("stderr")) == ("out\n", "err\n")
    assert cell.displays == [{"text/plain": "shown"}]
    lines = stock.run("for (let i = 0; i < 100000; i++) console.log(i);").text().split("\n")
    assert lines == [*(str(i) for i in range(100000)), ""]


@pytest.mark.skipif(not os.environ.get("LAZYCLUSTER_SSH_CONFIG"), reason="no demo hosts without sshd")
def test_magics_and_rich_objects(stock):
    assert "host-1" in stock.run("%lazycluster list-runtimes").displays[0]["text/html"]
    assert stock.run("const hosts = %lazycluster list-runtimes\nhosts.length").result == "2"
    assert "host-2 │ here\n" in stock.run("%%lazycluster run --on host-1,host-2\necho here").text()
    cell = stock.run("const task = new lc.RuntimeTask('small').runCommand('echo 1');\nawait new lc.Runtime('host-1').executeTask(task); task")
    assert "done on host-1" in cell.contents("execute_result")[0]["data"]["text/html"]
    content = stock.ask(stock.client.complete("%lazycluster list-r"))
    assert content["matches"] == ["list-runtimes"]


@pytest.mark.parametrize("code", ["await new Promise(() => undefined);", "for (;;) {}"])
def test_interrupts(stock, code):
    msg_id = stock.send(f"console.log('started'); {code}")
    stock.until(msg_id, lambda cell: "started" in cell.text())
    # Its kernelspec asks for signals.
    time.sleep(0.2)
    stock.interrupt()
    assert stock.finish(msg_id, 5).reply["ename"] == "Interrupted"
    assert stock.run("kept").result == "5"


@pytest.mark.skipif(not os.environ.get("LAZYCLUSTER_SSH_CONFIG"), reason="no demo hosts without sshd")
@pytest.mark.parametrize(
    "code",
    [
        "await new lc.Runtime('host-1').executeTask(new lc.RuntimeTask().runCommand('exec sleep 4716'));",
        "%lazycluster run host-1 -- exec sleep 4716",
    ],
)
def test_an_interrupt_reaches_the_host(stock, code, eventually):
    msg_id = stock.send(code)
    eventually(lambda: processes("sleep 4716") != [])
    stock.interrupt()
    assert stock.finish(msg_id, 5).reply["ename"] == "Interrupted"
    eventually(lambda: processes("sleep 4716") == [])


def test_an_interrupted_cell_does_not_go_on(stock, eventually):
    stock.run("let caught = 0;")
    msg_id = stock.send("while (true) { try { await new Promise((r) => setTimeout(r, 20)); console.log('started'); } catch {} caught++; }")
    stock.until(msg_id, lambda cell: "started" in cell.text())
    stock.interrupt()
    assert stock.finish(msg_id, 5).reply["ename"] == "Interrupted"

    def rests():
        before = stock.run("caught").result
        return stock.run("await new Promise((r) => setTimeout(r, 300)); caught").result == before

    eventually(rests)


def test_questions(stock):
    msg_id = stock.client.execute("await lc.readLine('Name: ')", allow_stdin=True)
    assert stock.client.get_stdin_msg(timeout=20)["content"]["prompt"] == "Name: "
    stock.client.input("Ada")
    assert stock.finish(msg_id).result == "Ada"


def test_elsewhere_it_says_what_it_is_for(start):
    kernel = start()
    assert kernel.run('import { enableTslab } from "lazycluster";\nenableTslab(); "fine"').result == "fine"
