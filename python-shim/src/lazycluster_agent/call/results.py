"""In which form a result comes back: as data, as something to look at, as a handle, or as a ref."""

from __future__ import annotations

from ..values.codes import EXT_HANDLE, Special
from ..values.encode import encode_document
from ..wire.msgpack import NotData

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

    from ..wire.frames import Buffer
    from .spaces import Space

NAME = "result"
#: Forms that a result takes only if it is no data.
DATA_FIRST = ("auto", "ref")


class Wanted:
    """How a result is wanted, and what it takes to make it so."""

    def __init__(self, form: str, space: Space, folder: bytes, modules: List[str]) -> None:
        self.form = form
        self.space = space
        #: For handles, and what is passed with them by value.
        self.folder, self.modules = folder, modules


def encode(wanted: Wanted, result: object) -> List[Buffer]:
    """The document of a result. Raises NotData, or Failure."""
    if wanted.form == "data":
        return encode_document(result, NAME)
    why = ""
    if wanted.form in DATA_FIRST:
        try:
            return encode_document(result, NAME)
        except NotData as error:
            why = str(error)
    return encode_document(transform(wanted, result, why), NAME)


def encode_cell(wanted: Wanted, result: object, shown: List[Special]) -> List[Buffer]:
    why = ""
    if wanted.form in ("data", *DATA_FIRST):
        try:
            return encode_document({"value": result, "displays": shown}, NAME)
        except NotData as error:
            if wanted.form == "data":
                raise
            why = str(error)
    return encode_document({"value": transform(wanted, result, why), "displays": shown}, NAME)


def transform(wanted: Wanted, result: object, why: str) -> object:
    """What stands for a result that is no data, or is not wanted as data."""
    if wanted.form == "ref":
        return wanted.space.ref(result)
    if wanted.form == "display" and result is None:
        return None
    from . import displays

    mime = displays.mime_of(result)
    if wanted.form == "display" or (wanted.form == "auto" and displays.has_image(mime)):
        return displays.display(result, mime)
    return handle(wanted, result, mime, why)


def handle(wanted: Wanted, result: object, mime: Any, why: str) -> Special:
    from .handles import ADVICE, Unpicklable, save

    try:
        content: Dict[str, Any] = save(result, wanted.folder, wanted.modules)
    except Unpicklable as error:
        from .brief import type_name

        # The place of what is no data, or the whole of it.
        first = why or "%s is a %s." % (NAME, type_name(type(result)))
        text = "%s It cannot be kept on the host as a handle either, for it cannot be pickled (%s). %s"
        raise NotData(text % (first, error, ADVICE)) from None
    return Special(EXT_HANDLE, {**content, "mime": mime})
