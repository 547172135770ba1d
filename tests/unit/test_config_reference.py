"""The reference in docs/ is what the model says."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tui_tuner.config import FieldInfo, experiment_from_text, fields, sections
from tui_tuner.config.describe import entries
from tui_tuner.config.reference import END, START, inserted, main, markdown

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_docs_hold_the_reference() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert f"{START}\n\n{markdown()}\n\n{END}" in page, "run python -m tui_tuner.config.reference docs/configuration.md"


def in_order(section: str) -> list[FieldInfo]:
    """The keys of a section, and behind them those of the tables that it lists."""
    own = [info for info in fields() if info.section == section]
    return [*own, *(entry for info in own for entry in entries(info))]


def test_reference_has_every_key_once() -> None:
    rows = [line for line in markdown().splitlines() if line.startswith("| `")]
    keys = [info for section in sections() for info in in_order(section.name)]
    assert len(rows) == len(keys)
    for row, info in zip(rows, keys, strict=True):
        assert row.startswith(f"| `{info.key.rpartition('.')[2]}` | {info.type} |")
        assert row.replace("\\|", "").count("|") == 6


def test_the_example_in_docs_loads() -> None:
    page = PAGE.read_text(encoding="utf-8")
    example = page.split("```toml\n")[1].split("```")[0]
    assert tomllib.loads(example)
    assert experiment_from_text(example, "docs").train.iters == 200


def test_a_page_is_brought_up_to_date(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{START}\n| stale |\n{END}\nafter\n")
    assert main([str(page)]) == 0
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "stale" not in text
    assert inserted(text) == text
    with pytest.raises(ValueError, match="marks"):
        inserted("no marks")


def test_command_prints_the_reference_without_a_warning() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui_tuner.config.reference"], capture_output=True, text=True, check=True
    )
    assert done.stdout == markdown() + "\n"
    assert done.stderr == ""
