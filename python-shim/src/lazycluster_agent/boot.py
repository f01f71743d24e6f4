"""The first code that runs on a host: makes the other modules importable, and divides into keeper and agent.

What is sent begins with the text of this module, which is in `SOURCE`; behind it are the others (see
bundle.py). Beside it there is what bootstrap.sh has made: in `f` the buffered stdin that it came from, in `b`
the bytes that came, in `p` what `sys.path` was before the standard library was put first.
"""

from __future__ import annotations

import gc
import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import io
    from typing import Any, Callable, Dict, List, NoReturn, Optional, Sequence

    from lazycluster_agent.base.shadows import Shadows

    Role = Callable[[], NoReturn]

PACKAGE = "lazycluster_agent"
#: What the keeper compiles meanwhile, in the order of need: half of the start-up time is spent on compiling.
HELPED = [
    "base/loop",
    "wire/msgpack",
    "wire/frames",
    "base/signals",
    "base/descriptors",
    "base/children",
    "connection/operation",
    "steps/step",
    "processes/streams",
    "processes/family",
    "processes/spawn",
    "processes/procfs",
    "processes/table",
    "processes/ending",
]

#: importlib.machinery has it, but importing that would cost more than all that we do with it.
ModuleSpec: Any = type(sys.__spec__)


class Importer:
    """Compiles the modules of the package when they are first needed."""

    def __init__(self, sources: Dict[str, bytes], bundle: bytes) -> None:
        self.lazycluster_sources = sources
        self.lazycluster_bundle = bundle
        # Most have no text of their own.
        self._packages = {name.rpartition("/")[0] for name in sources}
        #: What is done when a package of this name is first looked for, whoever does it.
        self.awaited: Dict[str, Callable[[], None]] = {}
        #: Set where modules of the user stand in front of the standard library.
        self.shadows: Optional[Shadows] = None
        #: Where the keeper passes on what it compiles for us, and what came that way.
        self.help: Optional[io.BufferedReader] = None
        self._codes: Dict[str, Any] = {}
        self._count = 0

    def find_spec(self, name: str, path: Optional[Sequence[str]] = None, target: Any = None) -> Any:
        if name in self.awaited:
            self.awaited.pop(name)()
        package, _, module = name.partition(".")
        return self.specify(name, module) if package == PACKAGE else None

    def specify(self, name: str, module: str) -> Any:
        """What is imported as `name` is our `module`."""
        module = module.replace(".", "/")
        is_package = module in self._packages
        text = (module + "/__init__").lstrip("/") if is_package else module
        if text in self.lazycluster_sources:
            return ModuleSpec(name, self, origin=filename(text), is_package=is_package, loader_state=text)
        return ModuleSpec(name, self, is_package=True) if is_package else None

    def create_module(self, spec: Any) -> None:
        """The default is right."""

    def exec_module(self, module: Any) -> None:
        name = module.__spec__.loader_state
        if name is None:
            return
        code = (self._helped(name) if name in HELPED else None) or self.compile(name)
        if self.shadows is None:
            exec(code, module.__dict__)
        else:
            with self.shadows:
                exec(code, module.__dict__)

    def compile(self, name: str) -> Any:
        return compile(self.lazycluster_sources[name], filename(name), "exec", dont_inherit=True)

    def compile_for(self, fd: int) -> None:
        """Passes the code of HELPED on to the agent, which reads it soon, or dies and so ends the pipe."""
        try:
            with os.fdopen(fd, "wb") as pipe:
                for name in HELPED:
                    # Some of it we need ourselves, at the agent's end.
                    self._codes[name] = self.compile(name)
                    code = marshal.dumps(self._codes[name])
                    pipe.write(len(code).to_bytes(4, "big") + code)
                    pipe.flush()
        except OSError:
            pass

    def _helped(self, wanted: str) -> Any:
        while self.help is not None and wanted not in self._codes:
            size = int.from_bytes(self.help.read(4), "big")
            code = self.help.read(size)
            whole = bool(size) and len(code) == size
            if whole:
                self._codes[HELPED[self._count]] = marshal.loads(code)
                self._count += 1
            if not whole or self._count == len(HELPED):
                self.help.close()
                self.help = None
        return self._codes.pop(wanted, None)

    def stand_in_for(self, package: str) -> None:
        """Lets `package` be imported from ours of the same name, where the host has none."""
        importer = self

        class Substitute:
            @staticmethod
            def find_spec(name: str, path: Optional[Sequence[str]] = None, target: Any = None) -> Any:
                return importer.specify(name, name) if name.partition(".")[0] == package else None

        sys.meta_path.append(Substitute)

    def reveal(self) -> None:
        """Lets tracebacks show our lines."""
        import linecache

        for name, text in self.lazycluster_sources.items():
            source = text.decode()
            linecache.cache[filename(name)] = (len(source), None, source.splitlines(True), filename(name))


def filename(module: str) -> str:
    return "<%s/%s.py>" % (PACKAGE, module)


def open_bundle(bundle: bytes) -> Dict[str, bytes]:
    """The texts behind this one, by their names."""
    import zlib

    # The part that was run already says where it ends.
    first = zlib.decompressobj()
    first.decompress(bundle)
    index, _, texts = zlib.decompress(first.unused_data).partition(b"\n\n")
    sources = {}
    at = 0
    for line in index.decode().split("\n"):
        name, _, size = line.partition(" ")
        sources[name] = texts[at : at + int(size)]
        at += int(size)
    return sources


def main(source: str, stdin: io.BufferedReader, bundle: bytes, path: List[str]) -> NoReturn:
    # Nothing that is made at the start is garbage.
    gc.disable()
    importer = Importer({"boot": source.encode(), **open_bundle(bundle)}, bundle)
    sys.meta_path.insert(0, importer)
    restore_utf8_variable()
    code = 70
    try:
        choose_role(importer, stdin, path)()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        # These are our last words; the manager shows them.
        importer.reveal()
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def restore_utf8_variable() -> None:
    """bootstrap.sh asks for UTF-8 mode by a variable (Python 2 knows no -X), which no step must see."""
    former = os.environ.pop("LAZYCLUSTER_UTF8", None)
    if former:
        os.environ["PYTHONUTF8"] = former
    elif former is not None:
        os.environ.pop("PYTHONUTF8", None)


def choose_role(importer: Importer, stdin: io.BufferedReader, path: List[str]) -> Role:
    if len(sys.argv) > 2:
        # Started by an agent, for functions.
        return serve_functions(importer, int(sys.argv[2]), path)
    mode, _, name = stdin.readline().decode("ascii", "replace").strip().partition(" ")
    if mode == "agent":
        return divide_here(importer, stdin)
    from lazycluster_agent.detached import door

    if mode not in ("attach", "detach") or not door.is_name(name):
        door.refuse("there is no mode %.40s %.40s" % (mode, name))
    if mode == "attach":
        return door.attach(name, stdin)
    return door.start(name, stdin, lambda listener, folder: divide_apart(importer, listener, folder))


def serve_functions(importer: Importer, control: int, path: List[str]) -> Role:
    """In an interpreter as users start it, to which our imports must make no difference."""
    from lazycluster_agent.base.shadows import begin

    importer.shadows = begin(path)
    # Without the working directory of the moment, as a call brings its own.
    sys.path[:] = filter(None, path)

    def serve() -> NoReturn:
        from lazycluster_agent.child.forkserver import ForkServer

        ForkServer(control, importer).run()

    return serve


def divide_here(importer: Importer, stdin: io.BufferedReader) -> Role:
    # No descriptor that our own steps or functions could write to may lead to the manager.
    os.set_blocking(0, False)
    leftover = bytes(stdin.peek())
    connection = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    os.chdir("/")

    def serve(*rest: Any) -> int:
        from lazycluster_agent.life.agent import Agent

        return Agent(connection, *rest).run(leftover)

    return divide(importer, connection, serve)


def divide_apart(importer: Importer, listener: int, folder: bytes) -> Role:
    """For an agent that lives without a connection."""

    def serve(*rest: Any) -> int:
        from lazycluster_agent.life.detached import DetachedAgent

        return DetachedAgent(listener, folder, *rest).run(b"")

    return divide(importer, (listener,), serve)


def divide(importer: Importer, fds: Sequence[int], run: Callable[..., int]) -> Role:
    """Keeper and agent; `fds` are the agent's alone, and `run` is its whole life."""
    mark = os.urandom(16).hex().encode()
    keeper_lives, keeper_holds = os.pipe()
    notes, agent_notes = os.pipe()
    helped, help_out = os.pipe()
    keeper = os.getpid()
    agent = os.fork()
    if agent:

        def keep() -> NoReturn:
            for fd in (*fds, keeper_lives, agent_notes, helped):
                os.close(fd)
            importer.compile_for(help_out)
            # The agent is what somebody waits for; until it is ready we take no time from it.
            os.read(notes, 1)
            from lazycluster_agent.life.keeper import Keeper

            sys.exit(Keeper(agent, notes, mark).run())

        return keep

    def serve() -> NoReturn:
        for fd in (keeper_holds, notes, help_out):
            os.close(fd)
        importer.help = os.fdopen(helped, "rb")
        os.setsid()
        sys.exit(run(keeper, keeper_lives, agent_notes, mark))

    return serve


if __name__ == "__main__":
    main(*map(globals().get, ("SOURCE", "f", "b", "p")))  # type: ignore[arg-type]
