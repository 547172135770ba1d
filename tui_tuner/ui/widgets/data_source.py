"""The pane of source and mapping: lines that tell, and lines that enter changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_tuner.ui.widgets.data_list import GUTTER, RowList
from tui_tuner.ui.widgets.data_mapping import Line, lines_of

if TYPE_CHECKING:
    from tui_tuner.config.model import Experiment
    from tui_tuner.data.sourcefacts import SourceFacts


class SourcePane(RowList):
    """A list of which only what can be changed is selected."""

    def __init__(self, *, id: str) -> None:
        super().__init__("Source", id=id)
        self._known: tuple[Experiment, SourceFacts | None, str, int] | None = None
        self._lines: list[Line] = []
        self._width = 0
        self._sought = ""

    @property
    def key(self) -> str:
        """The key of the selected line; empty when nothing can be changed."""
        return self._lines[self.cursor].key if self.cursor < len(self._lines) else ""

    @property
    def plain(self) -> str:
        """Everything as text."""
        return "\n".join(f"{line.label} {line.value}".strip() for line in self._lines)

    def tell(self, experiment: Experiment, facts: SourceFacts | None, problem: str, records: int = 0) -> None:
        """Shows what is known, as `lines_of` is told it; drawn anew only when something is other than before."""
        known = (experiment, facts, problem, records)
        if self._known is not None and all(one is two or one == two for one, two in zip(known, self._known)):  # noqa: B905
            return
        self._known = known
        self._fill()

    def seek(self, start: str) -> None:
        """Puts the cursor on the first line whose key begins so, also when there is none yet."""
        self._sought = start
        self._fill()

    def on_resize(self) -> None:
        super().on_resize()
        if self._width != self.scrollable_content_region.width:
            self._fill()

    def _fill(self) -> None:
        self._width = self.scrollable_content_region.width
        if self._known is None or self._width <= GUTTER:
            return
        before = self.key
        experiment, facts, problem, records = self._known
        width = self._width - GUTTER - 1  # a scroll bar may come
        self._lines = shown = lines_of(experiment, facts, problem, width, records)
        skip = frozenset(at for at, line in enumerate(shown) if not line.key)
        cursor = next((at for at, line in enumerate(shown) if line.key == before), self.cursor)
        if self._sought:
            cursor = next((at for at, line in enumerate(shown) if line.key.startswith(self._sought)), cursor)
            self._sought = ""
        self.show(len(shown), lambda at, width: shown[at].draw(width), skip=skip, cursor=cursor)
