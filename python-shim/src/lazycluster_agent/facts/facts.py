"""`facts`: what this host has, in one answer. Imported when somebody asks."""

from __future__ import annotations

import os
import time

from ..base.errors import Failure
from ..base.paths import expand
from ..connection.operation import Operation
from ..wire import fields
from . import gpus
from .figures import disk, gather
from .tool import Tool
from .which import DEFAULT_PATH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

    from ..connection.host import Host
    from ..wire.frames import Header


class Facts(Operation):
    # PATH may come from the login environment.
    needs_environment = True

    def __init__(self, agent: Host, id: int, header: Header) -> None:
        super().__init__(agent, id)
        self._path = fields.raw(header, "path")
        self._gpus: List[str] = []
        self._notes: List[str] = []
        self._tools: List[Tool] = []

    def start(self) -> None:
        path = self.agent.environment.get(b"PATH", DEFAULT_PATH)
        for program, argv, parse in gpus.tools(path, self.agent.home):
            try:
                self._tools.append(Tool(self, program, argv, parse, self._settle))
            except Failure as failure:
                self._notes.append(failure.message)
        self._settle()

    def cancel(self) -> None:
        self.fail(Failure("cancelled", "The question was cancelled."))

    def _settle(self) -> None:
        if self.finished or any(tool.names is None for tool in self._tools):
            return
        for tool in self._tools:
            self._gpus.extend(tool.names or [])
            self._notes.extend(tool.notes)
        where = self._path or self.agent.environment.get(b"TMPDIR") or b"/tmp"
        folder = os.path.join(self.agent.home, expand(where, self.agent.home))
        now = int(time.time() * 1000)
        self.finish("done", gpus=self._gpus, notes=self._notes, time=now, **gather(), **disk(folder))

    def release(self) -> None:
        for tool in self._tools:
            tool.release()
