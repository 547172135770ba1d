"""Downloads, against a hub on this machine: what is fetched, what is kept, what is refused, and what is said."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fakemodels import TOKEN, ModelHub, at, folder_files, model_hub
from tui_tuner.chat.voices import Voice
from tui_tuner.engine.chatting import count_tokens
from tui_tuner.engine.requests import CountTokens
from tui_tuner.errors import TunerError
from tui_tuner.models.hub import Plan, Watch, cached_models, delete_cached, fetch, plan_download, transfer, watching
from tui_tuner.models.hub.cache import PARTIAL
from tui_tuner.models.load import load_tokenizer
from tui_tuner.paths import resolve_model
from tui_tuner.runs.control import StopRequested

NAME = "acme/tiny"
ROOT = Path(__file__).parents[2]
WEIGHTS = "model.safetensors"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelHub]:
    files = folder_files(Path(resolve_model("embedded:phi3-tiny", None)))
    extra = {"README.md": b"# Tiny\n", "modeling.py": b"x = 1\n", "pytorch_model.bin": b"pickle", "photo.png": b"png"}
    with model_hub(
        {NAME: {**files, **extra}, "acme/pickled": {"config.json": b"{}", "pytorch_model.bin": b"p"}}
    ) as hub:
        at(hub, tmp_path / "hub", monkeypatch)
        monkeypatch.setattr(transfer, "_first_wait", 0.01)
        yield hub


def parts(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "hub").rglob(f"*{PARTIAL}"))


def weights(hub: ModelHub) -> bytes:
    return next(content for path, content in hub.files[NAME].items() if path.endswith(".safetensors"))


def shard(hub: ModelHub) -> str:
    return next(path for path in hub.files[NAME] if path.endswith(".safetensors"))


def test_what_only_counts_fetches_nothing(hub: ModelHub) -> None:
    question = CountTokens(Voice(NAME), [{"role": "user", "content": "who?"}])
    with pytest.raises(TunerError, match="not on this machine yet") as failure:
        count_tokens(question, load_tokenizer)
    assert f"`tui-tuner download {NAME}`" in failure.value.sentence() and not hub.asked
    fetch(NAME)
    assert count_tokens(question, load_tokenizer).tokens > 1


def test_only_safetensors_and_text_are_fetched_and_nothing_twice(hub: ModelHub, tmp_path: Path) -> None:
    plan = plan_download(NAME)
    assert (
        plan.to_come
        == plan.bytes
        == sum(len(content) for path, content in hub.files[NAME].items() if not path.endswith((".bin", ".png")))
    )
    told: list[tuple[int, int]] = []
    plans: list[Plan] = []
    with watching(Watch(plans.append, lambda done, total: told.append((done, total)))):
        folder = fetch(NAME)
    assert plans == [plan] and told[-1] == (plan.bytes, plan.bytes)
    assert {file.name for file in folder.iterdir()} == hub.files[NAME].keys() - {"pytorch_model.bin", "photo.png"}
    assert (folder / shard(hub)).read_bytes() == weights(hub)
    assert [model.name for model in cached_models()] == [NAME] and not parts(tmp_path)
    asked = len(hub.asked)
    assert fetch(NAME) == folder and len(hub.asked) == asked  # from the cache, without a question
    assert plan_download(NAME).missing == ()
    assert delete_cached(NAME) >= plan.bytes and cached_models() == []


def test_a_broken_connection_goes_on_where_it_was_cut(hub: ModelHub, tmp_path: Path) -> None:
    hub.cut[shard(hub)] = [1000, 2000]
    folder = fetch(NAME)
    assert hub.ranges(shard(hub)) == ["", "bytes=1000-", "bytes=3000-"]
    assert (folder / shard(hub)).read_bytes() == weights(hub)


def test_an_attempt_that_was_given_up_is_taken_up_again(
    hub: ModelHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.cut[shard(hub)] = [5000, *[0] * 10]
    with pytest.raises(TunerError) as caught:
        fetch(NAME)
    assert caught.value.code == "download-broken"
    assert [part.stat().st_size for part in parts(tmp_path)] == [5000]
    hub.cut.clear()
    plan = plan_download(NAME)
    assert plan.here == 5000 and [file.path for file in plan.missing] == [shard(hub)]
    assert plan.to_come == len(weights(hub)) - 5000
    hub.asked.clear()
    folder = fetch(NAME)
    assert hub.ranges(shard(hub)) == ["bytes=5000-"]
    assert (folder / shard(hub)).read_bytes() == weights(hub) and not parts(tmp_path)


def test_a_stop_is_heard_at_once_and_keeps_what_has_come(hub: ModelHub, tmp_path: Path) -> None:
    hub.held[shard(hub)] = threading.Event()
    asked: list[float] = []

    def check() -> None:
        if hub.reached.is_set() and any(part.stat().st_size for part in parts(tmp_path)):
            asked.append(time.monotonic())
            raise StopRequested("test")

    with pytest.raises(StopRequested), watching(Watch(check=check)):
        fetch(NAME)
    assert time.monotonic() - asked[0] < 1.0
    assert parts(tmp_path) and not any((tmp_path / "hub").rglob("config.json"))
    hub.held.pop(shard(hub)).set()
    assert (fetch(NAME) / shard(hub)).read_bytes() == weights(hub)
    assert hub.ranges(shard(hub))[-1].startswith("bytes=")


def test_a_part_that_is_not_of_this_file_is_not_kept(hub: ModelHub, tmp_path: Path) -> None:
    plan = plan_download(NAME)
    file = next(file for file in plan.files if file.path == shard(hub))
    part = transfer.part_of(NAME, file)
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 700)
    assert (fetch(NAME) / shard(hub)).read_bytes() == weights(hub)
    assert hub.ranges(shard(hub)) == ["bytes=700-", ""]


def test_what_is_not_what_the_hub_says_is_refused(hub: ModelHub, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_download(NAME)
    hub.files[NAME][shard(hub)] = weights(hub)[:-1] + b"!"
    with pytest.raises(TunerError) as caught:
        transfer.transfer(plan, Watch())
    assert caught.value.code == "download-damaged"


def test_pickled_weights_are_refused_before_the_first_byte(hub: ModelHub, tmp_path: Path) -> None:
    with pytest.raises(TunerError) as caught:
        fetch("acme/pickled")
    assert caught.value.code == "model-pickle" and "nothing was downloaded" in caught.value.sentence()
    assert not any(one.method == "GET" and "/resolve/" in one.path for one in hub.asked)
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ({"gated": {NAME}}, "model-gated"),
        ({"private": {NAME}}, "model-not-found"),
        ({"statuses": {"/api/": [429] * 9}}, "hub-busy"),
        ({"statuses": {"/api/": [503] * 9}}, "hub-failed"),
        ({"statuses": {"resolve": [503] * 99}}, "hub-failed"),
        ({"statuses": {"resolve": [429] * 99}}, "hub-busy"),
        ({"statuses": {"resolve": [403] * 99}}, "hub-forbidden"),
    ],
)
def test_each_refusal_is_one_sentence(hub: ModelHub, spoil: dict[str, Any], code: str) -> None:
    for key, value in spoil.items():
        setattr(hub, key, value)
    with pytest.raises(TunerError) as caught:
        fetch(NAME)
    assert caught.value.code == code
    assert "\n" not in caught.value.sentence() and caught.value.fix


def test_a_version_that_is_not_there(hub: ModelHub) -> None:
    with pytest.raises(TunerError) as caught:
        fetch(NAME, "v9")
    assert caught.value.code == "model-no-revision"
    commit = hub.commit(NAME)
    assert fetch(NAME, commit).name == commit


def test_a_private_model_comes_with_the_token(hub: ModelHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.private.add(NAME)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert fetch(NAME).is_dir()


def test_no_room_is_said_before_the_first_byte(hub: ModelHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda place: type("Usage", (), {"free": 1000})())
    with pytest.raises(TunerError) as caught:
        fetch(NAME)
    assert caught.value.code == "no-space" and "1.0 kB left" in caught.value.message
    assert not any("/resolve/" in one.path for one in hub.asked) and not (tmp_path / "hub").exists()


def test_a_disk_that_fills_up_on_the_way(hub: ModelHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(transfer, "sync_to_disk", full)
    with pytest.raises(TunerError) as caught:
        fetch(NAME)
    assert caught.value.code == "no-space"


def test_a_cache_that_may_not_be_written(hub: ModelHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda place, mode: False)  # for root may write everywhere
    with pytest.raises(TunerError) as caught:
        fetch(NAME)
    assert caught.value.code == "cache-not-writable"


def test_a_cache_that_cannot_be_made(hub: ModelHub, tmp_path: Path) -> None:
    (tmp_path / "hub").touch()
    with pytest.raises(TunerError) as caught:
        fetch(NAME)
    assert caught.value.code == "cache-not-writable"


def test_a_repository_with_a_file_outside_its_folder(hub: ModelHub) -> None:
    hub.files[NAME]["../evil.json"] = b"{}"
    with pytest.raises(TunerError) as caught:
        fetch(NAME)
    assert caught.value.code == "model-outside"


def tuner(hub: ModelHub, home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    places = {
        "HF_ENDPOINT": hub.address, "HF_HOME": str(home / "hf"), "NO_PROXY": "127.0.0.1", "HF_HUB_DISABLE_XET": "1",
        "TUI_TUNER_RUNS": str(home / "runs"), "TUI_TUNER_CACHE": str(home / "cache"),
        "TUI_TUNER_CONFIG": str(home / "config"), "TUI_TUNER_MODELS": str(home / "models"),
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    environ = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    return subprocess.run(
        [sys.executable, "-m", "tui_tuner", *arguments], env={**environ, **places, **environment},
        capture_output=True, text=True, check=False, cwd=home, timeout=120,
    )  # fmt: skip


def test_the_command_and_what_names_the_model_afterwards(hub: ModelHub, tmp_path: Path) -> None:
    planned = tuner(hub, tmp_path, "download", NAME, "--plan")
    assert planned.returncode == 0 and "are to be fetched" in planned.stdout
    done = tuner(hub, tmp_path, "download", NAME)
    assert done.returncode == 0, done.stderr
    assert "to download." in done.stderr and "100" not in done.stdout and str(tmp_path / "hf") in done.stdout
    asked = len(hub.asked)
    there = tuner(hub, tmp_path, "inspect", NAME, HF_HUB_OFFLINE="1")
    assert there.returncode == 0 and "phi3" in there.stdout and len(hub.asked) == asked
    offline = tuner(hub, tmp_path, "inspect", "acme/other", HF_HUB_OFFLINE="1")
    assert offline.returncode == 1 and "HF_HUB_OFFLINE" in offline.stderr
    nobody = tuner(hub, tmp_path, "download", "acme/other", HF_ENDPOINT="http://127.0.0.1:9")
    assert nobody.returncode == 1 and "could not be reached" in nobody.stderr
    wrong = tuner(hub, tmp_path, "download", "no-owner")
    assert wrong.returncode == 2 and "owner/name" in wrong.stderr


def test_the_token_is_nowhere(hub: ModelHub, tmp_path: Path) -> None:
    secret = "hf_" + "Secret" * 6
    said = [
        tuner(hub, tmp_path, "download", name, "--debug", HF_TOKEN=token)
        for name, token in ((NAME, TOKEN), (NAME, secret), ("acme/none", TOKEN), (NAME, f"{secret}\x01 x"))
    ]
    assert [one.returncode for one in said] == [0, 1, 1, 1]
    assert "token" in said[1].stderr
    everything = "".join(one.stdout + one.stderr for one in said)
    for file in tmp_path.rglob("*"):
        if file.is_file():
            everything += file.read_bytes().decode("latin-1")
    assert TOKEN not in everything and secret not in everything
