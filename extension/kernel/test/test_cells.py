"""What cells may contain, and what becomes of them."""

from __future__ import annotations

import pytest


def test_values_and_types_reach_later_cells(kernel):
    kernel.run("interface Point { x: number; y: number }\nclass Box<T> { constructor(readonly value: T) {} }")
    kernel.run("const point: Point = { x: 1, y: 2 };\nfunction sum(p: Point) { return p.x + p.y; }\nlet count = 0;")
    assert kernel.run("sum(point)").result == "3"
    assert kernel.run("new Box(point).value.y").result == "2"
    assert kernel.run("let y = 0; ({ y } = { y: count + 1 }); ({ y, point, m() { return { count }; } }).m().count + y").result == "1"
    kernel.run("count += 5; const [first, ...others] = [1, 2, 3];")
    assert kernel.run("[count, first, others]").result == "[ 5, 1, [ 2, 3 ] ]"
    assert "'string' is not assignable" in kernel.run('count = "five";').error


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("await (5)", "5"),
        ("await [1, 2]", "[ 1, 2 ]"),
        ("await (async () => 6)()", "6"),
        ("(await Promise.all([1, Promise.resolve(2)])).length", "2"),
        ("const late = await (Promise.resolve(7)); late", "7"),
        ("let total = 0; for await (const x of [1, Promise.resolve(2)]) total += x; total", "3"),
        ("async function* numbers() { yield 1; yield 2 }\nlet seen = ''; for await (const x of numbers()) seen += x; seen", "12"),
        ("await await (async () => { await null; return await (8); })()", "8"),
        ("const o = { async m() { return await this.n }, n: 9 }; await o.m()", "9"),
        ('`${await "templates"}`', "templates"),
    ],
)
def test_awaits_anywhere(kernel, code, result):
    assert kernel.run(code).result == result


def test_modules_are_imported_in_every_way_and_used_later(kernel):
    kernel.run('import * as path from "path";\nimport { readFileSync as read } from "fs";\nimport os from "os";')
    assert kernel.run('[path.join("a", "b"), typeof read, typeof os.cpus]').result == "[ 'a/b', 'function', 'function' ]"
    kernel.run('const fs = await import("fs");\nconst { join } = await import("path");')
    assert kernel.run('[fs.existsSync("/"), join("c", "d")]').result == "[ true, 'c/d' ]"
    assert "readFileSink" in kernel.run("fs.readFileSink").error


def test_a_module_of_a_cell_is_imported_by_another(kernel):
    assert kernel.run("/** @module shapes */\nexport const sides = (n: number) => n * 2;").reply["status"] == "ok"
    assert kernel.run('import { sides } from "./shapes";\nsides(4)').result == "8"


def test_an_error_names_the_line_of_the_cell_and_of_former_ones(kernel):
    kernel.run("interface Unused { a: string }\n\n\n// a comment\nfunction fails(): number {\n  throw new RangeError('too far');\n}")
    cell = kernel.run("const before: number = 1;\n\nfails();\nconst after = 2;")
    assert cell.error == "RangeError: too far"
    assert cell.reply["ename"] == "RangeError"
    assert "> 6 |   throw new RangeError('too far');" in cell.traceback
    number = cell.reply["execution_count"]
    assert f"fails (In[{number - 1}]:6:9)" in cell.traceback
    assert f"In[{number}]:3:1" in cell.traceback
    assert "node_modules" not in cell.traceback and "node:" not in cell.traceback


def test_an_error_behind_an_await_names_its_line(kernel):
    cell = kernel.run("const x = await Promise.resolve(1);\n\n\nawait Promise.resolve();\nthrow new Error('late');")
    assert f"In[{cell.reply['execution_count']}]:5:7" in cell.traceback


def test_a_cell_that_does_not_compile_names_each_line(kernel):
    cell = kernel.run("let a = 1;\nlet b: string = a;\nmissing();")
    assert cell.error.startswith("TypeScriptError: line 2: Type 'number' is not assignable to type 'string'")
    assert "> 3 | missing();" in cell.traceback
    assert cell.text("stderr") == ""


def test_an_error_calls_the_types_of_the_cell_by_their_names(kernel):
    cell = kernel.run("enum Mixed { One, Two = 'two' }\nconst numbers: number[] = [Mixed.One];")
    assert cell.error == "TypeScriptError: line 2: Type 'Mixed' is not assignable to type 'number'."


def test_an_error_is_no_more_than_its_message(kernel):
    cell = kernel.run("throw new Error('on purpose')")
    kinds = [message["msg_type"] for message in cell.messages]
    assert kinds == ["status", "execute_input", "error", "status"]
    assert kernel.run('throw "a text"').error == "Error: a text"
    caused = kernel.run("throw new Error('outer', { cause: new TypeError('inner') })")
    assert "Caused by TypeError: inner" in caused.traceback
    assert "TypeError" in kernel.run("Promise.reject(new TypeError('nobody waits')); await new Promise((r) => setTimeout(r, 50));").text("stderr")


def test_what_children_print_is_shown(kernel):
    kernel.run("import { execSync, execFileSync, spawn, spawnSync } from 'child_process';")
    script = "echo out; echo err >&2"
    for code in (
        f"execSync('{script}', {{ stdio: 'inherit' }})",
        f"execFileSync('sh', ['-c', '{script}'], {{ stdio: ['ignore', 1, process.stderr] }})",
        f"spawnSync('sh', ['-c', '{script}'], {{ stdio: 'inherit' }}).status",
        f"await new Promise((r) => spawn('sh', ['-c', '{script}'], {{ stdio: 'inherit' }}).on('close', r))",
        f"(await import('child_process')).execSync('{script}', {{ stdio: 'inherit' }})",
    ):
        cell = kernel.run(code)
        assert (cell.text(), cell.text("stderr"), cell.error) == ("out\n", "err\n", ""), code
    assert kernel.run("execSync('echo out; exit 3', { stdio: 'inherit' })").text() == "out\n"
    assert kernel.run("execSync('echo given').toString()").result == "given\n"
    lines = kernel.run("execSync('seq 100000', { stdio: 'inherit' })").text().split("\n")
    assert lines == [*(str(i) for i in range(1, 100001)), ""]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("const e = new Error('x'); (e as any).stack = 5; throw e", "Error: x"),
        ("const f = new Error('x'); (f as any).name = undefined; throw f", "Error: x"),
        ("const g = new Error('x'); Object.defineProperty(g, 'message', { get() { throw 1; } }); throw g", "Error: "),
        ("throw new Proxy({}, { get() { throw 1; }, getPrototypeOf() { throw 1; } })", "Error: "),
        ("throw { [Symbol.for('nodejs.util.inspect.custom')]() { throw 1; } }", "Error: something that cannot be shown"),
        ("throw Object.create(null)", "Error: [Object: null prototype] {}"),
        ("({ [Symbol.for('Jupyter.display')]() { return { 'text/plain': 'x', 'application/json': { n: 1n } }; } })", "TypeError: "),
        ("({ [Symbol.for('Jupyter.display')]() { throw new RangeError('no'); } })", "RangeError: no"),
        ("import { display } from 'lazycluster';\ndisplay({ 'application/json': { n: 10n } })", "TypeError: "),
        ("import { display } from 'lazycluster';\nconst ring: any = {}; ring.self = ring; display({ 'application/json': ring })", "TypeError: "),
    ],
)
def test_whatever_is_thrown_or_shown_the_cell_ends(kernel, code, error):
    cell = kernel.run(code)
    assert cell.error.startswith(error), cell.traceback
    assert cell.reply["status"] == "error"
    assert kernel.run("6 * 7").result == "42"


def test_an_error_outside_cells_ends_nothing(start):
    kernel = start()
    kernel.run("Error.prepareStackTrace = (_, places) => places;")
    assert kernel.run("throw new Error('in a cell')").error == "Error: in a cell"
    msg_id = kernel.send("setTimeout(() => { throw new Error('in a timer'); }, 50); await new Promise((r) => setTimeout(r, 300));")
    assert "in a timer" in kernel.finish(msg_id).text("stderr")
    assert kernel.run("'alive'").result == "alive"


def test_an_error_as_a_result_is_a_table(kernel):
    cell = kernel.run(
        "const bad = Object.assign(new RangeError('<b>far</b>'), { code: 'E_FAR', limit: 5 });\n"
        "new AggregateError([bad, new TypeError('other', { cause: new Error('deep') })], 'both')"
    )
    number = cell.reply["execution_count"]
    text = cell.result
    assert text.startswith("AggregateError: both\n")
    for line in ("[0] RangeError: <b>far</b>", "[1] TypeError: other", "Caused by Error: deep", f"In[{number}]:1:"):
        assert line in text
    assert "dist" not in text and "node:" not in text
    assert "<b>far" not in cell.contents("execute_result")[0]["data"]["text/html"]
    data = kernel.run("bad").contents("execute_result")[0]["data"]
    assert "  code   E_FAR\n  limit  5\n" in data["text/plain"] and "<table>" in data["text/html"]
    assert kernel.run("import { display } from 'lazycluster';\ndisplay(bad)").displays == [data]
    assert "[1] TypeError: other" in kernel.run("throw new AggregateError([bad, new TypeError('other')], 'both')").traceback


def test_results_are_shown_as_console_log_does(kernel):
    assert kernel.run('"text"').result == "text"
    assert kernel.run("({ a: [1, new Map([[1, 2]])] })").result == "{ a: [ 1, Map(1) { 1 => 2 } ] }"
    kernel.run("import 'lazycluster';\nawait null;")
    pending = "const never = new Promise(() => undefined); await null; console.log(never);"
    assert kernel.run(f"{pending} [never, Promise.resolve(5)]").result == "[ Promise { <pending> }, Promise { 5 } ]"
    assert kernel.run("console.log({ later: never })").text() == "{ later: Promise { <pending> } }\n"
    for nothing in ("null", "undefined", "let silent = 5;", "", "  // only a comment"):
        assert kernel.run(nothing).result is None
