"""Handing on by command: reports, bundles and configurations of other tools; every option, and no file written over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.commands import Tuner, tuner
from tests.support.jobs import Jobs, jobs
from tests.ui.fakes import RunBuilder
from tests.ui.measured import measured
from tui_tuner.cli import bundling
from tui_tuner.config import experiment_from_text
from tui_tuner.engine.new_run import create_run
from tui_tuner.engine.requests import TokenLosses
from tui_tuner.errors import TunerError

__all__ = ["jobs", "tuner"]

LORA = "model: org/model\ntrain: true\ndata: mine\niters: 200\nlora_layers: 8\nno_such_key: 3\n"
BASE = '[model]\npath = "org/model"\n[data]\nsource = "rows.jsonl"\n'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lora.yaml").write_text(LORA)
    (tmp_path / "mine").mkdir()
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    (tmp_path / "base.toml").write_text(BASE)
    return tmp_path


@pytest.fixture
def run(tmp_path: Path) -> str:
    return measured(RunBuilder(tmp_path)).folder.name


class Inside:
    """The losses of a row, as the engine gives them."""

    def as_json(self) -> dict[str, Any]:
        tokens = [{"text": "a\nb", "base": 2.5, "adapter": 0.25}, {"text": "c", "base": 1.0, "adapter": 0.125}]
        return {"index": 3, "tokens": tokens, "mean": {"base": 1.75, "adapter": 0.1875}}


# -- reports ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("form", "begins"),
    [("md", "# "), ("html", "<!doctype html>"), ("csv", "index,split,prompt,reference"), ("json", "{")],
)
def test_a_report_comes_in_every_form_on_stdout_or_in_a_file(
    tuner: Tuner, run: str, tmp_path: Path, form: str, begins: str
) -> None:
    said = tuner("report", run, "--format", form)
    assert said.status == 0 and said.out.lower().startswith(begins)
    path = tmp_path / f"report.{form}"
    told = tuner("report", run, "--format", form, "--out", path)
    assert (told.out, told.err) == ("", f"written to {path}\n")
    assert path.read_text("utf-8").strip() == said.out.strip()


def test_a_report_is_not_written_over_unasked(tuner: Tuner, run: str, tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    path.write_text("somebody's")
    said = tuner("report", run, "--to", path, "--json")
    assert said.status == 1 and said.document["error"]["where"] == str(path) and path.read_text() == "somebody's"
    said = tuner("report", run, "--to", path, "--replace", "--json")
    assert said.document["path"] == str(path) and path.read_text("utf-8").startswith("# ")


def test_a_report_of_a_run_names_both_sides(tuner: Tuner, run: str) -> None:
    document = tuner("report", run, "--json").document
    assert document["run"] == run and document["sides"] == ["before", "after"] and "path" not in document
    turned = tuner("report", run, "--first", "after", "--second", "before", "--json").document
    assert turned["sides"] == ["after", "before"]
    metric = next(iter(document["verdict"]["metrics"]))
    told, other = (each["verdict"]["metrics"][metric]["difference"] for each in (document, turned))
    assert other < 0 < told


def test_losses_of_a_row_are_added_where_they_are_asked_for(tuner: Tuner, run: str, jobs: Jobs, tmp_path: Path) -> None:
    jobs.answer(Inside(), Inside(), Inside())
    lines = tuner("report", run, "--losses", "3").out.splitlines()
    at = lines.index("## Losses of row 3, in nats")
    assert lines[at + 2 :] == [
        "    base      adapter   token", "    2.500     0.250     a↵b", "    1.000     0.125     c",
    ]  # fmt: skip
    (request,) = jobs.asked
    assert isinstance(request, TokenLosses) and (request.run, request.index) == (tmp_path / run, 3)
    assert tuner("report", run, "--losses", "3", "--json").document["losses"]["mean"]["adapter"] == 0.1875
    assert "## Losses" not in tuner("report", run, "--losses", "3", "--format", "csv").out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--first", "x"), "--first is for the report of one run"),
        (("--second", "x", "--losses", "0"), "--second and --losses are for the report of one run"),
        (("--format", "pdf"), "pdf"),
        (("--seed", "-1"), "--seed"),
    ],
)
def test_what_means_one_run_means_nothing_of_several(
    tuner: Tuner, run: str, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    other = measured(RunBuilder(tmp_path, "other")).folder.name
    said = tuner("report", run, other, *options)
    assert (said.status, said.out, said.err.count("\n")) == (2, "", 1) and words in said.err


def test_a_report_of_nobody_names_who_was_meant(tuner: Tuner) -> None:
    said = tuner("report", "nobody", "--json")
    assert (said.status, said.document["error"]["code"]) == (2, "run-not-found")
    assert "see `tui-tuner report --help`" in tuner("report").err


# -- bundles ----------------------------------------------------------------------------------------------------------
def test_the_making_of_a_large_bundle_is_told_by_tenths(
    tuner: Tuner, run: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = tuner("bundle", run, "--to", "one.tar.gz")
    assert quiet.status == 0 and " of " not in quiet.err
    monkeypatch.setattr(bundling, "_LARGE", 1)
    told = tuner("bundle", run, "--to", "two.tar.gz")
    assert told.status == 0 and (here / "one.tar.gz").read_bytes() == (here / "two.tar.gz").read_bytes()
    lines = [line for line in told.err.splitlines() if " of " in line]
    assert 1 <= len(lines) <= 9 and all("kB of" in line or "B of" in line for line in lines)


def test_a_replay_of_no_bundle_is_one_sentence_and_leaves_nothing(tuner: Tuner, tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_text("no archive")
    for options in ((), ("--check",)):
        said = tuner("replay", tmp_path / "x.tar.gz", *options)
        assert (said.status, said.out, said.err.count("\n")) == (1, "", 1) and "x.tar.gz" in said.err
    assert tuner("replay", tmp_path / "none.tar.gz", "--json").document["error"]["code"]
    assert [each.name for each in tmp_path.iterdir() if each.is_dir()] == []


def test_losses_that_part_are_told_with_where_and_by_how_much(capsys: pytest.CaptureFixture[str]) -> None:
    from tui_tuner.cli.output import opened

    part = {"compared": 1200, "equal": 1000, "parts_at": 1005, "then": 0.2113, "now": 0.2114, "largest": 0.0001234,
            "only_then": 2, "only_now": 1, "steps_then": [1205, 1210], "steps_now": [1207, 1207]}  # fmt: skip
    whole = {**part, "equal": 1200, "parts_at": None, "steps_then": None, "steps_now": None}
    wish = {"whose": "then", "what": "learning_rate", "value": "x0.5", "step": 1004}
    with opened() as output:
        bundling._tell_losses(
            {"train": part, "validation": whole, "steered": [wish], "same": False, "agree": False}, output
        )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "1,000 of 1,200 train losses are the same to the last bit; they part at step 1,005 (0.2113 then, 0.2114 now), "
        "by 0.00012 nats per token at most; 2 cannot be compared, reported only then (steps 1,205 to 1,210); 1 cannot "
        "be compared, reported only now (step 1,207)"
    )
    assert lines[1] == "1,200 of 1,200 validation losses are the same to the last bit"
    assert lines[2].startswith("then, learning_rate x0.5 was asked for at step 1,004: ")


AGREES = {"same": True, "agree": True, "train": {"compared": 3}}


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        (AGREES, "the replay gave the same losses"),
        ({**AGREES, "same": False}, "the replay gave the same losses at every step that both reported"),
        ({**AGREES, "same": False, "agree": False}, "the replay did not give the same losses"),
        (
            {"same": False, "agree": False, "train": {"compared": 0}},
            "nothing could be compared: no step's loss was reported by both",
        ),
    ],
)
def test_a_replay_is_summed_up_in_a_sentence(losses: dict[str, Any], said: str) -> None:
    assert bundling._sum_up(losses) == said


def test_what_differs_is_told_with_fingerprints_cut(capsys: pytest.CaptureFixture[str]) -> None:
    from tui_tuner.cli.output import opened

    with opened() as output:
        bundling._tell_differences([], output)
        bundling._tell_differences(
            [
                {"what": "data", "then": "a" * 64, "now": "b" * 64},
                {"what": "mlx", "then": None, "now": "0.31.0"},
                {"what": "model", "then": "org/m", "now": None, "why": "it is not in the cache"},
                {"what": "key", "then": "x", "now": None},
            ],
            output,
        )
    assert capsys.readouterr().out.splitlines() == [
        "nothing differs: versions, device, model and data are as they were",
        f"differs: data: {'a' * 12}… then, {'b' * 12}… now",
        "differs: mlx: unknown then, 0.31.0 now",
        "differs: model: org/m then, it is not in the cache now",
        "differs: key: x then, not there now",
    ]
    with opened(json=True) as output:
        bundling._tell_differences([{"what": "x", "then": 1, "now": 2}], output)
    assert capsys.readouterr().out == "", "the document has them"


def test_what_is_not_there_is_said_before_a_run_is_made() -> None:
    bundling._must_be_there([{"what": "mlx", "then": "1", "now": "2"}])
    with pytest.raises(TunerError, match="cannot be used here: it is gone") as caught:
        bundling._must_be_there([{"what": "data", "then": "x", "now": None, "why": "it is gone."}])
    assert (caught.value.fix, caught.value.usage) == ("name it with --data", True)


# -- configurations of other tools ------------------------------------------------------------------------------------
def test_an_import_tells_every_key_and_writes_nothing_without_a_name(tuner: Tuner, here: Path) -> None:
    said = tuner("import-config", "lora.yaml")
    lines = said.out.splitlines()
    assert said.status == 0 and lines[0].startswith("mlx-lm (")
    assert any("no_such_key" in line for line in lines) and any("lora_layers" in line for line in lines)
    assert lines[-1] == "nothing was written; --to NAME saves it as a preset"
    document = tuner("import-config", "lora.yaml", "--json").document
    counts = [sum(each["fate"] == fate for each in document["entries"]) for fate in ("mapped", "changed", "not mapped")]
    assert lines[-2].startswith("{} taken as they are, {} changed on the way, {} left out, ".format(*counts))
    assert document["path"] is None and not (here / "settings").exists()


def test_an_import_that_lacks_something_says_what_to_set(tuner: Tuner, here: Path) -> None:
    (here / "peft.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 8}))
    lines = tuner("import-config", "peft.json").out.splitlines()
    assert lines[-1].startswith("a preset needs ") and lines[-1].endswith("=…") and "data.source" in lines[-1]
    assert tuner("import-config", "peft.json", "--json").document["missing"]
    assert tuner("import-config", "peft.json", "--to", "x").status != 0


def test_an_import_is_saved_with_what_became_of_its_keys_in_the_head(tuner: Tuner, here: Path) -> None:
    said = tuner("import-config", "lora.yaml", "--to", "mine", "--set", "train.iters=300", "--as", "mlx-lm")
    path = Path(said.out.splitlines()[-1])
    text = path.read_text("utf-8")
    assert "brought over from mlx-lm" in text.splitlines()[0] and "no_such_key" in text
    assert "iters = 300" in text
    again = tuner("import-config", "lora.yaml", "--to", "mine", "--json")
    assert (again.status, again.document["error"]["code"]) == (2, "preset-exists")
    assert tuner("import-config", "lora.yaml", "--to", "mine", "--force", "--json").document["path"] == str(path)
    assert "iters = 200" in path.read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("a: 1\n", ()),
        ("- 1\n", ()),
        (": :\n", ()),
        (LORA, ("--as", "torchtune")),
        (LORA, ("--to", "x", "--set", "train.itres=3")),
    ],
)
def test_what_cannot_be_brought_over_is_one_sentence(
    tuner: Tuner, here: Path, text: str, options: tuple[str, ...]
) -> None:
    (here / "odd.yaml").write_text(text)
    said = tuner("import-config", "odd.yaml", *options)
    assert said.status in (1, 2) and (said.out, said.err.count("\n")) == ("", 1), said
    assert tuner("import-config", "odd.yaml", *options, "--json").document["error"]["message"]


def test_an_export_without_a_place_is_a_file_on_stdout(tuner: Tuner, here: Path) -> None:
    said = tuner("export-config", "base.toml", "--set", "train.iters=70")
    values = yaml.safe_load(said.out)
    assert (values["model"], values["iters"], values["data"]) == ("org/model", 70, str(here / "rows.jsonl"))
    notes = said.err.splitlines()
    assert notes[0] == "the losses are not those of the run: see above"
    assert notes[1] == "  mlx_lm.lora --config FILE.yaml" and notes[2].startswith("  mlx_lm.generate --model org/model")


def test_an_export_into_a_file_tells_what_stock_mlx_lm_does_otherwise(tuner: Tuner, here: Path) -> None:
    said = tuner("export-config", "base.toml", "--to", "out.yaml")
    assert said.out == "out.yaml\n" and any(line.startswith("data: ") for line in said.err.splitlines())
    (here / "out.yaml").write_text("mine")
    refused = tuner("export-config", "base.toml", "--to", "out.yaml", "--json")
    assert (refused.status, refused.document["error"]["code"]) == (2, "exists")
    assert (here / "out.yaml").read_text() == "mine"
    document = tuner("export-config", "base.toml", "--to", "out.yaml", "--force", "--json").document
    assert document["path"] == "out.yaml" and document["equal"] is False and document["told"]
    assert yaml.safe_load((here / "out.yaml").read_text()) == document["values"]
    assert document["commands"]["lora"] == "mlx_lm.lora --config out.yaml"


def test_a_run_has_its_rows_already(tuner: Tuner, here: Path) -> None:
    folder = create_run(experiment_from_text(BASE, "here"), here, "trial", here)
    said = tuner("export-config", folder.name, "--data", "rows", "--json")
    assert (said.status, said.document["error"]["where"]) == (2, "--data") and not (here / "rows").exists()
    for name in ("nobody", "none.toml"):
        said = tuner("export-config", name, "--json")
        assert said.status == 2 and said.document["error"]["code"] == "no-preset"


def test_presets_that_cannot_be_used_are_listed_with_the_reason(
    tuner: Tuner, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = here / "settings" / "presets"
    own.mkdir(parents=True)
    (own / "aaa-broken.toml").write_text("[train]\nitres = 3\n")
    (own / "aaa-swept.toml").write_text(f"# Many\n{BASE}[sweep.values]\n'train.iters' = [1, 2]\n")
    lines = tuner("presets").out.splitlines()
    broken = next(at for at, line in enumerate(lines) if line.startswith("aaa-broken"))
    assert "✗ " in lines[broken] and lines[broken + 1].strip() == str(own / "aaa-broken.toml")
    assert any(line.startswith("aaa-swept") and line.endswith("Many (a sweep)") for line in lines)
    found = {each["name"]: each for each in tuner("presets", "--json").document}
    assert found["aaa-swept"]["sweep"] is True and found["aaa-broken"]["problem"]
    monkeypatch.setattr("tui_tuner.config.list_presets", list)
    assert tuner("presets").out == "there are no presets\n" and tuner("presets", "--json").document == []
