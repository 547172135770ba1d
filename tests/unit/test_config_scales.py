"""A preset at another scale: what is changed, what is refused, and that errors name the line the value is from."""

from __future__ import annotations

import pytest

from tui_tuner.config import experiment_from_text, with_overrides
from tui_tuner.errors import TunerError

PRESET = """
[model]
path = "owner/large"

[data]
source = "hf:owner/rows"
prompt = ["Say {a}"]
completion = ["{b}"]

[train]
iters = 9000
batch_size = 4

[scale.tiny.model]
path = "embedded:phi3-tiny"

[scale.tiny.data]
source = "embedded:players"

[scale.tiny.train]
iters = 20

[scale.small.train]
iters = 300
"""


def test_a_preset_is_itself_unless_a_scale_is_asked_for() -> None:
    plain = experiment_from_text(PRESET, "p.toml")
    assert (plain.model.path, plain.train.iters) == ("owner/large", 9000)


def test_a_scale_takes_the_place_of_what_it_names_and_leaves_the_rest() -> None:
    tiny = experiment_from_text(PRESET, "p.toml", ["scale=tiny"])
    assert (tiny.model.path, tiny.data.source, tiny.train.iters) == ("embedded:phi3-tiny", "embedded:players", 20)
    assert tiny.data.prompt == ["Say {a}"]
    assert tiny.train.batch_size == 4
    assert experiment_from_text(PRESET, "p.toml", ['scale="small"']).train.iters == 300


@pytest.mark.parametrize("overrides", [["scale=tiny", "train.iters=7"], ["train.iters=7", "scale=tiny"]])
def test_other_overrides_stand_above_the_scale(overrides: list[str]) -> None:
    assert experiment_from_text(PRESET, "p.toml", overrides).train.iters == 7


def test_the_last_scale_counts() -> None:
    assert experiment_from_text(PRESET, "p.toml", ["scale=tiny", "scale=small"]).model.path == "owner/large"


@pytest.mark.parametrize(
    ("overrides", "message", "fix"),
    [
        (["scale=tny"], 'p.toml has no scale "tny"', 'did you mean "tiny"?'),
        (["scale=20"], 'p.toml has no scale "20"', "adapter.scale"),
    ],
)
def test_an_unknown_scale_is_refused_with_those_there_are(overrides: list[str], message: str, fix: str) -> None:
    with pytest.raises(TunerError) as caught:
        experiment_from_text(PRESET, "p.toml", overrides)
    assert caught.value.message == message
    assert fix in caught.value.fix
    assert caught.value.usage


def test_a_preset_without_scales_says_what_was_perhaps_meant() -> None:
    text = '[model]\npath = "m"\n[data]\nsource = "d"\n'
    with pytest.raises(TunerError) as caught:
        experiment_from_text(text, "p.toml", ["scale=16"])
    assert "has no scales" in caught.value.message
    assert "adapter.scale" in caught.value.fix
    with pytest.raises(TunerError) as caught:
        with_overrides(experiment_from_text(text, "p.toml"), ["scale=16"])
    assert "adapter.scale" in caught.value.fix


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        ("[scale.tiny.train]\niters = 0\n", 19, "train.iters is 0"),
        ("[scale.tiny.train]\n\nlearning_rat = 1e-4\n", 20, "train.learning_rate"),
        ("[scale.tiny.trian]\niters = 3\n", 19, "train.iters"),
        ("[scale]\ntiny = 3\n", 19, "scale.tiny is no table"),
        ("[scale.tiny]\niters = 3\n", 19, "iters"),
    ],
)
def test_what_is_wrong_in_a_scale_is_told_with_its_line(lines: str, line: int, words: str) -> None:
    text = PRESET.partition("[scale.tiny.model]")[0]
    text = text + "\n" * (17 - text.count("\n")) + lines
    with pytest.raises(TunerError) as caught:
        experiment_from_text(text, "p.toml", ["scale=tiny"])
    assert caught.value.where == f"p.toml, line {line}"
    assert words in f"{caught.value.message}; {caught.value.fix}"


def test_a_value_that_the_scale_covered_is_no_longer_judged_by_its_old_line() -> None:
    text = PRESET.replace("iters = 20\n", "iters = 20\nwarmup = 50\n")
    with pytest.raises(TunerError) as caught:
        experiment_from_text(text, "p.toml", ["scale=tiny"])
    at = text.split("\n").index("warmup = 50") + 1
    assert caught.value.where == f"p.toml, line {at}"


def test_a_wrong_scale_is_an_error_even_when_it_is_not_asked_for() -> None:
    with pytest.raises(TunerError) as caught:
        experiment_from_text(PRESET + "itres = 3\n", "p.toml")
    assert "scale" not in caught.value.message or "itres" in caught.value.message
    assert caught.value.where.startswith("p.toml, line ")
