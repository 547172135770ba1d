"""The Hub and trust from the Models screen: what is shown before a question, what the engine is asked, and pictures."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import notices, shown, until
from tests.ui.workshop import (
    SIZES,
    about_models,
    app_with,
    experiment,
    facts,
    finished,
    inspected,
    listed,
    open_mode,
    place,
)
from tui_tuner.engine.hub_requests import Code, DownloadModel, ReadCode, UploadModel
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.errors import TunerError
from tui_tuner.models import trust
from tui_tuner.ui.hubdialogs import DownloadDialog, TrustDialog, UploadConfirm, UploadDialog
from tui_tuner.ui.screens.models import ModelsScreen

__all__ = ["place"]

PLAN = {"name": "other/model", "revision": "main", "commit": "0" * 40, "files": 9, "bytes": 4_520_000_000,
        "missing_files": 3, "missing_bytes": 2_260_000_000, "path": None}  # fmt: skip
CODE = Code(
    "acme-model",
    "It asks for code of its own to build its model (config.json: model_file; own.py). Code that runs can do all that "
    "you can: read your files, use your network, change your data.",
    "acme-model@0123456789abcdef",
)
CARD = "---\nlicense: mit\n---\n# players-1\n\n| metric | before | after |\n| exact_match | 0.000 | 1.000 |\n[red]inert"
UPLOAD = {"repository": "ada/players", "exists": True, "private": False, "bytes": 1_052_342, "replaces": ["README.md"],
          "files": [{"path": "README.md", "bytes": 1711}, {"path": "adapter_config.json", "bytes": 412},
                    {"path": "adapters.safetensors", "bytes": 1_050_219}], "card": CARD, "url": None}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_allowed", set())


def answer(handle: JobHandle) -> None:
    """Questions at once; what moves bytes waits for the test."""
    request = handle.request
    if about_models(handle, inspected(facts())):
        return
    if isinstance(request, DownloadModel) and request.only_plan:
        if request.name == "gated/model":
            handle.status = JobStatus.FAILED
            handle.error = TunerError(
                "the model gated/model is gated: its owner asks you to accept terms first", code="model-gated",
                fix="accept them on the model's page and log in with `hf auth login`",
            )  # fmt: skip
        else:
            handle.status, handle.result = JobStatus.DONE, PLAN


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(answer)


def asked(engine: FakeEngine, kind: type) -> list[Any]:
    return [one for one in engine.submitted if isinstance(one, kind)]


def job(engine: FakeEngine, kind: type) -> JobHandle:
    return [one for one in engine.handles() if isinstance(one.request, kind)][-1]


async def test_a_model_that_is_not_here_is_downloaded_after_its_forecast(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "models")
        await pilot.press("end")
        await until(pilot, lambda: "g downloads it" in shown(app))
        await pilot.press("g")
        await until(pilot, lambda: "3 files, 2.3 GB to download of 4.5 GB" in shown(app))
        assert app.screen.query_one(Input).value == "other/model"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        wish = asked(engine, DownloadModel)[-1]
        assert (wish.name, wish.revision, wish.only_plan) == ("other/model", "", False)
        wish.progress.moved("downloaded", 0, 2_260_000_000, now=0.0)
        wish.progress.moved("downloaded", 226_000_000, 2_260_000_000, now=2.0)
        await until(pilot, lambda: "Downloading model: 226 MB of 2.26 GB, 113 MB/s, 18 s left" in shown(app))
        await pilot.press("x")
        assert job(engine, DownloadModel).control.stop_requested
        engine.end(job(engine, DownloadModel), status=JobStatus.STOPPED)
        await until(pilot, lambda: any("What has come is kept" in one for one in notices(app)))


async def test_any_repository_can_be_typed_and_a_refusal_is_a_sentence(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "models")
        await pilot.press("g")
        await until(pilot, lambda: isinstance(app.screen, DownloadDialog))
        field = app.screen.query_one(Input)
        await pilot.press("enter")
        await until(pilot, lambda: "Write it as owner/name" in shown(app))
        field.value = "gated/model"
        await pilot.press("enter")
        await until(pilot, lambda: "accept them on the model's page" in shown(app))
        await pilot.press("enter")
        assert isinstance(app.screen, DownloadDialog)  # a refused one is not downloaded
        field.value = "acme/new@v2"
        await pilot.press("enter")
        await until(pilot, lambda: "to download" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        wish = asked(engine, DownloadModel)[-1]
        assert (wish.name, wish.revision, wish.only_plan) == ("acme/new", "v2", False)
        engine.end(job(engine, DownloadModel), {**PLAN, "path": "/cache/new"})
        await until(pilot, lambda: any("Downloading acme/new: done. It is /cache/new" in one for one in notices(app)))


async def test_an_upload_is_shown_and_wants_a_typed_yes(
    drive: Drive, engine: FakeEngine, build: Callable[..., RunBuilder]
) -> None:
    run = finished(build())
    async with drive() as (app, pilot):
        await open_mode(pilot, "models", run=run)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, UploadDialog))
        assert "the adapter of" in shown(app)
        app.screen.query_one(Input).value = "ada/players"
        await pilot.press("down", "enter")
        await until(pilot, lambda: bool(asked(engine, UploadModel)))
        plan = asked(engine, UploadModel)[0]
        assert plan.only_plan and not plan.private and plan.what == str(run.folder.path)
        engine.end(job(engine, UploadModel), UPLOAD)
        await until(pilot, lambda: isinstance(app.screen, UploadConfirm))
        await until(pilot, lambda: "It is there already, public: everybody sees it" in shown(app))
        text = shown(app)
        assert "▲" in text and "will be replaced" in text and "adapters.safetensors" in text and "license: mit" in text
        await pilot.press("enter")
        await until(pilot, lambda: "until yes is typed" in shown(app))
        assert len(asked(engine, UploadModel)) == 1
        await pilot.press(*"yes", "enter")
        await until(pilot, lambda: len(asked(engine, UploadModel)) == 2)
        wish = asked(engine, UploadModel)[1]
        assert not wish.only_plan and wish.force and wish.repository == "ada/players"
        engine.end(job(engine, UploadModel), {**UPLOAD, "url": "https://hub/ada/players/commit/1"})
        await until(pilot, lambda: any("It is at https://hub/ada/players" in one for one in notices(app)))


async def test_a_models_code_is_allowed_only_by_its_typed_name(drive: Drive, engine: FakeEngine) -> None:
    problem = "the model brings code of its own; … add --trust-remote-code acme-model@0123456789abcdef"
    models = [listed(source="local", folder="/models/m")]

    def respond(handle: JobHandle) -> None:
        about_models(handle, inspected(facts(problems=[problem])), models)

    engine.answer = respond
    async with drive() as (app, pilot):
        await open_mode(pilot, "models")
        screen = app.screen
        assert isinstance(screen, ModelsScreen)
        await until(pilot, lambda: bool(screen.check_action("trust", ())))
        await pilot.press("o")
        await until(pilot, lambda: asked(engine, ReadCode) == [ReadCode("/models/m")])
        engine.end(job(engine, ReadCode), CODE)
        await until(pilot, lambda: isinstance(app.screen, TrustDialog))
        assert "read your files" in shown(app) and "own.py" in shown(app)
        await pilot.press(*"yes", "enter")
        await until(pilot, lambda: "Type acme-model" in shown(app))
        assert trust._allowed == set()
        app.screen.query_one(Input).value = "acme-model"
        await pilot.press("enter")
        await until(pilot, lambda: trust._allowed == {CODE.consent})
        await until(pilot, lambda: any("until the program ends" in one for one in notices(app)))


async def test_a_model_without_code_is_not_asked_about(drive: Drive) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "models", made=experiment())
        screen = app.screen
        assert isinstance(screen, ModelsScreen)
        await until(pilot, lambda: screen.details is not None)
        assert not screen.check_action("trust", ()) and not screen.check_action("upload", ())


# -- pictures ---------------------------------------------------------------------------------------------------------


async def dialog(pilot: Pilot[Any]) -> None:
    await pilot.press("end", "g")
    await until(pilot, lambda: "to download" in shown(pilot.app))


async def refused(pilot: Pilot[Any]) -> None:
    await pilot.press("g")
    await until(pilot, lambda: isinstance(pilot.app.screen, DownloadDialog))
    pilot.app.screen.query_one(Input).value = "gated/model"
    await pilot.press("enter")
    await until(pilot, lambda: "is gated" in shown(pilot.app))


async def code(pilot: Pilot[Any]) -> None:
    pilot.app.push_screen(TrustDialog(CODE, "/models/acme-model"))
    await until(pilot, lambda: "Run the code of acme-model?" in shown(pilot.app))


async def going(pilot: Pilot[Any]) -> None:
    await dialog(pilot)
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, ModelsScreen))
    app: Any = pilot.app
    wish = asked(app.engine, DownloadModel)[-1]
    wish.progress.moved("downloaded", 0, 2_260_000_000, now=0.0)
    wish.progress.moved("downloaded", 226_000_000, 2_260_000_000, now=2.0)
    await until(pilot, lambda: "113 MB/s" in shown(app))


async def upload(pilot: Pilot[Any]) -> None:
    pilot.app.push_screen(UploadConfirm(UPLOAD))
    await until(pilot, lambda: "Upload into ada/players?" in shown(pilot.app))


POSES: dict[str, Callable[[Pilot[Any]], Awaitable[None]]] = {
    "forecast": dialog, "refused": refused, "trust": code, "downloading": going, "upload": upload,
}  # fmt: skip


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="pictures are compared on Python 3.11 only")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pose", POSES)
def test_picture(
    place: Path, snap_compare: Callable[..., bool], engine: FakeEngine, size: tuple[int, int], pose: str
) -> None:
    async def prepare(pilot: Pilot[Any]) -> None:
        await open_mode(pilot, "models")
        await until(pilot, lambda: "phi3-tiny" in shown(pilot.app))
        await POSES[pose](pilot)
        # A dialog can be drawn before what lies under it.
        await until(pilot, lambda: "5 Benchmark" in shown(pilot.app))

    assert snap_compare(app_with(place, engine), terminal_size=size, run_before=prepare)
