"""Uploads, against a hub on this machine: what is sent and what never is, the card, the question, and refusals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.commands import Tuner, tuner
from tests.support.fakemodels import TOKEN, ModelHub, at, model_hub
from tui_tuner.cli import output
from tui_tuner.engine.hub_requests import UploadModel
from tui_tuner.engine.uploading import outgoing, upload_model
from tui_tuner.errors import TunerError
from tui_tuner.models.card import fused_card, public_name, without_places
from tui_tuner.models.hub.upload import Outgoing, look_at, send
from tui_tuner.paths import resolve_model
from tui_tuner.runs.control import JobControl, StopRequested

__all__ = ["tuner"]
SET = ["train.iters=2", "train.warmup=0", "data.valid=4", "data.test=6", "evaluation.max_tokens=4"]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelHub]:
    with model_hub({"acme/there": {"README.md": b"# Old\n", "notes.txt": b"mine"}}) as found:
        at(found, tmp_path / "hub", monkeypatch, token=TOKEN)
        yield found


@pytest.fixture
def model(tmp_path: Path) -> Path:
    place = Path(shutil.copytree(resolve_model("embedded:phi3-tiny", None), tmp_path / "people" / "my-model"))
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps({**config, "_name_or_path": str(place)}))
    card = f"---\nlicense: mit\n---\nMade in {Path.home()}/secret/place and /Users/eve/models/base\n"
    (place / "README.md").write_text(card)
    (place / "rows.jsonl").write_text('{"text": "private row"}\n')
    (place / "events.log").write_text("log")
    return place


def test_only_the_model_is_sent_and_no_place_on_this_machine(hub: ModelHub, model: Path) -> None:
    found = upload_model(UploadModel(str(model), "acme/new", private=True), JobControl())
    sent = hub.files["acme/new"]
    assert hub.made == {"acme/new": True} and hub.messages == ["Upload my-model"]
    assert sent.keys() == {"README.md", *(file.name for file in model.iterdir())} - {
        "canaries.json",
        "rows.jsonl",
        "events.log",
    }
    assert sent["model.safetensors"] == (model / "model.safetensors").read_bytes()
    everything = b"".join(sent[name] for name in sent if not name.endswith("safetensors"))
    assert str(model.parent).encode() not in everything and b"/Users" not in everything
    assert json.loads(sent["config.json"])["_name_or_path"] == "my-model"
    assert found["url"].startswith(hub.address) and found["bytes"] == sum(len(content) for content in sent.values())


def test_what_is_there_is_replaced_only_when_that_is_said(hub: ModelHub, model: Path) -> None:
    plan = upload_model(UploadModel(str(model), "acme/there", only_plan=True), JobControl())
    assert plan["exists"] and plan["replaces"] == ["README.md"] and plan["url"] is None
    with pytest.raises(TunerError) as caught:
        upload_model(UploadModel(str(model), "acme/there"), JobControl())
    assert caught.value.code == "exists" and hub.files["acme/there"]["README.md"] == b"# Old\n"
    upload_model(UploadModel(str(model), "acme/there", force=True), JobControl())
    assert hub.files["acme/there"]["notes.txt"] == b"mine" and hub.files["acme/there"]["README.md"] != b"# Old\n"


def test_a_public_repository_does_not_become_private(hub: ModelHub, model: Path) -> None:
    with pytest.raises(TunerError) as caught:
        upload_model(UploadModel(str(model), "acme/there", private=True), JobControl())
    assert caught.value.code == "repo-public"


def test_refusals_of_the_hub(hub: ModelHub, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.statuses["commit"] = [403]
    with pytest.raises(TunerError) as caught:
        upload_model(UploadModel(str(model), "acme/there", force=True), JobControl())
    assert caught.value.code == "hub-forbidden" and "write" in caught.value.sentence()
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(TunerError) as caught:
        upload_model(UploadModel(str(model), "acme/fresh"), JobControl())
    assert caught.value.code in ("hub-token", "model-not-found") and "hf auth login" in caught.value.sentence()
    assert hub.files["acme/there"]["README.md"] == b"# Old\n" and "acme/fresh" not in hub.files


def test_a_stop_leaves_the_repository_as_it_was(hub: ModelHub, model: Path) -> None:
    def check() -> None:
        raise StopRequested("test")

    with pytest.raises(StopRequested):
        send(look_at("acme/there", False), [Outgoing("big.safetensors", model / "model.safetensors")], "m", check=check)
    assert "big.safetensors" not in hub.files["acme/there"]


def test_progress_is_told_in_bytes(hub: ModelHub, model: Path) -> None:
    told: list[tuple[str, int, int]] = []
    files = [Outgoing("model.safetensors", model / "model.safetensors")]
    send(look_at("acme/there", False), files, "m", tell=lambda *one: told.append(one))
    size = (model / "model.safetensors").stat().st_size
    assert told[-1] == ("sent", size, size) and all(done <= total == size for _, done, total in told)


def test_a_damaged_or_foreign_folder_is_not_sent(hub: ModelHub, model: Path, tmp_path: Path) -> None:
    for what in (tmp_path / "none", tmp_path / "people"):
        with pytest.raises(TunerError):
            outgoing(UploadModel(str(what), "acme/new"))
    (model / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(TunerError) as caught:
        outgoing(UploadModel(str(model), "acme/new"))
    assert caught.value.code == "lfs-pointer"


def test_a_run_goes_with_its_data_figures_intervals_and_verdict(hub: ModelHub, tuner: Tuner, tmp_path: Path) -> None:
    changes = [word for change in SET for word in ("--set", change)]
    ran = tuner("run", "quickstart", *changes, "--json")
    assert ran.status == 0, ran.err
    run = Path(ran.document["run"])
    plan = tuner("upload", run.name, "--repo", "acme/adapter", "--plan", "--json")
    assert plan.status == 0, plan.err
    assert [file["path"] for file in plan.document["files"]] == [
        "README.md", "adapter_config.json", "adapters.safetensors",
    ]  # fmt: skip
    card = plan.document["card"]
    head = yaml.safe_load(card.split("---")[1])
    assert head["library_name"] == "mlx" and "lora" in head["tags"] and head["license"]
    assert "base_model" not in head  # the embedded model is no repository
    assert "embedded:players" in card and "embedded:phi3-tiny" in card
    for metric, judged in ran.document["verdict"].items():
        after = ran.document["evaluation"]["after"][metric]
        row = next(line for line in card.splitlines() if line.startswith(f"| {metric} |"))
        assert f"{after['value']:.3f} ({after['low']:.3f} to {after['high']:.3f})" in row
        assert f"{judged['difference']:+.3f}" in row and judged["verdict"] in row
    refused = tuner("upload", run.name, "--repo", "acme/adapter")
    assert refused.status == 2 and "no terminal" in refused.err and "acme/adapter" not in hub.files
    sent = tuner("upload", run.name, "--repo", "acme/adapter", "--yes", "--debug")
    assert sent.status == 0, sent.err
    assert hub.files["acme/adapter"].keys() == {"README.md", "adapter_config.json", "adapters.safetensors"}
    config = json.loads(hub.files["acme/adapter"]["adapter_config.json"])
    assert config["model"] == "embedded:phi3-tiny" and str(tmp_path) not in json.dumps(config)
    assert str(tmp_path) not in card and TOKEN not in sent.out + sent.err + plan.out + plan.err


def test_the_question_wants_a_typed_yes(
    hub: ModelHub, model: Path, tuner: Tuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "has_terminal", lambda: True)
    answers = iter(["y\n", "\n", "yes\n"])
    monkeypatch.setattr("sys.stdin", type("Typed", (), {"readline": lambda self: next(answers)})())
    for _ in range(2):
        said = tuner("upload", str(model), "--repo", "acme/asked")
        assert said.status == 1 and "nothing was sent" in said.err and "acme/asked" not in hub.files
    said = tuner("upload", str(model), "--repo", "acme/asked")
    assert said.status == 0, said.err
    assert "public repository acme/asked" in said.out and "model.safetensors" in said.out and "Made in" in said.out


def test_names_and_texts_for_strangers() -> None:
    assert public_name("/Users/eve/models/base-4bit") == "base-4bit"
    assert public_name("/x/models--acme--tiny/snapshots/abc") == "acme/tiny"
    assert public_name("hf:acme/rows") == "acme/rows" and public_name("embedded:phi3-tiny") == "embedded:phi3-tiny"
    assert without_places("see ~/a/b.txt, `/home/me/x/y` and https://x.org/home/z") == (
        "see b.txt, `y` and https://x.org/home/z"
    )


def test_the_card_of_a_merged_model_names_no_place() -> None:
    figures = {"way": "8bit", "text": "8 bits", "bytes": 10, "kept": 1.0, "kl": 0.0, "top1_agreement": 1.0,
               "loss": {"fused": 1.0, "base": 2.0, "adapter": 1.0}}  # fmt: skip
    document = {"measured_on": "20 rows of the run", "ways": [figures]}
    card = fused_card("/Users/eve/runs/mine-1", "acme/base", document, figures, "apache-2.0")
    assert yaml.safe_load(card.split("---")[1]) == {
        "library_name": "mlx", "pipeline_tag": "text-generation", "license": "apache-2.0", "base_model": "acme/base",
        "base_model_relation": "finetune", "tags": ["mlx"],
    }  # fmt: skip
    assert "eve" not in card and "# mine-1, merged into acme/base" in card
