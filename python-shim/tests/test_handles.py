"""Handles, and what else results come back as."""

from __future__ import annotations

import os
import pickle
import re
import stat
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from conftest import PYTHONS
from manager import TAG, Manager, Result, Sent

from lazycluster_agent.values.codes import (
    EXT_DISPLAY,
    EXT_FUNCTION,
    EXT_HANDLE,
    EXT_REFERENCE,
    Special,
)

ADDER = """
def make(n):
    class Adder:
        def __init__(self, n): self.n = n
        def __call__(self, x):
            try:
                return [self.n + x + i for i in range(3)]
            finally:
                pass
        def __repr__(self): return "Adder(%d)" % self.n
    return Adder(n)
"""
FORGET = {"kind": "forget"}


def special(value: Any, kind: int = EXT_HANDLE) -> Dict[str, Any]:
    assert isinstance(value, Special) and value.kind == kind, value
    return dict(value.content)


def failed(result: Result, kind: str) -> Dict[str, Any]:
    assert (result.last["op"], result.last.get("kind")) == ("error", kind), result.last
    return result.last


def make(manager: Manager, source: str, *args: Any, **fields: Any) -> Dict[str, Any]:
    result = manager.call(source, *args, **fields)
    assert result.last["op"] == "exit" and result.last["raised"] is None, result.last
    return special(result.value)


def pickled(index: int = 0) -> Dict[str, Any]:
    return {"kind": "pickle", "handle": index}


def test_a_result_that_is_no_data_becomes_a_handle(own: Manager) -> None:
    handle = make(own, ADDER, 4, name="make")
    version = ".".join(str(own.hello["python"]).split(".")[:2])
    assert handle["repr"] == "Adder(4)" and handle["type"] == "make.<locals>.Adder"
    assert handle["python"] == "cpython " + version and handle["mime"] is None
    path = Path(os.fsdecode(handle["path"]))
    info = path.stat()
    assert stat.S_IMODE(info.st_mode) == 0o600 and info.st_size == handle["size"]
    assert (
        stat.S_IMODE(path.parent.stat().st_mode) == stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700
    )
    assert path.read_bytes().startswith(b"lazycluster-pickle 1 cpython %s\n" % version.encode())
    # As a function, as an argument, as a value.
    assert own.call("", 1, fn=pickled(), handles=[handle["path"]]).value == [5, 6, 7]
    source = "def f(a, b): return [a is b, a(10)]"
    both = [Sent(EXT_HANDLE, 0), Sent(EXT_HANDLE, 0)]
    assert own.call(source, *both, handles=[handle["path"]]).value == [True, [14, 15, 16]]
    again = make(own, "", Sent(EXT_HANDLE, 0), fn={"kind": "value"}, handles=[handle["path"]])
    assert again["repr"] == "Adder(4)" and again["path"] != handle["path"]
    last = own.call(
        "", Sent(EXT_HANDLE, 0), fn={"kind": "value"}, handles=[handle["path"]], result="data"
    ).last
    assert last["raised"]["type"] == "TypeError" and "Adder" in last["raised"]["message"]
    # It is freed by itself, and with the connection.
    assert own.do("remove", path=handle["path"], cwd="~")["removed"]
    gone = failed(own.call("", fn=pickled(), handles=[handle["path"]]), "handle")
    assert "No such file" in gone["message"]
    own.close()
    assert not path.parent.parent.exists()


def test_forms_of_results(shared: Manager) -> None:
    assert shared.call("def f(): return [1]", result="auto").value == [1]
    handle = make(shared, "def f(): return [1]", result="handle")
    assert (handle["repr"], handle["type"]) == ("[1]", "list")
    assert shared.call("", Sent(EXT_HANDLE, 0), fn={"kind": "value"}, handles=[handle["path"]]).value == [1]
    assert make(shared, "", [1, 2], fn={"kind": "dump"})["repr"] == "[1, 2]"
    assert shared.call("def f(): return None", result="display").value is None
    shown = special(shared.call("def f(): return {1: 2}", result="display").value, EXT_DISPLAY)
    assert shown == {"repr": "{1: 2}", "type": "dict", "mime": None}
    long = special(shared.call("def f(): return list(range(10**7))", result="display").value, EXT_DISPLAY)
    assert long["repr"].startswith("[0, 1, 2") and len(long["repr"]) < 1000
    text = special(shared.call("def f(): return 'x' * 10**7", result="display").value, EXT_DISPLAY)
    assert len(text["repr"]) <= 16 * 1024


RICH = """
class Rich:
    def _repr_html_(self): return "<b>x</b>"
    def _repr_latex_(self): raise ValueError
    def _repr_markdown_(self): return None
class Image(Rich):
    def _repr_png_(self): return b"\\x89PNG", {"width": 1}
class Bundle:
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/html": "h", "image/svg+xml": "<svg/>", "application/x": "no", "image/png": 5}, {}
class Anything:
    def __getattr__(self, name): return lambda *a: "made up"
    def __reduce__(self): return (int, ())
def f(name): return globals()[name]()
def kind(name): return globals()[name]
"""


def test_objects_that_show_themselves(shared: Manager) -> None:
    handle = make(shared, RICH, "Rich")
    assert handle["mime"] == {"text/html": "<b>x</b>"} and handle["type"] == "Rich"
    image = special(shared.call(RICH, "Image").value, EXT_DISPLAY)
    assert image["mime"] == {"text/html": "<b>x</b>", "image/png": b"\x89PNG"}
    bundle = special(shared.call(RICH, "Bundle").value, EXT_DISPLAY)
    assert bundle["mime"] == {"text/html": "h", "image/svg+xml": "<svg/>"}
    assert make(shared, RICH, "Anything")["mime"] is None
    assert make(shared, RICH, "Image", name="kind")["mime"] is None
    assert make(shared, RICH, "Image", result="handle")["mime"]["image/png"] == b"\x89PNG"


def test_a_cell_shows_things(shared: Manager) -> None:
    shared.cell(RICH)
    result = shared.cell("display(1, Image())\nx = 5\nx", result="display")
    first, second = (special(item, EXT_DISPLAY) for item in result.value["displays"])
    assert first["repr"] == "1" and second["mime"]["image/png"] == b"\x89PNG"
    assert special(result.value["value"], EXT_DISPLAY)["repr"] == "5"
    result = shared.cell("display(2)\n1/0")
    assert result.last["raised"]["type"] == "ZeroDivisionError"
    assert result.value["value"] is None and special(result.value["displays"][0], EXT_DISPLAY)["repr"] == "2"
    big = "class Big:\n  def _repr_html_(self): return 'x' * 7_000_000\ndisplay(Big(), Big(), Big())"
    assert [bool(item.content["mime"]) for item in shared.cell(big).value["displays"]] == [True, False, False]
    assert shared.end_session()["op"] == "done"


def test_unpicklable_results(own: Manager) -> None:
    handle = make(own, "def f(): return object")
    kept = Path(os.fsdecode(handle["path"])).parent
    assert own.do("remove", path=handle["path"], cwd="~")["op"] == "done"
    sources: List[str] = [
        "import threading\ndef f(): return threading.Lock()",
        "def f(): return (x for x in 'abc')",
        "class B:\n  def __reduce__(self): raise OSError('no')\ndef f(): return B()",
        "class B:\n  def __reduce__(self): return 5\ndef f(): return B()",
        "def f():\n  a = 1\n  for i in range(100_000): a = [a, lambda: 1]\n  return a",
    ]
    for source in sources:
        result = own.call(source)
        assert result.last["op"] == "exit", result.last
        error = result.last["raised"]
        assert error["type"] == "TypeError" and "cannot be pickled" in error["message"], error
    source = (
        "import os, signal\nclass B:\n  def __reduce__(self): os.kill(os.getpid(), 11)\ndef f(): return B()"
    )
    assert own.call(source).last["sig"] == "SIGSEGV"
    # Nothing half-written stays.
    assert not list(kept.iterdir())


def test_a_malicious_pickle_runs_only_where_it_is_loaded(shared: Manager, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    source = """
class Evil:
    def __init__(self, path): self.path = path
    def __reduce__(self): return (open, (self.path, "w"))
def f(path): return Evil(path)
"""
    handle = make(shared, source, str(mark))
    carried = shared.do("get", path=handle["path"], cwd="~")
    assert carried["op"] == "end" and not mark.exists()
    shared.call("", Sent(EXT_HANDLE, 0), fn={"kind": "value"}, handles=[handle["path"]])
    assert mark.exists()


def test_handles_that_are_none(shared: Manager, tmp_path: Path) -> None:
    version = ".".join(str(shared.hello["python"]).split(".")[:2]).encode()
    head = b"lazycluster-pickle 1 cpython %s\n" % version
    contents = {
        b"": "no handle",
        b"garbage": "no handle",
        b"lazycluster-pickle 2 cpython 3.11\n": "no handle",
        b"x" * 10_000_000: "no handle",
        head: "EOFError",
        head + b"garbage": "UnpicklingError",
        head + pickle.dumps(len)[:-3]: "cannot be loaded",
        head + b"cno_such_module\nf\n.": "no_such_module",
        head + b"cos\nno_such_function\n.": "no_such_function",
    }
    for content, text in contents.items():
        file = tmp_path / "handle"
        file.write_bytes(content)
        last = shared.call("", fn=pickled(), handles=[os.fsencode(file)]).last
        assert last["op"] == "error" and last["kind"] in ("handle", "module"), last
        assert text in last["message"]
    (tmp_path / "folder").mkdir()
    failed(shared.call("", fn=pickled(), handles=[os.fsencode(tmp_path / "folder")]), "handle")
    failed(shared.call("", fn=pickled(3), handles=[]), "transfer")
    failed(shared.call("", Sent(EXT_HANDLE, 3), fn={"kind": "value"}, handles=[]), "transfer")


def test_a_module_that_is_missing(shared: Manager, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import os\ndef tool(x): return x + 1\nclass Thing: pass\n")
    source = "import mine\ndef f(): return mine.tool"
    handle = make(shared, source, cwd=str(tmp_path))
    # Known by its name only, so it needs the module.
    last = failed(shared.call("", 1, fn=pickled(), handles=[handle["path"]], cwd="/"), "module")
    assert "No module named 'mine'" in last["message"] and "-m pip install mine" in last["message"]
    assert str(shared.hello["executable"]) in last["message"]
    handle = make(shared, source, cwd=str(tmp_path), modules=["mine"])
    assert shared.call("", 1, fn=pickled(), handles=[handle["path"]], cwd="/").value == 2
    last = failed(shared.call("def f(): return object()", modules=["no_such"]), "module")
    assert "cannot be passed by value" in last["message"]
    raised = shared.call("def f():\n  import sklearn.svm").last["raised"]
    assert raised["type"] == "ModuleNotFoundError" and "pip install scikit-learn" in raised["message"]
    raised = shared.call("def f():\n  import os.nothing").last["raised"]
    assert "pip" not in raised["message"]


def test_functions_as_arguments(shared: Manager) -> None:
    source = {
        "kind": "source",
        "source": "def g(x): return x + n",
        "name": "g",
        "file": "g.py",
        "bind": ["n"],
    }
    arguments = [Sent(EXT_FUNCTION, [source, {"n": 1}]), Sent(EXT_FUNCTION, [source, {"n": 2}])]
    module = Sent(EXT_FUNCTION, [{"kind": "module", "module": "math", "name": "floor"}, {}])
    assert shared.call("def f(a, b, c): return [a(1), b(1), c(1.5)]", *arguments, module).value == [2, 3, 1]
    assert shared.session_call("def f(a, b, c): return [a(1), b(1), c(1.5)]", *arguments, module).value == [
        2,
        3,
        1,
    ]
    handle = make(shared, "def f(g): return lambda x: g(x) * 10", arguments[0])
    assert shared.call("", 1, fn=pickled(), handles=[handle["path"]]).value == 20
    pool = "import multiprocessing as m\ndef f(g):\n  return m.get_context('fork').Pool(1).map(g, [1])"
    assert shared.call(pool, arguments[0]).value == [2]
    failed(shared.call("def f(g): pass", Sent(EXT_FUNCTION, [{"kind": "value"}, {}])), "transfer")
    assert shared.end_session()["op"] == "done"


@pytest.fixture
def bridge(shared: Manager) -> Iterator[Manager]:
    yield shared
    assert shared.end_session()["op"] == "done"


def define(manager: Manager, source: str) -> Dict[str, Any]:
    value = manager.session_call("", fn={"kind": "define", "source": source, "file": "d.py"}).value
    return {name: special(item, EXT_REFERENCE) for name, item in value.items()}


def test_refs(bridge: Manager) -> None:
    source = """
import math
from os import *
X = 1
_hidden = 2
def add(a, b=X): return a + b
class K: pass
for i in []: pass
del name
"""
    bound = define(bridge, source)
    assert {"math", "X", "add", "K", "getcwd"} <= set(bound) and not {"_hidden", "i", "name"} & set(bound)
    assert (bound["X"]["repr"], bound["X"]["type"]) == ("1", "int")
    assert bound["K"]["type"] == "type" and bound["add"]["type"] == "function"
    add, x = bound["add"]["id"], bound["X"]["id"]
    assert bridge.session_call("", 4, fn={"kind": "ref", "id": add}).value == 5
    assert (
        bridge.session_call(
            "", Sent(EXT_REFERENCE, x), Sent(EXT_REFERENCE, x), fn={"kind": "ref", "id": add}
        ).value
        == 2
    )
    # Data is data, what is none is kept.
    assert bridge.session_call("", 1, fn={"kind": "ref", "id": add}, result="ref").value == 2
    thing = special(bridge.session_call("def f(): return K()", result="ref").value, EXT_REFERENCE)
    assert thing["type"] == "K" and thing["id"] > max(item["id"] for item in bound.values())
    source = "def f(a): return type(a) is K"
    assert bridge.session_call(source, Sent(EXT_REFERENCE, thing["id"])).value is True
    cell = bridge.cell("K()", result="ref").value["value"]
    assert special(cell, EXT_REFERENCE)["type"] == "K"
    # The same name bound to the same object again is bound again.
    assert set(define(bridge, "X = X")) == {"X"}
    # Freed ones are gone, and unknown ones ignored.
    assert bridge.session_call("", thing["id"], 10**9, fn=FORGET).value is None
    last = failed(bridge.session_call("", fn={"kind": "ref", "id": thing["id"]}), "session")
    assert "no object %d" % thing["id"] in last["message"]
    failed(bridge.session_call(source, Sent(EXT_REFERENCE, thing["id"])), "session")
    failed(bridge.call("def f(a): pass", Sent(EXT_REFERENCE, 1)), "session")


def test_what_was_forgotten_is_freed(bridge: Manager) -> None:
    bridge.cell("import weakref\nclass K: pass\nk = K()\nw = weakref.ref(k)")
    ref = special(bridge.cell("k", result="ref").value["value"], EXT_REFERENCE)
    bridge.cell("del k")
    assert bridge.cell("w() is None").value["value"] is False
    bridge.session_call("", ref["id"], fn=FORGET)
    assert bridge.cell("w() is None").value["value"] is True


GROW = """
base = [1]
def grow(x):
    base.append(x)
    return helper(base)
def helper(y): return [z * 2 for z in y]
"""


def test_a_ref_that_is_dumped(bridge: Manager) -> None:
    grow = Sent(EXT_REFERENCE, define(bridge, GROW)["grow"]["id"])
    handle = special(bridge.session_call("", grow, fn={"kind": "dump"}).value)
    # Each call has an object of its own.
    for _ in range(2):
        assert bridge.call("", 5, fn=pickled(), handles=[handle["path"]]).value == [2, 10]


def test_the_cloudpickle_of_the_host_stays_what_it_is(shared: Manager, tmp_path: Path) -> None:
    # Where there is none, ours is found by its usual name.
    source = (
        "import cloudpickle, sys\ndef f(): return [cloudpickle.__version__, cloudpickle.cloudpickle.__name__]"
    )
    (tmp_path / "cloudpickle.py").write_text("__version__ = 'mine'\nimport sys\ncloudpickle = sys")
    assert shared.call(source, cwd=str(tmp_path)).value == ["mine", "sys"]
    handle = make(
        shared, "import cloudpickle\ndef f(): return lambda: cloudpickle.__version__", cwd=str(tmp_path)
    )
    assert shared.call("", fn=pickled(), handles=[handle["path"]], cwd=str(tmp_path)).value == "mine"
    origin = "import importlib.util as u\ndef f(): return u.find_spec('cloudpickle').origin"
    if shared.call(origin).value.startswith("<"):
        assert shared.call(source).value == ["3.1.2", "cloudpickle.cloudpickle"]


def test_a_handle_names_the_cloudpickle_of_the_bundle_and_nothing_else_of_ours(shared: Manager) -> None:
    handle = make(shared, "def f(): return lambda: 1")
    names = set(re.findall(rb"lazycluster_agent[\w.]*", Path(os.fsdecode(handle["path"])).read_bytes()))
    # What is on disk must be found under this name by every version of ours.
    assert names == {b"lazycluster_agent.cloudpickle.cloudpickle"}


CLOSURE = """
def f():
    n = 1
    def g(x):
        try: return [x + n + i for i in range(3)]
        finally: pass
    return g
"""
PAIRS = [(a, b) for a in PYTHONS for b in PYTHONS]


@pytest.fixture(scope="module")
def hub() -> Iterator[Manager]:
    with Manager() as manager:
        yield manager


@pytest.fixture(scope="module")
def made(hub: Manager) -> Dict[str, List[bytes]]:
    """Of every Python present: a closure, a class and a lambda as handles."""
    sources = [
        CLOSURE,
        ADDER + "def f(): return make(1)",
        "def f(): return lambda x: [x + i for i in (1, 2, 3)]",
    ]
    return {
        version: [make(hub, source, python=path, result="handle")["path"] for source in sources]
        for version, path in PYTHONS.items()
    }


@pytest.mark.parametrize(("origin", "target"), PAIRS)
def test_every_pair_of_pythons(hub: Manager, made: Dict[str, List[bytes]], origin: str, target: str) -> None:
    kept = {"session": "m" + target, "scope": TAG, "process": 1, "fn": pickled()}
    for path in made[origin]:
        for fields in ({"fn": pickled()}, kept):
            result = hub.call("", 3, handles=[path], python=PYTHONS[target], **fields)
            if origin == target:
                assert result.value == [4, 5, 6]
            else:
                last = failed(result, "version")
                assert (last["found"], last["needed"]) == ("cpython " + target, "cpython " + origin)
                assert origin in last["message"] and target in last["message"]
    source = """
def f(x):
    try:
        return [[i * x for i in range(3)], {"a": x}, f"{x}", (lambda y: y + x)(1)]
    finally:
        pass
"""
    assert hub.call(source, 2, python=PYTHONS[target]).value == [[0, 2, 4], {"a": 2}, "2", 3]
