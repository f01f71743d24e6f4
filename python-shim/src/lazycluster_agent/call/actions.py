"""What a request asks for: finds the function, calls it, and gives the document of its result."""

from __future__ import annotations

from ..base.errors import Failure
from ..values.codes import EXT_FUNCTION, EXT_HANDLE, EXT_REFERENCE
from ..wire.msgpack import WireError
from .cells import compile_source
from .raised import describe
from .results import Wanted, encode, encode_cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Tuple

    from ..wire.frames import Buffer, Header
    from .arguments import Arguments
    from .spaces import Space

    Action = Callable[["Call", Dict[str, Any]], object]

PARTS: Dict[str, type] = {"args": list, "kwargs": dict, "bind": dict}


class CellRaised(Exception):
    """A cell has raised, but it has shown something before."""

    def __init__(self, error: BaseException, document: List[Buffer]) -> None:
        super().__init__()
        self.error, self.document = error, document


class Call:
    def __init__(self, request: Header, space: Space) -> None:
        self.space = space
        self.fn: Dict[str, Any] = request["fn"]
        self.wanted = Wanted(request["result"], space, request["folder"], request["modules"])
        self._handles: List[bytes] = request["handles"]
        self._loaded: Dict[int, object] = {}
        #: Whether there are functions or objects among the arguments.
        self.brought_code = False

    def perform(self, document: Arguments) -> List[Buffer]:
        """The document of the result. Raises Failure, CellRaised, or what the function raises."""
        arguments = self._read(document)
        if self.fn["kind"] == "cell":
            return self._run_cell()
        result = ACTIONS[self.fn["kind"]](self, arguments)
        return encode(self.wanted, result)

    def _read(self, document: Arguments) -> Dict[str, Any]:
        try:
            arguments = document.value(self._revive)
        except WireError as error:
            raise Failure("transfer", "The arguments of the function are broken: %s." % error) from None
        if isinstance(arguments, dict) and all(
            isinstance(arguments.get(name), kind) for name, kind in PARTS.items()
        ):
            return arguments
        raise Failure("transfer", "The arguments of the function are no map of args, kwargs and bind.")

    def _revive(self, kind: int, content: Any) -> object:
        """An argument that is no data."""
        if kind == EXT_HANDLE and isinstance(content, int):
            self.brought_code = True
            return self.handle(content)
        if kind == EXT_REFERENCE and isinstance(content, int):
            return self.space.deref(content)
        if kind == EXT_FUNCTION and isinstance(content, list) and len(content) == 2:
            self.brought_code = True
            return self._function(*content)
        raise WireError("ext type %d where it has no meaning" % kind)

    def _function(self, fn: Any, bind: Any) -> Any:
        kind = fn.get("kind") if isinstance(fn, dict) else None
        names: Tuple[str, ...] = {"source": ("source", "name", "file"), "module": ("module", "name")}.get(
            str(kind), ()
        )
        if (
            not names
            or not isinstance(bind, dict)
            or not all(isinstance(fn.get(name), str) for name in names)
        ):
            raise WireError("a function that is neither source nor in a module")
        if kind == "module":
            return import_function(fn["module"], fn["name"])
        return define_function(self.space, self.space.new_module(), fn, bind)

    def handle(self, index: int) -> Any:
        """Loaded once, for an argument may come twice."""
        if not 0 <= index < len(self._handles):
            raise WireError("handle %d of %d" % (index, len(self._handles)))
        if index not in self._loaded:
            from .handles import load

            self._loaded[index] = load(self._handles[index])
        return self._loaded[index]

    def invoke(self, target: Any, arguments: Dict[str, Any]) -> object:
        if not callable(target):
            raise Failure("function", "The object cannot be called; it is a %s." % type(target).__qualname__)
        result = target(*arguments["args"], **arguments["kwargs"])
        # Of the type, for some objects make up every attribute that they are asked for.
        return self.space.wait(result) if hasattr(type(result), "__await__") else result

    def _run_cell(self) -> List[Buffer]:
        from .cells import run_cell
        from .displays import Showcase

        showcase = Showcase()
        self.space.shows(showcase.show)
        try:
            value = run_cell(self.fn["source"], self.fn["file"], self.space.names, self.space.wait)
        except BaseException as error:
            showcase.take_figures(None)
            if not showcase.shown:
                raise
            raise CellRaised(error, encode_cell(self.wanted, None, showcase.shown)) from None
        showcase.take_figures(value)
        return encode_cell(self.wanted, value, showcase.shown)


def first(arguments: Dict[str, Any]) -> object:
    if not arguments["args"]:
        raise Failure("transfer", "There is no first argument.")
    return arguments["args"][0]


def call_source(call: Call, arguments: Dict[str, Any]) -> object:
    return call.invoke(
        define_function(call.space, call.space.module(), call.fn, arguments["bind"]), arguments
    )


def call_module(call: Call, arguments: Dict[str, Any]) -> object:
    return call.invoke(import_function(call.fn["module"], call.fn["name"]), arguments)


def call_pickle(call: Call, arguments: Dict[str, Any]) -> object:
    try:
        target = call.handle(call.fn["handle"])
    except WireError as error:
        raise Failure("transfer", "The function is %s." % error) from None
    return call.invoke(target, arguments)


def call_ref(call: Call, arguments: Dict[str, Any]) -> object:
    return call.invoke(call.space.deref(call.fn["id"]), arguments)


def dump(call: Call, arguments: Dict[str, Any]) -> object:
    call.wanted.form = "handle"
    return first(arguments)


def define(call: Call, arguments: Dict[str, Any]) -> object:
    from . import cells

    call.wanted.form = "data"
    bound = cells.define(call.fn["source"], call.fn["file"], call.space.names)
    return {name: call.space.ref(value) for name, value in bound.items()}


def forget(call: Call, arguments: Dict[str, Any]) -> object:
    call.space.forget(arguments["args"])
    return None


#: A new kind of function is one more line here, and one in functions/request.py for what it must have.
ACTIONS: Dict[str, Action] = {
    "source": call_source,
    "module": call_module,
    "pickle": call_pickle,
    "ref": call_ref,
    "value": lambda call, arguments: first(arguments),
    "dump": dump,
    "define": define,
    "forget": forget,
}


def import_function(module: str, name: str) -> Any:
    try:
        target: Any = __import__(module, fromlist=["*"])
    except ModuleNotFoundError as error:
        # Only when it is the module itself that is missing; a fault inside it is the module's own.
        if error.name is None or not (module + ".").startswith(error.name + "."):
            raise
        from .missing import told

        text = "There is no module %s on this host, nor in PYTHONPATH. %s" % (module, told(error))
        raise Failure("function", text, raised=describe(error)) from None
    return find(target, name, "The module %s" % module)


def define_function(space: Space, module: Any, fn: Dict[str, Any], bind: Dict[str, Any]) -> Any:
    space.remember((module.__name__, fn["source"], fn["file"], bind))
    module.__dict__.update(bind)
    exec(compile_source(fn["source"], fn["file"]), module.__dict__)
    return find(module, fn["name"], "The source %s" % fn["file"])


def find(target: Any, name: str, where: str) -> Any:
    for part in name.split("."):
        try:
            target = getattr(target, part)
        except AttributeError as error:
            text = "%s has no function %s." % (where, name)
            raise Failure("function", text, raised=describe(error)) from None
    if not callable(target):
        raise Failure("function", "%s has %s, but it cannot be called." % (where, name))
    return target
