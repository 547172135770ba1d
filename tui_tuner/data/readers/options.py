"""What a person may say about how a source is read, in the words of the section `[data]`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tui_tuner.config.reading import Slice

if TYPE_CHECKING:
    from tui_tuner.config import DataSection


@dataclass(frozen=True)
class Options:
    """See the keys of the same names in the configuration; empty texts leave it to the reader."""

    subset: str = ""
    slice: Slice = field(default_factory=Slice)
    encoding: str = ""
    delimiter: str = ""
    header: str = "auto"

    @classmethod
    def of(cls, data: DataSection) -> Options:
        """The options that a section of the configuration holds."""
        part = Slice.parse(data.slice)
        assert part is not None, "the configuration refuses what is no slice"
        return cls(data.subset, part, data.encoding, data.delimiter, data.header)
