"""What the run doctor said, one entry each: how grave, when, with its numbers, and what another run should change.

One entry is selected, several can be marked; what is done with them is the screen's matter. Everything that comes from
the events is shown as inert text.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, cast

from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui_tuner.config.difference import Difference, of_change
from tui_tuner.training.remedies import Said, said
from tui_tuner.ui.status import SEVERITIES
from tui_tuner.ui.text import inert, visible
from tui_tuner.ui.widgets.config_subject import Subjects

if TYPE_CHECKING:
    from tui_tuner.config.model import Experiment
    from tui_tuner.runs.view import RunView
    from tui_tuner.ui.app import TunerApp

NOTHING = "nothing to change in the configuration"
"""What stands under advice that no setting would follow."""


class AdviceList(OptionList):
    """The advice of the run being looked at, gravest first.

    Attributes:
        advice: the entries, in their order.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.advice: list[Said] = []
        self._marked: set[str] = set()
        self._subjects = Subjects()
        self._shown: object = None

    def show(self, view: RunView) -> bool:
        """Takes over what is new of a run; False when there is no advice. Marks and selection stay where they were."""
        self.advice = said(view)
        self._marked &= {_key(one) for one in self.advice}
        self._draw()
        return bool(self.advice)

    def on_resize(self) -> None:
        self._draw()

    def mark(self) -> None:
        """Marks the selected entry, or takes its mark away; one that changes nothing cannot be marked."""
        selected = self._selected
        if selected is not None and selected.change:
            self._marked ^= {_key(selected)}
            self._draw()

    @property
    def chosen(self) -> list[Said]:
        """The marked entries or, when none is marked, the selected one; gravest first."""
        if self._marked:
            return [one for one in self.advice if _key(one) in self._marked]
        return [] if self._selected is None else [self._selected]

    @property
    def _selected(self) -> Said | None:
        option = self.highlighted_option
        return next((one for one in self.advice if option is not None and _key(one) == option.id), None)

    def _draw(self) -> None:
        """Writes the entries, unless they stand there already."""
        width = self.scrollable_content_region.width
        if width <= 0:
            return
        subject = self._subjects.of_run(cast("TunerApp", self.app).state)
        experiment = subject.experiment if subject is not None else None
        shown = (width, list(self.advice), frozenset(self._marked), id(experiment))
        if shown == self._shown:
            return
        self._shown = shown
        selected = self._selected
        self.clear_options()
        for one in self.advice:
            marked = _key(one) in self._marked
            self.add_option(Option(entry(one, experiment, width - 2, marked=marked), id=_key(one)))
        if self.advice:
            self.highlighted = self.advice.index(selected) if selected is not None else 0


def entry(one: Said, experiment: Experiment | None, width: int, *, marked: bool = False) -> Content:
    """One piece of advice, for `width` cells."""
    sign, style = SEVERITIES[one.severity]
    head = Content.assemble((f"{sign} {one.severity}", f"bold {style}"), inert(f"  {one.code}", "$text-muted"))
    if one.step is not None:
        head = Content.assemble(head, (f"  said at step {one.step:,}", "$text-muted"))
    if one.change:
        mark = "[x]" if marked else "[ ]"
        head = head + Content(" " * max(1, width - head.cell_length - len(mark))) + Content(mark)
    lines = [head]
    lines += [Content(f"  {line}") for line in textwrap.wrap(visible(one.text), max(width - 2, 20))]
    return Content("\n").join([*lines, *change_lines(of_change(one.change, experiment), width)])


def change_lines(changes: list[Difference], width: int) -> list[Content]:
    """A change as lines `key  old → new`, the values below each other; or that there is none."""
    if not changes:
        return [Content.styled(f"  {NOTHING}", "$text-muted")]
    widest = min(max(len(each.key) for each in changes), max(width - 16, 10))
    lines = []
    for each in changes:
        old = "" if each.old is None else f"{visible(each.old)} → "
        lines.append(
            Content.assemble(inert(f"  {each.key:<{widest}}  "), (old, "$text-muted"), inert(each.new, "bold"))
        )
    return lines


def _key(one: Said) -> str:
    """What tells it from the others; `said` lists each only once."""
    return one.code or one.text
