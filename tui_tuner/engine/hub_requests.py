"""What one can ask of the engine about the Hub: to download and to upload, and what that would do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from tui_tuner.engine.lanes import Lane
from tui_tuner.engine.work import Work


@dataclass(frozen=True)
class DownloadModel:
    """Fetches a model from the Hub. Result: the document that `tui-tuner download --json` prints.

    Attributes:
        name: of the repository.
        revision: a branch, tag or commit; empty for the newest.
        only_plan: whether only what would be fetched is found out.
    """

    name: str
    revision: str = ""
    only_plan: bool = False
    progress: Work = field(default_factory=Work)
    lane: ClassVar[Lane] = "net"

    @property
    def title(self) -> str:
        return f"download {self.name}"


@dataclass(frozen=True)
class UploadModel:
    """Sends a model or an adapter to the Hub. Result: the document that `tui-tuner upload --json` prints.

    Attributes:
        what: a run, "RUN:STEP", a folder with a model or an adapter, or a GGUF file.
        repository: where to, as owner/name.
        private: whether a repository that is made is private.
        only_plan: whether only what would be sent is found out.
        force: whether files that are in the repository may be replaced.
        runs_dir: where runs live, None for the usual place.
    """

    what: str
    repository: str
    private: bool = False
    only_plan: bool = False
    force: bool = False
    runs_dir: Path | None = None
    progress: Work = field(default_factory=Work)
    lane: ClassVar[Lane] = "net"

    @property
    def title(self) -> str:
        return f"upload {self.what}"


@dataclass(frozen=True)
class ReadCode:
    """Which code a model brings along. Result: `Code`, or None for none."""

    model: str
    lane: ClassVar[Lane] = "side"

    @property
    def title(self) -> str:
        return f"read the code of {self.model}"


@dataclass(frozen=True)
class Code:
    """Code that a model brings: what it is called, what it would do, and the text that allows exactly this code."""

    name: str
    meaning: str
    consent: str


HubRequest = DownloadModel | UploadModel | ReadCode
