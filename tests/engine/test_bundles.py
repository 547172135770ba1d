"""A run in one file: what is in it, what is not, and that a replay gives the same losses or says where they part."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Tuner, tuner
from tui_tuner.engine.bundles import make_bundle, name_elsewhere
from tui_tuner.engine.pipeline import run_experiment
from tui_tuner.engine.replays import compare_losses, differences, experiment_of, put_away, set_up, take_out
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder, RunLock, RunView, read_events, read_json
from tui_tuner.runs.control import JobControl

__all__ = ["tuner"]

pytestmark = pytest.mark.mlx


def view_of(folder: RunFolder) -> RunView:
    view = RunView()
    view.extend(read_events(folder.events))
    return view


@pytest.fixture
def trained(new_run: Callable[..., RunFolder]) -> RunFolder:
    folder = new_run(train={"iters": 6, "report_every": 1, "eval_every": 3, "save_every": 6})
    assert run_experiment(folder, JobControl(), ModelShelf())["status"] == "finished"
    return folder


def inside(path: Path) -> dict[str, str]:
    with tarfile.open(path) as tar:
        return {one.name: tar.extractfile(one).read().decode("latin-1") for one in tar.getmembers()}  # type: ignore[union-attr]


def test_a_bundle_without_data_holds_no_row_and_no_place(trained: RunFolder, tmp_path: Path) -> None:
    document = make_bundle(trained, tmp_path / "a.tar.gz")
    found = inside(tmp_path / "a.tar.gz")
    assert set(found) == {"bundle.json", "config.toml", "meta.json", "events.jsonl", "report.md",
                          "adapters/adapters.safetensors", "adapters/adapter_config.json"}  # fmt: skip
    assert document["adapter"] and not document["data"] and len(document["notes"]) == 2
    rows = [json.loads(line) for line in (trained.data / "test.jsonl").read_text("utf-8").splitlines()]
    for name, text in found.items():
        if not name.endswith(".safetensors"):
            assert str(tmp_path) not in text and "/tmp/" not in text and str(Path.home()) + "/" not in text, name
            assert not any(row["prompt"] in text for row in rows), name
    assert 'path = "phi3"' in found["config.toml"] and 'source = "rows.jsonl"' in found["config.toml"]
    kept = [json.loads(line) for line in found["events.jsonl"].splitlines()]
    assert [event["type"] for event in kept] == [event["type"] for event in read_events(trained.events)]
    assert json.loads(found["bundle.json"])["meta"]["data_fingerprint"] == read_json(trained.meta)["data_fingerprint"]


def test_the_same_run_gives_the_same_bytes(trained: RunFolder, tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_bundle(trained, tmp_path / f"{name}.tar.gz", with_data=True)
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()
    assert {"data/train.jsonl", "evaluation/after.jsonl"} <= set(inside(tmp_path / "a.tar.gz"))


def test_a_replay_with_the_bundles_data_gives_the_same_losses(
    trained: RunFolder, tiny_model: Path, tmp_path: Path
) -> None:
    make_bundle(trained, tmp_path / "a.tar.gz", with_data=True, adapter=False)
    bundle = take_out(tmp_path / "a.tar.gz", tmp_path / "elsewhere")
    experiment = experiment_of(bundle, str(tiny_model))
    assert differences(bundle, experiment) == []
    folder = set_up(bundle, experiment, tmp_path / "elsewhere")
    assert not bundle.folder.exists() and (folder.path / "bundle" / "events.jsonl").is_file()
    assert run_experiment(folder, JobControl(), ModelShelf())["status"] == "finished"
    losses = compare_losses(bundle.view, view_of(folder))
    assert losses["same"] and losses["train"]["compared"] == losses["train"]["equal"] == 6
    assert losses["validation"]["equal"] == losses["validation"]["compared"] > 0
    meta = read_json(folder.meta)
    assert meta["replays"] == {"run": trained.name}
    assert meta["data_fingerprint"] == read_json(trained.meta)["data_fingerprint"]


def test_a_bundle_without_its_data_says_what_it_needs(
    trained: RunFolder, tiny_model: Path, tiny_rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_bundle(trained, tmp_path / "a.tar.gz")
    bundle = take_out(tmp_path / "a.tar.gz", tmp_path / "elsewhere")
    found = {one["what"]: one for one in differences(bundle, experiment_of(bundle))}
    assert set(found) == {"model", "data"} and all(one["now"] is None and one["why"] for one in found.values())
    assert differences(bundle, experiment_of(bundle, str(tiny_model), str(tiny_rows))) == []
    put_away(bundle.folder)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_other_data_another_model_and_other_versions_are_told(
    trained: RunFolder, model_of: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bundle(trained, tmp_path / "a.tar.gz")
    rows = tmp_path / "other.jsonl"
    rows.write_text("".join(json.dumps({"prompt": f"p{at}", "completion": f"c{at}"}) + "\n" for at in range(40)))
    monkeypatch.setattr("tui_tuner.engine.replays.library_versions", lambda: {"mlx": "99.0"})
    bundle = take_out(tmp_path / "a.tar.gz", tmp_path / "elsewhere")
    other = experiment_of(bundle, str(model_of("llama")), str(rows), ["train.iters=7"])
    found = {one["what"]: one for one in differences(bundle, other)}
    assert {"model", "data", "mlx", "train.iters"} <= set(found)
    assert found["mlx"]["now"] == "99.0" and (found["train.iters"]["then"], found["train.iters"]["now"]) == ("6", "7")
    assert found["data"]["now"] != found["data"]["then"] and "why" not in found["data"]


def test_names_that_mean_the_same_elsewhere(tmp_path: Path) -> None:
    same = ["hf:owner/rows", "owner/model", "embedded:phi3-tiny", ""]
    assert [name_elsewhere(name) for name in same] == same
    assert name_elsewhere(str(tmp_path / "phi3")) == "phi3"


def test_where_losses_part(tmp_path: Path) -> None:
    def of(losses: dict[int, float | None]) -> RunView:
        view = RunView()
        view.extend({"type": "train", "t": 1.0, "step": step, "loss": loss} for step, loss in losses.items())
        return view

    found = compare_losses(of({1: 3.0, 2: 2.0, 3: 1.0, 4: 0.5}), of({1: 3.0, 2: 2.0, 3: 1.25, 5: 0.1}))
    assert not found["same"]
    assert found["train"] == {"compared": 3, "equal": 2, "parts_at": 3, "then": 1.0, "now": 1.25, "largest": 0.25,
                              "only_then": 1, "only_now": 1, "steps_then": [4, 4], "steps_now": [5, 5]}  # fmt: skip
    assert not found["agree"]
    assert compare_losses(of({1: None}), of({1: None}))["same"]
    assert not compare_losses(of({}), of({}))["same"]


def test_a_run_that_was_resumed_is_compared_over_the_steps_that_both_have() -> None:
    """Then: stopped after step 4, taken up from step 2 with another rate from step 3 on. Now: stopped after step 3."""

    def of(*events: dict[str, Any]) -> RunView:
        view = RunView()
        view.extend({"t": 1.0, **event} for event in events)
        return view

    def losses(*told: tuple[int, float]) -> list[dict[str, Any]]:
        return [{"type": "train", "step": step, "loss": loss} for step, loss in told]

    def rate(by: str) -> dict[str, Any]:
        return {"type": "control", "step": 3, "what": "learning_rate", "value": 1e-4, "by": by}

    overtaken = [*losses((1, 3.0), (2, 2.5)), rate("user"), *losses((3, 9.0), (4, 9.0))]
    resumed = {"type": "run_started", "resumed": True, "from_step": 2, "steps": 6}
    then = of(*overtaken, resumed, rate("replay"), *losses((3, 2.0), (4, 1.5), (5, 1.25)))
    found = compare_losses(then, of(*losses((1, 3.0), (2, 2.5), (3, 2.0))))
    assert found["agree"] and not found["same"]
    assert (found["train"]["compared"], found["train"]["equal"]) == (3, 3)
    assert (found["train"]["only_then"], found["train"]["steps_then"]) == (2, [4, 5])
    assert found["steered"] == [{"whose": "then", "step": 3, "what": "learning_rate", "value": 1e-4}]
    assert not compare_losses(then, of(*losses((7, 1.0))))["agree"], "nothing that was compared agrees in nothing"


def test_a_run_at_work_is_not_bundled(trained: RunFolder, tmp_path: Path) -> None:
    with RunLock(trained), pytest.raises(TunerError) as caught:
        make_bundle(trained, tmp_path / "a.tar.gz")
    assert caught.value.code == "run-locked" and not (tmp_path / "a.tar.gz").exists()


def test_by_command(trained: RunFolder, tiny_model: Path, tuner: Tuner, tmp_path: Path) -> None:
    made = tuner("bundle", trained.path, "--with-data", "--to", tmp_path / "a.tar.gz", "--json")
    assert (
        made.status == 0 and made.document["data"] and made.document["size"] == (tmp_path / "a.tar.gz").stat().st_size
    )
    assert tuner("bundle", trained.path, "--to", tmp_path / "a.tar.gz").status == 1
    checked = tuner("replay", tmp_path / "a.tar.gz", "--check", "--model", tiny_model)
    assert checked.status == 0 and "nothing differs" in checked.out
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(".bundle")]
    needs = tuner("replay", tmp_path / "a.tar.gz")
    assert needs.status == 2 and "--model" in needs.err and "bundle cannot be used here" in needs.err
    done = tuner("replay", tmp_path / "a.tar.gz", "--model", tiny_model, "--name", "again")
    assert done.status == 0 and "6 of 6 train losses are the same to the last bit" in done.out
    assert done.out.rstrip().endswith("the replay gave the same losses")


def test_a_template_of_ones_own_goes_along(new_run: Callable[..., RunFolder], tiny_model: Path, tmp_path: Path) -> None:
    template = tmp_path / "mine.jinja"
    template.write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    folder = new_run(model={"chat_template": str(template)})
    make_bundle(folder, tmp_path / "a.tar.gz")
    assert inside(tmp_path / "a.tar.gz")["template.jinja"] == template.read_text()
    bundle = take_out(tmp_path / "a.tar.gz", tmp_path / "elsewhere")
    made: Any = set_up(bundle, experiment_of(bundle, str(tiny_model)), tmp_path / "elsewhere")
    assert f'chat_template = "{made.path / "bundle" / "template.jinja"}"' in made.config.read_text("utf-8")


def test_a_strangers_bundle_allows_no_code_and_names_no_file_here(trained: RunFolder, tmp_path: Path) -> None:
    make_bundle(trained, tmp_path / "a.tar.gz")
    bundle = take_out(tmp_path / "a.tar.gz", tmp_path / "elsewhere")
    text = (bundle.folder / "config.toml").read_text("utf-8")
    for key, value in (("trust_remote_code", "evil@0123456789ab"), ("start_from", "/srv/keys/weights.safetensors"),
                       ("chat_template", "/srv/keys/id_rsa"), ("source", "/srv/keys/rows.jsonl"),
                       ("to", "wandb"), ("entity", "a-stranger")):  # fmt: skip
        lines = [f'{key} = "{value}"' if line.startswith(f"{key} = ") else line for line in text.split("\n")]
        text = "\n".join(lines)
    (bundle.folder / "config.toml").write_text(text, "utf-8")
    made = experiment_of(bundle)
    assert made.model.trust_remote_code == "" and made.data.source == "rows.jsonl"
    assert made.adapter.start_from == "weights.safetensors" and made.tracking.to == []
    assert made.model.chat_template == str(bundle.folder / "template.jinja")
    assert experiment_of(bundle, overrides=["model.trust_remote_code=a@b"]).model.trust_remote_code == "a@b"
    assert experiment_of(bundle, overrides=["tracking.to=wandb"]).tracking.to == ["wandb"]
