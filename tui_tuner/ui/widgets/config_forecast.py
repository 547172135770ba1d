"""What a run of the experiment will take: memory against this machine's limit, time, disk; and what to think over.

The figures are the engine's, the advice that of `config.advice`: nothing is worked out here. Estimated and measured are
told apart, and what was measured for other settings is not shown.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual.content import Content

from tui_tuner.config.advice import Hint
from tui_tuner.engine.forecast_requests import AskForecast, FitForecast, MeasureForecast
from tui_tuner.engine.protocol import JobStatus
from tui_tuner.training.forecast.fitting import Fitting
from tui_tuner.training.forecast.forecast import Forecast
from tui_tuner.ui.format import count, expected, size
from tui_tuner.ui.offerdialog import Offer
from tui_tuner.ui.status import FITS
from tui_tuner.ui.widgets.data_lookup import Lookup
from tui_tuner.ui.widgets.data_pane import lines, notice

if TYPE_CHECKING:
    from tui_tuner.config.model import Experiment
    from tui_tuner.engine.protocol import Engine

_PARTS = ("weights", "trained", "optimizer", "activations", "working")
_SHADES = "█▓▒░▚"
"""A shade for each part, so that no colour is needed to tell them apart."""
HINTS = {"warning": ("▲", "bold $text-warning"), "info": ("·", "bold $text-accent")}


class Forecaster:
    """Asks for forecasts of one experiment after the other, at most one at a time."""

    def __init__(self) -> None:
        self._asked, self._measured, self._fit = Lookup(), Lookup(), Lookup()
        self._key: Hashable = None

    def ask(self, engine: Engine, experiment: Experiment, base: Path | None) -> None:
        """Asks what an experiment takes, unless that was asked last."""
        self._key = experiment.model_dump_json(exclude={"run": {"notes"}}), base
        self._asked.ask(engine, self._key, AskForecast(experiment, base))

    def measure(self, engine: Engine, experiment: Experiment, base: Path | None) -> None:
        """Asks for real steps; while that goes on, it is stopped."""
        if self.measuring and self._measured.handle is not None:
            self._measured.handle.control.stop()
            return
        self.ask(engine, experiment, base)
        self._measured.ask(engine, self._key, MeasureForecast(experiment, base), again=True)

    def fit(self, engine: Engine, experiment: Experiment, base: Path | None) -> None:
        """Asks what would make it fit."""
        self.ask(engine, experiment, base)
        self._fit.ask(engine, self._key, FitForecast(experiment, base), again=True)

    @property
    def measuring(self) -> bool:
        return self._measured.waiting

    @property
    def fitting(self) -> bool:
        return self._fit.waiting

    @property
    def fitted(self) -> Fitting | None:
        """What would make it fit, once that is known; told once."""
        found = self._fit.result if self._fit.asked(self._key) else None
        if not isinstance(found, Fitting):
            return None
        self._fit.forget()
        return found

    @property
    def forecast(self) -> Forecast | None:
        """The measured forecast where these settings were measured, else the estimated one."""
        measured = self._measured.result if self._measured.asked(self._key) else None
        found = measured if isinstance(measured, Forecast) else self._asked.result
        return found if isinstance(found, Forecast) else None

    @property
    def problem(self) -> str:
        """Why there is none, as a sentence; empty when that is not so."""
        if self._measured.asked(self._key) and self._measured.problem:
            return self._measured.problem
        fit = self._fit.problem if self._fit.asked(self._key) else ""
        return fit or self._asked.problem

    @property
    def state(self) -> Hashable:
        """Changes when there is something new to show."""
        handles = (self._asked.handle, self._measured.handle, self._fit.handle)
        return tuple((handle.id, handle.status) if handle is not None else None for handle in handles), self.doing

    @property
    def doing(self) -> str:
        """What is being done, in words; empty when nothing is."""
        handle = self._measured.handle
        if handle is not None and self.measuring and isinstance(handle.request, MeasureForecast):
            if handle.status is JobStatus.QUEUED:
                return "measuring waits for its turn; m takes it back"
            work = handle.request.progress
            part = f" {work.told()}" if work.total else ""
            return f"measuring: {work.what or 'real steps'}{part}; m stops it"
        return "looking for what fits …" if self.fitting else ""


def drawn(forecaster: Forecaster, hints: Sequence[Hint], width: int) -> Content:
    """The pane."""
    out: list[Content] = []
    found = forecaster.forecast
    if forecaster.problem:
        out.append(notice("✗", forecaster.problem, "bold $text-error", width))
    elif found is None:
        out.append(Content.styled("◌ forecasting …", "$text-muted"))
    if forecaster.doing:  # above the figures: in a small window what stands below them is out of sight
        out.append(notice("◌", forecaster.doing, "bold $text-accent", width))
    if found is not None:
        out += _figures(found, width)
    for hint in hints:
        sign, style = HINTS[hint.severity]
        out.append(notice(sign, hint.text + ("  (a)" if hint.change else ""), style, width))
    return lines(out)


def _figures(found: Forecast, width: int) -> list[Content]:
    how = "measured" if found.measured else "estimated"
    sign, style = FITS[found.fits] if found.fits else ("·", "$text-muted")
    of = f" of {size(found.usable)}" if found.usable else ""
    verdict = {"fits": "fits", "tight": "is tight", "too large": "does not fit: g"}.get(found.fits or "", "")
    out = [
        Content.assemble(
            ("memory  ", "$text-muted"), (f"{sign} ", f"bold {style}"), (size(found.peak), "bold"),
            f"{of} {verdict}".rstrip(), (f"  {how}", "$text-muted"),
        ),
        bar(found, max(width, 10)),
        _parts(found),
    ]  # fmt: skip
    span = found.span
    time = expected(span.seconds, span.low, span.high) if span is not None else "not known here yet: m measures it"
    an_epoch = f", {count(found.steps_per_epoch)} an epoch" if found.known_data else ""
    steps = f"{count(found.steps)} steps{an_epoch}"
    out.append(Content.assemble(("time    ", "$text-muted"), (time, "bold"), (f"  {steps}", "$text-muted")))
    out.append(Content.assemble(("disk    ", "$text-muted"), (size(found.disk.total), "bold")))
    return out + [notice("·", note, "$text-muted", width) for note in found.notes]


def bar(found: Forecast, width: int) -> Content:
    """Memory by part against the limit: a shade a part; `!` is what goes past the limit."""
    limit = found.usable or found.peak
    scale = width / max(limit, found.peak, 1)
    cells: list[Content | str | tuple[str, str]] = []
    used = total = 0
    for name, shade in zip(_PARTS, _SHADES, strict=True):
        total += getattr(found.memory, name)
        end = min(round(total * scale), width)
        cells.append((shade * (end - used), "$text-accent"))
        used = end
    if not used and width:  # what is too little for a cell is still something
        largest = max(_PARTS, key=lambda name: getattr(found.memory, name))
        cells, used = [(_SHADES[_PARTS.index(largest)], "$text-accent")], 1
    edge = round(limit * scale)
    if used < edge:
        cells.append(("·" * (edge - used), "$text-muted"))
    made = Content.assemble(*cells)
    if edge < width:
        made = made[:edge] + Content.styled("!" * (width - edge), "bold $text-error")
    return made


def _parts(found: Forecast) -> Content:
    names = {"trained": "adapter", "working": "for a moment"}
    told = [
        f"{shade} {names.get(name, name)} {size(getattr(found.memory, name))}"
        for name, shade in zip(_PARTS, _SHADES, strict=True)
    ]
    if found.answering > found.memory.peak:
        told.append(f"answering the test {size(found.answering)}")
    return Content.styled("  ".join(told), "$text-muted")


def offers_of(fitting: Fitting) -> list[Offer]:
    """The changes that make it fit."""
    out = []
    for change in fitting.changes:
        price = "; ".join(part for part in (change.price, change.quality) if part)
        out.append(Offer(change.what, price, tuple(change.overrides)))
    return out


def advice_offers(hints: Sequence[Hint]) -> list[Offer]:
    """Advice as offers."""
    return [Offer(hint.text, "", tuple(hint.overrides), HINTS[hint.severity]) for hint in hints]
