"""Reading several runs for a comparison: in a thread, judged in another, and followed while they go on.

It knows what is compared, and nothing of how that looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from tui_tuner.evaluation.together import Together, bring_together, read_members
from tui_tuner.ui.screens.base import WorkbenchScreen
from tui_tuner.ui.status import ACTIVE

if TYPE_CHECKING:
    from tui_tuner.runs.folder import RunFolder


class CompareWorkScreen(WorkbenchScreen):
    """A screen that has several runs read, judged and followed.

    Args:
        folders: the runs; the first is the reference until another one is chosen.
    """

    def __init__(self, folders: Sequence[RunFolder]) -> None:
        super().__init__()
        self._folders = list(folders)
        self._together: Together | None = None
        self._judging = False

    def on_mount(self) -> None:
        self.add_class("-reading")
        self.run_worker(self._read, thread=True, exit_on_error=False, group="compare")
        self.set_interval(1.0, self._follow)
        # The marks of runs have the colours of the chart, which are styles, and known when these are.
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.call_after_refresh(self.draw))

    def draw(self) -> None:
        """Shows what is known now."""
        raise NotImplementedError

    def show_all(self) -> None:
        """Shows it for the first time."""
        raise NotImplementedError

    # -- reading ------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            members = read_members(self._folders)
            self.app.call_later(self._show, bring_together(members, judged=False))
        except Exception as error:
            self.app.call_later(self.tuner.report, error)

    def _show(self, together: Together) -> None:
        if not self.is_attached:  # it was left meanwhile
            return
        self._together = together
        self.remove_class("-reading")
        self.show_all()
        self._judge(together)

    def _judge(self, together: Together) -> None:
        """Has the runs judged against the reference, in a thread."""
        self._judging = True
        judged = partial(self._judged, together)
        self.run_worker(judged, thread=True, exit_on_error=False, exclusive=True, group="judge")

    def _judged(self, together: Together) -> None:
        try:
            found = bring_together(together.members, together.reference)
        except Exception as error:
            found = together
            self.app.call_later(self.tuner.report, error)
        self.app.call_later(self._take, found)

    def _take(self, found: Together) -> None:
        """Shows what was judged, unless another reference was chosen meanwhile, or the screen was left."""
        if not self.is_attached or self._together is None or found.reference != self._together.reference:
            return
        self._together, self._judging = found, False
        self.draw()

    def _follow(self) -> None:
        """Takes in what runs that go on have reported since."""
        if self._together is None or not self.is_current:
            return
        going = [member for member in self._together.members if member.state in ACTIVE]
        news = [member.poll() for member in going]
        if any(news):
            self.draw()
