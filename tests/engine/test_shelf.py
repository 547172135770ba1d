"""What is kept in memory between jobs: one base, the last adapters on it, and never anything of files that changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tui_tuner.engine import shelf as module
from tui_tuner.engine.shelf import ModelShelf, adapter_key, file_stamp, weights_of


class Made:
    """Stands in for what loads: counts, and makes a new object each time."""

    def __init__(self) -> None:
        self.bases: list[tuple[Path, str]] = []
        self.adapters: list[tuple[Path, str]] = []
        self.forms: list[str] = []

    def base(self, folder: Path, template: str = "") -> Any:
        self.bases.append((folder, template))
        return SimpleNamespace(path=folder, template=template, model=object())

    def adapter(self, base: Any, folder: Path, name: str) -> Any:
        self.adapters.append((folder, name))
        return object()

    def form(self, base: Any, template: str) -> Any:
        self.forms.append(template)
        return SimpleNamespace(path=base.path, template=template, model=base.model)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    made = Made()
    monkeypatch.setattr(module, "load_base", made.base)
    monkeypatch.setattr(module, "load_adapter", made.adapter)
    monkeypatch.setattr(module, "in_form", made.form)
    monkeypatch.setattr(module, "locate", lambda path, relative_to: Path(path))
    yield made


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return model_at(tmp_path / "model")


def model_at(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def adapter_at(folder: Path, name: str = "adapters.safetensors", size: int = 8) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(bytes(size))
    return folder


def touched(path: Path) -> None:
    """As if it had been written again a second later."""
    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))


def test_a_base_is_loaded_once_and_again_when_a_file_of_it_changed(made: Made, model: Path) -> None:
    shelf = ModelShelf()
    assert not shelf.holds(model)
    first = shelf.base(str(model))
    assert shelf.base(str(model)).model is first.model
    assert shelf.holds(model)
    touched(model / "config.json")
    assert not shelf.holds(model)
    assert shelf.base(str(model)).model is not first.model
    assert len(made.bases) == 2


def test_another_base_takes_the_place_of_the_one_before_with_all_that_stood_on_it(
    made: Made, model: Path, tmp_path: Path
) -> None:
    shelf = ModelShelf()
    base, adapter = shelf.base(str(model)), adapter_at(tmp_path / "a")
    tree = shelf.with_adapter(base, adapter)
    assert shelf.with_adapter(base, adapter) is tree
    other = shelf.base(str(model_at(tmp_path / "other")))
    assert not shelf.holds(model)
    assert shelf.with_adapter(other, adapter) is not tree
    again = shelf.base(str(model))
    assert again.model is not base.model
    assert len(made.bases) == 3


def test_the_base_alone_is_its_own_tree(made: Made, model: Path) -> None:
    shelf = ModelShelf()
    base = shelf.base(str(model))
    assert shelf.with_adapter(base, None) is base.model
    assert not made.adapters


def test_a_form_costs_a_tokenizer_and_no_model(made: Made, model: Path) -> None:
    shelf = ModelShelf()
    plain = shelf.base(str(model))
    formed = shelf.base(str(model), template="{{ x }}")
    assert formed.model is plain.model
    assert formed.template == "{{ x }}"
    assert shelf.base(str(model), template="{{ x }}") is formed
    assert len(made.bases) == 1


def test_the_last_few_forms_are_kept_and_the_oldest_goes(made: Made, model: Path) -> None:
    shelf = ModelShelf()
    base = shelf.base(str(model))
    for name in "abcd":
        shelf.form(base, name)
    shelf.form(base, "a")  # used again, so it is not the oldest
    shelf.form(base, "e")
    made.forms.clear()
    for name in ("a", "e", "d", "c"):
        shelf.form(base, name)
    assert made.forms == []
    shelf.form(base, "b")
    assert made.forms == ["b"]


def test_a_base_that_is_not_at_hand_gets_its_form_without_a_place(made: Made, model: Path) -> None:
    shelf, elsewhere = ModelShelf(), SimpleNamespace(path=model, template="", model=object())
    assert shelf.form(elsewhere, "x") is not shelf.form(elsewhere, "x")
    assert made.forms == ["x", "x"]


# -- adapters ----------------------------------------------------------------------------------------------------------
def test_an_adapter_is_named_by_its_folder_or_by_its_weights(tmp_path: Path) -> None:
    folder = adapter_at(tmp_path / "a")
    file = folder / "0000004_adapters.safetensors"
    file.write_bytes(b"1234")
    assert weights_of(folder) == folder / "adapters.safetensors"
    assert weights_of(file) == file
    odd = tmp_path / "named.safetensors"
    odd.mkdir()
    assert weights_of(odd) == odd / "adapters.safetensors"
    assert adapter_key(folder)[2] == 8
    assert adapter_key(file)[2] == 4
    assert adapter_key(tmp_path / "none") == ((tmp_path / "none" / "adapters.safetensors").resolve(), 0, 0)


def test_an_adapter_that_was_written_again_is_loaded_again_and_its_old_tree_let_go(
    made: Made, model: Path, tmp_path: Path
) -> None:
    shelf = ModelShelf()
    base, folder = shelf.base(str(model)), adapter_at(tmp_path / "a")
    tree = shelf.with_adapter(base, folder)
    touched(folder / "adapters.safetensors")
    assert shelf.with_adapter(base, folder) is not tree
    assert len(shelf._trees) == 1


def test_the_same_file_by_another_way_is_the_same_adapter(made: Made, model: Path, tmp_path: Path) -> None:
    shelf = ModelShelf()
    base, folder = shelf.base(str(model)), adapter_at(tmp_path / "a")
    (tmp_path / "link").symlink_to(folder)
    assert shelf.with_adapter(base, folder) is shelf.with_adapter(base, tmp_path / "link")
    assert made.adapters == [(folder, "adapters.safetensors")]


@pytest.mark.parametrize(("bound", "kept"), [("_TREES", 2), ("_TREE_BYTES", 2)])
def test_only_so_many_adapters_stay_and_those_used_last(
    bound: str, kept: int, made: Made, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, bound, 2 if bound == "_TREES" else 20)
    shelf = ModelShelf()
    base = shelf.base(str(model))
    folders = [adapter_at(tmp_path / name) for name in "abc"]
    for folder in folders[:2]:
        shelf.with_adapter(base, folder)
    shelf.with_adapter(base, folders[0])  # so b is the oldest
    shelf.with_adapter(base, folders[2])
    assert len(shelf._trees) == kept
    made.adapters.clear()
    shelf.with_adapter(base, folders[0])
    shelf.with_adapter(base, folders[2])
    assert not made.adapters
    shelf.with_adapter(base, folders[1])
    assert [folder for folder, _ in made.adapters] == [folders[1]]


def test_an_adapter_larger_than_the_room_is_loaded_all_the_same(
    made: Made, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TREE_BYTES", 4)
    shelf = ModelShelf()
    base = shelf.base(str(model))
    assert shelf.with_adapter(base, adapter_at(tmp_path / "a", size=1000)) is not None


def test_clearing_lets_go_of_everything(made: Made, model: Path, tmp_path: Path) -> None:
    shelf = ModelShelf()
    base = shelf.base(str(model))
    tree = shelf.with_adapter(base, adapter_at(tmp_path / "a"))
    prompts = shelf.prompts
    assert shelf.prompts is prompts
    shelf.clear()
    assert not shelf.holds(model)
    assert shelf.prompts is not prompts
    again = shelf.base(str(model))
    assert again.model is not base.model
    assert shelf.with_adapter(again, tmp_path / "a") is not tree


def test_what_was_read_is_forgotten_without_the_models(made: Made, model: Path) -> None:
    shelf = ModelShelf()
    shelf.base(str(model))
    prompts = shelf.prompts
    shelf.forget_prompts()
    assert shelf.holds(model)
    assert shelf.prompts is not prompts


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: touched(folder / "model.safetensors"),
        lambda folder: (folder / "tokenizer.json").write_text("{}"),
        lambda folder: (folder / "config.json").unlink(),
        lambda folder: (folder / "config.json").write_text("{ }"),
    ],
)
def test_any_change_of_a_model_s_files_is_seen(change: Callable[[Path], Any], model: Path) -> None:
    before = file_stamp(model)
    assert file_stamp(model) == before
    (model / "README.md").write_text("no part of the model")
    assert file_stamp(model) == before
    change(model)
    assert file_stamp(model) != before
