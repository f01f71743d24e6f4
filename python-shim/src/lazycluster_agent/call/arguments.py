"""The arguments of a call, as they come."""

from __future__ import annotations

from ..base.errors import Failure
from ..values.decode import DocumentReader
from ..wire.msgpack import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Union

    from ..values.decode import SpecialReader
    from ..wire.frames import Buffer

TOO_LARGE = (
    "The arguments do not fit into the memory that the host allows this process. Raise its limits "
    "(ulimit -a), or send the data as a file."
)


class Arguments:
    """The document of a request. All of it is read first; only then it is told what is wrong with it."""

    def __init__(self) -> None:
        self._reader = DocumentReader()
        self._fault: Union[WireError, Failure, None] = None

    def feed(self, data: Buffer) -> None:
        if self._fault is None:
            try:
                self._reader.feed(data)
            except WireError as error:
                self._fault = error
            except MemoryError:
                self._fault = Failure("limit", TOO_LARGE)
            if self._fault is not None:
                # What came makes room for the rest, which must be read all the same.
                self._reader = DocumentReader()

    def value(self, read_special: SpecialReader) -> Any:
        """Raises WireError or Failure."""
        if self._fault is not None:
            raise self._fault
        return self._reader.value(read_special)
