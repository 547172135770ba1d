"""Makes a run folder ready to be run: the resolved configuration and what is needed to repeat it. No mlx in here."""

from __future__ import annotations

import hashlib
import platform
import shlex
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_tuner import __version__
from tui_tuner.config import Experiment, anchored, dump_experiment
from tui_tuner.errors import TunerError, without_secrets
from tui_tuner.paths import noted_base, resolve_data, resolve_model
from tui_tuner.runs.files import read_object, write_atomic, write_json
from tui_tuner.runs.folder import RunFolder
from tui_tuner.versions import installed

if TYPE_CHECKING:
    from tui_tuner.models.start import Start

_LIBRARIES = ("mlx", "mlx-lm", "transformers", "datasets", "numpy", "textual")


def create_run(
    experiment: Experiment,
    runs_dir: Path,
    name: str | None = None,
    base: Path | None = None,
    command: str = "",
    notes: Mapping[str, Any] | None = None,
) -> RunFolder:
    """A new run folder with `config.toml` and `meta.json`; nothing runs yet.

    Args:
        experiment: the resolved configuration.
        runs_dir: where runs live; created when missing.
        name: instead of `run.name`.
        base: the folder that relative paths in the configuration start from.
        command: what repeats the run; made up from the folder when empty.
        notes: what else `meta.json` shall hold.

    Raises:
        TunerError: when the folder cannot be made.
    """
    if name:
        experiment = experiment.model_copy(update={"run": experiment.run.model_copy(update={"name": name})})
    # All that takes time comes first, so that hardly anything can come between a folder and what is in it.
    config = dump_experiment(anchored(experiment, base))
    meta = {
        "tui_tuner": __version__,
        "created": time.time(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": library_versions(),
        "base": str(base) if base is not None else None,
        "model_path": resolve_model(experiment.model.path, base),
        "data_path": resolve_data(experiment.data.source, base),
        "command": command,
        "arguments": [without_secrets(argument) for argument in sys.argv[1:]],
        **(notes or {}),
    }
    folder = RunFolder.create(runs_dir, experiment.run.name)
    try:
        write_atomic(folder.config, config)
        write_json(folder.meta, {**meta, "command": command or shlex.join(["tui-tuner", "run", str(folder.config)])})
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)  # nobody has seen it, and half a run is none
        raise
    return folder


def note_ranks(folder: RunFolder, size: int, backend: str) -> None:
    """Keeps in `meta.json` how many processes train the run, and over what they talk.

    Raises:
        TunerError: when it cannot be written.
    """
    meta = read_object(folder.meta)
    noted = {"size": size, "backend": backend}
    if meta.get("ranks", {"size": 1, "backend": ""}) != noted:
        write_json(folder.meta, {**meta, "ranks": noted})


def note_model(folder: RunFolder, path: str) -> None:
    """Keeps in `meta.json` which model is trained after all, when it was made from the one that was asked for.

    Raises:
        TunerError: when it cannot be written.
    """
    meta = read_object(folder.meta)
    write_json(folder.meta, {**meta, "model_path": path, "made_from": meta.get("model_path")})


def read_base(folder: RunFolder) -> Path | None:
    """The folder that relative paths in a run's configuration start from."""
    return noted_base(folder.path)


def add_fingerprints(folder: RunFolder, model: Path, data: Path) -> None:
    """Adds SHA-256 fingerprints of the model's small files and sizes, and of the prepared data, to `meta.json`."""
    write_json(folder.meta, {**read_object(folder.meta), **fingerprints(model, data)})


def check_fingerprints(folder: RunFolder, model: Path, data: Path) -> None:
    """Makes sure that model and prepared data are those that the run began with; what was never noted is not judged.

    Raises:
        TunerError: when one of them has changed, because the run could not go on as if it had never been interrupted.
    """
    meta = read_object(folder.meta)
    for name, now in fingerprints(model, data).items():
        if meta.get(name, now) != now:
            what = name.removesuffix("_fingerprint")
            again = f"tui-tuner run {shlex.quote(str(folder.config))}"
            raise TunerError(
                f"the {what} has changed since this run began, so the run cannot go on exactly",
                code=f"{what}-changed",
                where=str(model if what == "model" else data),
                fix=f"put the {what} back as it was, or begin anew with `{again}`",
            )


def keep_start(folder: RunFolder, start: Start) -> None:
    """Notes in `meta.json` which weights the run starts from, or sees to it that they are the ones noted there.

    Raises:
        TunerError: the file has other weights than the run began with.
    """
    meta = read_object(folder.meta)
    noted = meta.get("start_from")
    if not isinstance(noted, dict):
        write_json(folder.meta, {**meta, "start_from": {"path": str(start.path), "sha256": start.sha256}})
    elif noted.get("sha256") != start.sha256:
        raise TunerError(
            "the weights to start from have changed since this run began",
            code="start-changed",
            where=str(start.path),
            fix=f"put the file back as it was, or begin anew with `tui-tuner run {shlex.quote(str(folder.config))}`",
        )


def fingerprints(model: Path, data: Path) -> dict[str, str]:
    """What identifies a model folder and a folder of prepared rows, by the names they have in `meta.json`."""
    return {
        "model_fingerprint": model_fingerprint(model),
        "data_fingerprint": rows_fingerprint(data),
    }


def library_versions() -> dict[str, str | None]:
    """The versions of the libraries that a result depends on; None for one that is not there."""
    return {name: installed(name) for name in _LIBRARIES}


def rows_fingerprint(folder: Path) -> str:
    """What identifies a folder of prepared rows."""
    return _fingerprint_files(sorted(folder.glob("*.jsonl")))


def _fingerprint_files(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def model_fingerprint(folder: Path) -> str:
    """Over small files whole and over weights by name, size, and first and last MiB: quick on any size of model."""
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if not file.is_file() or file.suffix not in {".json", ".safetensors", ".jinja", ".model"}:
            continue
        size = file.stat().st_size
        digest.update(f"{file.name}:{size}".encode())
        with file.open("rb") as handle:
            digest.update(handle.read(1 << 20))
            if size > 1 << 20:
                handle.seek(-(1 << 20), 2)
                digest.update(handle.read())
    return digest.hexdigest()
