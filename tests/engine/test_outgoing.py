"""What an upload would send of each kind of thing, and what is said where there is nothing; asks no hub."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tui_tuner.engine import fetching, modelshelves, tracked, uploading
from tui_tuner.engine.hub_requests import ReadCode, UploadModel
from tui_tuner.engine.uploading import base_licence, outgoing
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder
from tui_tuner.runs.control import JobControl


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A folder with an adapter as mlx-lm writes one."""
    import mlx.core as mx

    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("adapters", "0000004_adapters"):
        mx.save_safetensors(str(folder / f"{name}.safetensors"), {"a.lora_a": mx.ones((2, 2))})
    (folder / "adapter_config.json").write_text(json.dumps({"model": "acme/base", "data": str(tmp_path / "rows")}))
    (folder / "notes.txt").write_text("mine")
    return folder


def sent(place: Path | str, runs: Path | None = None) -> tuple[list[str], str]:
    files, card = outgoing(UploadModel(str(place), "acme/new", runs_dir=runs))
    assert files[0].content == card.encode()
    return [file.path for file in files], card


def test_an_adapter_without_a_card_is_told_to_be_one(adapter: Path) -> None:
    paths, card = sent(adapter)
    assert paths == ["README.md", "adapter_config.json", "adapters.safetensors"]  # no checkpoints, no notes
    assert "base_model: acme/base" in card
    assert "base_model_relation: adapter" in card
    assert card.rstrip().endswith("# mine")


def test_a_card_of_one_s_own_gets_the_head_that_the_hub_reads(adapter: Path) -> None:
    (adapter / "README.md").write_text(f"# Mine\nMade in {Path.home()}/work/place\n")
    _, card = sent(adapter)
    assert card.startswith("---\nlibrary_name: mlx\n")
    assert "base_model_relation: adapter" in card
    assert str(Path.home()) not in card.partition("# Mine")[2]
    (adapter / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n")
    assert sent(adapter)[1] == "---\nlicense: mit\n---\n# Mine\n"


def test_a_configuration_goes_without_places_and_stays_as_it_is_on_the_disk(adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    before = (adapter / "adapter_config.json").read_bytes()
    files, _ = outgoing(UploadModel(str(adapter), "acme/new"))
    config = next(file.content for file in files if file.path == "adapter_config.json")
    assert isinstance(config, bytes)
    assert json.loads(config) == {"model": "acme/base", "data": "rows"}
    assert (adapter / "adapter_config.json").read_bytes() == before


def test_a_gguf_file_goes_with_a_card(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    paths, card = sent(tmp_path / "model.gguf")
    assert paths == ["README.md", "model.gguf"]
    assert "# model" in card
    assert "base_model" not in card


def test_a_damaged_weights_file_is_not_sent(adapter: Path) -> None:
    (adapter / "adapters.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(TunerError) as caught:
        sent(adapter)
    assert str(adapter / "adapters.safetensors") in caught.value.sentence()


def test_a_run_before_its_first_checkpoint_has_nothing_to_send(new_run: Callable[..., RunFolder]) -> None:
    run = new_run()
    with pytest.raises(TunerError) as caught:
        sent(run.name, run.path.parent)
    assert (caught.value.message, caught.value.where) == ("the run has no adapter yet", run.name)
    with pytest.raises(TunerError, match="there is nothing to upload"):
        sent(f"{run.name}:base", run.path.parent)
    with pytest.raises(TunerError, match="there is nothing to upload"):
        sent("owner/name", run.path.parent)


def test_the_base_s_licence_is_told_where_it_is_known_and_nobody_is_asked(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui_tuner.models.hub import download

    monkeypatch.setattr(download, "in_cache", lambda name, revision: tiny_model if name == "acme/there" else None)
    monkeypatch.setattr(uploading, "licence_of", lambda folder, config: f"of {folder.name}")
    assert base_licence("acme/there") == base_licence(str(tiny_model)) == f"of {tiny_model.name}"
    assert base_licence("acme/absent") == base_licence(str(tmp_path / "no such folder")) == ""
    assert base_licence("embedded:nobody") == ""


# -- a model's own code ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("there", [True, False])
def test_code_that_a_model_brings_is_told_with_the_consent_to_it(
    there: bool, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = SimpleNamespace(name="tokenizer.py", consent="a" * 64, meaning=lambda: "it splits words")
    monkeypatch.setattr(fetching, "remote_code", lambda folder, config: code if there else None)
    found = fetching.answer_about_hub(ReadCode(str(tiny_model)), JobControl())
    if not there:
        assert found is None
        return
    assert (found.name, found.consent) == ("tokenizer.py", "a" * 64)


# -- lists of models ---------------------------------------------------------------------------------------------------
def test_whatever_presets_and_runs_name_is_listed_once_with_who_names_it(
    tiny_model: Path, new_run: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modelshelves, "list_presets", lambda: [SimpleNamespace(name="p", path=tmp_path / "p.toml")])
    monkeypatch.setattr(modelshelves, "all_variants", lambda: [])
    monkeypatch.setattr(modelshelves, "cached_models", lambda: [])
    run = new_run()
    named = [("a", "", None), ("b", "owner/name", None), ("b", "owner/name", None), ("c", "no such/folder/here", None)]
    found = {one.path: one for one in modelshelves.list_models(run.path.parent, [*named, ("d", "embedded:none", None)])}
    assert found[str(tiny_model)].source == "local"
    assert found["owner/name"].named_by == ["b"]
    assert found["owner/name"].problem == ""  # it is a repository, which may be fetched
    assert found["no such/folder/here"].problem == "There is no such folder."
    assert (found["embedded:none"].source, bool(found["embedded:none"].problem)) == ("absent", True)
    assert "" not in found


# -- words of trackers -------------------------------------------------------------------------------------------------
class Process:
    """One that said some lines and ended."""

    def __init__(self, lines: list[str], status: int) -> None:
        import io

        self.stdout = io.StringIO("".join(f"{line}\n" for line in lines))
        self._status = status

    def wait(self) -> int:
        return self._status


def heard(lines: list[Any], status: int = 0) -> list[tuple[str, str]]:
    said: list[tuple[str, str]] = []
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    process: Any = Process(texts, status)
    tracked._listen(process, "trackio", lambda type, **fields: said.append((fields["level"], fields["text"])))
    return said


def test_a_tracker_s_sentences_go_into_the_log_and_noise_does_not() -> None:
    lines = [
        {"text": "sent to a Space"},
        "noise",
        "[1]",
        {"text": 3},
        {"text": "no space left", "trouble": True},
        "[" * 9000,
    ]
    assert heard(lines) == [("info", "sent to a Space"), ("warning", "no space left")]


def test_a_tracker_that_ends_without_a_word_is_told_of_and_one_that_spoke_is_not_told_twice() -> None:
    assert [level for level, _ in heard([], 3)] == ["warning"]
    assert "ended with status 3; the run goes on without it" in heard([], 3)[0][1]
    assert heard([{"text": "it broke", "trouble": True}], 3) == [("warning", "it broke")]


def test_a_talkative_tracker_does_not_fill_the_log() -> None:
    said = heard([{"text": "x" * 10_000}] * 200)
    assert len(said) == tracked._MOST
    assert len(said[0][1]) == tracked._LONGEST


def test_a_log_that_is_closed_or_full_costs_a_word_only() -> None:
    tried: list[str] = []

    def full(type: str, **fields: Any) -> None:
        tried.append(fields["text"])
        raise TunerError("full", code="no-space")

    tracked._tell(full, "said", trouble=False)
    process: Any = Process([json.dumps({"text": text}) for text in "ab"], 1)
    tracked._listen(process, "trackio", full)
    assert tried[0] == "said" and len(tried) == 4, "each line was tried, and that it ended"


def test_a_tracker_that_is_not_installed_is_a_line_in_the_log(
    new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, str]] = []

    def emit(type: str, **fields: Any) -> None:
        said.append((fields["level"], fields["text"]))

    run = new_run()
    monkeypatch.setattr(tracked, "is_there", lambda name: False)
    tracked.send_along(run, ["trackio"], emit)
    monkeypatch.setattr(tracked, "is_there", lambda name: True)

    def refused(*arguments: Any, **options: Any) -> Any:
        raise PermissionError("not allowed")

    monkeypatch.setattr(tracked.subprocess, "Popen", refused)
    tracked.send_along(run, ["trackio"], emit)
    assert [level for level, _ in said] == ["warning", "warning"]
    assert "could not be started (not allowed); the run goes on without it" in said[1][1]
