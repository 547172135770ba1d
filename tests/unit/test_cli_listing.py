"""Runs are found, noted and put aside by command, and a wrong word changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import Tuner, tuner
from tests.ui.fakes import RunBuilder

__all__ = ["tuner"]


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    """Three runs of the same moment, the last in the alphabet foremost."""
    built = [RunBuilder(tmp_path, name).prepared().train(1, 10) for name in ("cherry", "banana", "apple")]
    return [each.folder.name for each in built]


def listed(tuner: Tuner, *words: str) -> list[str]:
    return [each["run"] for each in tuner("runs", *words, "--json").document]


def test_labels_steer_the_list(tuner: Tuner, names: list[str]) -> None:
    first, second, third = names
    assert "nothing is noted" in tuner("label", first).out
    said = tuner("label", first, "--tag", "Keep", "--note", "for Ann", "--pin", "--json")
    assert said.document == {"run": first, "tags": ["keep"], "note": "for Ann", "pinned": True, "archived": False}
    assert "#keep · pinned · for Ann" in tuner("label", first).out
    tuner("label", third, "--archive")
    assert listed(tuner) == [first, second]
    assert listed(tuner, "tag:keep") == [first]
    assert listed(tuner, "is:archived") == [third]
    told = tuner("runs").out
    assert "pinned" in told and "#keep" in told and "1 archived, not shown" in told


def test_a_run_that_failed_says_why(tuner: Tuner, tmp_path: Path) -> None:
    RunBuilder(tmp_path, "broken").prepared().train(1, 10).finish("failed", "the disk is full")
    RunBuilder(tmp_path, "whole").prepared().train(1, 10).finish("finished", "all steps done")
    (line,) = tuner("runs", "failed").out.splitlines()
    assert line.startswith("broken") and "the disk is full" in line
    assert {each["name"]: each["reason"] for each in tuner("runs", "--json").document}["broken"] == "the disk is full"
    assert "all steps done" not in tuner("runs").out


def test_a_query_that_is_not_understood_is_bad_usage(tuner: Tuner, names: list[str]) -> None:
    said = tuner("runs", "stat:finished")
    assert said.status == 2 and "did you mean state?" in said.err and said.out == ""
    assert "none of 3 runs" in tuner("runs", "step>99").out


def test_runs_are_deleted_and_brought_back(tuner: Tuner, names: list[str], tmp_path: Path) -> None:
    first, second, third = names
    said = tuner("delete", first, "nonsense")
    assert said.status == 2 and listed(tuner) == names
    assert tuner("delete", first, second, "--json").document == {"deleted": [first, second]}
    assert listed(tuner) == [third]
    assert {each["run"] for each in tuner("runs", "--deleted", "--json").document} == {first, second}
    assert f"{first}  deleted" in tuner("runs", "--deleted").out
    assert tuner("restore", first, "--json").document["run"] == first
    assert "no deleted run" in tuner("restore", first).err
    said = tuner("delete", "--for-good")
    assert said.status == 2 and "no terminal" in said.err
    assert tuner("delete", "--for-good", "--yes", "--json").document["runs"] == [second]
    assert "no run was deleted" in tuner("runs", "--deleted").out
    assert tuner("delete").status == 2


def test_keys_are_listed_as_the_settings_have_them(
    tuner: Tuner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUI_TUNER_CONFIG", str(tmp_path / "config"))
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings.toml").write_text('[keys]\n"runs.find" = "f"\n"runs.fnd" = "x"\n')
    said = tuner("keys", "--json")
    assert next(each for each in said.document if each["id"] == "runs.find")["keys"] == ["f"]
    assert "did you mean runs.find" in said.err
    (tmp_path / "config" / "settings.toml").unlink()
    lines = tuner("keys").out.splitlines()
    assert any(line.startswith("runs.find ") and " / " in line for line in lines)
