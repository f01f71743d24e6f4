"""Interrupts, and cells that print more than anybody can read."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from conftest import TIMEOUT_S

# By hand: LAZYCLUSTER_INTERRUPTS=500.
INTERRUPTS = int(os.environ.get("LAZYCLUSTER_INTERRUPTS", "60" if os.environ.get("LAZYCLUSTER_LONG_TESTS") else "20"))


def interrupted(kernel, code, after=""):
    """Interrupts the cell as soon as it has printed; gives it, ended."""
    msg_id = kernel.send(code)
    kernel.until(msg_id, lambda cell: "started" in cell.text())
    kernel.interrupt()
    cell = kernel.finish(msg_id)
    assert cell.reply["status"] == "error", code
    assert cell.reply["ename"] == "Interrupted", cell.traceback
    assert kernel.run("6 * 7").result == "42"
    return cell


ENDLESS = {
    "a loop": "console.log('started'); while (true) {}",
    "a loop behind an await": "await null; console.log('started'); for (;;) {}",
    "a loop behind a timer": "await new Promise((r) => setTimeout(r, 20)); console.log('started'); for (;;) {}",
    "a loop in a timer": "setTimeout(() => { console.log('started'); for (;;) {} }, 20); await new Promise(() => undefined);",
    "a loop in a tick": "process.nextTick(() => { console.log('started'); for (;;) {} }); await new Promise(() => undefined);",
    "a wait": "console.log('started'); await new Promise(() => undefined);",
    "a wait in a function": "async function f() { console.log('started'); await new Promise(() => undefined); }\nawait f();",
    "a loop of waits": "let n = 0; while (true) { console.log('started', n++); await new Promise((r) => setTimeout(r, 20)); }",
    "a stream": "async function* g() { for (;;) { await new Promise((r) => setTimeout(r, 5)); yield 1; } }\n"
    "for await (const x of g()) console.log('started', x);",
    "a flood": "console.log('started'); for (let i = 0; ; i++) console.log(i);",
    "a flood of waits": "for (let i = 0; ; i++) { console.log('started', i); await null; }",
    "a loop in a library": "console.log('started'); [1, 2].sort(() => { for (;;) {} });",
    "a regular expression": "console.log('started'); /^(a+)+$/.test('a'.repeat(40) + 'b');",
    "a result that shows itself for ever": "({ [Symbol.for('nodejs.util.inspect.custom')]() { console.log('started'); for (;;) {} } })",
    "a result that is no data for ever": "({ [Symbol.for('Jupyter.display')]: () => ({ 'a/b': { toJSON() { console.log('started'); for (;;) {} } } }) })",
    "an error that tells itself for ever": "const e = new Error('x'); Object.defineProperty(e, 'cause', { get() { console.log('started'); for (;;) {} } }); throw e;",
    "a wait in shared memory": "console.log('started'); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);",
    "a loop of a timer behind a flood of waits": "setTimeout(() => { for (;;) {} }, 0); for (let i = 0; ; i++) { console.log('started', i); await null; }",
    "a loop that enters contexts": "const resource = new (await import('async_hooks')).AsyncResource('own'); console.log('started');\n"
    "function inside() { let sum = 0; for (let i = 0; i < 3; i++) sum += i; return sum; }\nfor (;;) resource.runInAsyncScope(inside);",
    "a process that is waited for": "console.log('started'); (await import('child_process')).execSync('sleep 60');",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_an_interrupt_ends(kernel, name):
    interrupted(kernel, ENDLESS[name])


def test_an_interrupt_survives_asynchronous_contexts(kernel):
    """Node ends a process whose asynchronous contexts were left in disorder."""
    kernel.run("import { AsyncLocalStorage } from 'async_hooks';\nconst context = new AsyncLocalStorage();")
    for wait in ("null", "new Promise((r) => setTimeout(r, 5))", "new Promise((r) => setImmediate(r))"):
        interrupted(kernel, f"await context.run(1, async () => {{ await {wait}; console.log('started'); for (;;) {{}} }})")
    interrupted(kernel, "context.run(1, () => { console.log('started'); for (;;) {} })")
    # Each step of it enters a context and leaves it.
    for _ in range(8):
        interrupted(kernel, ENDLESS["a flood of waits"])


def test_an_interrupt_ends_a_flood_of_waits_that_nothing_awaits(kernel):
    """The cell itself may well have ended before."""
    msg_id = kernel.send("(async () => { for (let i = 0; ; i++) { console.log('started', i); await null; } })(); 1")
    kernel.until(msg_id, lambda cell: "started" in cell.text())
    kernel.interrupt()
    kernel.finish(msg_id)
    assert kernel.run("6 * 7").result == "42"


@contextlib.contextmanager
def busy_machine(loops: int = 4) -> Iterator[None]:
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for loop in running:
            loop.kill()
            loop.wait()


def test_no_interrupt_on_a_busy_machine_ends_the_kernel(start):
    """Nor is a variable lost. Cells are interrupted at any time: while they are compiled, begin, run, end."""
    kernel = start()
    kernel.run(
        "import { AsyncLocalStorage, AsyncResource } from 'async_hooks';\nconst context = new AsyncLocalStorage<number>();\n"
        "const resource = new AsyncResource('own');\nfunction inside() { return [1, 2, 3].map((x) => x * 2); }\nlet kept = 0;"
    )
    cells = [
        *(
            ENDLESS[name]
            for name in ("a loop", "a flood", "a flood of waits", "a loop in a tick", "a stream", "a loop in a timer")
        ),
        "await context.run(1, async () => { for (;;) { console.log('started'); await null; } })",
        "console.log('started'); for (;;) resource.runInAsyncScope(inside);",
        "console.log('started'); for (;;) context.run(2, inside);",
        "const wide = [1, 2, 3].map((x) => ({ x, y: [x] })); console.log('started'); await Promise.all(wide.map(async () => { for (;;) await null; }));",
    ]
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    chance = random.Random(seed)
    pid = kernel.pid
    with busy_machine():
        for count in range(INTERRUPTS):
            code = chance.choice(cells)
            msg_id = kernel.send(code)
            # A timer that has not come yet is not of the cell any more.
            printed = chance.random() < 0.5 or "setTimeout(() =>" in code
            kernel.until(msg_id, lambda cell: "started" in cell.text() if printed else cell.messages)
            time.sleep(chance.random() * 0.2)
            kernel.interrupt()
            assert kernel.finish(msg_id).reply["ename"] == "Interrupted", code
            assert kernel.run("kept += 1; kept").result == str(count + 1), code
    assert kernel.run("context.getStore() === undefined && inside().length").result == "3"
    assert kernel.pid == pid and kernel.manager.is_alive()


def test_what_is_called_after_a_stop_belongs_to_no_interrupted_cell(kernel, eventually):
    """What an interrupted cell awaits never comes after its time to tidy up."""
    kernel.run('import "lazycluster";')
    interrupted(kernel, "await (async () => { console.log('started'); for (;;) {} })();")
    kernel.run(
        "let arrived = 0;\nasync function go() { for (;;) { await new Promise((r) => setTimeout(r, 20)); arrived = Date.now(); } }"
    )
    began = time.time()
    kernel.run("go();")
    eventually(lambda: int(kernel.run("arrived").result) > (began + 6) * 1000)


def test_a_module_that_was_stopped_while_it_was_loaded_is_loaded_anew(start, tmp_path):
    (tmp_path / "slow.js").write_text("console.log('started'); while (globalThis.slow) {} exports.answer = 42;\n")
    kernel = start()
    kernel.run("globalThis.slow = true;")
    interrupted(kernel, "require('./slow.js');")
    assert kernel.run("globalThis.slow = false; require('./slow.js').answer").result == "42"


def test_what_was_started_without_await_goes_on(kernel):
    kernel.run(
        "let ticks = 0;\nasync function tick() { for (;;) { await new Promise((r) => setTimeout(r, 5)); ticks++; } }\ntick();"
    )
    for code in ("console.log('started'); for (;;) {}", "await null; console.log('started'); for (;;) {}", ENDLESS["a wait"]):
        interrupted(kernel, code)
        before = int(kernel.run("ticks").result)
        assert int(kernel.run("await new Promise((r) => setTimeout(r, 100)); ticks").result) > before


def test_an_interrupted_cell_does_not_go_on(kernel):
    kernel.run('import "lazycluster";\nlet steps = 0;')
    interrupted(
        kernel,
        "async function step() { for (;;) { await new Promise((r) => setTimeout(r, 5)); steps++; } }\n"
        "console.log('started'); await step();",
    )
    before = kernel.run("await new Promise((r) => setTimeout(r, 50)); steps").result
    assert kernel.run("await new Promise((r) => setTimeout(r, 100)); steps").result == before


def test_an_interrupted_cell_does_not_go_on_where_nothing_is_imported(start):
    kernel = start()
    kernel.run("let steps = 0;")
    interrupted(
        kernel,
        "async function step() { for (;;) { console.log('started'); await new Promise((r) => setTimeout(r, 5)); steps++; } }\n"
        "await step();",
    )
    before = kernel.run("await new Promise((r) => setTimeout(r, 50)); steps").result
    cell = kernel.run("await new Promise((r) => setTimeout(r, 100)); steps")
    assert (cell.result, cell.text()) == (before, "")


def test_a_cell_that_catches_its_interrupt_ends_nevertheless(kernel, eventually):
    """After the time that it has to tidy up."""
    kernel.run("let caught = 0;")
    interrupted(
        kernel,
        "console.log('started'); while (true) { try { await new Promise((r) => setTimeout(r, 20)); } catch {} caught++; }",
    )

    def rests():
        before = kernel.run("caught").result
        return kernel.run("await new Promise((r) => setTimeout(r, 300)); caught").result == before

    eventually(rests)


def test_an_interrupted_cell_may_tidy_up(kernel):
    kernel.run("let tidied = false;")
    interrupted(
        kernel,
        "try { console.log('started'); await new Promise(() => undefined); } finally { await null; tidied = true; }",
    )
    assert kernel.run("tidied").result == "true"


def test_cells_behind_an_interrupted_one_do_not_run(kernel):
    first = kernel.send("console.log('started'); for (;;) {}")
    second = kernel.send("console.log('never')")
    kernel.until(first, lambda cell: "started" in cell.text())
    kernel.interrupt()
    assert kernel.statuses([first, second]) == ["error", "aborted"]
    assert kernel.run("1").result == "1"


def test_an_interrupt_of_nothing_does_nothing(kernel):
    kernel.client.control_channel.send(kernel.client.session.msg("interrupt_request"))
    assert kernel.client.get_control_msg(timeout=TIMEOUT_S)["content"] == {"status": "ok"}
    assert kernel.run("'still here'").result == "still here"


def test_an_interrupt_while_the_cell_is_compiled(kernel):
    """The compiler must not be stopped halfway: later cells need it."""
    msg_id = kernel.send("\n".join(f"const wide{i} = [{i}, '{i}'].map((x) => [x, x]);" for i in range(300)) + "\nfor (;;) {}")
    time.sleep(0.05)
    kernel.interrupt()
    assert kernel.finish(msg_id, 30).reply["status"] == "error"
    assert kernel.run("const fine: number = 5; fine").result == "5"


@pytest.mark.parametrize(
    "code",
    [
        "for (let i = 0; i < 100000; i++) console.log(i);",
        "for (let i = 0; i < 100000; i++) { console.log(i); if (i % 1000 === 0) await null; }",
        "for (let i = 0; i < 100000; i++) process.stdout.write(Buffer.from(i + '\\n'));",
    ],
)
def test_a_flood_arrives_complete_and_in_order(kernel, code):
    lines = kernel.run(code).text().split("\n")
    assert lines == [*(str(i) for i in range(100000)), ""]


def test_output_keeps_its_order_among_streams_and_displays(kernel):
    cell = kernel.run(
        'import { display } from "lazycluster";\n'
        "console.log(1); console.error(2); console.log(3); display({ 'text/plain': '4' }); console.log(5); 6"
    )
    said = [
        message["content"].get("text") or message["content"].get("data", {}).get("text/plain")
        for message in cell.messages
        if message["msg_type"] in ("stream", "display_data", "execute_result")
    ]
    assert "".join(text.strip() for text in said) == "123456"


def test_output_is_shown_while_a_loop_runs(kernel):
    msg_id = kernel.send("const end = Date.now() + 3000; while (Date.now() < end) console.log('started');")
    began = time.monotonic()
    kernel.until(msg_id, lambda cell: "started" in cell.text())
    assert time.monotonic() - began < 3
    kernel.finish(msg_id)


@pytest.mark.parametrize("stream", ["log", "error"])
def test_the_end_of_a_flood_is_shown_while_a_loop_runs_that_prints_nothing(kernel, stream):
    msg_id = kernel.send(f"for (let i = 0; i < 5000; i++) console.{stream}(i); console.log('the last line'); for (;;) {{}}")
    shown = kernel.until(msg_id, lambda cell: "the last line" in cell.text())
    assert shown.text("stdout" if stream == "log" else "stderr").startswith("0\n1\n2\n")
    kernel.interrupt()
    assert kernel.finish(msg_id).reply["ename"] == "Interrupted"


def test_floods_of_both_streams_and_displays_keep_their_order(kernel):
    cell = kernel.run(
        'import { display } from "lazycluster";\n'
        "for (let i = 0; i < 3000; i++) {\n"
        "  if (i % 100 === 0) display({ 'text/plain': `${i}\\n` }); else if (i % 10 === 0) console.error(i); else console.log(i);\n"
        "}"
    )
    said = [
        message["content"].get("text") or message["content"].get("data", {}).get("text/plain")
        for message in cell.messages
        if message["msg_type"] in ("stream", "display_data")
    ]
    assert "".join(said).split() == [str(i) for i in range(3000)]


def test_more_than_any_buffer_holds_arrives_whole(kernel):
    cell = kernel.run("process.stdout.write('💡é-'.repeat(2_000_000)); console.log('end');")
    assert cell.text() == "💡é-" * 2_000_000 + "end\n"
