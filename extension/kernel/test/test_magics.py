"""%lazycluster lines and %%lazycluster cells, on demo hosts."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import sys

import pytest
from conftest import processes

pytestmark = pytest.mark.skipif(not os.environ.get("LAZYCLUSTER_SSH_CONFIG"), reason="no demo hosts without sshd")


def test_a_line_shows_what_the_command_gives(kernel):
    cell = kernel.run("%lazycluster list-runtimes -l")
    [shown] = cell.displays
    assert "Active runtimes: 2 of 2" in shown["text/plain"]
    assert "<table>" in shown["text/html"] and "host-1" in shown["text/html"]
    assert cell.result is None


def test_its_data_can_be_assigned(kernel):
    cell = kernel.run("const hosts = %lazycluster list-runtimes\nhosts.map(({ host, active }) => `${host} ${active}`)")
    assert cell.displays == []
    assert cell.result == "[ 'host-1 true', 'host-2 true' ]"
    kernel.run("let later: any;")
    assert kernel.run("later = %lazycluster run host-1 -- echo 'a  b' | tr a-z A-Z; exit 3\n[later.exitCode, later.stdout]").result == (
        "[ 3, 'A  B\\n' ]"
    )


def test_its_data_can_be_assigned_to_anything(kernel):
    kernel.run("let first: any, o: any = {};")
    for target, shown in (
        ("const all =\n ", "all.length"),
        ("let { length: count = 4 } =", "count"),
        ("[first] =", "[first].length + 1"),
        ("o['a b'] =", "o['a b'].length"),
    ):
        cell = kernel.run(f"{target} %lazycluster list-runtimes\r\n{shown}")
        assert (cell.result, cell.displays, cell.error) == ("2", [], ""), target


def test_lines_stand_among_typescript(kernel):
    cell = kernel.run("const before: number = 1;\nif (before === 1) {\n  %lazycluster run host-1 -- echo inside\n}\n\nbefore + 1")
    assert cell.text() == "inside\n"
    assert cell.result == "2"


def test_lines_keep_their_numbers(kernel):
    number = kernel.run("1").reply["execution_count"] + 1
    cell = kernel.run("%lazycluster ps\nconst x = %lazycluster ps\n\nthrow new Error('line 4');")
    assert f"In[{number}]:4:7" in cell.traceback
    assert kernel.run("%lazycluster ps\nlet wrong: string = 5;").error.startswith("TypeScriptError: line 2:")


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("`\n%lazycluster ps\n`.length", "17"),
        ("`${1}\n%lazycluster ps ${2}`.length", "19"),
        ("'%lazycluster ps'.length", "15"),
        ("/*\n%lazycluster ps\n*/\n// %lazycluster ps\n5", "5"),
        ("const lazycluster = 3, total = 10; total\n%lazycluster", "1"),
        ("const lazycluster2 = 4; 10 %lazycluster2", "2"),
        ("const rest = (10)\n  %lazycluster2; rest", "2"),
        ("let n: number | null = 7, m = 4; const left = n!\n%m; left", "3"),
        ("let i = 7, d = 4; i++\n%d", "3"),
        ("'a\\\n%d'", "a%d"),
    ],
)
def test_other_percent_signs_are_left_alone(kernel, code, result):
    cell = kernel.run(code)
    assert (cell.result, cell.error) == (result, "")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("%lazycluster lst-runtimes", "Did you mean list-runtimes?"),
        ("%lazyclster ps", "Did you mean %lazycluster?"),
        ("%%bash\necho 1", "Did you mean %%lazycluster?"),
        ("1;\n%%lazycluster run --on all\ntrue", "line 2: %%lazycluster begins a cell"),
        ("%lazycluster run", "missing required argument"),
        ("%lazycluster run host-1 -- exit 7", "exit code 7"),
        ("%%lazycluster run --on host-1 --fast\ntrue", "unknown option"),
        ("%lazycluster run 'host-1 -- true", "A quote does not end"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(kernel, code, message):
    cell = kernel.run(code)
    assert message in cell.error
    assert "node_modules" not in cell.traceback and "dist" not in cell.traceback


def test_an_ssh_config_counts_for_its_line_alone(kernel):
    assert "host-1" not in str(kernel.run("%lazycluster --ssh-config /nonexistent list-runtimes").displays)
    assert "host-1" in kernel.run("%lazycluster list-runtimes").displays[0]["text/plain"]
    assert kernel.run("%lazycluster --ssh-config /nonexistent run host-1 -- true").error != ""
    assert kernel.run("%lazycluster run host-1 -- true").error == ""


def test_a_host_that_is_down_is_one_readable_error(kernel):
    cell = kernel.run("%lazycluster run nowhere.invalid -- true")
    assert cell.error.startswith('ConnectionError: nowhere.invalid: the name "nowhere.invalid" cannot be resolved.')
    assert len(cell.traceback.splitlines()) < 10


def test_a_cell_is_a_script_on_several_hosts(kernel):
    cell = kernel.run("%%lazycluster run --on host-1,host-2\nfor i in 1 2; do\n  echo \"line $i\"\ndone\necho oops >&2")
    for host in ("host-1", "host-2"):
        assert f"{host} │ line 1\n" in cell.text() and f"{host} │ line 2\n" in cell.text()
        assert f"{host} │ oops\n" in cell.text("stderr")
    [shown] = cell.displays
    assert "host-2  done" in shown["text/plain"]
    assert "host-1 │ below\n" in kernel.run("// a comment\n%%lazycluster run --on host-1\necho below").text()
    assert kernel.run("%%lazycluster run --on all\nexit 3").error.endswith("exit code 3")


def test_completion_and_help(kernel):
    def complete(text):
        content = kernel.ask(kernel.client.complete(text))
        return content["matches"], content["cursor_start"]

    assert complete("%lazy") == (["%lazycluster"], 0)
    assert complete("const x = %lazy") == (["%lazycluster"], 10)
    assert complete("%lazycluster list-r") == (["list-runtimes"], 13)
    assert complete("const 💡 = 1;\n%lazycluster run host-") == (["host-1", "host-2"], 30)
    assert complete("%lazycluster run --time") == (["--timeout"], 17)
    assert complete("%%lazycluster run --on host-1,h") == (["host-1", "host-2"], 30)
    # Cells have commands of their own; their lines are of another language.
    assert complete("%%lazycluster py") == (["python"], 14)
    assert complete("// why\n%%lazycluster def") == (["define"], 21)
    assert complete("%%lazycluster ") == (["define", "help", "python", "run"], 14)
    assert complete("%%lazycluster python --on host-") == (["host-1", "host-2"], 26)
    assert set(complete("%%lazycluster python --")[0]) >= {"--name", "--on", "--session"}
    assert complete("%%lazycluster python --on all\nparseIn") == ([], 37)
    assert "--session" in kernel.ask(kernel.client.inspect("%%lazycluster python --on all"))["data"]["text/plain"]
    assert "functions and classes" in kernel.ask(kernel.client.inspect("%%lazycluster define"))["data"]["text/plain"]
    assert not kernel.ask(kernel.client.inspect("%%lazycluster python --on all\nparseInt"))["found"]
    shown = kernel.ask(kernel.client.inspect("%lazycluster run"))
    assert "--timeout" in shown["data"]["text/plain"]
    assert "list-runtimes" in kernel.run("%lazycluster --help").displays[0]["text/plain"]
    # Cells with magics still complete what is TypeScript.
    assert complete("%lazycluster ps\nparseIn")[0][0] == "parseInt"


@pytest.mark.parametrize(
    "cell",
    [
        "await runtime.executeTask(new RuntimeTask().runCommand(command));",
        "const execution = runtime.executeTask(new RuntimeTask().runCommand(command));\nawait execution;",
        "async function work() { await null; await runtime.executeTask(new RuntimeTask().runCommand(command)); }\nawait work();",
        "await Promise.all([runtime.executeTask(new RuntimeTask().runCommand(command))]);",
        "const task = new RuntimeTask().runCommand(command);\nruntime.executeTask(task);\nawait task.join();",
        "await runtime.echo('first'); await runtime.executeTask(new RuntimeTask().runCommand(command));",
        "%lazycluster run host-1 -- echo begun; exec sleep 4711",
        "%%lazycluster run --on host-1\necho begun\nexec sleep 4711",
    ],
)
def test_an_interrupt_ends_what_the_cell_awaits_on_the_host(kernel, cell, eventually):
    kernel.run(
        'import { Runtime, RuntimeTask } from "lazycluster";\nconst runtime = new Runtime("host-1");\n'
        'const command = "exec sleep 4711";'
    )
    msg_id = kernel.send(cell)
    eventually(lambda: processes("sleep 4711") != [])
    kernel.interrupt()
    assert kernel.finish(msg_id, 5).reply["ename"] == "Interrupted"
    eventually(lambda: processes("sleep 4711") == [])


@pytest.mark.parametrize("line", ["%lazycluster run host-1 -- echo begun; exec sleep 4715", "%%lazycluster run --on host-1\nexec sleep 4715"])
def test_an_interrupt_ends_what_a_magic_runs_in_a_notebook_that_imports_nothing(start, line, eventually):
    kernel = start()
    for _ in range(2):
        msg_id = kernel.send(line)
        eventually(lambda: processes("sleep 4715") != [])
        kernel.interrupt()
        assert kernel.finish(msg_id, 5).reply["ename"] == "Interrupted"
        eventually(lambda: processes("sleep 4715") == [])


def test_what_was_started_without_await_goes_on_on_the_host(kernel, eventually):
    kernel.run(
        'import { Runtime, RuntimeTask } from "lazycluster";\nconst runtime = new Runtime("host-1");\n'
        'const apart = new RuntimeTask("apart").runCommand("sleep 4712");\nconst kept = runtime.executeTask(apart);'
    )
    eventually(lambda: processes("sleep 4712") != [])
    msg_id = kernel.send(
        "async function background() { await runtime.executeTask(new RuntimeTask().runCommand('sleep 4713')); }\n"
        "background();\nawait kept;"
    )
    eventually(lambda: processes("sleep 4713") != [])
    kernel.interrupt()
    assert kernel.finish(msg_id, 5).reply["ename"] == "Interrupted"
    assert kernel.run("await new Promise((r) => setTimeout(r, 500)); apart.state").result == "running"
    assert processes("sleep 4712") and processes("sleep 4713")
    kernel.run("await runtime.close()")
    eventually(lambda: not processes("sleep 4712") and not processes("sleep 4713"))


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("ends", ["restart", "shutdown"])
@pytest.mark.parametrize("does", ["", "for (;;) {}", "await new Promise(() => undefined);"])
def test_a_kernel_that_ends_leaves_nothing_but_what_is_detached(start, eventually, ends, does):
    kernel = start()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    cell = kernel.run(
        'import { Runtime, RuntimeTask } from "lazycluster";\nconst runtime = new Runtime("host-2");\n'
        'runtime.executeTask(new RuntimeTask().runCommand("exec sleep 4714"));\n'
        'const apart = runtime.executeTask(new RuntimeTask().runCommand("exec sleep 4717"), { detach: true });\n'
        "await apart.detached();\n"
        f"await runtime.exposePortFromRuntime(9, {port});\n"
        'console.log(apart.process.key.split("::").at(-1));'
    )
    assert cell.error == "", cell.traceback
    eventually(lambda: processes("sleep 4714") != [] and processes("sleep 4717") != [])
    assert listens(port)
    if does:
        kernel.until(kernel.send(f"console.log('started'); {does}"), lambda cell: "started" in cell.text())
    if ends == "restart":
        kernel.manager.restart_kernel()
    else:
        process = kernel.manager.provisioner.process
        kernel.client.shutdown()
        process.wait(10)
    eventually(lambda: processes("sleep 4714") == [] and not listens(port))
    assert processes("sleep 4717") != []
    # Its host would keep it, and the agent that looks after it, for a day.
    id = cell.text().strip()
    program = pathlib.Path(__file__).resolve().parents[3] / "core" / "bin" / "lazycluster.js"
    ended = subprocess.run(["node", str(program), "cancel", id], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    folder = pathlib.Path(f"/tmp/lazycluster-{os.getuid()}/task-{id}")
    eventually(lambda: processes("sleep 4717") == [] and not folder.exists())


def test_python_runs_on_each_host_and_remembers(kernel):
    cell = kernel.run("%%lazycluster python --on all\nimport os\nx = 5\nprint('hello')\nx + 1")
    for host in ("host-1", "host-2"):
        assert f"{host} │ hello\n" in cell.text()
        assert {"text/plain": f"{host}: 6"} in cell.displays
    assert len(cell.displays) == 2
    kernel.run("%%lazycluster python --on host-1,host-2 --name values\nx += 1\n{'x': x, 'pid': os.getpid()}")
    assert kernel.run("[values['host-1'].x, values['host-2'].x]").result == "[ 6, 6 ]"
    assert "NameError" in kernel.run("%%lazycluster python --on host-1 --session other\nx").error
    assert kernel.run("%%lazycluster python --on host-1\nNone").displays == []


def test_what_python_shows_is_shown_per_host(kernel):
    png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
    cell = kernel.run(
        "%%lazycluster python --on all\nimport base64\n"
        f"class Dot:\n    def _repr_png_(self): return base64.b64decode('{png}')\n    def __repr__(self): return 'a dot'\nDot()"
    )
    assert [shown["image/png"] for shown in cell.displays] == [png, png]
    assert sorted(shown["text/plain"] for shown in cell.displays) == ["host-1: a dot", "host-2: a dot"]


def test_figures_of_python_are_shown_per_host(kernel):
    python = os.environ.get("LAZYCLUSTER_TEST_PYTHON", sys.executable)
    if subprocess.run([python, "-c", "import matplotlib"], capture_output=True, check=False).returncode != 0:
        pytest.skip("the Python of these tests has no matplotlib")
    cell = kernel.run(
        f"%%lazycluster python --on all --session figures --python {python}\nimport matplotlib\nmatplotlib.use('agg')\nimport matplotlib.pyplot as pyplot\n"
        "pyplot.plot([1, 2])\npyplot.show()\nNone"
    )
    images = [shown["image/png"] for shown in cell.displays if "image/png" in shown]
    assert len(images) == 2 and all(image.startswith("iVBOR") for image in images), cell.traceback


def test_an_error_of_python_names_host_and_line(kernel):
    cell = kernel.run("%%lazycluster python --on host-1\n\n1 / 0")
    assert cell.error == "MagicError: host-1: ZeroDivisionError: division by zero"
    assert "host-1 │     1 / 0\n" in cell.text("stderr")


def test_an_interrupt_reaches_python(kernel):
    kernel.run("%%lazycluster python --on host-1\nimport time\nkept = 7")
    msg_id = kernel.send("%%lazycluster python --on host-1\nprint('begun', flush=True)\ntime.sleep(600)")
    kernel.until(msg_id, lambda cell: "begun" in cell.text())
    kernel.interrupt()
    assert kernel.finish(msg_id, 5).reply["ename"] == "Interrupted"
    after = kernel.run("%%lazycluster python --on host-1\nkept")
    assert after.displays == [{"text/plain": "host-1: 7"}]
    assert (after.text(), after.text("stderr")) == ("", "")


def test_python_is_defined_for_typescript(kernel):
    kernel.run("%%lazycluster define\nimport math\ndef double(x):\n    return 2 * x\nclass Model:\n    def __init__(self, factor):\n        self.factor = factor")
    kernel.run('import { Runtime as Host, bridge } from "lazycluster";')
    assert kernel.run("await bridge.call(double, [21])").result == "42"
    assert kernel.run("typeof Model").result == "object"


def test_a_log_shows_what_was_printed(kernel):
    kernel.run('import { Runtime as LR, RuntimeTask as LT } from "lazycluster";')
    cell = kernel.run(
        "const printed = new LT('printed').runCommand('echo \"<b>out</b>\"; echo err >&2').runCommand('echo two');\n"
        "await new LR('host-1').executeTask(printed);\nprinted.openLog()"
    )
    data = cell.contents("execute_result")[0]["data"]
    assert data["text/plain"].startswith("Log of task printed on host-1\n")
    assert {"<b>out</b>", "err", "two"} <= set(data["text/plain"].split("\n"))
    assert "<b>out" not in data["text/html"] and "<pre" in data["text/html"]
    assert kernel.run("printed.openLog(1, 'stdout')").result == "Log of task printed on host-1, step 1, stdout\ntwo"
    assert kernel.run("let bytes = 0; for await (const piece of printed.openLog(0, 'stdout')) bytes += piece.length; bytes").result == "11"


def test_a_running_task_is_shown_live_and_its_end_stays(kernel):
    kernel.run('import { Runtime as R, RuntimeTask as T } from "lazycluster";\nconst there = new R("host-1");')
    cell = kernel.run(
        "const slow = new T('slow').runCommand('for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 0.1; done');\n"
        "const running = there.executeTask(slow);\nconsole.log(slow);\nawait running;\nawait new Promise((r) => setTimeout(r, 300));"
    )
    assert cell.text() == ""
    first, *updates = [m for m in cell.messages if m["msg_type"].endswith("display_data")]
    assert first["msg_type"] == "display_data" and "running on host-1" in first["content"]["data"]["text/html"]
    # At most ten a second, of a task that takes about one.
    assert 2 <= len(updates) <= 25
    assert "done on host-1" in updates[-1]["content"]["data"]["text/html"]
    assert "done on host-1" in updates[-1]["content"]["data"]["text/plain"]
    assert "done on host-1" in kernel.run("slow").contents("execute_result")[0]["data"]["text/plain"]


def test_ports_that_the_kernel_itself_exposes_are_seen_and_ended(kernel):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kernel.run('import { Runtime } from "lazycluster";\nconst exposing = new Runtime("host-1");')
    assert kernel.run(f"const portKey = await exposing.exposePortFromRuntime(9, {port});").error == ""
    held = kernel.run("const held = %lazycluster ps\nheld.filter(({ key }) => key === portKey).map((it) => `${it.kind} ${it.port} ${it.process}`)")
    assert held.result == f"[ 'portExposure {port} {kernel.pid}' ]"
    assert f"localhost:{port} → host-1:9 by sshd" in kernel.run("%lazycluster ps").displays[0]["text/plain"]
    ended = kernel.run(f"%lazycluster cancel localhost:{port}")
    assert f"The port exposure on localhost:{port}" in ended.displays[0]["text/plain"]
    assert kernel.run("exposing.getProcess(portKey).state").result == "done"
    kernel.run("await exposing.close();")
