"""What a person may say about how a source is read, in the words of the section `[data]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui_tuner.config import DataSection


@dataclass(frozen=True)
class Options:
    """See the keys of the same names in the configuration; empty texts leave it to the reader."""

    subset: str = ""
    slice: str = ""
    encoding: str = ""
    delimiter: str = ""
    header: str = "auto"

    @classmethod
    def of(cls, data: DataSection) -> Options:
        """The options that a section of the configuration holds."""
        return cls(data.subset, data.slice, data.encoding, data.delimiter, data.header)
