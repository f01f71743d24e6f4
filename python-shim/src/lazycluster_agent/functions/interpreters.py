"""Finds the interpreter that a name stands for, and the environment that belongs to it."""

from __future__ import annotations

import os

from ..base.errors import Failure
from ..base.paths import expand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Optional

    Variables = Dict[bytes, bytes]

#: In the folder of a virtual or conda environment.
PROGRAMS = (b"bin/python3", b"bin/python")
#: Where conda and its kin are usually installed, below the home directory and /opt.
CONDA_FOLDERS = (
    b"miniconda3",
    b"anaconda3",
    b"miniforge3",
    b"mambaforge",
    b"micromamba",
    b"conda",
    b".conda",
)
AGG = b"Agg"


def find(name: str, cwd: bytes, home: bytes, environment: Variables) -> bytes:
    """The path of the interpreter. Raises Failure."""
    given = expand(name.encode("utf-8", "surrogateescape"), home)
    for path in candidates(given, cwd, home, environment):
        if os.path.isdir(path):
            program = in_folder(path)
            if program is not None:
                return program
        elif is_program(path):
            return path
    text = (
        "There is no interpreter %s on this host: no file, folder of an environment, command on PATH, "
        "conda environment or pyenv version of that name. Install it, or name another one." % name
    )
    raise Failure("python", text, path=given)


def candidates(given: bytes, cwd: bytes, home: bytes, environment: Variables) -> Iterator[bytes]:
    if b"\0" in given or not given:
        return
    if b"/" not in given:
        for folder in environment.get(b"PATH", os.defpath.encode()).split(b":"):
            # A folder on PATH that has the name of a command is none.
            path = os.path.join(folder or cwd, given)
            if not os.path.isdir(path):
                yield path
    yield os.path.join(cwd, given)
    if b"/" not in given:
        yield from conda_environments(given, home, environment)
        yield from pyenv_versions(given, home, environment)


def in_folder(folder: bytes) -> Optional[bytes]:
    return next(filter(is_program, (os.path.join(folder, program) for program in PROGRAMS)), None)


def is_program(path: bytes) -> bool:
    return os.access(path, os.X_OK) and os.path.isfile(path)


def conda_environments(name: bytes, home: bytes, environment: Variables) -> Iterator[bytes]:
    try:
        with open(os.path.join(home, b".conda/environments.txt"), "rb") as file:
            known = file.read().split(b"\n")
    except OSError:
        known = []
    for folder in known:
        if folder and os.path.basename(folder.rstrip(b"/")) == name:
            yield folder
    for root in conda_roots(home, environment):
        yield root if name == b"base" else os.path.join(root, b"envs", name)


def conda_roots(home: bytes, environment: Variables) -> Iterator[bytes]:
    executable = environment.get(b"CONDA_EXE")
    if executable:
        yield os.path.dirname(os.path.dirname(executable))
    for variable in (b"MAMBA_ROOT_PREFIX", b"CONDA_ROOT"):
        if environment.get(variable):
            yield environment[variable]
    for parent in (home, b"/opt"):
        for folder in CONDA_FOLDERS:
            yield os.path.join(parent, folder)


def pyenv_versions(name: bytes, home: bytes, environment: Variables) -> Iterator[bytes]:
    """3.12 stands for the newest 3.12.x, as in pyenv itself."""
    versions = os.path.join(environment.get(b"PYENV_ROOT") or os.path.join(home, b".pyenv"), b"versions")
    yield os.path.join(versions, name)
    try:
        names = [entry for entry in os.listdir(versions) if entry.startswith(name + b".")]
    except OSError:
        return
    for entry in sorted(names, key=numbers, reverse=True):
        yield os.path.join(versions, entry)


def numbers(version: bytes) -> List[int]:
    return [int(part) if part.isdigit() else -1 for part in version.split(b".")]


def activated(interpreter: bytes, environment: Variables) -> Variables:
    """The variables as they are where the environment of this interpreter is activated."""
    result = dict(environment)
    # Notebook kernels set one that draws into the notebook; ours collects figures itself.
    if result.get(b"MPLBACKEND", b"module://").startswith(b"module://"):
        result[b"MPLBACKEND"] = AGG
    prefix = os.path.dirname(os.path.dirname(interpreter))
    if os.path.isfile(os.path.join(prefix, b"pyvenv.cfg")):
        result[b"VIRTUAL_ENV"] = prefix
    elif os.path.isdir(os.path.join(prefix, b"conda-meta")):
        result[b"CONDA_PREFIX"] = prefix
        is_base = os.path.isdir(os.path.join(prefix, b"envs"))
        result[b"CONDA_DEFAULT_ENV"] = b"base" if is_base else os.path.basename(prefix)
    else:
        return result
    result.pop(b"PYTHONHOME", None)
    programs = os.path.join(prefix, b"bin")
    folders = result.get(b"PATH", os.defpath.encode()).split(b":")
    result[b"PATH"] = b":".join([programs, *(folder for folder in folders if folder != programs)])
    return result
