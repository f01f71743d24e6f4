"""Packages and modules that come, change and go while a kernel runs; the compiler hears of most between two cells."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import sys
import time

# What a change to watched folders sets off comes within that; a cell in between must not mind.
WATCHED_S = 1.5


def install(folder: pathlib.Path, name: str, code: str, types: str = "", main: str = "index") -> None:
    """As npm does it."""
    package = folder / "node_modules" / name
    package.mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"name": name, "version": "1.0.0", "main": f"{main}.js"}))
    (package / f"{main}.js").write_text(code)
    if types:
        (package / f"{main}.d.ts").write_text(types)


def install_good(folder: pathlib.Path, name: str = "good") -> None:
    install(folder, name, "exports.good = 1;", "export const good: number;")


def stays_well(kernel) -> None:
    end = time.monotonic() + WATCHED_S
    while True:
        cell = kernel.run("console.log(1 + 1)")
        assert (cell.error, cell.text(), cell.text("stderr")) == ("", "2\n", "")
        if time.monotonic() > end:
            return


def comes(kernel, eventually, code: str, result: str) -> None:
    """At once, or when the compiler has heard of it; no other cell fails meanwhile."""

    def there() -> bool:
        assert kernel.run("1 + 1").result == "2"
        return kernel.run(code).result == result

    eventually(there)
    stays_well(kernel)


def test_a_package_is_installed_beside_one_that_is_imported(start, tmp_path):
    install_good(tmp_path)
    kernel = start()
    assert kernel.run('import { good } from "good"; good').result == "1"
    for count in range(2):
        install_good(tmp_path, f"other{count}")
        stays_well(kernel)
    assert kernel.run('import { good as other } from "other1"; other + good').result == "2"


def test_a_missing_package_is_installed(start, eventually, tmp_path):
    """From a terminal, and by a cell, where there was no folder for packages before."""
    kernel = start()
    assert "Cannot find module 'late'" in kernel.run('import { good } from "late";').error
    install_good(tmp_path, "late")
    assert kernel.run('import { good } from "late"; good').result == "1"
    stays_well(kernel)
    assert "Cannot find module 'later'" in kernel.run('import { good as other } from "later";').error
    arguments = [
        "-c",
        "import test_packages, pathlib, sys; test_packages.install_good(pathlib.Path(sys.argv[1]), 'later')",
        str(tmp_path),
    ]
    here = json.dumps({"cwd": str(pathlib.Path(__file__).parent)})
    call = f"execFileSync({json.dumps(sys.executable)}, {json.dumps(arguments)}, {here});"
    assert kernel.run(f"import {{ execFileSync }} from 'child_process'; {call}").error == ""
    assert kernel.run('import { good as other } from "later"; other').result == "1"
    stays_well(kernel)


def test_a_missing_package_is_installed_in_a_folder_above(start, tmp_path):
    inner = tmp_path / "notebooks" / "mine"
    inner.mkdir(parents=True)
    kernel = start(folder=inner)
    assert "Cannot find module 'above'" in kernel.run('import { good } from "above";').error
    install_good(tmp_path, "above")
    assert kernel.run('import { good } from "above"; good').result == "1"
    stays_well(kernel)


def test_a_missing_module_is_written(start, eventually, tmp_path):
    kernel = start()
    assert "Cannot find module './later'" in kernel.run('import { a } from "./later";').error
    (tmp_path / "later.ts").write_text("export const a: number = 5;\n")
    comes(kernel, eventually, 'import { a } from "./later"; a', "5")


def test_what_a_module_misses_is_installed(start, eventually, tmp_path):
    (tmp_path / "mine.ts").write_text('import { good } from "deep";\nexport const twice = good * 2;\n')
    kernel = start()
    assert "Cannot find module 'deep'" in kernel.run('import { twice } from "./mine";').error
    install_good(tmp_path, "deep")
    comes(kernel, eventually, 'import { twice } from "./mine"; twice', "2")


def test_types_are_added(start, eventually, tmp_path):
    install(tmp_path, "untyped", "exports.make = () => ({ a: 1 });")
    install(tmp_path, "@types/first", "", "export {};")
    kernel = start()
    assert kernel.run('import { make } from "untyped"; make().a').result == "1"
    install(tmp_path, "@types/untyped", "", "export function make(): { a: number };")
    install(tmp_path, "@types/everywhere", "", "declare const everywhere: undefined;")
    stays_well(kernel)
    eventually(
        lambda: "'string'" in kernel.run('import { make as typed } from "untyped"; const wrong: string = typed().a;').error
    )
    comes(kernel, eventually, "let none: typeof everywhere; 3", "3")


def test_a_package_is_installed_anew(start, eventually, tmp_path):
    install_good(tmp_path)
    kernel = start()
    assert kernel.run('import { good } from "good"; good').result == "1"
    shutil.rmtree(tmp_path / "node_modules" / "good")
    install(tmp_path, "good", "exports.better = 2;", "export const better: number;", main="entry")
    stays_well(kernel)
    # What is loaded stays as it was until a restart, as everywhere in Node; its types are those of the new one.
    eventually(lambda: "no exported member 'good'" in kernel.run('import { good as again } from "good"; again').error)


def test_work_that_fails_leaves_room_for_the_next(tmp_path):
    """tslab has room for one timer, and one that failed would stay in it."""
    script = """
    const { oneTimer } = require(process.argv[1]);
    let timer = null;
    const run = () => { timer.callback(); timer = null; };
    const tslab = {
      setTimeout(callback) { if (timer) throw new Error("pending"); return (timer = { callback }); },
      clearTimeout(given) { if (timer !== given) throw new Error("unexpected"); timer = null; },
    };
    const timers = oneTimer(tslab);
    const said = [];
    timers.setTimeout(() => { said.push("first"); timers.setTimeout(() => said.push("third")); });
    timers.clearTimeout(timers.setTimeout(() => said.push("never")));
    timers.setTimeout(() => said.push("second"));
    run();
    timers.setTimeout(() => { throw new Error("fails"); });
    try { run(); } catch (error) { said.push(error.message); }
    timers.setTimeout(() => said.push("fourth"));
    run();
    console.log(said.join(" "));
    """
    module = pathlib.Path(__file__).parents[1] / "dist" / "watching.js"
    done = subprocess.run(["node", "-e", script, str(module)], capture_output=True, text=True, check=True)
    assert done.stdout == "first second third fails fourth\n"
