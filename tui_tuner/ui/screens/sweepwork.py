"""A sweep over what is set up on a screen: the one that its preset carries, or a first one, queued on a wish."""

from __future__ import annotations

from tui_tuner.config.sweep_text import carried_sweep, first_sweep
from tui_tuner.ui.screens.textwork import TextWorkScreen


class SweepWorkScreen(TextWorkScreen):
    """A screen from which a sweep is queued."""

    def __init__(self) -> None:
        super().__init__()
        self._sweeps: dict[object, str] = {}

    def carries_sweep(self) -> bool:
        """Whether the text beside the form has a sweep."""
        return "[sweep" in self.document.text and bool(self._carried())

    def _carried(self) -> str:
        return carried_sweep(self.document.text, self.tuner.state.overrides)

    def action_sweep(self) -> None:
        """Shows what a sweep over the experiment would run, to edit and to queue."""
        from tui_tuner.ui.sweepdialog import SweepDialog, SweepWish

        subject, state = self.subject, self.tuner.state
        if subject is None or subject.is_run:
            return
        if self.text_is_wrong:
            self.tuner.notice("The text is not right yet: mend it (v), or take it back (u).", "warning")
            return
        experiment, base, preset = subject.experiment, subject.base, state.preset
        place = (preset, base)
        carried = self._carried()
        begin = self._sweeps.get((place, carried)) or carried or first_sweep(experiment, self._key())

        def answered(wish: SweepWish | None) -> None:
            if wish is None:
                return
            self._sweeps[place, carried] = wish.text
            if wish.sweep is not None:
                path = preset.path if preset is not None else None
                self.tuner.desk.enqueue_sweep(wish.sweep, wish.trials, path, base)

        self.tuner.push_screen(SweepDialog(experiment, base, begin, self.tuner.engine), answered)

    def _key(self) -> str:
        row = self.selected
        return row.key if row is not None else ""
