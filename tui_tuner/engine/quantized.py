"""A base with fewer bits, made once for all runs that ask for it with `model.bits`.

It lies among the converted models and loads in stock mlx-lm. A run takes it in the place of the model that its preset
names, and its configuration says so from then on. Called on the MLX thread.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tui_tuner.config import Experiment
from tui_tuner.engine.new_run import model_fingerprint
from tui_tuner.errors import TunerError
from tui_tuner.models.folder import check_folder, locate
from tui_tuner.models.load import load_base, skeleton
from tui_tuner.models.quantize import Plan, apply, plan
from tui_tuner.models.scheme import scheme_of
from tui_tuner.models.write import check_space, write_model
from tui_tuner.paths import models_dir, safe_name
from tui_tuner.runs.files import read_json, write_json

ORIGIN = "tui_tuner.json"
"""The file in a model made here that says what it was made from."""
_GROUP = 64


def with_fewer_bits(
    experiment: Experiment,
    base: Path | None,
    *,
    say: Callable[[str], None] = lambda text: None,
    check: Callable[[], None] = lambda: None,
) -> Experiment:
    """The experiment on a base with as many bits as `model.bits` asks for, made now if it is not there yet.

    Args:
        experiment: stays as it is.
        base: the folder that a relative path starts from.
        say: told in a sentence what is done.
        check: called between modules; it may raise to end the work, after which nothing is left behind.

    Returns:
        The experiment itself when `model.bits` is 0.

    Raises:
        TunerError: the model is quantized already, the method trains the weights themselves, or it cannot be written.
    """
    bits = experiment.model.bits
    if not bits:
        return experiment
    source = locate(experiment.model.path, base)
    found = _place(source, bits)
    if found.is_dir():
        say(f"taking {source.name} with {bits} bits from {found}")
    else:
        tree = skeleton(source)
        made = planned(tree, experiment)
        check_space(found, made.bytes_after)
        said = f"{made.bytes_before / 1e9:.2f} GB → {made.bytes_after / 1e9:.2f} GB"
        say(f"quantizing {experiment.model.path} to {bits} bits, {said}, into {found}")
        apply(tree, made, check=check)

        def verify(folder: Path) -> None:
            load_base(folder)
            write_json(folder / ORIGIN, {"made_from": model_fingerprint(source), "scheme": made.scheme.text()})

        write_model(found, source, tree, check_folder(source), verify=verify)
    model = experiment.model.model_copy(update={"path": str(found), "bits": 0})
    return experiment.model_copy(update={"model": model})


def planned(tree: object, experiment: Experiment) -> Plan:
    """What quantizing a model as the experiment wants it will come to.

    Args:
        tree: the model's module tree; it stays as it is.

    Raises:
        TunerError: it cannot be quantized, or must not be for the method.
    """
    if experiment.adapter.method == "full":
        raise TunerError(
            f"full fine-tuning needs unquantized weights, and model.bits is {experiment.model.bits}",
            code="full-on-quantized",
            fix='set model.bits to 0, or adapter.method to "lora"',
        )
    made = plan(tree, scheme_of(experiment.model.bits, _GROUP))
    if any(part.before for part in made.parts):
        raise TunerError(
            "the model is quantized already, so model.bits cannot quantize it",
            code="quantized-already",
            where=experiment.model.path,
            fix="set model.bits to 0, or name the unquantized model",
        )
    return made


def _place(source: Path, bits: int) -> Path:
    """Where the quantized model is, or is to be: another model of the same name gives way to a longer one."""
    print_of = model_fingerprint(source)
    # A snapshot of the hub's cache is called by its hash, two folders above it is the repository's name.
    name = source.parent.parent.name.rpartition("--")[2] if source.parent.name == "snapshots" else source.name
    plain = models_dir() / f"{safe_name(name)}-{bits}bit"
    return (
        plain
        if not plain.exists() or _made_from(plain) == print_of
        else plain.with_name(f"{plain.name}-{print_of[:8]}")
    )


def _made_from(folder: Path) -> str:
    try:
        return str(read_json(folder / ORIGIN)["made_from"])
    except (TunerError, TypeError, KeyError):
        return ""
