"""A base with fewer bits, made once for all runs that ask for it with `model.bits`.

It lies among the converted models and loads in stock mlx-lm. A run takes it in the place of the model that its preset
names, and its configuration says so from then on. Called on the MLX thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tui_tuner import units
from tui_tuner.config import Experiment
from tui_tuner.engine.new_run import model_fingerprint
from tui_tuner.errors import TunerError
from tui_tuner.models.folder import check_folder, locate
from tui_tuner.models.load import load_base, skeleton
from tui_tuner.models.quantize import Plan, apply, plan
from tui_tuner.models.scheme import scheme_of
from tui_tuner.models.staging import claimed
from tui_tuner.models.write import check_own_code, check_space, write_model
from tui_tuner.paths import models_dir, safe_name
from tui_tuner.runs.files import read_json, write_json

ORIGIN = "tui_tuner.json"
"""The file in a model made here that says what it was made from."""
_GROUP = 64
_LOOK = 0.5
"""Seconds between two looks whether another process has made it."""


def with_fewer_bits(
    experiment: Experiment,
    base: Path | None,
    *,
    say: Callable[[str], None] = lambda text: None,
    check: Callable[[], None] = lambda: None,
) -> Experiment:
    """The experiment on a base with as many bits as `model.bits` asks for, made now if it is not there yet.

    While another process makes the same base it is waited for, and then taken.

    Args:
        experiment: stays as it is.
        base: the folder that a relative path starts from.
        say: told in a sentence what is done.
        check: called between modules and while waiting; it may raise to end the work, after which nothing is left
            behind.

    Returns:
        The experiment itself when `model.bits` is 0.

    Raises:
        TunerError: the model is quantized already, nothing of it can be, it needs code of its own, the method trains
            the weights themselves, or it cannot be written.
    """
    if not experiment.model.bits:
        return experiment
    found = _taken_or_made(experiment, locate(experiment.model.path, base), say, check)
    model = experiment.model.model_copy(update={"path": str(found), "bits": 0})
    return experiment.model_copy(update={"model": model})


def planned(source: Path, tree: object, experiment: Experiment) -> Plan:
    """What quantizing a model as the experiment wants it will come to.

    Args:
        source: the model's folder.
        tree: its module tree; it stays as it is.

    Raises:
        TunerError: it cannot be quantized, or must not be for the method.
    """
    bits = experiment.model.bits
    if experiment.adapter.method == "full":
        raise TunerError(
            f"full fine-tuning needs unquantized weights, and model.bits is {bits}",
            code="full-on-quantized",
            fix='set model.bits to 0, or adapter.method to "lora"',
        )
    check_own_code(source, check_folder(source))
    try:
        made = plan(tree, scheme_of(bits, _GROUP))
    except TunerError as error:
        if error.code != "nothing-quantizable":
            raise
        raise TunerError(
            f"model.bits is {bits}, and {error.message}",
            code=error.code,
            where=str(source),
            fix="set model.bits to 0, or name a model made by `tui-tuner convert` with a smaller --group-size",
        ) from error
    if any(part.before for part in made.parts):
        raise TunerError(
            "the model is quantized already, so model.bits cannot quantize it",
            code="quantized-already",
            where=experiment.model.path,
            fix="set model.bits to 0, or name the unquantized model",
        )
    return made


def _taken_or_made(experiment: Experiment, source: Path, say: Callable[[str], None], check: Callable[[], None]) -> Path:
    """The folder of the quantized model; one process makes it, and all others take it."""
    fingerprint, bits = model_fingerprint(source), experiment.model.bits
    while True:
        place = _place(source, bits, fingerprint)
        if not place.is_dir():
            with _claimed_in_turn(place, say, check):
                if _place(source, bits, fingerprint) != place:
                    continue  # a model of the same name has been put there meanwhile
                if not place.is_dir():
                    _make(place, source, fingerprint, experiment, say, check)
                    return place
        say(f"taking {source.name} with {bits} bits from {place}")
        return place


def _make(
    place: Path,
    source: Path,
    fingerprint: str,
    experiment: Experiment,
    say: Callable[[str], None],
    check: Callable[[], None],
) -> None:
    tree = skeleton(source)
    made = planned(source, tree, experiment)
    check_space(place, made.bytes_after)
    sizes = f"{units.size(made.bytes_before, fine=True)} → {units.size(made.bytes_after, fine=True)}"
    say(f"quantizing {experiment.model.path} to {experiment.model.bits} bits, {sizes}, into {place}")
    for note in made.notes:
        say(note)
    apply(tree, made, check=check)

    def verify(folder: Path) -> None:
        load_base(folder)
        write_json(folder / ORIGIN, {"made_from": fingerprint, "scheme": made.scheme.text()})

    write_model(place, source, tree, check_folder(source), verify=verify)


@contextmanager
def _claimed_in_turn(place: Path, say: Callable[[str], None], check: Callable[[], None]) -> Iterator[None]:
    """Has a place for oneself while open, after whoever has it now."""
    told = False
    with ExitStack() as held:
        while True:
            check()
            try:
                held.enter_context(claimed(place))
                break
            except TunerError as error:
                if error.code != "target-busy":
                    raise
                if not told:
                    say(f"waiting for {place}: {error.message}")
                told = True
                time.sleep(_LOOK)
        yield


def _place(source: Path, bits: int, fingerprint: str) -> Path:
    """Where the quantized model is, or is to be: another model of the same name gives way to a longer one."""
    # A snapshot of the hub's cache is called by its hash, two folders above it is the repository's name.
    name = source.parent.parent.name.rpartition("--")[2] if source.parent.name == "snapshots" else source.name
    plain = models_dir() / f"{safe_name(name)}-{bits}bit"
    if not plain.exists() or _made_from(plain) == fingerprint:
        return plain
    return plain.with_name(f"{plain.name}-{fingerprint[:8]}")


def _made_from(folder: Path) -> str:
    try:
        return str(read_json(folder / ORIGIN)["made_from"])
    except (TunerError, TypeError, KeyError):
        return ""
