"""Which models there are: those that lie in the folder, in the Hub's cache, that were converted, and that are named."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tui_tuner.cli.app import run as command
from tui_tuner.engine.model_requests import ConvertModel, DeleteCached, InspectModel
from tui_tuner.engine.modelshelves import answer_about_models, list_models, model_details
from tui_tuner.errors import TunerError
from tui_tuner.models.facts import ModelFacts
from tui_tuner.models.offers import offers_for
from tui_tuner.paths import resolve_model

EMBEDDED = "embedded:phi3-tiny"


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of models, runs, presets and the two caches that are the test's own."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("MODELS", "CACHE", "CONFIG", "RUNS"):
        monkeypatch.setenv(f"TUI_TUNER_{name}", str(tmp_path / name.lower()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def copy(place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copytree(resolve_model(EMBEDDED, None), place))


def in_cache(hub: Path, name: str, revisions: tuple[str, ...] = ("a" * 40,)) -> Path:
    """A repository as the Hub's cache has it; `main` is the last revision."""
    home = hub / f"models--{name.replace('/', '--')}"
    for revision in revisions:
        shot = home / "snapshots" / revision
        for file in Path(resolve_model(EMBEDDED, None)).iterdir():
            blob = home / "blobs" / f"{revision[:1]}-{file.name}"
            blob.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, blob)
            shot.mkdir(parents=True, exist_ok=True)
            (shot / file.name).symlink_to(blob)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(revisions[-1])
    return home


def test_every_kind_is_listed_once_with_its_figures(places: Path) -> None:
    copy(places / "models" / "own")
    copy(places / "models" / "acme" / "deep")
    in_cache(places / "hub", "acme/cached")
    (places / "models" / "no-model").mkdir()
    named = [("experiment x", str(places / "models" / "own"), None), ("run y", "far/away", None)]
    found = {model.path: model for model in list_models(None, named)}
    # The presets that come with the program name models that are not here.
    sources = [model.source for model in found.values() if not any(who.startswith("preset") for who in model.named_by)]
    assert found[EMBEDDED].source == "embedded" and sources == ["local", "local", "cache", "absent"]
    own = found[str(places / "models" / "own")]
    # The embedded model's own figures, from the script that makes it.
    assert (own.architecture, own.parameters, own.dtype, own.quantization) == ("phi3", 912_768, "float32", "none")
    assert own.named_by == ["experiment x"] and own.memory["train"] > own.memory["run"] > own.bytes
    assert own.bits == pytest.approx(32, abs=0.05)
    assert found["far/away"].named_by == ["run y"] and found["far/away"].folder == ""
    assert "preset quickstart" in found[EMBEDDED].named_by


def test_a_broken_model_is_listed_with_what_is_wrong(places: Path) -> None:
    broken = copy(places / "models" / "broken")
    next(broken.glob("*.safetensors")).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (places / "models" / "worse").mkdir()
    (places / "models" / "worse" / "config.json").write_text("[")
    found = {model.name: model for model in list_models()}
    assert "Git-LFS pointer" in found["broken"].problem and found["broken"].memory == {}
    assert "not valid JSON" in found["worse"].problem


def test_a_named_folder_that_is_in_the_list_already_is_not_listed_again(places: Path) -> None:
    own = copy(places / "models" / "own")
    (places / "link").symlink_to(own)
    found = [model for model in list_models(None, [("x", "link", places)]) if model.source == "local"]
    assert [(model.name, model.named_by) for model in found] == [("own", ["x"])]


def test_the_cache_tells_newest_version_size_and_last_use(places: Path) -> None:
    home = in_cache(places / "hub", "acme/cached", ("a" * 40, "b" * 40))
    model = next(model for model in list_models() if model.source == "cache")
    assert Path(model.folder) == home / "snapshots" / ("b" * 40)
    assert model.on_disk == sum(file.stat().st_size for file in (home / "blobs").iterdir()) > 2 * model.bytes
    assert model.used is not None and abs(model.used - home.stat().st_mtime) < 3600


def test_deleting_takes_every_version_and_nothing_else(places: Path) -> None:
    home = in_cache(places / "hub", "acme/cached", ("a" * 40, "b" * 40))
    other = in_cache(places / "hub", "acme/other")
    size = sum(file.stat().st_size for file in (home / "blobs").iterdir())
    assert answer_about_models(DeleteCached("acme/cached")) == size
    assert not home.exists() and (other / "refs" / "main").is_file()
    with pytest.raises(TunerError, match="not in the hub's cache"):
        answer_about_models(DeleteCached("acme/cached"))


def test_offers_follow_the_shapes(places: Path) -> None:
    details = answer_about_models(InspectModel(EMBEDDED))
    # Widths of 128 and 256: every group fits; phi3 has a down_proj; nothing is quantized; float32 is its own type.
    assert details.offers.modes["affine"] == ((2, 3, 4, 5, 6, 8), (32, 64, 128))
    assert set(details.offers.modes) == {"affine", "mxfp4", "nvfp4", "mxfp8"}
    assert "mixed_3_6" in details.offers.recipes and not details.offers.dequantize
    assert details.offers.dtypes == ("float16", "bfloat16")
    narrow = ModelFacts("m", "x", 1, 1, 48, 1, 1, 9, 9, "float16", "4 bits", 9, "", [("mlp.fc", "8 × 48")])
    offers = offers_for(narrow)
    assert set(offers.modes) == {"nvfp4"} and offers.recipes == () and offers.dequantize


@pytest.mark.mlx
def test_what_was_converted_is_listed_as_such_wherever_it_is(places: Path) -> None:
    from tui_tuner.engine.conversion import convert_model
    from tui_tuner.engine.shelf import ModelShelf
    from tui_tuner.runs.control import JobControl

    convert_model(ConvertModel(EMBEDDED, places / "elsewhere" / "four", 4, 64, rows=0), JobControl(), ModelShelf())
    made = next(model for model in list_models() if model.name == "four")
    assert made.made_as == "4 bits, group 64" and made.bits is not None and made.bits < 5.5
    assert [one["scheme"] for one in model_details(EMBEDDED).variants] == ["4 bits, group 64"]
    shutil.rmtree(places / "elsewhere")
    assert "four" not in [model.name for model in list_models()]


@pytest.mark.mlx
def test_the_command_prints_the_same(
    places: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_cache(places / "hub", "acme/cached")
    assert command(["models", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["path"] for one in found if one["source"] != "absent"] == [EMBEDDED, "acme/cached"]
    assert found[0]["fits"] == {"run": "fits", "train": "fits"}
    monkeypatch.setattr("tui_tuner.engine.modelshelves.usable_memory", lambda: 500_000_000)
    assert command(["models"]) == 0
    told = capsys.readouterr().out
    assert "✗ too large" in told and "in the Hub's cache" in told and "500 MB" in told


def test_listing_needs_no_heavy_library(places: Path) -> None:
    script = (
        "import sys; from tui_tuner.engine.modelshelves import list_models; list_models();"
        "sys.exit(any(name in sys.modules for name in ('mlx', 'mlx_lm', 'transformers', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_model_of_another_architecture_goes_the_same_way(model_of: Callable[..., Path]) -> None:
    details = model_details(str(model_of("gemma")))
    assert details.inspection.facts.architecture == "gemma" and details.variants == []
