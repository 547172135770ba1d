"""`forecast`, `check` and `data` on real rows and headers: what they foresee, and what they do where they cannot."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Tuner, tuner
from tests.support.jobs import Jobs, jobs
from tui_tuner.cli import dataset
from tui_tuner.engine.forecast_requests import MeasureForecast
from tui_tuner.errors import TunerError
from tui_tuner.training.forecast.forecast import Forecast, Span

__all__ = ["jobs", "tuner"]

KEYS = {
    "peak_memory", "memory", "largest_batch", "usable_memory", "fits", "seconds", "seconds_low", "seconds_high",
    "stages", "disk", "disk_parts", "steps", "steps_per_epoch", "truncated", "measured", "known_data", "notes",
}  # fmt: skip
QUICK = ("--set", "train.iters=20")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Thirty rows of a question and an answer, one of them empty."""
    path = tmp_path / "rows.jsonl"
    made = [{"question": f"what is {n} and {n}?", "answer": f"it is {2 * n}"} for n in range(30)]
    made[7]["answer"] = ""
    path.write_text("\n".join(map(json.dumps, made)))
    return path


@pytest.fixture
def preset(rows: Path, tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[model]\npath = "embedded:phi3-tiny"\n[data]\nsource = "rows.jsonl"\nvalid = 4\ntest = 4\n'
        "[train]\niters = 20\n"
    )
    return path


def foreseen(tuner: Tuner) -> Forecast:
    """A forecast of the quickstart, as the engine gives it."""
    from tui_tuner.config import load_preset
    from tui_tuner.engine.forecasting import closed_form

    experiment, found = load_preset("quickstart", [QUICK[1]])
    return closed_form(experiment, found.base, None)


def test_a_forecast_is_a_document_with_every_promised_key(tuner: Tuner) -> None:
    said = tuner("forecast", "quickstart", *QUICK, "--json")
    document = said.document
    assert (said.status, document.keys()) == (0, KEYS)
    assert document["steps"] == 20 and document["known_data"] is True and document["measured"] is False
    assert 0 < document["peak_memory"] < document["usable_memory"] and document["fits"] == "fits"
    assert document["disk"] == sum(document["disk_parts"].values())
    twice = tuner("forecast", "quickstart", "--set", "train.iters=40", "--json").document
    assert twice["steps"] == 40 and twice["peak_memory"] == document["peak_memory"], "more steps, no more memory"


def test_a_forecast_is_a_few_lines_for_people(tuner: Tuner) -> None:
    lines = tuner("forecast", "quickstart", *QUICK).out.splitlines()
    heads = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert heads[0] == "memory" and {"disk", "steps"} <= set(heads)
    assert "which fits in" in lines[0] and lines[0].split()[2] in ("kB", "MB")


def test_without_readable_data_the_longest_rows_are_taken_and_that_is_said(
    tuner: Tuner, preset: Path, rows: Path
) -> None:
    known = tuner("forecast", preset, "--json").document
    rows.unlink()
    said = tuner("forecast", preset, "--json")
    assert said.status == 0 and said.document["known_data"] is False
    assert said.document["peak_memory"] > known["peak_memory"]
    assert said.err.startswith("the data cannot be read, so its rows are taken to be as long as can be: ")
    assert "rows.jsonl" in said.err and said.err.count("\n") == 1


def test_a_model_that_is_not_there_is_no_matter_of_the_data(tuner: Tuner, preset: Path) -> None:
    said = tuner("forecast", preset, "--set", "model.path=./nowhere", "--json")
    assert said.status != 0 and "nowhere" in str(said.document["error"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--measure", "--fit"), "--measure and --fit exclude each other; give one of them"),
        (("--memory", "8"), "--memory needs --fit; give --fit, too"),
        (("--memory", "-1", "--fit"), "--memory"),
        (("--set", "train.itres=3"), "did you mean train.iters?"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tuner: Tuner, options: tuple[str, ...], words: str) -> None:
    said = tuner("forecast", "quickstart", *options)
    assert (said.status, said.out, said.err.count("\n")) == (2, "", 1) and words in said.err
    assert tuner("forecast", "quickstart", *options, "--json").document["error"]["code"] in ("usage", "unknown-key")


def test_what_fits_already_needs_no_change(tuner: Tuner) -> None:
    said = tuner("forecast", "quickstart", *QUICK, "--fit", "--json")
    assert said.status == 0
    assert said.document["fits"] is True and said.document["changes"] == [] and said.document["overrides"] == []
    told = tuner("forecast", "quickstart", *QUICK, "--fit")
    assert told.out == said.document["sentence"] + "\n"


def test_what_does_not_fit_gets_changes_as_options_or_the_status_1(tuner: Tuner) -> None:
    before = tuner("forecast", "quickstart", "--json").document["peak_memory"]
    limit = str(0.7 * before / 1e9)
    document = tuner("forecast", "quickstart", "--fit", "--memory", limit, "--json").document
    assert (
        document["fits"] is True and document["changes"] and document["limit"] == pytest.approx(0.7 * before, rel=1e-3)
    )
    said = tuner("forecast", "quickstart", "--fit", "--memory", limit)
    lines = said.out.splitlines()
    for number, change in enumerate(document["changes"], 1):
        assert any(line.startswith(f"{number}. {change['what']}: {change['price']}") for line in lines)
        for override in change["overrides"]:
            assert f"     --set {override}" in lines
    assert lines[-1].startswith("`tui-tuner run quickstart` with these")
    again = [each for override in document["overrides"] for each in ("--set", override)]
    assert tuner("forecast", "quickstart", *again, "--json").document["peak_memory"] <= 0.7 * before
    hopeless = tuner("forecast", "quickstart", "--fit", "--memory", "0.0001", "--json")
    assert (hopeless.status, hopeless.document["fits"]) == (1, False)
    assert "with these" not in tuner("forecast", "quickstart", "--fit", "--memory", "0.0001").out


def test_measuring_tells_what_is_being_done_once_and_gives_the_measured_one(tuner: Tuner, jobs: Jobs) -> None:
    found = replace(foreseen(tuner), measured=True)

    def work(request: Any, what: str) -> None:
        request.progress.what = what

    jobs.on_the_way = [
        lambda request, what=what: work(request, what) for what in ("", "loading", "loading", "a step of 4 × 56")
    ]
    jobs.answer(found, None)
    said = tuner("forecast", "quickstart", *QUICK, "--measure", "--json")
    assert said.document["measured"] is True
    assert said.err.splitlines() == ["loading", "a step of 4 × 56"]
    (request,) = jobs.asked
    assert isinstance(request, MeasureForecast) and request.experiment.train.iters == 20
    stopped = tuner("forecast", "quickstart", *QUICK, "--measure")
    assert (stopped.status, stopped.err.splitlines()[-1]) == (1, "tui-tuner: stopped before anything was known.")


def test_a_long_run_is_measured_by_check_unless_it_will_not_fit(
    tuner: Tuner, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a span that the closed form would give on a slow machine."""
    from tui_tuner.cli.output import Output

    plain = foreseen(tuner)
    long = replace(plain, span=Span(7200.0, 3600.0, 14400.0))
    measured = replace(long, measured=True)
    notes: list[str] = []
    monkeypatch.setattr(Output, "note", lambda self, text: notes.append(text))
    output = Output(None, None)  # type: ignore[arg-type]
    experiment, base = None, Path()
    jobs.answer(measured)
    assert dataset._measured_if_long(experiment, base, long, output).measured is True  # type: ignore[arg-type]
    assert notes == ["it may take 2 h 0 min (60 min to 4 h 0 min), so a few steps are measured"]
    for short in (replace(plain, span=None), replace(plain, span=Span(599.0, 599.0, 599.0)), replace(long, usable=1)):
        assert dataset._measured_if_long(experiment, base, short, output) is short  # type: ignore[arg-type]
    assert len(jobs.asked) == 1


def test_check_says_that_a_preset_can_run(tuner: Tuner) -> None:
    said = tuner("check", "quickstart", *QUICK)
    assert said.status == 0
    assert said.out.splitlines()[-1] == "quickstart can run: `tui-tuner run quickstart` starts it"
    document = tuner("check", "quickstart", *QUICK, "--json").document
    assert document["ok"] is True and {each["severity"] for each in document["problems"]} <= {"info", "warning"}
    assert document["forecast"].keys() >= {
        "peak_memory", "usable_memory", "fits", "seconds", "measured", "steps", "epochs", "tokens", "padding", "disk",
    }  # fmt: skip


def test_check_counts_the_errors_and_shows_where_they_are(tuner: Tuner, preset: Path) -> None:
    said = tuner("check", preset)
    lines = said.out.splitlines()
    assert said.status == 1 and lines[-1] == "mine cannot run yet: 1 error"
    wrong = next(at for at, line in enumerate(lines) if line.startswith("✗ error "))
    assert lines[wrong + 1] == "    lines 8"
    document = tuner("check", preset, "--json").document
    (error,) = (each for each in document["problems"] if each["severity"] == "error")
    assert document["ok"] is False and (error["count"], error["lines"]) == (1, [8])
    said = tuner("check", preset, "--set", 'adapter.targets=["no_such_module"]')
    assert said.status == 1 and said.out.splitlines()[-1] == "mine cannot run yet: 2 errors"


def test_data_tells_shape_mapping_and_tokens_and_whose_tokens_they_are(tuner: Tuner, rows: Path) -> None:
    said = tuner("data", rows)
    lines = said.out.splitlines()
    assert said.status == 1, "an empty answer blocks training"
    assert lines[0].startswith(f"{rows}: 30 records (") and lines[0].endswith("% sure")
    assert any(line.startswith("  tokens a row: ") and "% of them prompt" in line for line in lines)
    assert "  counted with the embedded model's small vocabulary; --model MODEL counts with yours" in lines
    named = tuner("data", rows, "--model", "embedded:phi3-tiny").out
    assert "counted with the embedded" not in named, "who names a model knows whose tokens they are"
    document = tuner("data", rows, "--json").document
    assert document["rows"] == 30 and set(document["mapping"].values()) == {"{question}", "{answer}"}
    assert document["splits"] and document["tokens"]["max"] >= document["tokens"]["median"] > 0


def test_data_with_short_answers_lists_them_with_their_counts(tuner: Tuner, tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    labels = ["yes", "no", "maybe", "never", "always", "often", "yes"]
    path.write_text(
        "\n".join(json.dumps({"prompt": f"is {n} one?", "completion": labels[n % 7]}) for n in range(70)) + "\n"
    )
    said = tuner("data", path)
    (line,) = (line for line in said.out.splitlines() if line.startswith("  training answers: "))
    top = tuner("data", path, "--json").document["tokens"]["labels"]["top"]
    told = ", ".join(f"{answer!r} {count}" for answer, count in top[:5])
    assert line == f"  training answers: 6 different: {told}, …" and top[0][0] == "yes"


def test_data_of_a_preset_takes_its_settings_and_what_is_set_beside(tuner: Tuner, preset: Path) -> None:
    by_preset = tuner("data", preset, "--json").document
    assert by_preset["splits"] == {"train": 21, "valid": 4, "test": 4}, "the empty row is left out"
    other = tuner("data", preset, "--set", "data.valid=6", "--json").document
    assert other["splits"]["valid"] == 6
    assert tuner("data", "quickstart", "--json").document["rows"] > 100
    said = tuner("data", "quickstrat", "--json")
    assert said.status != 0 and "quickstrat" in str(said.document["error"])


def test_long_work_is_told_each_tenth_and_short_work_not_at_all() -> None:
    said: list[str] = []

    class Heard:
        note = staticmethod(said.append)

    tell = dataset.progress_of(Heard())  # type: ignore[arg-type]
    for done in (0, 499, 500, 501, 1000, 5000):
        tell(done, 5000)
    assert said == ["500 of 5,000 rows", "1,000 of 5,000 rows", "5,000 of 5,000 rows"]
    quiet = dataset.progress_of(Heard())  # type: ignore[arg-type]
    quiet(4_999, 4_999)
    quiet(0, 0)
    assert len(said) == 3


def test_a_stop_or_a_missing_preset_is_one_sentence(tuner: Tuner) -> None:
    for command in ("forecast", "check"):
        said = tuner(command, "quikstart", "--json")
        assert (said.status, said.document["error"]["code"]) == (2, "no-preset")
        assert "did you mean" in said.document["error"]["fix"]


def test_a_failure_of_the_model_is_not_taken_for_one_of_the_data(tuner: Tuner, monkeypatch: pytest.MonkeyPatch) -> None:
    from tui_tuner.engine import dataset as facts

    def broken(*_: Any, **__: Any) -> Any:
        raise TunerError("has no tokenizer", code="model-tokenizer", where="m")

    monkeypatch.setattr(facts, "data_facts", broken)
    said = tuner("forecast", "quickstart")
    assert (said.status, said.err) == (1, "tui-tuner: m: has no tokenizer.\n")
