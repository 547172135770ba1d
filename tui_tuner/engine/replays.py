"""Replaying a bundle: a run set up from it, what differs from then, and whether its losses come out the same.

A replayed run is a run like any other. What was in the bundle stays beside it, in its folder, and is only read.
"""

from __future__ import annotations

import platform
import secrets
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tui_tuner import __version__
from tui_tuner.config import Experiment, dump_experiment, load_experiment
from tui_tuner.config.data_section import DataSection
from tui_tuner.config.difference import between
from tui_tuner.config.reading import CHAT_TEMPLATES
from tui_tuner.data.draft import draft
from tui_tuner.data.prepare import prepared_of, write_prepared
from tui_tuner.engine.bundles import TEMPLATE, name_elsewhere
from tui_tuner.engine.new_run import create_run, library_versions, model_fingerprint, rows_fingerprint
from tui_tuner.errors import TunerError
from tui_tuner.models.folder import locate
from tui_tuner.models.libraries import backend, ready
from tui_tuner.paths import resolve_data, resolve_model
from tui_tuner.runs import Columns, RunFolder, RunView, read_events, read_json
from tui_tuner.runs.archive import unpack
from tui_tuner.runs.files import write_atomic, write_json

INSIDE = "bundle"
"""Where the bundle's contents lie in the folder of a run that replays it."""


@dataclass(frozen=True)
class Bundle:
    """A bundle that was taken out.

    Attributes:
        about: what it says of itself.
        folder: where its files are.
        experiment: what it ran.
        view: what its events tell.
    """

    about: dict[str, Any]
    folder: Path
    experiment: Experiment
    view: RunView

    @property
    def meta(self) -> dict[str, Any]:
        """Versions and fingerprints of then."""
        found = self.about.get("meta")
        return found if isinstance(found, dict) else {}


def take_out(path: Path, runs_dir: Path) -> Bundle:
    """Takes a bundle out into a folder of its own beside the runs, which whoever calls puts away or makes a run of.

    Raises:
        TunerError: it is no bundle, is damaged or refused, or what it holds cannot be understood.
    """
    folder = Path(runs_dir).absolute() / f".bundle-{secrets.token_hex(6)}"
    about = unpack(path, folder)
    try:
        experiment = load_experiment(folder / "config.toml")
        view = RunView()
        view.extend(read_events(folder / "events.jsonl"))
    except TunerError:
        put_away(folder)
        raise
    return Bundle(about, folder, experiment, view)


def put_away(folder: Path) -> None:
    """Takes an unpacked bundle away again."""
    shutil.rmtree(folder, ignore_errors=True)


def experiment_of(
    bundle: Bundle, model: str | None = None, data: str | None = None, overrides: Sequence[str] = ()
) -> Experiment:
    """What is run here: the bundle's experiment on the model and data that are named, else on those in the bundle.

    A consent to a model's code that stands in the bundle is somebody else's, and is taken out, and so are the
    trackers that figures would be sent to; its paths are names only, so that no bundle chooses files of this machine.

    Args:
        model, data: instead of those that the bundle names; a relative path counts from the working directory.
        overrides: `key=value` settings on top.

    Raises:
        TunerError: an override is wrong.
    """
    named = {override.partition("=")[0].strip() for override in overrides}
    made = load_experiment(bundle.folder / "config.toml", overrides)
    if "tracking.to" not in named:
        made.tracking.to = []
    if "model.trust_remote_code" not in named:
        made.model.trust_remote_code = ""
    if "adapter.start_from" not in named:
        made.adapter.start_from = name_elsewhere(made.adapter.start_from)
    if "model.path" not in named:
        made.model.path = name_elsewhere(made.model.path)
    if "data.source" not in named:
        made.data.source = name_elsewhere(made.data.source)
    if model is not None:
        made.model.path = resolve_model(model, None)
    if data is not None:
        made.data.source = resolve_data(data, None)
    elif "data.source" not in named and (rows := bundle.folder / "data").is_dir():
        # The rows are prepared, so nothing is to be rendered or divided; what they teach stays as it was.
        made.data = DataSection(source=str(rows), mask_prompt=made.data.mask_prompt, allow=made.data.allow)
    if "model.chat_template" not in named and made.model.chat_template not in CHAT_TEMPLATES:
        made.model.chat_template = str(bundle.folder / TEMPLATE)
    return made


def differences(bundle: Bundle, experiment: Experiment) -> list[dict[str, Any]]:
    """What is not as it was then: versions, device, model, data, and what was changed in the configuration.

    The data is prepared for it, as a run would, and the model's folder is looked into; neither is loaded.

    Returns:
        {"what", "then", "now"} for each; `now` is None where it could not be found out, with the reason under "why".
    """
    then = bundle.meta
    libraries = then.get("libraries")
    told: list[tuple[str, Any, Any, str]] = [
        ("tui_tuner", then.get("tui_tuner"), __version__, ""),
        ("python", then.get("python"), platform.python_version(), ""),
        ("platform", then.get("platform"), platform.platform(), ""),
    ]
    now = library_versions()
    for name, version in (libraries if isinstance(libraries, dict) else {}).items():
        told.append((name, version, now.get(name), ""))
    ready()
    told.append(("device", bundle.view.device or None, backend(), ""))
    told.append(("model", then.get("model_fingerprint"), *_model_now(experiment)))
    told.append(("data", then.get("data_fingerprint"), *_data_now(experiment)))
    found = [
        {"what": what, "then": before, "now": after, **({"why": why} if why else {})}
        for what, before, after, why in told
        if why or (before is not None and before != after)
    ]
    for one in between(bundle.experiment, experiment):
        if not one.key.startswith("data.") and one.key not in ("model.path", "model.chat_template"):
            found.append({"what": one.key, "then": one.old, "now": one.new})
    return found


def _model_now(experiment: Experiment) -> tuple[str | None, str]:
    try:
        return model_fingerprint(locate(experiment.model.path)), ""
    except TunerError as error:
        return None, error.sentence()


def _data_now(experiment: Experiment) -> tuple[str | None, str]:
    """The fingerprint of the rows that the data makes."""
    import tempfile

    try:
        with tempfile.TemporaryDirectory() as place:
            write_prepared(prepared_of(draft(experiment.data, experiment.run.seed)), Path(place))
            return rows_fingerprint(Path(place)), ""
    except TunerError as error:
        return None, error.sentence()


def set_up(bundle: Bundle, experiment: Experiment, runs_dir: Path, name: str | None = None) -> RunFolder:
    """A new run of the bundle's experiment, with the bundle's files in its folder; nothing runs yet.

    Raises:
        TunerError: the folder cannot be made.
    """
    folder = create_run(experiment, runs_dir, name, notes={"replays": {"run": bundle.about.get("run")}})
    inside = folder.path / INSIDE
    bundle.folder.rename(inside)
    moved = load_experiment(folder.config)
    for section, key in ((moved.data, "source"), (moved.model, "chat_template")):
        value = getattr(section, key)
        if value.startswith(f"{bundle.folder}/"):
            setattr(section, key, str(inside / Path(value).relative_to(bundle.folder)))
    write_atomic(folder.config, dump_experiment(moved))
    meta = read_json(folder.meta)
    paths = {"model_path": resolve_model(moved.model.path, None), "data_path": resolve_data(moved.data.source, None)}
    write_json(folder.meta, {**meta, **paths})
    return folder


def compare_losses(then: RunView, now: RunView) -> dict[str, Any]:
    """Whether two runs reported the same losses at the same steps, bit for bit, and where they part.

    Of a run that was stopped and resumed the losses are those it went on with; what a later session overtook is none
    of its curve.

    Returns:
        {"same", "agree", "train": {…}, "validation": {…}, "steered"}. The two in the middle have each the `compared`
        steps that both reported, how many of them are `equal`, the step `parts_at` with the losses `then` and `now`,
        the `largest` difference in nats per token, how many steps only one of them reported (`only_then`, `only_now`),
        and the first and the last of these (`steps_then`, `steps_now`). They `agree` when all that was compared is
        equal, and are the `same` when nothing was left over, either. `steered` is what a person asked of one of the
        runs that makes its losses others from there on: `whose`, `step`, `what`, `value`.
    """
    parts = {"train": _compared(then.train, now.train), "validation": _compared(then.validation, now.validation)}
    agree = parts["train"]["compared"] > 0 and all(one["equal"] == one["compared"] for one in parts.values())
    left = sum(one["only_then"] + one["only_now"] for one in parts.values())
    steered = [*_steered("then", then), *_steered("now", now)]
    return {"same": agree and not left, "agree": agree, **parts, "steered": steered}


def _steered(whose: str, view: RunView) -> list[dict[str, Any]]:
    """The wishes of a person that change what is trained, each once: a resumed run takes them again."""
    keys = ("step", "what", "value")
    found = {
        (event.get("step"), event["what"]): {"whose": whose, **{key: event.get(key) for key in keys}}
        for event in view.controls
        if event.get("what") in ("learning_rate", "finish_epoch") and event.get("by") != "replay"
    }
    return list(found.values())


def _compared(then: Columns, now: Columns) -> dict[str, Any]:
    steps, a, b = np.intersect1d(then.column("step"), now.column("step"), return_indices=True)
    first, second = then.column("loss")[a], now.column("loss")[b]
    equal = (first == second) | (np.isnan(first) & np.isnan(second))
    apart = np.flatnonzero(~equal)
    gaps = np.abs(second - first)[apart]
    known = gaps[np.isfinite(gaps)]
    at = int(apart[0]) if len(apart) else None
    return {
        "compared": len(steps),
        "equal": int(equal.sum()),
        "parts_at": None if at is None else int(steps[at]),
        "then": None if at is None else float(first[at]),
        "now": None if at is None else float(second[at]),
        "largest": float(known.max()) if len(known) else 0.0,
        "only_then": len(then) - len(steps),
        "only_now": len(now) - len(steps),
        "steps_then": _ends(np.setdiff1d(then.column("step"), steps)),
        "steps_now": _ends(np.setdiff1d(now.column("step"), steps)),
    }


def _ends(steps: np.ndarray) -> list[int] | None:
    return [int(steps[0]), int(steps[-1])] if len(steps) else None


def judge_replay(folder: RunFolder) -> dict[str, Any] | None:
    """Compares a run with the one it replays and keeps what came of it in its folder; None when it replays none.

    A folder that cannot be written costs the note, and a log of then that is no longer there the comparison.
    """
    then = folder.path / INSIDE / "events.jsonl"
    if not then.is_file():
        return None
    views = RunView(), RunView()
    try:
        for view, log in zip(views, (then, folder.events), strict=True):
            view.extend(read_events(log))
    except TunerError:
        return None
    told = compare_losses(*views)
    with suppress(TunerError):
        write_json(folder.path / INSIDE / "replay.json", told)
    return told
