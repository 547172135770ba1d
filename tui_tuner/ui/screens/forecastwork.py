"""What an experiment will take and what to think over before it is started, beside the form: asked, shown, followed."""

from __future__ import annotations

from collections.abc import Hashable

from textual.timer import Timer

from tui_tuner.config.advice import Hint, advise
from tui_tuner.ui.offerdialog import OfferDialog
from tui_tuner.ui.screens.formwork import FormWorkScreen
from tui_tuner.ui.widgets.config_forecast import Forecaster, advice_offers, drawn, offers_of
from tui_tuner.ui.widgets.data_pane import TextPane

_SOON = 0.3
"""Seconds after the last change before a forecast is asked for."""
_LOOK = 0.5
"""Seconds between looks at a measurement that goes on."""


class ForecastWorkScreen(FormWorkScreen):
    """A screen that forecasts what is set up on it."""

    def __init__(self) -> None:
        super().__init__()
        self._forecaster = Forecaster()
        self._hints: list[Hint] = []
        self._soon: Timer | None = None
        self._seen: Hashable = None

    def on_mount(self) -> None:
        self.set_interval(_LOOK, self.look_at_forecast)

    def forecast_soon(self) -> None:
        """Asks for a forecast once nothing was changed for a moment; advice comes at once."""
        subject = self.subject
        if subject is None:
            return
        self._hints = advise(subject.experiment, self.facts.for_advice(subject.experiment))
        self._draw_forecast()
        if self._soon is not None:
            self._soon.stop()
        self._soon = self.set_timer(_SOON, self._ask_forecast)

    def _ask_forecast(self) -> None:
        subject = self.subject
        if subject is not None and self.is_current:
            self._forecaster.ask(self.tuner.engine, subject.experiment, subject.base)
            self._draw_forecast()

    def look_at_forecast(self) -> None:
        """Shows what has come; opens what would make it fit."""
        now = self._forecaster.state
        if now == self._seen:
            return
        self._seen = now
        self._draw_forecast()
        fitting = self._forecaster.fitted
        if fitting is None or not self.is_current:
            return
        if fitting.changes:
            dialog = OfferDialog("Make it fit", fitting.sentence(), offers_of(fitting))
            self.tuner.push_screen(dialog, self._taken)
        else:
            self.tuner.notice(fitting.sentence())

    def _draw_forecast(self) -> None:
        pane, hints = self.query_one("#config-forecast", TextPane), list(self._hints)
        pane.draw(lambda width: drawn(self._forecaster, hints, width), keep_place=True)

    def _taken(self, overrides: list[str] | None) -> None:
        if overrides:
            self.follow(overrides)

    # -- actions ------------------------------------------------------------------------------------------------

    def action_forecast(self) -> None:
        """Shows the forecast in the place of the help, or the help again."""
        self.toggle_class("-forecast")

    def action_measure(self) -> None:
        """Takes a few real steps to measure memory and time; stops while that goes on."""
        subject = self.subject
        if subject is not None:
            self.add_class("-forecast")
            self._forecaster.measure(self.tuner.engine, subject.experiment, subject.base)
            self.look_at_forecast()

    def action_fit(self) -> None:
        """Looks for the least changes with which it fits into memory, and offers them."""
        subject = self.subject
        if subject is not None and not subject.is_run:
            self._forecaster.fit(self.tuner.engine, subject.experiment, subject.base)
            self.look_at_forecast()

    def action_advice(self) -> None:
        """Offers the changes that the advice would make."""
        if not self._hints:
            self.tuner.notice("There is nothing to think over, as far as the form can tell.")
            return
        text = "What an experienced person would think over before the start. u takes a change back."
        self.tuner.push_screen(OfferDialog("Advice", text, advice_offers(self._hints)), self._taken)
