"""What stock mlx-lm needs to train what a run trained, or what a preset would: rows, iterations, and the file.

No mlx in here, and nothing is trained.
"""

from __future__ import annotations

from pathlib import Path

from tui_tuner.config import Experiment, load_experiment
from tui_tuner.config.interchange import StockFile, stock_file
from tui_tuner.data.prepare import prepare, write_prepared
from tui_tuner.errors import TunerError
from tui_tuner.runs.events import read_events
from tui_tuner.runs.files import read_json
from tui_tuner.runs.folder import RunFolder
from tui_tuner.runs.view import RunView


def of_run(folder: RunFolder) -> StockFile:
    """The file that has stock mlx-lm train what a run trains, on the rows in its folder, on the modules of its adapter.

    Raises:
        TunerError: as `load_experiment`, and `no-iterations` of a run that counts in epochs and was not planned yet.
    """
    view = RunView()
    view.extend(read_events(folder.events))
    there = (folder.data / "train.jsonl").is_file()
    config = folder.adapters / "adapter_config.json"
    return stock_file(
        load_experiment(folder.config),
        data=str(folder.data) if there else "",
        iters=view.steps or None,
        adapter_config=read_json(config) if config.is_file() else None,
        test_rows=_rows(folder.data / "test.jsonl") if there else None,
    )


def of_preset(experiment: Experiment, base: Path | None = None, data: Path | None = None) -> StockFile:
    """The file that has stock mlx-lm train what an experiment would train.

    Args:
        experiment: the experiment.
        base: the folder that relative paths in it start from.
        data: a folder to prepare the rows into, as stock mlx-lm reads them; None leaves them unprepared.

    Raises:
        TunerError: `exists`: there are other rows in the folder; as `prepare` and `stock_file`.
    """
    if data is None:
        return stock_file(experiment)
    if any((data / f"{name}.jsonl").exists() for name in ("train", "valid", "test")):
        raise TunerError(
            "there are rows in it already", code="exists", where=str(data), fix="name another folder", usage=True
        )
    rows = prepare(experiment.data, experiment.run.seed, base)
    write_prepared(rows, data)
    iters = experiment.train.iterations(max(len(rows.train) // experiment.train.batch_size, 1))
    return stock_file(experiment, data=str(data.absolute()), iters=iters, test_rows=len(rows.test))


def _rows(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return sum(1 for line in file if line.strip())
    except OSError:
        return 0
