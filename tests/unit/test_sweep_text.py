"""A sweep as text: what a preset carries is found, a first one is possible, and it means what the command would run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_tuner.config import Experiment, load_preset
from tui_tuner.config.describe import fields
from tui_tuner.config.sweep import load_sweep
from tui_tuner.config.sweep_text import carried_sweep, first_sweep, sweep_of, switched
from tui_tuner.errors import TunerError

_GRID = "[sweep]\nmethod = 'grid'\n[sweep.values]\nadapter.rank = [4, 8]\n"


@pytest.fixture
def experiment() -> Experiment:
    tables = {"run": {"name": "small"}, "model": {"path": "embedded:phi3-tiny"}, "data": {"source": "embedded:players"}}
    return Experiment.model_validate(tables)


@pytest.mark.parametrize("overrides", [(), ("scale=tiny",)], ids=["whole", "tiny"])
def test_a_presets_sweep_means_what_the_command_would_run(overrides: tuple[str, ...]) -> None:
    experiment, preset = load_preset("facts-phi3.5", overrides)
    text = carried_sweep(preset.path.read_text("utf-8"), overrides)
    sweep, trials = sweep_of(experiment, text)
    wanted, by_command, _ = load_sweep("facts-phi3.5", overrides)
    assert sweep == wanted
    assert [(one.values, one.experiment) for one in trials] == [(one.values, one.experiment) for one in by_command]


def test_ranges_and_texts_are_written_so_that_they_are_read_again(experiment: Experiment) -> None:
    text = (
        '[sweep]\nmethod = "random"\nruns = 3\nseed = 7\nmetric = "rougeL"\n[sweep.values]\n'
        'train.optimizer = ["adam", "adamw"]\ntrain.learning_rate = { low = 1e-5, high = 1e-3, log = true }\n'
    )
    again = carried_sweep(text)
    assert sweep_of(experiment, again) == sweep_of(experiment, text)
    assert len(sweep_of(experiment, again)[1]) == 3


def test_one_that_is_commented_out_is_taken_up(experiment: Experiment) -> None:
    preset = (
        "# Mine\n[model]\npath = 'embedded:phi3-tiny'\n\n# To try, take away the signs:\n"
        '# [sweep]\n# method = "grid"\n#\n# [sweep.values]\n# adapter.rank = [4, 8]  # small\n# And so on.\n'
    )
    text = carried_sweep(preset)
    assert [trial.values for trial in sweep_of(experiment, text)[1]] == [{"adapter.rank": 4}, {"adapter.rank": 8}]
    assert "And so on" not in text


@pytest.mark.parametrize(
    "text",
    ["", "# nothing\n[train]\niters = 5\n", "# [sweep] is a table.\n", "# [sweep]\n# method = grid\n", "[sweep\n"],
)
def test_none_is_found_where_there_is_none(text: str) -> None:
    assert carried_sweep(text) == ""


@pytest.mark.parametrize("info", fields(), ids=lambda info: info.key)
def test_a_first_sweep_is_possible_from_every_key(info: object, experiment: Experiment) -> None:
    sweep, trials = sweep_of(experiment, first_sweep(experiment, info.key))  # type: ignore[attr-defined]
    assert len(trials) >= 2 and len({str(trial.values) for trial in trials}) == len(trials)
    assert sweep.axes[0].key in (info.key, "train.learning_rate")  # type: ignore[attr-defined]


def test_what_the_experiment_has_is_among_the_first_values(experiment: Experiment) -> None:
    (axis,) = sweep_of(experiment, first_sweep(experiment, "adapter.rank"))[0].axes
    assert axis.key == "adapter.rank" and experiment.adapter.rank in axis.values


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[sweep]\n", "[sweep] tries nothing"),
        ("[sweep\n", "line 1"),
        ("[sweep.values]\nadapter.rank = [0, 8]\n", "adapter.rank"),
        ("[sweep.values]\nadapter.rnak = [4, 8]\n", "did you mean adapter.rank?"),
        (f"{_GRID}[train]\niters = 5\n", '"train" is no part of a sweep'),
        ("sweep = 3\n", "sweep is no table"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_its_line(text: str, says: str, experiment: Experiment) -> None:
    with pytest.raises(TunerError) as caught:
        sweep_of(experiment, text)
    assert says in caught.value.sentence()


def test_grid_and_random_are_switched_there_and_back(experiment: Experiment) -> None:
    random = switched(_GRID)
    sweep, _ = sweep_of(experiment, random.replace("runs = 10", "runs = 2"))
    assert (sweep.method, sweep.runs, sweep.seed) == ("random", 2, 0)
    back, trials = sweep_of(experiment, switched(random))
    assert back.method == "grid" and back.runs is None and len(trials) == 2
    assert sweep_of(experiment, switched(switched("[sweep.values]\nrun.seed = [1, 2]\n")))[1]


def test_the_commented_text_stays_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("# [sweep]\n# [sweep.values]\n# run.seed = [1, 2]\n", encoding="utf-8")
    assert "run.seed = [1, 2]" in carried_sweep(file.read_text("utf-8"))
    assert file.read_text("utf-8").startswith("# [sweep]")
