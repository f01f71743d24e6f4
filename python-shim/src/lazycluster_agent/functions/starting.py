"""Starts a fork server as the user's own Python would start: by exec, with `site`, and with its variables."""

from __future__ import annotations

import os

from ..base import children
from ..base.bundle import bundle, start_line
from ..base.errors import Failure
from ..processes.spawn import spawn
from ..processes.streams import Inlet, Outlet
from ..wire.control import Control, control_pair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List

    from ..connection.host import Host


def start_server(
    agent: Host, program: bytes, environment: Dict[bytes, bytes], on_noise: Callable[[bytes], None]
) -> Control:
    """`on_noise` gets what the interpreter prints before it serves. Raises Failure."""
    kept: List[int] = []
    given: List[int] = []
    text = bundle()
    text = b"%d\n%s" % (len(text), text)
    # The last argument says where the control socket is.
    argv = [program, *start_line(), b"3"]
    environment = {**environment, children.CONNECTION_VARIABLE: agent.mark}
    try:
        for make in control_pair, os.pipe, os.pipe:
            one, other = make()
            kept.append(one)
            given.append(other)
        # The bundle goes the other way.
        kept[1], given[1] = given[1], kept[1]
        ours, bundle_in, noise_out = kept
        theirs, bundle_out, noise_in = given
        spawn(argv, program, environment, agent.home, [bundle_out, noise_in, noise_in, theirs])
    except BaseException as error:
        for fd in kept:
            os.close(fd)
        if isinstance(error, Failure) and error.kind != "limit":
            error.kind = "python"
        raise
    finally:
        for fd in given:
            os.close(fd)
    inlet = Inlet(agent.loop, bundle_in, lambda cost: None)
    inlet.write(memoryview(text), 0)
    inlet.end()
    Outlet(agent.loop, noise_out, on_noise, lambda: None)
    return Control(ours)
