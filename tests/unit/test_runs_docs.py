"""The page on the run folder tells of everything the code writes, and the code of everything the page tells."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tui_tuner.runs
from tui_tuner.runs import RunFolder, RunState
from tui_tuner.runs.vocabulary import EVENT_FIELDS, FINISH_STATUSES, STAGE_STATUSES, STAGES

PAGE = (Path(__file__).parents[2] / "docs" / "run-folder.md").read_text("utf-8")
SECTIONS = {
    match.group(1): match.group(2)
    for match in re.finditer(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
}


def test_the_page_tells_of_the_events_there_are() -> None:
    assert set(SECTIONS) == set(EVENT_FIELDS)


@pytest.mark.parametrize("kind", sorted(EVENT_FIELDS))
def test_the_page_tells_of_each_field(kind: str) -> None:
    told = re.findall(r"^\| `(\w+)` \|", SECTIONS[kind], flags=re.MULTILINE)
    assert tuple(told) == EVENT_FIELDS[kind]


def test_the_page_tells_of_stages_endings_and_states() -> None:
    assert all(f"`{word}`" in SECTIONS["stage"] for word in (*STAGES, *STAGE_STATUSES))
    assert all(f"`{word}`" in SECTIONS["run_finished"] for word in FINISH_STATUSES)
    assert all(f"`{state}`" in PAGE for state in RunState)


def test_the_page_tells_of_every_place(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "a")
    places = [name for name, value in inspect.getmembers(RunFolder) if isinstance(value, property) and name != "name"]
    for place in places:
        assert re.search(rf"^  {re.escape(getattr(folder, place).name)}[/ ]", PAGE, flags=re.MULTILINE), place
    assert len(places) == 11


def test_the_example_runs(tmp_path: Path) -> None:
    code = re.search(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert code is not None
    folder = RunFolder.create(tmp_path, "a")
    program = code.group(1).replace("runs/players-20260304-050607", str(folder.path))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0 []"


def test_what_the_package_offers_is_there() -> None:
    assert sorted(tui_tuner.runs.__all__) == sorted(set(tui_tuner.runs.__all__))
    assert all(hasattr(tui_tuner.runs, name) for name in tui_tuner.runs.__all__)


def test_runs_load_nothing_heavy() -> None:
    program = (
        "import sys, tui_tuner.runs; "
        "print([name for name in ('mlx', 'mlx_lm', 'transformers', 'datasets', 'evaluate', 'textual') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
