"""A model folder is there whole or not at all, and nobody's work is written over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tui_tuner.errors import TunerError
from tui_tuner.models.load import Base, fresh_tree, load_base
from tui_tuner.models.write import check_space, check_target, write_model

pytestmark = pytest.mark.mlx

KILLED = """
import os, signal, sys
from pathlib import Path
from tui_tuner.models.load import fresh_tree, load_base
from tui_tuner.models.write import write_model
base = load_base(Path(sys.argv[1]))
write_model(Path(sys.argv[2]), base.path, fresh_tree(base), base.config, force=True,
            verify=lambda folder: os.kill(os.getpid(), signal.SIGKILL))
"""


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_a_folder_that_is_there_is_not_written_over(base: Base, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "thesis.txt").write_text("mine")
    with pytest.raises(TunerError, match="something already") as caught:
        write_model(tmp_path / "new", base.path, fresh_tree(base), base.config)
    assert caught.value.usage
    with pytest.raises(TunerError, match="no model folder"):
        write_model(tmp_path / "new", base.path, fresh_tree(base), base.config, force=True)
    assert (tmp_path / "new" / "thesis.txt").read_text() == "mine" and not hidden(tmp_path)


def test_the_model_itself_is_never_the_target(base: Base) -> None:
    with pytest.raises(TunerError, match="the target is the model itself"):
        check_target(base.path, force=True, source=base.path)


def test_a_link_is_not_followed(base: Base, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(TunerError):
        check_target(tmp_path / "link", force=True)


def test_what_fails_leaves_the_old_model_and_nothing_else(base: Base, tmp_path: Path) -> None:
    target = write_model(tmp_path / "new", base.path, fresh_tree(base), base.config)
    before = {path.name: path.read_bytes() for path in target.iterdir()}

    def fail(folder: Path) -> None:
        assert (folder / "model.safetensors").is_file()
        raise TunerError("no")

    with pytest.raises(TunerError, match="no"):
        write_model(target, base.path, fresh_tree(base), {**base.config, "x": 1}, force=True, verify=fail)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before and not hidden(tmp_path)
    write_model(target, base.path, fresh_tree(base), {**base.config, "x": 1}, force=True)
    assert json.loads((target / "config.json").read_text())["x"] == 1 and not hidden(tmp_path)


def test_a_kill_leaves_nothing_under_the_name_and_the_next_clears_up(base: Base, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(base.path), str(tmp_path / "new")],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
        timeout=120,
    )
    assert ended.returncode == -signal.SIGKILL
    assert not (tmp_path / "new").exists() and any("partial" in name for name in hidden(tmp_path))
    write_model(tmp_path / "new", base.path, fresh_tree(base), base.config)
    assert not hidden(tmp_path)
    assert load_base(tmp_path / "new").config["model_type"] == "phi3"


def test_code_beside_a_model_is_not_carried_on(base: Base, tmp_path: Path, model_of: Callable[..., Path]) -> None:
    import shutil

    source = shutil.copytree(base.path, tmp_path / "source")
    (source / "modeling.py").write_text("raise SystemExit")
    (source / "tokenizer_extra.py").write_text("raise SystemExit")
    written = write_model(tmp_path / "new", source, fresh_tree(base), base.config)
    assert not list(written.glob("*.py"))


def test_a_disk_without_room_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(TunerError, match=r"the disk has .* GB left, and the model takes 9,000,000\.0|takes") as caught:
        check_space(tmp_path / "new" / "below", 9 * 10**15)
    assert caught.value.code == "no-space"
