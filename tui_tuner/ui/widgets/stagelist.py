"""The stages of a run with sign, name and time; in one line, or one below the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

from tui_tuner.runs.vocabulary import STAGES
from tui_tuner.ui import format as fmt
from tui_tuner.ui.status import STAGE_STATES
from tui_tuner.ui.text import clip

if TYPE_CHECKING:
    from tui_tuner.runs.stages import StageStatus

ABOUT = {
    "check": "model, memory",
    "data": "split and prepare",
    "baseline": "measure before",
    "train": "learn",
    "evaluate": "measure after",
    "verdict": "compare",
}
"""What each stage is, in a few words."""


class StageList(Widget):
    """All stages of the pipeline, also those that have not begun."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._stages: list[tuple[str, str, str]] = [(name, "waiting", "") for name in STAGES]

    def show(self, stages: Mapping[str, StageStatus], ended: str = "") -> None:
        """Takes over the stages of a view.

        Args:
            stages: by name.
            ended: what a stage that was at work became when the run ended, `failed` or `stopped`; empty while it goes.
        """
        rows = []
        for name in STAGES:
            stage = stages.get(name)
            if stage is None:
                rows.append((name, "waiting", ""))
                continue
            status = stage.status
            if status == "running" and ended:
                status = ended
            detail = fmt.duration(stage.seconds) if status in ("done", "failed", "stopped") else ""
            if status == "running" and stage.total:
                detail = fmt.percent(stage.done, stage.total)
            rows.append((name, status, detail))
        if rows != self._stages:
            self._stages = rows
            self.refresh()

    def render(self) -> Content:
        if self.size.height >= len(self._stages):
            return Content("\n").join([self._row(*stage) for stage in self._stages])
        roomy = self.size.width >= 100
        return Content("   " if roomy else "  ").join([self._item(*stage, roomy) for stage in self._stages])

    def _item(self, name: str, status: str, detail: str, roomy: bool) -> Content:
        sign, style = STAGE_STATES[status]
        text = Content.assemble((f"{sign} ", f"bold {style}"), (name, _name_style(status)))
        return text + Content.styled(f" {detail}", "$text-muted") if detail and roomy else text

    def _row(self, name: str, status: str, detail: str) -> Content:
        sign, style = STAGE_STATES[status]
        width = self.size.width
        about = clip(ABOUT.get(name, ""), max(0, width - 12 - len(detail) - 2))
        left = Content.assemble(
            (f"{sign} ", f"bold {style}"), (name.ljust(9), _name_style(status)), (about, "$text-muted")
        )
        return (
            left + Content(" " * max(1, width - left.cell_length - len(detail))) + Content.styled(detail, "$foreground")
        )


def _name_style(status: str) -> str:
    return {"running": "bold $foreground", "waiting": "$text-muted", "skipped": "$text-muted"}.get(
        status, "$foreground"
    )
