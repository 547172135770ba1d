"""What one can ask of the engine about the Hub: what a download would fetch, and to download."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

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
    lane: ClassVar[Literal["mlx", "side", "data", "net"]] = "net"

    @property
    def title(self) -> str:
        return f"download {self.name}"


HubRequest = DownloadModel
