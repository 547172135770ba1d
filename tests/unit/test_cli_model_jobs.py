"""The commands that make models of models: what they ask for, what they say of it, and every option of theirs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Tuner, tuner
from tests.support.jobs import Jobs, jobs
from tui_tuner.engine.model_requests import ConvertModel, ExportAdapter, FuseAdapter, ImportAdapter
from tui_tuner.errors import TunerError
from tui_tuner.models.learned.methods import Learned

__all__ = ["jobs", "tuner"]

PLAN: dict[str, Any] = {
    "scheme": "4 bits (affine, groups of 64)", "bytes_before": 3_650_000, "bytes": 610_000, "bits_per_weight": 4.53,
    "notes": ["2 modules stay as they are: their width is no multiple of 64"], "variants": [],
}  # fmt: skip
VARIANT: dict[str, Any] = {
    "bytes": 610_000, "bits_per_weight": 4.53, "perplexity": 12.5, "perplexity_before": 12.25, "kl": 0.0123,
    "top1": 0.975, "tokens_per_second": 1234.5, "memory": 900_000, "scheme": "4 bits", "path": "small",
}  # fmt: skip
MADE: dict[str, Any] = {
    **PLAN, "path": "small", "calibrated_on": "64 rows of mine.jsonl", "perplexity": {"before": 12.25, "after": 12.5},
    "measured_on": "40 rows of mine.jsonl", "kl": 0.0123, "top1_agreement": 0.975, "variants": [VARIANT],
}  # fmt: skip
WAY: dict[str, Any] = {
    "way": "8bit", "bytes": 1_100_000, "kept": 0.9987, "holds": True, "kl": 0.00012, "top1_agreement": 0.998,
    "loss": {"base": 3.0, "adapter": 1.25, "fused": 1.2512}, "exact": {"same": 19, "of": 20}, "text": "8 bits",
}  # fmt: skip
FUSED: dict[str, Any] = {
    "path": None, "recommended": "8bit", "measured_on": "20 test rows of the run",
    "ways": [{**WAY, "way": "stock", "bytes": 610_000, "kept": None, "holds": False, "text": "as the base"}, WAY],
}  # fmt: skip


def convert(jobs: Jobs) -> ConvertModel:
    (request,) = jobs.asked
    assert isinstance(request, ConvertModel)
    return request


def test_a_conversion_without_a_place_is_a_forecast_that_says_how_to_make_it(tuner: Tuner, jobs: Jobs) -> None:
    jobs.answer(PLAN)
    said = tuner("convert", "embedded:phi3-tiny", "--bits", "4")
    assert (said.status, said.err) == (0, "")
    assert said.out.splitlines() == [
        "4 bits (affine, groups of 64): 3.65 MB → 610 kB, 4.53 bits a weight",
        "  2 modules stay as they are: their width is no multiple of 64",
        "nothing was written; --to FOLDER makes it",
    ]
    request = convert(jobs)
    assert (request.model, request.target, request.bits, request.learned) == ("embedded:phi3-tiny", None, 4, None)
    assert request.lane == "side", "a forecast waits for no run"


def test_a_conversion_tells_what_it_did_to_the_model_and_to_its_siblings(tuner: Tuner, jobs: Jobs) -> None:
    jobs.answer(MADE)
    said = tuner("convert", "org/model", "--bits", "4", "--to", "small", "--data", "mine.jsonl")
    assert said.out.splitlines()[2:] == [
        "learned from 64 rows of mine.jsonl",
        "perplexity 12.2500 → 12.5000 on 40 rows of mine.jsonl",
        "KL 0.0123 nats per token, same likeliest token 97.5%",
        "variants made of this model:",
        "      610 kB   4.53 bits  perplexity 12.2500 → 12.5000  KL 0.012  same token 97.5%  1,234 tokens/s"
        "  900 kB to answer  4 bits  small",
        "model small",
    ]
    assert convert(jobs).lane == "mlx"


def test_what_was_not_measured_is_not_told(tuner: Tuner, jobs: Jobs) -> None:
    unmeasured = {**VARIANT, "perplexity": None, "memory": 0}
    jobs.answer({**MADE, "perplexity": None, "calibrated_on": "", "variants": [unmeasured]})
    lines = tuner("convert", "org/model", "--dtype", "float16", "--to", "small", "--rows", "0").out.splitlines()
    assert not any("perplexity" in line or "learned" in line or "KL" in line for line in lines)
    assert lines[-2] == "      610 kB   4.53 bits  1,234 tokens/s  4 bits  small"


def test_every_option_of_convert_reaches_the_engine(tuner: Tuner, jobs: Jobs) -> None:
    jobs.answer(MADE)
    said = tuner(
        "convert", "org/model", "--to", "small", "--bits", "3", "--group-size", "32", "--mode", "affine",
        "--recipe", "mixed_3_4", "--dtype", "bfloat16", "--dequantize", "--method", "awq", "--samples", "12",
        "--rest-bits", "6", "--grid", "7", "--data", "mine.jsonl", "--rows", "9", "--force", "--json",
    )  # fmt: skip
    assert said.document == MADE
    fields = {key: value for key, value in asdict(convert(jobs)).items() if key not in ("progress", "learned")}
    assert fields == {
        "model": "org/model", "target": Path("small"), "bits": 3, "group_size": 32, "mode": "affine",
        "recipe": "mixed_3_4", "dtype": "bfloat16", "dequantize": True, "data": "mine.jsonl", "rows": 9, "force": True,
    }  # fmt: skip
    assert convert(jobs).learned == Learned("awq", samples=12, rest_bits=6, grid=7)


@pytest.mark.parametrize(
    ("options", "learned"),
    [
        (("--method", "dynamic", "--target-bits", "4.5", "--high-bits", "8"), {"target_bits": 4.5, "high_bits": 8}),
        (("--method", "dwq", "--learning-rate", "1e-5", "--iterations", "3"), {"learning_rate": 1e-5, "iterations": 3}),
        (("--method", "gptq"), {}),
    ],
)
def test_settings_of_a_method_are_that_methods(
    tuner: Tuner, jobs: Jobs, options: tuple[str, ...], learned: dict[str, Any]
) -> None:
    jobs.answer(PLAN)
    assert tuner("convert", "org/model", *options).status == 0
    assert convert(jobs).learned == Learned(options[1], **learned)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--grid", "7"), "bad-scheme", "no method; name it with --method"),
        (("--samples", "0"), "bad-scheme", "no method"),
        (("--method", "magic"), "bad-scheme", "magic"),
        (("--method", "gptq", "--learning-rate", "1"), "bad-scheme", "dwq"),
        (("--rows", "-1"), "usage", "--rows"),
        (("--bits", "four"), "usage", "--bits"),
    ],
)
def test_what_convert_cannot_mean_is_refused_before_anything_is_asked(
    tuner: Tuner, jobs: Jobs, options: tuple[str, ...], code: str, said: str
) -> None:
    refused = tuner("convert", "org/model", *options, "--json")
    assert (refused.status, refused.document["error"]["code"]) == (2, code)
    told = tuner("convert", "org/model", *options)
    assert (told.out, told.err.count("\n")) == ("", 1) and said in told.err
    assert jobs.asked == []


def test_a_stopped_conversion_is_a_failure_that_says_what_is_left(tuner: Tuner, jobs: Jobs) -> None:
    jobs.answer(None, None)
    stopped = "tui-tuner: stopped; nothing was written; the same command begins it anew.\n"
    assert tuner("convert", "org/model", "--to", "x").err == stopped
    said = tuner("convert", "org/model", "--to", "x", "--json")
    assert (said.status, said.document["error"]["code"]) == (1, "stopped")


def test_work_is_told_on_stderr_each_tenth_once_and_notes_as_they_come(tuner: Tuner, jobs: Jobs) -> None:
    def at(done: int) -> Any:
        return lambda request: request.progress("measured rows", done, 40)

    jobs.on_the_way = [lambda request: request.progress.notes.append("downloading first"), at(0), at(1), at(4), at(40)]
    jobs.answer(MADE)
    said = tuner("convert", "org/model", "--to", "x", "--json")
    assert said.err.splitlines() == [
        "  downloading first",
        "  measured rows: 0 of 40",
        "  measured rows: 4 of 40",
        "  measured rows: 40 of 40",
    ]
    assert said.document["path"] == "small"


def test_a_merge_is_told_way_by_way_with_what_each_keeps(tuner: Tuner, jobs: Jobs) -> None:
    jobs.answer(FUSED)
    said = tuner("fuse", "last")
    assert said.out.splitlines() == [
        "measured on 20 test rows of the run",
        "  ✗ stock            610 kB  kept         –  KL 0.00012  same token 99.8%  loss 1.2512  answers 19/20  as the "
        "base",
        "  ✓ 8bit            1.10 MB  kept   99.87 %  KL 0.00012  same token 99.8%  loss 1.2512  answers 19/20  8 bits",
        "recommended: 8bit",
        "nothing was written; --to FOLDER makes it",
    ]


def test_where_no_way_keeps_the_fine_tune_the_adapter_stays_apart(tuner: Tuner, jobs: Jobs) -> None:
    jobs.answer({**FUSED, "recommended": "apart", "path": "merged"})
    lines = tuner("fuse", "last", "--to", "merged", "--lossy").out.splitlines()
    assert lines[-2].startswith("none keeps the fine-tune: leave the adapter beside the base")
    assert lines[-1] == "model merged"


def test_every_option_of_fuse_reaches_the_engine(tuner: Tuner, jobs: Jobs, tmp_path: Path) -> None:
    jobs.answer(FUSED)
    said = tuner(
        "fuse", "org/model", "--to", "merged", "--adapter", "adapters", "--way", "finer", "--data", "mine.jsonl",
        "--rows", "5", "--force", "--lossy", "--runs-dir", tmp_path, "--json",
    )  # fmt: skip
    assert said.document == FUSED
    (request,) = jobs.asked
    assert isinstance(request, FuseAdapter)
    assert (request.run, request.target, request.adapter, request.way, request.data, request.rows) == (
        "org/model", Path("merged"), Path("adapters"), "finer", "mine.jsonl", 5,
    )  # fmt: skip
    assert (request.runs_dir, request.force, request.lossy) == (tmp_path, True, True)


def test_an_adapter_is_handed_on_and_its_files_are_named(tuner: Tuner, jobs: Jobs, tmp_path: Path) -> None:
    document = {"path": "mine", "format": "peft", "files": ["adapter_config.json", "adapter_model.safetensors"]}
    jobs.answer(document, document)
    said = tuner("export", "last", "--as", "peft", "--to", "mine", "--adapter", "adapters", "--runs-dir", tmp_path)
    assert said.out == "mine: adapter_config.json, adapter_model.safetensors\n"
    (request,) = jobs.asked
    assert isinstance(request, ExportAdapter)
    assert (request.run, request.target, request.format, request.adapter, request.runs_dir) == (
        "last", Path("mine"), "peft", Path("adapters"), tmp_path,
    )  # fmt: skip
    assert tuner("export", "last", "--as", "peft", "--to", "mine", "--json").document == document


def test_an_adapter_of_peft_is_taken_in_and_what_it_does_is_said(tuner: Tuner, jobs: Jobs) -> None:
    document = {"path": "adapters", "files": ["adapters.safetensors"], "changes": 0.73519}
    jobs.answer(document, document)
    said = tuner("import", "peft-folder", "--model", "org/base", "--to", "adapters")
    assert said.out == "adapters: moves the base by 0.735 nats per token on plain text\n"
    (request,) = jobs.asked
    assert isinstance(request, ImportAdapter)
    assert (request.source, request.model, request.target) == (Path("peft-folder"), "org/base", Path("adapters"))
    assert tuner("import", "peft-folder", "--model", "org/base", "--to", "adapters", "--json").document == document


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (("export", "last", "--to", "x"), "--as"),
        (("export", "last", "--as", "peft"), "--to"),
        (("import", "folder", "--to", "x"), "--model"),
        (("import", "folder", "--model", "x"), "--to"),
        (("convert",), "'MODEL'"),
        (("fuse",), "'RUN'"),
    ],
)
def test_what_is_missing_is_named_with_the_way_to_the_help(
    tuner: Tuner, jobs: Jobs, arguments: tuple[str, ...], missing: str
) -> None:
    said = tuner(*arguments)
    assert (said.status, said.out, said.err.count("\n")) == (2, "", 1)
    assert missing in said.err and f"see `tui-tuner {arguments[0]} --help`" in said.err
    assert jobs.asked == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("convert", "m", "--to", "x"),
        ("fuse", "last"),
        ("export", "last", "--as", "gguf", "--to", "x"),
        ("import", "f", "--model", "m", "--to", "x"),
    ],
)
def test_a_failure_of_the_engine_is_one_sentence_or_one_document(
    tuner: Tuner, jobs: Jobs, arguments: tuple[str, ...]
) -> None:
    failure = TunerError("holds no weights", code="model-weights", where="m", fix="download it again")
    jobs.answer(failure, failure, failure)
    said = tuner(*arguments)
    assert (said.status, said.out, said.err) == (1, "", "tui-tuner: m: holds no weights; download it again.\n")
    assert tuner(*arguments, "--json").document == {
        "error": {"code": "model-weights", "message": "holds no weights", "where": "m", "fix": "download it again"}
    }
    debugged = tuner(*arguments, "--debug").err
    assert debugged.startswith("Traceback") and debugged.endswith(said.err)


@pytest.mark.parametrize("command", [("convert", "m"), ("inspect", "m"), ("fuse", "last"), ("chat", "m")])
def test_a_consent_that_names_no_code_is_wrong_usage(tuner: Tuner, jobs: Jobs, command: tuple[str, ...]) -> None:
    said = tuner(*command, "--trust-remote-code", "org/model", "--json")
    assert said.status == 2 and "org/model" in str(said.document["error"]) and jobs.asked == []


def test_a_model_is_inspected_without_its_weights_and_its_problems_are_the_status(tuner: Tuner, tmp_path: Path) -> None:
    said = tuner("inspect", "embedded:phi3-tiny", "--json")
    document = said.document
    assert said.status == 0 and document["problems"] == []
    assert (document["architecture"], document["quantization"]) == ("phi3", "none")
    lines = tuner("inspect", "embedded:phi3-tiny").out
    assert "phi3" in lines and f"{document['parameters']:,}" in lines
    said = tuner("inspect", tmp_path / "nowhere")
    assert (said.status, said.out, said.err.count("\n")) == (1, "", 1) and "nowhere" in said.err


def test_models_are_listed_with_whether_they_fit(tuner: Tuner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TUI_TUNER_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    found = {each["path"]: each for each in tuner("models", "--json").document}
    ours = found["embedded:phi3-tiny"]
    assert ours["source"] == "embedded" and ours["fits"]["run"] == "fits" and ours["bytes"] > 1_000_000
    absent = [path for path, each in found.items() if each["source"] == "absent"]
    lines = tuner("models", "--runs-dir", tmp_path).out.splitlines()
    assert lines[0].split() == ["size", "bits", "to", "run", "to", "train"]
    assert lines[-1].startswith("A job can have ") and lines[-1].endswith(" of memory on this machine.")
    row = next(line for line in lines if line.startswith("embedded:phi3-tiny"))
    assert row.split()[1:4] == ["3.65", "MB", f"{ours['bits_per_weight']:.1f}"] and "✓ fits" in row
    assert absent and all(
        next(line for line in lines if line.startswith(path)).endswith("not on this machine") for path in absent
    )


def test_a_damaged_model_in_the_list_says_what_is_wrong(
    tuner: Tuner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TUI_TUNER_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    broken = tmp_path / "models" / "broken"
    broken.mkdir(parents=True)
    (broken / "config.json").write_text("{not json")
    row = next(line for line in tuner("models").out.splitlines() if "broken" in line)
    assert "✗ " in row and "–" in row
