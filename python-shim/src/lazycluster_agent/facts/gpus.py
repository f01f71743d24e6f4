"""The tools that know a host's GPUs, and what they print."""

from __future__ import annotations

import os

from .which import find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

    Tool = Tuple[bytes, List[bytes], Callable[[str], List[str]]]


def parse_nvidia(text: str) -> List[str]:
    """One name a line; a driver without devices says so in a sentence."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith(("No devices", "NVIDIA-SMI", "Failed"))]


def parse_rocm(text: str) -> List[str]:
    """A map by card; warnings may come before it, and names of fields changed between versions."""
    import json

    start = text.find("{")
    try:
        cards, _ = json.JSONDecoder().raw_decode(text, max(start, 0))
    except (ValueError, RecursionError):
        return []
    if not isinstance(cards, dict):
        return []
    names = [name for name in cards if name.startswith("card") and name[4:].isdecimal()]
    return [_rocm_name(cards[name]) for name in sorted(names, key=lambda name: int(name[4:]))]


def _rocm_name(card: Any) -> str:
    fields: Dict[str, str] = {}
    if isinstance(card, dict):
        fields = {str(name).lower(): str(value).strip() for name, value in card.items()}
    for name in ("card series", "device name", "card model"):
        value = fields.get(name, "")
        if value and value != "N/A":
            return "AMD GPU %s" % value if value.startswith("0x") else value
    return "AMD GPU"


#: Program, where it may be besides PATH, arguments, parser.
TOOLS: List[Tuple[bytes, List[bytes], List[bytes], Callable[[str], List[str]]]] = [
    (
        b"nvidia-smi",
        [b"/usr/bin", b"/usr/local/nvidia/bin", b"/usr/lib/wsl/lib"],
        [b"--query-gpu=name", b"--format=csv,noheader"],
        parse_nvidia,
    ),
    (b"rocm-smi", [b"/opt/rocm/bin"], [b"--showproductname", b"--json"], parse_rocm),
]


def tools(path: bytes, cwd: bytes) -> List[Tool]:
    """Those that are installed."""
    found: List[Tool] = []
    for name, folders, arguments, parse in TOOLS:
        program: Optional[bytes] = find(name, os.pathsep.encode().join([path, *folders]), cwd)
        if program is not None:
            found.append((program, [name, *arguments], parse))
    return found
