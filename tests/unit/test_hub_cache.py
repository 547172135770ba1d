"""What lies in the Hub's cache, and what a name of it means on this machine; no network is asked for any of it."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_tuner.errors import TunerError
from tui_tuner.models.card import adapter_card, front_matter, fused_card, public_name, run_story, without_places
from tui_tuner.models.hub.cache import PARTIAL, cached_models, delete_cached, is_whole, repository_of, storage
from tui_tuner.models.hub.download import check_room, plan_download
from tui_tuner.models.hub.failures import failure
from tui_tuner.models.hub.transfer import CutShortError, part_of
from tui_tuner.models.hub.watch import Plan, RemoteFile, Watch, watcher, watching

SMALL = RemoteFile("config.json", 600, "a" * 40, large=False)
LARGE = RemoteFile("model.safetensors", 2_000_000, "b" * 64, large=True)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put(cache: Path, name: str, files: dict[str, bytes], commit: str = "c" * 40, ref: str = "main") -> Path:
    """A version of a model as the library lays it out: blobs, and links to them under the commit."""
    home = cache / ("models--" + name.replace("/", "--"))
    folder = home / "snapshots" / commit
    for place in (home / "blobs", home / "refs", folder):
        place.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        blob = home / "blobs" / f"{commit[:4]}{path}"
        blob.write_bytes(content)
        (folder / path).symlink_to(os.path.relpath(blob, folder))
    if ref:
        (home / "refs" / ref).write_text(commit)
    return folder


def plan(*files: RemoteFile, missing: tuple[RemoteFile, ...] = (), here: int = 0, revision: str = "") -> Plan:
    return Plan("acme/one", revision, "c" * 40, files, missing, here)


# -- names and places --------------------------------------------------------------------------------------------------

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._]{0,8}", fullmatch=True)


@given(NAMES, NAMES)
def test_a_name_is_read_back_from_its_place(owner: str, model: str) -> None:
    for name in (f"{owner}/{model}", model):
        assert repository_of(storage(name) / "snapshots" / ("c" * 40)) == name


@pytest.mark.parametrize("name", ["../../etc", "a/../../b", "/etc/passwd", ".."])
def test_no_name_leads_out_of_the_cache(name: str, cache: Path) -> None:
    assert storage(name).parent == cache
    with pytest.raises(TunerError, match="is not in the hub's cache"):
        delete_cached(name)


def test_other_folders_belong_to_no_repository(tmp_path: Path) -> None:
    assert repository_of(tmp_path) == ""
    assert repository_of(tmp_path / "snapshots" / "x") == ""
    assert repository_of(tmp_path / "models--a--b" / "blobs" / "x") == ""


def test_a_part_lies_beside_the_whole_files_and_is_told_from_them(cache: Path) -> None:
    part = part_of("acme/one", LARGE)
    assert part == cache / "models--acme--one" / "blobs" / f"{LARGE.hash}{PARTIAL}"


# -- what is there -----------------------------------------------------------------------------------------------------


def test_without_a_cache_there_are_no_models(cache: Path) -> None:
    assert cached_models() == []
    cache.write_text("a file where the folder should be")
    assert cached_models() == []


def test_of_several_versions_that_of_main_is_the_model_and_all_are_its_size(cache: Path) -> None:
    files = {"config.json": b"{}", "model.safetensors": b"x" * 1000}
    main = put(cache, "acme/Two", files, "1" * 40)
    put(cache, "acme/Two", {"config.json": b"{ }"}, "2" * 40, ref="")
    old = put(cache, "acme/One", files, "3" * 40, ref="v1")
    (cache / "datasets--acme--rows" / "snapshots" / ("4" * 40)).mkdir(parents=True)
    one, two = cached_models()
    assert (one.name, two.name) == ("acme/One", "acme/Two")
    assert (one.folder, two.folder) == (old, main) and (one.bytes, two.bytes) == (1002, 1005)
    assert two.used == pytest.approx((main / "config.json").stat().st_atime, abs=5)


def test_deleting_tells_what_it_freed_and_is_not_done_twice(cache: Path) -> None:
    put(cache, "acme/one", {"config.json": b"{}", "model.safetensors": b"x" * 500})
    other = put(cache, "acme/two", {"config.json": b"{}"})
    (storage("acme/one") / "blobs" / f"x{PARTIAL}").write_bytes(b"half")
    (storage("acme/one") / "blobs" / "link").symlink_to(other / "config.json")
    assert delete_cached("acme/one") == 506, "the part counts, what is elsewhere does not"
    assert (other / "config.json").is_file() and [one.name for one in cached_models()] == ["acme/two"]
    with pytest.raises(TunerError) as caught:
        delete_cached("acme/one")
    assert caught.value.code == "model-not-found" and "tui-tuner models" in caught.value.fix


def test_a_model_that_cannot_be_deleted_is_said_with_its_place(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(cache, "acme/one", {"config.json": b"{}"})

    def refuse(place: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(TunerError, match=r"could not be deleted .* \(Permission denied\)") as caught:
        delete_cached("acme/one")
    assert caught.value.where == str(storage("acme/one")) and caught.value.code == "not-deletable"


@pytest.mark.parametrize(
    ("files", "index", "whole"),
    [
        (["config.json", "model.safetensors"], None, True),
        (["model.safetensors"], None, False),
        (["config.json"], None, False),
        (["config.json", "a.safetensors", "b.safetensors"], {"x": "a.safetensors", "y": "b.safetensors"}, True),
        (["config.json", "a.safetensors"], {"x": "a.safetensors", "y": "b.safetensors"}, False),
        (["config.json", "model.safetensors"], {}, False),
        (["config.json", "model.safetensors"], ["model.safetensors"], False),
        (["config.json", "model.safetensors"], {"x": 3}, False),
    ],
)
def test_a_model_is_whole_when_all_that_its_index_names_is_there(
    files: list[str], index: Any, whole: bool, tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / name).touch()
    if index is not None:
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    assert is_whole(tmp_path) is whole


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"weight_map": null}', "[" * 100_000], ids=["empty", "list", "none", "null", "deep"]
)
def test_a_damaged_index_makes_no_whole_model(text: str, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).touch()
    (tmp_path / "model.safetensors.index.json").write_text(text)
    assert not is_whole(tmp_path)


# -- what would be fetched ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (plan(SMALL), "acme/one is whole in the Hub's cache: 1 file, 600 B."),
        (plan(SMALL, LARGE), "acme/one is whole in the Hub's cache: 2 files, 2.0 MB."),
        (plan(SMALL, missing=(SMALL,)), "acme/one: 1 file, 600 B to download."),
        (
            plan(SMALL, LARGE, missing=(LARGE,), here=500_000),
            "acme/one: 1 file, 1.5 MB of 2.0 MB to download; the rest is in the cache.",
        ),
    ],
)
def test_a_plan_says_what_is_to_come(made: Plan, sentence: str) -> None:
    assert made.sentence() == sentence


def test_a_plan_as_a_document() -> None:
    told = plan(SMALL, LARGE, missing=(LARGE,), here=500_000, revision="v2").as_json()
    assert told == {
        "name": "acme/one", "revision": "v2", "commit": "c" * 40, "files": 2, "bytes": 2_000_600, "missing_files": 1,
        "missing_bytes": 1_500_000,
    }  # fmt: skip
    assert plan(SMALL).as_json()["revision"] == "main"


def test_room_is_asked_for_what_is_to_come_and_not_for_what_is_there(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10**9, 10**9, 68_000_000))
    need = replace(LARGE, bytes=100_000_000)
    check_room(plan(need))
    check_room(plan(need, missing=(need,), here=99_500_000))
    with pytest.raises(TunerError, match=r"has 68.0 MB left, and 100 MB of acme/one are to be downloaded") as caught:
        check_room(plan(need, missing=(need,)))
    assert caught.value.code == "no-space" and "HF_HOME" in caught.value.fix


class Listing:
    """The Hub, as far as a plan asks it."""

    def __init__(self, *files: tuple[str, int, str | None]) -> None:
        self.files = files

    def __call__(self, *_: Any, **__: Any) -> Listing:
        return self

    def model_info(self, name: str, **options: Any) -> Any:
        from types import SimpleNamespace

        siblings = [
            SimpleNamespace(
                rfilename=path, size=size, blob_id="d" * 40,
                lfs=None if digest is None else SimpleNamespace(size=size, sha256=digest),
            )
            for path, size, digest in self.files
        ]  # fmt: skip
        return SimpleNamespace(sha="e" * 40, siblings=siblings)


def test_a_plan_takes_the_model_and_leaves_what_is_of_no_use(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = Listing(
        ("config.json", 5, None), ("model.safetensors", 70, "f" * 64), ("README.md", 9, None), ("modeling.py", 3, None),
        ("consolidated.safetensors", 70, "a" * 64), ("pytorch_model.bin", 70, "b" * 64), ("onnx/model.onnx", 70, None),
        ("tokenizer.model", 7, None), ("LICENSE.txt", 1, None), ("photo.png", 99, None),
    )  # fmt: skip
    monkeypatch.setattr("huggingface_hub.HfApi", listing)
    part = storage("acme/one") / "blobs" / f"{'f' * 64}{PARTIAL}"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 30)
    made = plan_download("acme/one")
    wanted = {"config.json", "model.safetensors", "README.md", "modeling.py", "tokenizer.model", "LICENSE.txt"}
    assert {file.path for file in made.files} == wanted == {file.path for file in made.missing}
    assert (made.bytes, made.here, made.to_come) == (95, 30, 65)
    part.write_bytes(b"x" * 300)
    assert plan_download("acme/one").here == 70, "a part that is too long is no more than the file"
    part.rename(part.with_name("f" * 64))
    assert "model.safetensors" not in {file.path for file in plan_download("acme/one").missing}


@pytest.mark.parametrize(
    ("path", "digest"), [("../x.json", None), ("a\\b.json", None), ("model.safetensors", "../../x"), ("/x.json", None)]
)
def test_a_file_or_a_hash_that_is_a_way_out_is_refused(
    path: str, digest: str | None, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.HfApi", Listing(("config.json", 5, None), (path, 7, digest)))
    with pytest.raises(TunerError) as caught:
        plan_download("acme/one")
    assert caught.value.code == "model-outside" and not cache.exists()


def test_a_server_that_ends_too_early_is_told_as_the_network_and_not_as_a_missing_model() -> None:
    told = failure(CutShortError(), "acme/one")
    assert told.code == "model-unreachable" and "acme/one" in told.message


# -- who watches -------------------------------------------------------------------------------------------------------


def test_a_watcher_is_of_its_thread_and_of_the_block_it_was_named_in() -> None:
    outer, inner = Watch(), Watch()
    seen: list[Watch] = []
    with watching(outer):
        with pytest.raises(ValueError, match="x"), watching(inner):
            assert watcher() is inner
            raise ValueError("x")
        assert watcher() is outer
        thread = threading.Thread(target=lambda: seen.append(watcher()))
        thread.start()
        thread.join()
    assert seen[0] is not outer and watcher() is not outer
    watcher().begin(plan())
    watcher().tell(0, 0)
    watcher().check()


# -- what strangers read -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("embedded:phi3-tiny", "embedded:phi3-tiny"),
        ("/Users/ada/models/My Model", "My Model"),
        ("acme/model", "acme/model"),
        ("hf:acme/rows", "acme/rows"),
        ("/hub/models--acme--one/snapshots/abc", "acme/one"),
        ("/", "/"),
    ],
)
def test_a_model_is_called_by_what_strangers_can_find(model: str, name: str) -> None:
    assert public_name(model) == name


def test_a_folder_of_that_name_is_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert public_name("models/mine") == "mine" and public_name("models/other") == "models/other"


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("from ~/work/rows.jsonl, and more", "from rows.jsonl, and more"),
        ("`/Users/ada/models/x`", "`x`"),
        ("(/home/eva/ä/ö.csv)", "(ö.csv)"),
        ("https://host/home/page stays", "https://host/home/page stays"),
        ("a/b/c and 3/4 stay", "a/b/c and 3/4 stay"),
        ("/data/one;/mnt/two", "one;two"),
    ],
)
def test_no_place_on_a_machine_is_told(text: str, public: str) -> None:
    assert without_places(text) == public


@pytest.mark.parametrize(
    ("licence", "line"), [("apache-2.0", "license: apache-2.0"), ("LICENSE.txt", "license: other"), ("", None)]
)
def test_the_hub_reads_licences_that_it_knows(licence: str, line: str | None) -> None:
    lines = front_matter("acme/base", licence, "adapter", ("lora",))
    assert lines[0] == "---" and lines[-2:] == ["---", ""] and lines[-3] == "- lora"
    assert [one for one in lines if one.startswith("license")] == ([line] if line else [])
    assert "base_model: acme/base" in lines and "base_model_relation: adapter" in lines
    assert not any("base_model" in one for one in front_matter("/home/ada/base", licence, "adapter"))


FACTS = {
    "method": "lora", "settings": [("data", "/home/ada/rows.jsonl"), ("a|b", "two\nlines")],
    "sentence": "It rose | a lot.",
    "before": {"rouge1": {"value": 0.25, "low": 0.2, "high": 0.3}}, "after": {"rouge1": {"value": 0.5}},
    "verdict": {"rouge1": {"difference": 0.25, "low": 0.1, "high": 0.4, "verdict": "better"}, "bleu": {}},
}  # fmt: skip


def test_the_card_of_an_adapter_has_its_figures_and_nothing_breaks_its_tables() -> None:
    text = adapter_card("mine", "acme/base", "mit", FACTS)
    assert "| data | rows.jsonl |" in text and "| a\\|b | two lines |" in text and "It rose \\| a lot." in text
    assert "| rouge1 | 0.250 (0.200 to 0.300) | 0.500 | +0.250 (+0.100 to +0.400) | better |" in text
    assert "| bleu | – | – | – | – |" in text
    assert "/home" not in text and text.endswith(".\n") and not text.endswith("\n\n")


def test_what_was_not_measured_is_said_not_to_be() -> None:
    lines = run_story({**FACTS, "verdict": {}, "after": {}})
    assert lines[-2:] == ["It was not benchmarked.", ""] and not any("before" in line for line in lines)
    only = run_story({**FACTS, "verdict": {}, "sentence": ""})
    assert "| rouge1 | 0.250 (0.200 to 0.300) | 0.500 | – | – |" in only


def test_the_card_of_a_merged_model_marks_the_way_that_was_taken() -> None:
    way = {"way": "plain", "text": "merged into unquantized weights", "bytes": 1_940_000, "kept": None, "kl": 1e-9,
           "top1_agreement": 1.0, "loss": {"base": 2.0, "adapter": 1.5, "fused": 1.5}}  # fmt: skip
    other = {**way, "way": "stock", "kept": 0.4321, "kl": 0.1234}
    text = fused_card("/home/ada/runs/mine", "acme/base", {"measured_on": "12 rows", "ways": [way, other]}, way)
    assert "# mine, merged into acme/base" in text and "base_model_relation: finetune" in text
    assert "| plain **(this one)** | 1.94 MB | nothing to keep | 1e-09 | 100.00 % | 1.5000 |" in text
    assert "| stock | 1.94 MB | 43.21 % | 0.123 | 100.00 % | 1.5000 |" in text
    assert "loss of 2.0000, with its adapter 1.5000" in text and "## Trained" not in text
