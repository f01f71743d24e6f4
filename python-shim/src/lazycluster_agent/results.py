"""In which form a result comes back: as data, as something to look at, as a handle, or as a ref."""

from __future__ import annotations

from .msgpack import NotData
from .values import EXT_HANDLE, Special, encode_document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List

    from .calls import Call
    from .frames import Buffer

NAME = "result"
#: Forms that a result takes only if it is no data.
DATA_FIRST = ("auto", "ref")


def encode(call: Call, result: object) -> List[Buffer]:
    """The document of a result. Raises NotData, or Failure."""
    if call.form == "data":
        return encode_document(result, NAME)
    why = ""
    if call.form in DATA_FIRST:
        try:
            return encode_document(result, NAME)
        except NotData as error:
            why = str(error)
    return encode_document(transform(call, result, why), NAME)


def encode_cell(call: Call, result: object, shown: List[Special]) -> List[Buffer]:
    why = ""
    if call.form in ("data", *DATA_FIRST):
        try:
            return encode_document({"value": result, "displays": shown}, NAME)
        except NotData as error:
            if call.form == "data":
                raise
            why = str(error)
    return encode_document({"value": transform(call, result, why), "displays": shown}, NAME)


def transform(call: Call, result: object, why: str) -> object:
    """What stands for a result that is no data, or is not wanted as data."""
    if call.form == "ref":
        return call.space.ref(result)
    if call.form == "display" and result is None:
        return None
    from . import displays

    mime = displays.mime_of(result)
    if call.form == "display" or (call.form == "auto" and displays.has_image(mime)):
        return displays.display(result, mime)
    return handle(call, result, mime, why)


def handle(call: Call, result: object, mime: Any, why: str) -> Special:
    from .pickles import ADVICE, Unpicklable, save

    try:
        content: Dict[str, Any] = save(result, call.folder, call.modules)
    except Unpicklable as error:
        from .subjects import type_name

        # The place of what is no data, or the whole of it.
        first = why or "%s is a %s." % (NAME, type_name(type(result)))
        text = "%s It cannot be kept on the host as a handle either, for it cannot be pickled (%s). %s"
        raise NotData(text % (first, error, ADVICE)) from None
    return Special(EXT_HANDLE, {**content, "mime": mime})
