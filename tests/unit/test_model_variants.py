"""What was made of a model is remembered by its content; code of its own and ways out of its folder are seen."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_tuner.errors import TunerError
from tui_tuner.models.inside import check_inside
from tui_tuner.models.quantize import Plan
from tui_tuner.models.scheme import scheme_of
from tui_tuner.models.trust import RemoteCode, allow, check_trust, is_allowed, remote_code
from tui_tuner.models.variants import Variant, all_variants, known_variants, remember

MODEL = "0" * 64


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUI_TUNER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def variant(place: Path, scheme: str = "4 bits, group 64", *, there: bool = True) -> Variant:
    if there:
        place.mkdir(parents=True, exist_ok=True)
        (place / "config.json").touch()
    return Variant(str(place), scheme, 9, 4.5, 8.0, 7.5, 0.01, 0.99, 12.0, "12 rows", 1.0)


def file_of(cache: Path) -> Path:
    (file,) = (cache / "variants").iterdir()
    return file


# -- variants ----------------------------------------------------------------------------------------------------------


def test_what_is_remembered_is_what_is_known_for_this_model_alone(tmp_path: Path) -> None:
    one, two = variant(tmp_path / "one"), variant(tmp_path / "two", "8 bits, group 64")
    assert known_variants(MODEL) == all_variants() == []
    for each in (one, two):
        remember(MODEL, each)
    remember("1" * 64, variant(tmp_path / "three"))
    assert known_variants(MODEL) == [one, two]
    assert [each.path.rpartition("/")[2] for each in all_variants()] == ["one", "two", "three"]
    assert Variant(**one.as_json()) == one


def test_one_made_anew_at_the_same_place_takes_the_old_ones(tmp_path: Path) -> None:
    remember(MODEL, variant(tmp_path / "one"))
    remember(MODEL, variant(tmp_path / "two"))
    anew = replace(variant(tmp_path / "one"), scheme="8 bits, group 32")
    remember(MODEL, anew)
    assert [each.scheme for each in known_variants(MODEL)] == ["4 bits, group 64", "8 bits, group 32"]


def test_where_the_cache_cannot_be_written_nothing_fails(tmp_path: Path, cache: Path) -> None:
    cache.write_text("a file in the way")
    made = variant(tmp_path / "one")
    assert remember(MODEL, made) == [made] and known_variants(MODEL) == []


def test_what_has_gone_is_not_listed_and_not_an_error(tmp_path: Path, cache: Path) -> None:
    gone = variant(tmp_path / "gone")
    remember(MODEL, gone)
    (tmp_path / "gone" / "config.json").unlink()
    assert known_variants(MODEL) == [] and file_of(cache).is_file()


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"{}",
        b"null",
        b'[3, null, "x"]',
        b'[{"path": "only"}]',
        b'[{"nothing": 1}]',
        b"\xff\xfe",
        b"[" * 99_999,
    ],
    ids=["empty", "torn", "table", "null", "strange", "short", "other", "bytes", "deep"],
)
def test_a_damaged_memory_counts_as_none_and_is_written_anew(damage: bytes, tmp_path: Path, cache: Path) -> None:
    remember(MODEL, variant(tmp_path / "one"))
    file_of(cache).write_bytes(damage)
    assert known_variants(MODEL) == [] and all_variants() == []
    remember(MODEL, variant(tmp_path / "two"))
    assert [Path(each.path).name for each in known_variants(MODEL)] == ["two"]


def test_an_older_memory_without_what_came_later_is_read(tmp_path: Path, cache: Path) -> None:
    remember(MODEL, variant(tmp_path / "one"))
    (listed,) = json.loads(file_of(cache).read_text())
    del listed["memory"], listed["calibrated_on"]
    file_of(cache).write_text(json.dumps([listed]))
    (found,) = known_variants(MODEL)
    assert (found.memory, found.calibrated_on) == (None, None)


def test_memory_ends_somewhere_and_the_newest_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui_tuner.models.variants._MOST", 3)
    for number in range(5):
        remember(MODEL, variant(tmp_path / str(number)))
    assert [Path(each.path).name for each in known_variants(MODEL)] == ["2", "3", "4"]


@pytest.mark.parametrize("perplexity", [{"before": 7.0, "after": 7.5}, None])
def test_a_variant_holds_what_was_planned_and_what_was_measured(perplexity: Any, tmp_path: Path) -> None:
    plan = Plan(scheme_of(4), [], 1_000, 2_000, 562)
    found = {
        "perplexity": perplexity, "kl": 0.02, "top1_agreement": 0.97, "tokens_per_second": {"after": 11.0},
        "measured_on": "3 rows", "memory": {"before": 1, "after": 700}, "calibrated_on": None,
    }  # fmt: skip
    made = Variant.of(plan, tmp_path, found)
    assert (made.bytes, made.bits_per_weight, made.scheme) == (562, 4.496, "4 bits, group 64")
    assert (made.perplexity, made.perplexity_before) == ((7.5, 7.0) if perplexity else (None, None))
    assert (made.kl, made.top1, made.tokens_per_second, made.memory) == (0.02, 0.97, 11.0, 700)
    assert made.made > 1.7e9


# -- code of a model's own ---------------------------------------------------------------------------------------------


def folder(place: Path, config: dict[str, Any], tokenizer: Any = None, **files: str) -> tuple[Path, dict[str, Any]]:
    place.mkdir(parents=True, exist_ok=True)
    if tokenizer is not None:
        (place / "tokenizer_config.json").write_text(tokenizer if isinstance(tokenizer, str) else json.dumps(tokenizer))
    for name, text in files.items():
        (place / f"{name}.py").write_text(text)
    return place, {"model_type": "x", **config}


@pytest.mark.parametrize(
    ("config", "tokenizer", "asked", "of_model", "of_tokenizer"),
    [
        ({"model_file": "m.py"}, None, ("config.json: model_file",), True, False),
        ({"auto_map": {"AutoModel": "m.Model"}}, None, ("config.json: auto_map AutoModel",), False, False),
        ({}, {"auto_map": ["t.Slow", None]}, ("tokenizer_config.json: auto_map AutoTokenizer",), False, True),
        ({"auto_map": {"AutoTokenizer": ["t.T", "t.F"]}}, None, ("config.json: auto_map AutoTokenizer",), False, True),
        ({}, {"auto_map": "t.Slow"}, ("tokenizer_config.json: auto_map AutoTokenizer",), False, True),
    ],
)  # fmt: skip
def test_every_way_to_ask_for_code_is_seen(
    config: Any, tokenizer: Any, asked: tuple[str, ...], of_model: bool, of_tokenizer: bool, tmp_path: Path
) -> None:
    code = remote_code(*folder(tmp_path / "acme", config, tokenizer, m="1", t="2"))
    assert code is not None
    assert (code.asked_by, code.of_model, code.of_tokenizer) == (asked, of_model, of_tokenizer)
    assert code.name == "acme" and code.files == ("m.py", "t.py") and len(code.hash) == 16


@pytest.mark.parametrize("tokenizer", [None, "{", "[]", "[" * 99_999, {"auto_map": {}}, {"auto_map": [None]}],
                         ids=["none", "torn", "list", "deep", "empty", "nothing"])  # fmt: skip
def test_a_model_that_asks_for_none_has_none(tokenizer: Any, tmp_path: Path) -> None:
    place, config = folder(tmp_path / "acme", {"auto_map": None}, tokenizer, unasked="1")
    assert remote_code(place, config) is None and check_trust(place, config) is None


def test_code_that_cannot_be_read_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, config = folder(tmp_path / "acme", {"model_file": "m.py"}, m="1", **{"\udcff": "2"})
    assert remote_code(place, config) is not None, "an odd name of a file is a name"

    def refused(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(TunerError) as caught:
        remote_code(place, config)
    assert caught.value.code == "not-readable" and caught.value.where.endswith(".py")


def test_what_it_means_is_said_in_full(tmp_path: Path) -> None:
    place, config = folder(tmp_path / "acme", {"model_file": "m.py"}, {"auto_map": ["t.T"]}, m="", t="")
    code = remote_code(place, config)
    assert code is not None and code.meaning().startswith("It asks for code of its own to build its model and its tok")
    assert "m.py, t.py" in code.meaning() and "read your files" in code.meaning()
    harmless = remote_code(*folder(tmp_path / "other", {"auto_map": {"AutoModel": "m.M"}}))
    assert harmless is not None and "be loaded by other programs; here none of it runs" in harmless.meaning()
    assert "no Python file" in harmless.meaning()


def test_a_consent_ends_with_any_change_of_what_it_was_given_to(tmp_path: Path) -> None:
    place, config = folder(tmp_path / "acme", {"model_file": "m.py"}, m="a = 1")
    code = remote_code(place, config)
    assert code is not None and not code.allowed
    with pytest.raises(TunerError) as caught:
        check_trust(place, config)
    assert caught.value.code == "model-remote-code" and code.consent in caught.value.fix
    allow(code.consent)
    assert code.allowed and check_trust(place, config) == code
    (place / "deeper").mkdir()
    (place / "deeper" / "more.py").write_text("a = 2")
    changed = remote_code(place, config)
    assert changed is not None and changed.hash != code.hash and not changed.allowed


@given(st.text(max_size=40))
def test_no_text_but_name_and_hash_is_a_consent(text: str) -> None:
    name, _, digest = text.rpartition("@")
    if name and len(digest) == 16 and set(digest) <= set("0123456789abcdef"):
        return
    with pytest.raises(TunerError, match="does not say which code is allowed"):
        allow(text)
    assert not is_allowed(text)


def test_a_consent_is_spelled_as_the_refusal_spells_it() -> None:
    code = RemoteCode("acme/one", (), (), "0123456789abcdef", of_model=True, of_tokenizer=False)
    assert code.consent == "acme/one@0123456789abcdef"


# -- what leads out of a folder ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "path", "refused"),
    [
        ("vocab_file", "../secret.json", True),
        ("vocab_file", "vocab.json", False),
        ("vocab_file", "sub/vocab.json", False),
        ("vocab_file", "/nowhere/on/this/machine.json", False),
        ("vocab_file", "\0", False),
        ("extra_files", ["a.json", "../b.json"], True),
        ("note", "../secret.json", False),
        ("vocab_file", None, False),
    ],
)
def test_files_that_a_tokenizer_names_must_lie_inside(key: str, path: Any, refused: bool, tmp_path: Path) -> None:
    place, _ = folder(tmp_path / "m", {}, {key: path})
    if not refused:
        check_inside(place)
        return
    with pytest.raises(TunerError, match=rf"names a file outside the folder as {key} \(\.\./") as caught:
        check_inside(place)
    assert caught.value.code == "model-outside" and caught.value.where == str(place)


def test_a_file_that_is_there_by_its_whole_path_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.json").touch()
    place, _ = folder(tmp_path / "m", {}, {"vocab_file": str(tmp_path / "secret.json")})
    with pytest.raises(TunerError, match="outside the folder"):
        check_inside(place)


def test_links_within_are_no_way_out_and_links_without_are(tmp_path: Path) -> None:
    place, _ = folder(tmp_path / "m", {})
    (place / "real.json").touch()
    (place / "same.json").symlink_to("real.json")
    check_inside(place)
    (place / "round.json").symlink_to("round.json")  # leads nowhere: whoever reads it says so
    (place / "out.json").symlink_to("../secret.json")
    with pytest.raises(TunerError, match=r"out\.json is a link that leads out of the folder"):
        check_inside(place)


def test_the_hubs_own_links_lead_to_the_blobs_of_the_same_model_only(tmp_path: Path) -> None:
    home = tmp_path / "models--acme--one"
    place = home / "snapshots" / ("c" * 40)
    place.mkdir(parents=True)
    (home / "blobs").mkdir()
    (home / "blobs" / "x").touch()
    (place / "config.json").symlink_to(os.path.relpath(home / "blobs" / "x", place))
    check_inside(place)
    (tmp_path / "models--acme--two" / "blobs").mkdir(parents=True)
    (place / "other.json").symlink_to(os.path.relpath(tmp_path / "models--acme--two" / "blobs" / "y", place))
    with pytest.raises(TunerError, match=r"other\.json is a link"):
        check_inside(place)


def test_a_folder_that_is_not_there_is_somebody_elses_matter(tmp_path: Path) -> None:
    check_inside(tmp_path / "nothing")
