"""Looks whether experiments that are to wait for their turn can work at all: model and adapter, and the data's rows.

It asks what a run's own check asks, as far as that takes seconds: no weights are loaded, no row is tokenised, and
nothing is fetched. What is still on the Hub is left to the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tui_tuner.config import Experiment
from tui_tuner.data.draft import draft
from tui_tuner.data.opening import is_of_the_hub
from tui_tuner.data.prepare import refuse_unusable
from tui_tuner.errors import TunerError
from tui_tuner.models.hub import in_cache
from tui_tuner.models.start import locate_start
from tui_tuner.paths import is_repository_name, resolve_model

Look = Callable[[Experiment, Path | None], None]


def must_work(experiments: Sequence[Experiment], base: Path | None, called: Sequence[str] = ()) -> None:
    """Refuses experiments that would fail as soon as their turn comes; what several share is looked at once.

    Args:
        base: the folder that relative paths start from.
        called: what to call each, where there are several.

    Raises:
        TunerError: what is wrong, a sentence for each problem.
    """
    answers: dict[str, TunerError | None] = {}
    found: dict[str, tuple[TunerError, list[int]]] = {}
    for number, experiment in enumerate(experiments):
        for name, (look, sections) in _LOOKS.items():
            key = repr((name, [getattr(experiment, section) for section in sections]))
            if key not in answers:
                answers[key] = _asked(look, experiment, base)
            if (error := answers[key]) is not None:
                found.setdefault(error.sentence(), (error, []))[1].append(number)
    if found:
        raise _refusal(list(found.values()), len(experiments), called)


def _refusal(found: Sequence[tuple[TunerError, list[int]]], total: int, called: Sequence[str]) -> TunerError:
    first = found[0][0]
    if total == 1 and len(found) == 1:
        return first
    hit = {number for _, numbers in found for number in numbers}
    if total == 1:
        head, told = "it cannot run, so it is not queued", [error.sentence() for error, _ in found]
    else:
        head = f"{len(hit)} of {total} runs cannot work, so nothing is queued"
        told = [f"{_which(numbers, total, called)}: {error.sentence()}" for error, numbers in found]
    return TunerError(f"{head}. {' '.join(told)}", code=first.code if len(found) == 1 else "cannot-work")


def _which(numbers: Sequence[int], total: int, called: Sequence[str]) -> str:
    if len(numbers) == total:
        return "All"
    more = f" and {len(numbers) - 1} more" if len(numbers) > 1 else ""
    return f"Number {numbers[0] + 1} ({called[numbers[0]]}){more}"


def _asked(look: Look, experiment: Experiment, base: Path | None) -> TunerError | None:
    try:
        look(experiment, base)
    except TunerError as error:
        return error
    return None


def _data(experiment: Experiment, base: Path | None) -> None:
    if not is_of_the_hub(experiment.data.source, base):
        refuse_unusable(draft(experiment.data, experiment.run.seed, base))


def _model(experiment: Experiment, base: Path | None) -> None:
    path = experiment.model.path
    if experiment.adapter.start_from:
        locate_start(experiment.adapter.start_from, base)
    local = Path(resolve_model(path, base)).is_absolute()
    if not local and is_repository_name(path) and in_cache(path, None) is None:
        return
    from tui_tuner.engine.preflight import attached  # which imports what models are built of

    attached(experiment, base)


_LOOKS: Final[dict[str, tuple[Look, tuple[str, ...]]]] = {
    "model": (_model, ("model", "adapter")),
    "data": (_data, ("data",)),
}
"""Each look, and the sections of the experiment that it depends on."""
