"""Whatever is asked of sessions, in whatever order: every operation ends, once, and nothing stays behind."""

from __future__ import annotations

import os
import random
import signal
from typing import List

import pytest
from manager import LONG, Manager, sleepers

CELLS = [
    "x = 1",
    "import time; time.sleep(0.02)",
    "while True: pass",
    "1/0",
    "print('x' * 100_000)",
    "bytes(300_000)",
    "lambda: 1",
    "import os; os._exit(1)",
    "import os; os.kill(os.getpid(), 9)",
    "import os; os.fork()",
    "import subprocess; subprocess.Popen(['sleep', '%s'])" % LONG,
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    "import os; os.close(1)",
    "raise SystemExit",
]


def step(chance: random.Random, manager: Manager, running: List[int]) -> None:
    session = chance.choice("ab")
    action = chance.randrange(10)
    if action < 5:
        running.append(manager.start_cell(chance.choice(CELLS), session=session, env={"A": "b"}))
    elif action == 5:
        running.append(manager.start_interrupt(session))
    elif action == 6 and running:
        manager.cancel(chance.choice(running))
    elif action == 7:
        running.append(manager.start_end_session(session))
    elif action == 8:
        running.append(manager.start_cell("while True: pass", session=session, timeout=chance.randrange(50)))
    elif action == 9:
        pids = [manager.results[id].pid for id in running if started(manager, id)]
        if pids and chance.random() < 0.3:
            try:
                os.kill(chance.choice(pids), signal.SIGKILL)
            except OSError:
                pass  # It has ended already.


def started(manager: Manager, id: int) -> bool:
    return any(header["op"] == "started" for header, _ in manager.results[id].frames)


@pytest.mark.parametrize("seed", range(12))
def test_chaos(seed: int) -> None:
    chance = random.Random(seed)
    with Manager() as manager:
        running: List[int] = []
        for _ in range(60):
            step(chance, manager, running)
            if chance.random() < 0.5:
                manager.send({"op": "ping", "t": 1})
                manager.pongs.clear()
                manager.wait(lambda: manager.pongs)
        for id in running:
            # Endless ones; a message for an id that is not in use is ignored.
            manager.cancel(id)
        for id in running:
            manager.finish(id, 30)
        for session in "ab":
            assert manager.end_session(session)["op"] == "done"
        assert not sleepers()
        assert manager.cell("2").value["value"] == 2
        assert manager.call("def f(): return 3").value == 3
