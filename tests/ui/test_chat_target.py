"""A chat that was opened with a model and an adapter by name, with no experiment and no run in sight."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import shown, until
from tests.ui.workshop import experiment, with_adapter, with_config
from tui_tuner.chat.sampling import Sampling
from tui_tuner.engine.requests import ChatTurn
from tui_tuner.ui.state import ChatTarget


def asked(engine: FakeEngine) -> list[tuple[str, Path | None]]:
    requests = [handle.request for handle in engine.handles()]
    return [(request.voice.model, request.voice.adapter) for request in requests if isinstance(request, ChatTurn)]


async def test_it_opens_on_the_chat_and_asks_whom_it_was_told(drive: Drive, engine: FakeEngine) -> None:
    target = ChatTarget("/models/phi", Path("/runs/x/adapters"))
    async with drive(chat=target) as (app, pilot):
        await until(pilot, lambda: app.current_mode == "chat" and "/models/phi" in shown(app), "the chat")
        assert "/runs/x/adapters" in shown(app)
        assert "memory: on" in shown(app)
        await pilot.press(*"Hi", "enter")
        assert asked(engine) == [("/models/phi", Path("/runs/x/adapters"))]
        assert app.state.experiment is None


async def test_a_model_alone_has_no_adapter_to_switch_to(drive: Drive, engine: FakeEngine) -> None:
    async with drive(chat=ChatTarget("owner/name")) as (app, pilot):
        await until(pilot, lambda: "owner/name" in shown(app), "the chat")
        app.screen.action_do("voice")  # type: ignore[attr-defined]
        await until(pilot, lambda: "a model alone" in shown(app), "the sentence")
        await pilot.press(*"Hi", "enter")
        assert asked(engine) == [("owner/name", None)]


async def test_it_asks_in_the_way_that_was_wanted(drive: Drive, engine: FakeEngine) -> None:
    target = ChatTarget("/models/phi", system="Be short.", sampling=Sampling(max_tokens=7, temperature=0.5, seed=3))
    async with drive(chat=target) as (app, pilot):
        await until(
            pilot,
            lambda: "system message · temperature 0.5 · seed 3 · at most 7 tokens · memory: on" in shown(app),
            "the manner",
        )
        await pilot.press(*"Hi", "enter")
        (request,) = [handle.request for handle in engine.handles()]
        assert (request.sampling.max_tokens, request.sampling.temperature, request.sampling.seed) == (7, 0.5, 3)
        assert request.messages == [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi"}]


async def test_a_run_that_is_chosen_takes_its_place(
    drive: Drive, engine: FakeEngine, build: Callable[..., RunBuilder]
) -> None:
    run = with_adapter(with_config(build(), experiment()))
    async with drive(chat=ChatTarget("/models/phi")) as (app, pilot):
        await until(pilot, lambda: "/models/phi" in shown(app), "the chat")
        app.select_run(run.folder)
        await until(pilot, lambda: "/models/phi" not in shown(app) and run.folder.name in shown(app), "the run's chat")
        assert app.state.chat is None
