"""The first code that runs on a host: makes the other modules importable, and divides into keeper and agent.

What is sent is one text of two lines: `SOURCES = {...}`, the text of every module by its name, and a line
that runs this one (see bundle.py). In `f` it finds the buffered stdin that it came from (see bootstrap.sh).
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import io
    from typing import Any, Callable, Dict, List, NoReturn, Optional, Sequence

    Role = Callable[[], NoReturn]

PACKAGE = "lazycluster_agent"

#: importlib.machinery has it, but importing that would cost more than all that we do with it.
ModuleSpec: Any = type(sys.__spec__)


class Importer:
    """Compiles the modules of the package when they are first needed."""

    def __init__(self, sources: Dict[str, str]) -> None:
        self.lazycluster_sources = sources

    def find_spec(self, name: str, path: Optional[Sequence[str]] = None, target: Any = None) -> Any:
        package, _, module = name.partition(".")
        module = module or "__init__"
        if package != PACKAGE or module not in self.lazycluster_sources:
            return None
        return ModuleSpec(name, self, origin=filename(module), is_package=module == "__init__")

    def create_module(self, spec: Any) -> None:
        """The default is right."""

    def exec_module(self, module: Any) -> None:
        name = module.__spec__.name.partition(".")[2] or "__init__"
        exec(
            compile(self.lazycluster_sources[name], filename(name), "exec", dont_inherit=True),
            module.__dict__,
        )

    def reveal(self) -> None:
        """Lets tracebacks show our lines."""
        import linecache

        for name, source in self.lazycluster_sources.items():
            linecache.cache[filename(name)] = (len(source), None, source.splitlines(True), filename(name))


def filename(module: str) -> str:
    return "<%s/%s.py>" % (PACKAGE, module)


def bundle() -> bytes:
    """What we were started from, to start the same in another interpreter."""
    import zlib

    return zlib.compress(("SOURCES = %s\n%s\n" % (ascii(sources()), RUN)).encode(), 9)


def start_line() -> List[bytes]:
    """The arguments of an interpreter that reads a bundle, as bootstrap.sh has them."""
    return [
        b"-u",
        b"-S",
        b"-c",
        b"import sys;v=sys.version_info;"
        b"v>=(3,8) or (sys.stdout.write(sys.argv[1]%v[:3]+chr(10)),sys.exit(3));"
        b"sys.path[:]=[d for d in sys.path if d];import zlib;f=sys.stdin.buffer;"
        b"exec(zlib.decompress(f.read(int(f.readline()))))",
        b"lazycluster: old python %d.%d.%d",
    ]


def sources() -> Dict[str, str]:
    """The text of every module by its name."""
    # Started from a bundle, we were run as __main__, and the class there is not this one.
    for finder in sys.meta_path:
        texts = getattr(finder, "lazycluster_sources", None)
        if texts is not None:
            return dict(texts)
    texts = {}
    folder = os.path.dirname(os.path.abspath(__file__))
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                texts[name[:-3]] = file.read()
    return texts


#: The last line of a bundle.
RUN = 'exec(compile(SOURCES["boot"], "<lazycluster_agent/boot.py>", "exec"))'


def main(texts: Dict[str, str], stdin: io.BufferedReader) -> NoReturn:
    # Nothing that is made at the start is garbage.
    gc.disable()
    importer = Importer(texts)
    sys.meta_path.insert(0, importer)
    restore_utf8_variable()
    role: Optional[Role] = None
    code = 70
    try:
        role = choose_role(stdin)
        from lazycluster_agent.errors import Become

        while True:
            try:
                role()
            except Become as change:
                role = change.role
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


def choose_role(stdin: io.BufferedReader) -> Role:
    if len(sys.argv) > 2:
        # Started by an agent, for functions that want another interpreter.
        control = int(sys.argv[2])

        def serve() -> NoReturn:
            from lazycluster_agent.forkserver import ForkServer

            ForkServer(control).run()

        return serve
    return divide(stdin)


def divide(stdin: io.BufferedReader) -> Role:
    # No descriptor that our own steps or functions could write to may lead to the manager.
    os.set_blocking(0, False)
    leftover = bytes(stdin.peek())
    reading, writing = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    os.chdir("/")
    mark = os.urandom(16).hex().encode()
    keeper_lives, keeper_holds = os.pipe()
    notes, agent_notes = os.pipe()
    keeper = os.getpid()
    agent = os.fork()
    if agent:

        def keep() -> NoReturn:
            for fd in (reading, writing, keeper_lives, agent_notes):
                os.close(fd)
            # The agent is what somebody waits for; until it is ready we take no time from it.
            os.read(notes, 1)
            from lazycluster_agent.keeper import Keeper

            sys.exit(Keeper(agent, notes, mark).run())

        return keep

    def serve() -> NoReturn:
        for fd in (keeper_holds, notes):
            os.close(fd)
        os.setsid()
        from lazycluster_agent.agent import Agent

        sys.exit(Agent(reading, writing, keeper, keeper_lives, agent_notes, mark).run(leftover))

    return serve


if __name__ == "__main__":
    main(globals()["SOURCES"], globals()["f"])
