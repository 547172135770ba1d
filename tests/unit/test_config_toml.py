"""Experiments in and out of TOML: nothing is lost, and every error names its place."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.config import Experiment, anchored, dump_experiment, experiment_from_text, field, fields, load_experiment
from tui_tuner.config.describe import FieldInfo, in_toml
from tui_tuner.errors import TunerError

BASE = '[model]\npath = "m"\n[data]\nsource = "d"\n'  # four lines


def refused(text: str, overrides: tuple[str, ...] = ()) -> TunerError:
    with pytest.raises(TunerError) as caught:
        experiment_from_text(text, "x.toml", overrides)
    return caught.value


# --- round trip


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
FILLED = st.builds("".join, st.tuples(TEXT, st.characters(categories=["L", "N"]), TEXT))
NAME = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1)
MODULE = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}(\.[A-Za-z0-9_]{1,5}){0,2}", fullmatch=True)


READING = {
    "data.slice": ["", "train[:1000]", "[10%:-20%]", "test", "train_sft [ 5 : ]"],
    "data.encoding": ["", "utf-8", "CP1252", "mac_roman"],
    "data.delimiter": ["", ";", "tab", "spaces", "||", "§"],
}


WORDS = st.text('abc \u00e9"\\\n', min_size=1).filter(lambda text: bool(text.strip()))
CASE = st.fixed_dictionaries(
    {"name": NAME, "prompt": WORDS, "must": st.lists(WORDS, min_size=1, max_size=2)},
    optional={"must_not": st.lists(WORDS, max_size=2), "negation": st.booleans(), "samples": st.integers(0, 9)},
)


def a_value(info: FieldInfo) -> st.SearchStrategy[Any]:
    if info.key in ("run.name", "model.path", "model.chat_template", "data.source"):
        return NAME
    if info.section == "tracking" and info.kind in ("text", "texts"):  # a line each, and most of them with words in it
        return NAME if info.kind == "text" else st.lists(NAME, unique=True, max_size=3)
    if info.key == "adapter.targets":
        return st.lists(MODULE, unique=True, max_size=3)
    if info.key in READING:
        return st.sampled_from(READING[info.key])
    if info.key in ("data.group", "data.fixes", "data.allow"):
        return st.lists(NAME, unique=True, max_size=3)
    if info.kind == "whole":
        return st.integers(int(info.low or 0), int(info.high or 2**32 - 1))
    if info.kind == "number":
        return st.floats(
            info.low,
            info.high,
            exclude_min=info.low_open,
            exclude_max=info.high_open,
            allow_nan=False,
            allow_infinity=False,
        )
    if info.kind == "switch":
        return st.booleans()
    if info.kind == "choice":
        return st.sampled_from(info.choices)
    if info.kind == "choices":
        return st.lists(st.sampled_from(info.choices), unique=True, min_size=1)
    if info.kind == "wholes":
        return st.lists(st.integers(0, 200), unique=True, max_size=4)
    if info.kind == "tables":
        return st.lists(CASE, max_size=2, unique_by=lambda case: str(case["name"]))
    return st.lists(FILLED, max_size=3) if info.kind == "texts" else TEXT


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    tables: dict[str, dict[str, Any]] = {}
    for info in fields():
        tables.setdefault(info.section, {})[info.name] = draw(a_value(info))
    train, data = tables["train"], tables["data"]
    tables["model"]["bits"] = {1: 2, 7: 8}.get(tables["model"]["bits"], tables["model"]["bits"])
    if train["optimizer"] in ("adam", "adafactor"):
        train["weight_decay"] = 0.0
    train["eval_batches"] = train["eval_batches"] or -1
    train["grad_accumulation"] = 1 + train["grad_accumulation"] % train["iters"]
    train["warmup"] %= train["iters"] // train["grad_accumulation"]
    adapter = tables["adapter"]
    adapter["rslora"] = bool(adapter["alpha"]) and adapter["rslora"]
    adapter["layer_numbers"] = [] if adapter["layers"] else adapter["layer_numbers"]
    data["completion"] = (data["completion"] or ["a"])[:1] if data["prompt"] else []
    data["valid_share"] = 0.0 if data["valid"] else data["valid_share"] / 2
    data["test_share"] = 0.0 if data["test"] else data["test_share"] / 2
    if (data["split"] == "grouped" and not data["group"]) or data["split"] == "facts":
        data["split"] = "records"
    return Experiment.model_validate(tables)


@settings(max_examples=150, deadline=None)
@given(experiments())
def test_dump_loads_back_equal(made: Experiment) -> None:
    text = dump_experiment(made)
    assert experiment_from_text(text, "x") == made
    # And through a file, where line breaks could be translated.
    assert text.encode("utf-8").decode("utf-8-sig").startswith("# ")


def test_dump_writes_every_key_under_its_help() -> None:
    text = dump_experiment(experiment_from_text(BASE, "x"))
    tables = tomllib.loads(text)
    assert [f"{table}.{key}" for table, keys in tables.items() for key in keys] == [info.key for info in fields()]
    lines = text.splitlines()
    for info in fields():
        value = tables[info.section][info.name]
        at = lines.index(f"{info.name} = {in_toml(value)}", lines.index(f"[{info.section}]"))
        assert lines[at - 1].startswith("# ")
    flat = " ".join(text.replace("\n# ", " ").split())
    for info in fields():
        assert info.help in flat
    assert max(map(len, lines)) <= 110


def test_dumped_file_loads_from_disk(tmp_path: Path) -> None:
    made = experiment_from_text(BASE, "x", ['run.notes=Zeile\u2028mit\tallem "\\ \x7f', "train.iters=7"])
    path = tmp_path / "config.toml"
    path.write_text(dump_experiment(made), encoding="utf-8")
    assert load_experiment(path) == made


# --- reading


def test_numbers_as_people_write_them() -> None:
    made = experiment_from_text(
        BASE + "[train]\nlearning_rate = 1e-5\niters = 1_000\nweight_decay = 0\n[adapter]\nscale = 10\n", "x"
    )
    assert (made.train.learning_rate, made.train.iters, made.adapter.scale) == (1e-5, 1000, 10.0)


def test_byte_order_mark_and_crlf(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xef\xbb\xbf" + BASE.replace("\n", "\r\n").encode() + b"[train]\r\niters = 'x'\r\n")
    with pytest.raises(TunerError) as caught:
        load_experiment(path)
    assert caught.value.where == f"{path}, line 6"


@pytest.mark.parametrize(
    ("text", "line", "words", "fix"),
    [
        (BASE + '[train]\niters = "many"', 6, ["train.iters", '"many"', "whole number"], "1 or more"),
        (BASE + '[train]\niters = "100"', 6, ['"100"'], "without quotes: 100"),
        (BASE + "[train]\niters = true", 6, ["train.iters is true"], "whole number"),
        (BASE + "[train]\n\n\nlearning_rate = 0", 8, ["train.learning_rate is 0", "too small"], "more than 0"),
        (BASE + "[train]\nitres = 5", 6, ['no key "train.itres"'], "did you mean train.iters?"),
        (BASE + "[adapter]\niters = 5", 6, ['no key "adapter.iters"'], "did you mean train.iters?"),
        (BASE + "[trian]\niters = 5", 5, ['no section "trian"'], "did you mean [train]?"),
        (BASE + "[lora_parameters]\nrank = 5", 5, ["lora_parameters"], "did you mean [adapter]?"),
        (BASE + "[adapter]\nlora_alpha = 16", 6, ["adapter.lora_alpha"], "adapter.alpha"),
        (BASE + '[train]\noptimizer = "adan"', 6, ['"adan"'], 'did you mean "adam"?'),
        (BASE + '[probes]\nprompts = [\n"a",\n3]', 8, ["probes.prompts, item 2, is 3"], "text"),
        (BASE + "[train]\nwarmup = 100", 6, ["train.warmup is 100", "100 updates"], "lower it"),
        ("train = 5\n" + BASE, 1, ["train is 5"], "[train]"),
        (BASE + "[[train]]\niters = 5", 5, ["train"], "[train]"),
        ("[model]\n[data]\nsource = 'x'", 1, ["model.path is missing"], 'path = "…" under [model]'),
        ("data = {source = 'x'}\nmodel.path = ''", 2, ["model.path is empty"], "value"),
        (BASE + "train.adapter.rank = 3", 5, ["data.train"], "whole number"),
    ],
)
def test_errors_name_line_key_value_and_what_is_right(text: str, line: int, words: list[str], fix: str) -> None:
    error = refused(text)
    assert error.where == f"x.toml, line {line}"
    for word in words:
        assert word in error.message
    assert fix in error.fix
    assert not error.usage
    assert "\n" not in error.sentence()


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        (BASE + "[train]\niters = 5\niters = 6\nseed = 1", "line 7", "given twice"),
        (BASE + "[train]\nlearning_rate: 1e-5", "line 6, column 14", "equals sign"),
        (BASE + "[train]\noptimizer = adam", "line 6, column 13", "no value"),
        (BASE + '[train]\noptimizer = "adam\niters = 3', "line 6, column 18", "closing quote"),
        (BASE + "[train\niters = 3", "line 5, column 7", "closing bracket"),
        (BASE + "[model]\n", "line 5, column 7", "section is given twice"),
        (BASE + "prompt = ['a',", "line 5", "ends in the middle of a value"),
        (BASE + "prompt = ['a'\ncompletion = 1", "line 6, column 1", "closing bracket"),
        ("<!DOCTYPE html>", "line 1, column 1", "not valid TOML"),
    ],
)
def test_syntax_errors_name_line_and_column(text: str, where: str, what: str) -> None:
    error = refused(text)
    assert error.code == "bad-toml"
    assert error.where.startswith(f"x.toml, {where}")
    assert what in error.message
    assert error.fix


def test_several_errors_in_one_sentence_each() -> None:
    error = refused(
        BASE
        + "[train]\n"
        + "\n".join(
            f"{name} = 'x'"
            for name in ("iters", "batch_size", "learning_rate", "warmup", "report_every", "eval_every", "save_every")
        )
    )
    assert error.where == "x.toml"
    assert error.message.startswith("7 values are wrong. Line 6: train.iters")
    assert "Line 10: train.report_every" in error.message
    assert "train.eval_every" not in error.message
    assert error.message.endswith("And 2 more.")


def test_an_empty_file_names_what_is_missing() -> None:
    error = refused("")
    assert "[model] is missing" in error.message
    assert "[data] is missing" in error.message


def test_deep_nesting_is_an_error_not_a_crash() -> None:
    for depth in (100, 300, 450, 5000):
        assert refused(f"{BASE}train = {'[' * depth}{']' * depth}").code in ("bad-config", "bad-toml")


def test_terminal_commands_in_a_value_are_shown_not_sent() -> None:
    error = refused(BASE + '[train]\niters = "\\u001b[2J\\u009b"')
    assert error.message.isprintable()
    assert "001b" in error.message.lower()


# --- files


def test_missing_file_folder_and_others(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * ((1 << 20) + 1))
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"[run]\n# ok\nname = 'caf\xe9'\n")
    for path, word in (
        (tmp_path / "none.toml", "no such file"),
        (tmp_path, "folder"),
        (fifo, "no regular file"),
        (large, "larger"),
        (latin, "0xe9 is not UTF-8"),
        (Path("a" * 5000), "cannot be read"),
        (Path("a\0b"), ""),
    ):
        with pytest.raises(TunerError) as caught:
            load_experiment(path)
        assert word in caught.value.message
        assert str(path) in caught.value.where
    with pytest.raises(TunerError, match=r"latin.toml, line 3"):
        load_experiment(latin)


def test_paths_typed_in_overrides_count_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "rows.jsonl").write_text("{}")
    preset = tmp_path / "x.toml"
    preset.write_text(BASE)
    monkeypatch.chdir(tmp_path / "here")
    overrides = ["data.source=rows.jsonl", "model.path=org/model", "adapter.start_from=rows.jsonl"]
    made = load_experiment(preset, overrides)
    assert made.data.source == made.adapter.start_from == str(tmp_path / "here" / "rows.jsonl")
    assert made.model.path == "org/model"


def test_anchored_paths_mean_the_same_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "preset").mkdir()
    (tmp_path / "preset" / "d").write_text("{}")
    monkeypatch.chdir(tmp_path)
    made = experiment_from_text(BASE, "x")
    assert anchored(made, tmp_path / "preset").adapter.start_from == "", "no adapter is no path"
    made.adapter.start_from = "d"
    tied = anchored(made, tmp_path / "preset")
    assert tied.data.source == tied.adapter.start_from == str(tmp_path / "preset" / "d")
    assert tied.model.path == "m"
    assert made.data.source == "d"
    (tmp_path / "embedded:players").mkdir()
    made.data.source = "embedded:players"
    assert anchored(made, tmp_path).data.source == "embedded:players"


def test_overridden_value_is_blamed_on_the_override() -> None:
    error = refused(BASE + "[train]\niters = 5", ("train.iters=many",))
    assert error.where == "--set train.iters=many"
    assert error.usage
    mixed = refused(BASE + "[train]\nbatch_size = 0", ("train.iters=many",))
    assert "--set train.iters=many: train.iters is" in mixed.message
    assert "Line 6: train.batch_size is 0" in mixed.message
    assert not mixed.usage


def test_field_in_toml_is_read_back() -> None:
    info = field("train.learning_rate")
    assert info is not None
    assert tomllib.loads(f"x = {info.default_text}")["x"] == info.default
