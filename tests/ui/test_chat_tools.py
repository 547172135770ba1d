"""The chat's tools: columns, sampling, system message, rows, votes, a look inside, transcripts, and what is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from textual.widgets import Input, Static

from tests.ui.conftest import Drive
from tests.ui.fakes import FakeEngine, RunBuilder
from tests.ui.looking import shown, until
from tests.ui.test_chat_screen import field, turns
from tests.ui.test_chat_talk import answering, said
from tests.ui.workshop import (
    HOSTILE,
    SAFE,
    experiment,
    finished,
    open_mode,
    preview,
    preview_of,
    with_adapter,
    with_config,
)
from tui_tuner.chat.library import list_chats
from tui_tuner.chat.transcript import read
from tui_tuner.engine.protocol import JobHandle, JobStatus
from tui_tuner.engine.requests import ChatTogether, LookInside, PreviewData, RunExperiment
from tui_tuner.engine.results import Inside, PreviewRow
from tui_tuner.paths import chats_dir
from tui_tuner.settings import load_settings
from tui_tuner.ui.columnsdialog import ColumnsDialog
from tui_tuner.ui.samplingdialog import SamplingDialog
from tui_tuner.ui.transcriptsdialog import TranscriptsDialog

Build = Callable[..., RunBuilder]


def with_checkpoints(run: RunBuilder) -> RunBuilder:
    for name in ("0000060_adapters", "0000120_adapters", "best_adapters"):
        (run.folder.adapters / f"{name}.safetensors").write_bytes(b"")
    return run


def asked_of(engine: FakeEngine) -> list[str]:
    """Whom the turns went to, by the name of the weights' file or folder."""
    return [handle.request.voice.adapter.name if handle.request.voice.adapter else "-" for handle in turns(engine)]


# -- who answers, and how -------------------------------------------------------------------------------------------


async def test_columns_are_marked_in_a_list_and_asked_in_their_order(drive: Drive, build: Build) -> None:
    engine = FakeEngine(answering)
    run = with_checkpoints(finished(build()))
    async with drive(engine=engine) as (app, pilot):
        await open_mode(pilot, "chat", run=run)
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, ColumnsDialog) and f"{run.folder.name}:best" in shown(app))
        await pilot.press(*"best", "tab", "ctrl+u")
        await until(pilot, lambda: "A " in shown(app))
        await pilot.press(*"base", "tab", "enter")
        await until(pilot, lambda: not isinstance(app.screen, ColumnsDialog))
        await said(pilot, "one")
        assert asked_of(engine) == ["best_adapters.safetensors", "-"]
        await pilot.press(*"/adapter 60, 120", "enter")
        await said(pilot, "two")
        assert asked_of(engine)[2:] == ["0000060_adapters.safetensors", "0000120_adapters.safetensors"]
        await pilot.press(*"/adapter 61", "enter")
        await until(pilot, lambda: "61" in shown(app) and "▲" in shown(app))
        await pilot.press("ctrl+t", "x", "enter")
        assert asked_of(engine)[4:] == ["adapters"]


async def test_what_stands_in_no_list_is_looked_up_and_said_to_be_missing(drive: Drive, build: Build) -> None:
    run = finished(build())
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", run=run)
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, ColumnsDialog))
        await pilot.press(*"owner/other", "enter")
        await until(pilot, lambda: not isinstance(app.screen, ColumnsDialog) and "owner/other" in shown(app))
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, ColumnsDialog))
        await pilot.press(*"nowhere at all", "enter")
        await until(pilot, lambda: "✗" in shown(app))
        assert isinstance(app.screen, ColumnsDialog)


async def test_another_run_takes_the_place_of_chosen_columns(drive: Drive, build: Build) -> None:
    first = with_checkpoints(finished(build()))
    second = with_adapter(with_config(build("other", stamp="20251010-085320"), experiment()))
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", run=first)
        await pilot.press(*"/adapter base best", "enter")
        await until(pilot, lambda: "A " in shown(app) and "● adapter" not in shown(app).splitlines()[2])
        app.select_run(second.folder)
        await until(pilot, lambda: "● adapter" in shown(app).splitlines()[2])


async def test_sampling_is_a_dialog_a_set_and_a_command(drive: Drive) -> None:
    async with drive(size=(80, 24)) as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        screen = app.screen
        await pilot.press("f4")
        await until(pilot, lambda: isinstance(app.screen, SamplingDialog) and "lively" in shown(app))
        app.screen.query_one("#sampling-top_k", Input).value = "-3"
        await until(pilot, lambda: "top_k must be a whole number" in shown(app))
        app.screen.query_one("#sampling-top_k", Input).value = "40"
        app.screen.query_one("#sampling-stop", Input).value = "END|\\n\\n"
        app.screen.query_one("#sampling-temperature", Input).focus()
        await pilot.press("end", "backspace", *"0.5", "enter")
        await until(pilot, lambda: app.screen is screen and "temperature 0.5" in shown(app))
        sampling = screen.sampling  # type: ignore[attr-defined]
        assert (sampling.top_k, sampling.stop) == (40, ("END", "\n\n"))
        await pilot.press(*"/set balanced", "enter")
        await until(pilot, lambda: "temperature 0.7" in shown(app))
        assert screen.sampling.stop == ("END", "\n\n")  # type: ignore[attr-defined]
        await pilot.press(*"/set temprature 2", "enter")
        await until(pilot, lambda: "did you mean temperature?" in shown(app))
        await pilot.press("ctrl+u", *"/set seed 7", "enter", *"hi", "enter")
        await until(pilot, lambda: screen.session.exchanges)  # type: ignore[attr-defined]
        assert screen.session.exchanges[0].sampling.seed == 7  # type: ignore[attr-defined]


async def test_settings_are_kept_as_a_set_with_a_name(drive: Drive) -> None:
    async with drive(size=(100, 30)) as (app, pilot):
        app.settings = load_settings()
        await open_mode(pilot, "chat", made=experiment())
        screen = app.screen
        await pilot.press(*"/set temperature 0.9", "enter", *"/set save wild", "enter")
        await until(pilot, lambda: "Kept: /set wild" in shown(app))
        assert load_settings().sampling == {"wild": {"temperature": 0.9}}
        await pilot.press(*"/set greedy", "enter", *"/set WILD", "enter")
        await until(pilot, lambda: screen.sampling.temperature == 0.9)  # type: ignore[attr-defined]
        await pilot.press("f4")
        await until(pilot, lambda: isinstance(app.screen, SamplingDialog) and "wild" in shown(app))
        await pilot.press("up", "escape")
        app.settings.sampling = {"wild": {"temperature": 99.0}}  # as one may write it into the file
        await pilot.press("f4")
        await until(pilot, lambda: "must be a number from 0 to 5" in shown(app))
        await pilot.press("end", "enter")
        await until(pilot, lambda: "✗" in str(app.screen.query_one("#sampling-said", Static).content))
        await pilot.press("escape", *"/set drop wild", "enter")
        await until(pilot, lambda: "The set wild is gone" in shown(app))
        assert load_settings().sampling == {}
        await pilot.press(*"/set save greedy", "enter")
        await until(pilot, lambda: "taken already" in shown(app))


async def test_a_system_message_goes_before_and_can_be_taken_away(drive: Drive, engine: FakeEngine) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", made=experiment(data_system="Be a reporter."))
        await pilot.press("a", "enter")
        assert turns(engine)[0].request.messages[0] == {"role": "system", "content": "Be a reporter."}
        engine.end(turns(engine)[0], None)
        await until(pilot, lambda: not app.screen.session.busy)  # type: ignore[attr-defined]
        await pilot.press(*"/system Be short.", "enter", "b", "enter")
        assert turns(engine)[1].request.messages[0]["content"] == "Be short."
        engine.end(turns(engine)[1], None)
        await until(pilot, lambda: not app.screen.session.busy)  # type: ignore[attr-defined]
        await pilot.press(*"/system none", "enter", "c", "enter")
        assert [message["role"] for message in turns(engine)[2].request.messages] == ["user"]


async def test_plain_and_together_are_sent_and_said(drive: Drive, engine: FakeEngine, build: Build) -> None:
    async with drive() as (app, pilot):
        await open_mode(pilot, "chat", run=finished(build()))
        await pilot.press(*"/plain", "enter", *"/together", "enter", "ctrl+o", "a", "enter")
        (request,) = [each for each in engine.submitted if isinstance(each, ChatTogether)]
        assert [turn.plain for turn in request.turns] == [True, True]
        await until(pilot, lambda: "plain completion" in shown(app) and "together" in shown(app))


# -- rows -----------------------------------------------------------------------------------------------------------


async def test_a_row_is_asked_with_its_reference_beside(drive: Drive) -> None:
    row = PreviewRow(3, "test", {"messages": [
        {"role": "system", "content": "Report."}, {"role": "user", "content": f"Who? {HOSTILE}"},
        {"role": "assistant", "content": "Nora did."}]}, "", [], 0, 0)  # fmt: skip

    def answer(handle: JobHandle) -> None:
        answering(handle)
        if isinstance(handle.request, PreviewData):
            handle.result = preview_of(handle.request, preview(rows=[row], counts={"train": 9, "test": 5}))
            handle.status = JobStatus.DONE

    engine = FakeEngine(answer)
    async with drive(engine=engine) as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await pilot.press(*"/row test 3", "enter")
        await until(pilot, lambda: field(app).text == f"Who? {HOSTILE}")
        assert f"Who? {SAFE}"[:20] in shown(app)
        await said(pilot, "")
        exchange = app.screen.session.exchange()  # type: ignore[attr-defined]
        assert (exchange.reference, exchange.source, exchange.system) == ("Nora did.", "test 3", "Report.")
        await until(pilot, lambda: "row test 3" in shown(app))
        await pilot.press(*"/row test 12", "enter")
        await until(pilot, lambda: "There is no row 12: test has rows 0 to 4;" in shown(app))
        await pilot.press(*"/row", "enter")
        await until(pilot, lambda: "A row of the data set" in shown(app) and "test 3" in shown(app))


# -- judging --------------------------------------------------------------------------------------------------------


async def test_a_vote_is_kept_and_summed_up_with_its_interval(drive: Drive, build: Build, runs_dir: Path) -> None:
    engine = FakeEngine(answering)
    run = finished(build())
    async with drive(engine=engine) as (app, pilot):
        await open_mode(pilot, "chat", run=run)
        await pilot.press("ctrl+o")
        await said(pilot, "one")
        await pilot.press(*"/vote b", "enter")
        await until(pilot, lambda: "won 1 of 1 votes against base" in " ".join(shown(app).split()))
        await pilot.press("f8")
        await until(pilot, lambda: "None of them is better" in shown(app))
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: "1 draw in as many votes" in " ".join(shown(app).split()))
        app.screen.session.flush()  # type: ignore[attr-defined]
        (chat,) = list_chats(runs_dir, run.folder)
        assert [(ballot.vote, ballot.blind) for ballot in chat.ballots] == [(-1, False)]
        await pilot.press(*"/votes", "enter")
        await until(pilot, lambda: "Votes" in shown(app) and "adapter" in shown(app))
        await pilot.press("escape", *"/vote x", "enter")
        await until(pilot, lambda: "There is no answer x; the answers are A, B." in shown(app))


async def test_blind_hides_who_it_is_until_the_vote(drive: Drive, build: Build) -> None:
    engine = FakeEngine(answering)
    run = finished(build())
    async with drive(engine=engine) as (app, pilot):
        await open_mode(pilot, "chat", run=run)
        await pilot.press("ctrl+o", *"/blind", "enter")
        await said(pilot, "one")
        log = app.screen.query_one("#chat-log")
        top, bottom = log.region.y, log.region.bottom

        def body() -> str:
            return "\n".join(shown(app).splitlines()[top:bottom])

        await until(pilot, lambda: "answer" in body() and "○ base" not in body() and "● adapter" not in body())
        await pilot.press(*"/vote A", "enter")
        await until(pilot, lambda: "base" in body() and "adapter" in body())
        assert app.screen.session.exchange().blind  # type: ignore[attr-defined]


async def test_a_look_inside_asks_for_answer_and_reference_once(drive: Drive) -> None:
    engine = FakeEngine(answering)
    async with drive(engine=engine) as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await said(pilot, "one")
        app.screen.session.exchange().reference = "right"  # type: ignore[attr-defined]
        await pilot.press("f9")
        looks = [handle for handle in engine.handles() if isinstance(handle.request, LookInside)]
        assert [look.request.text for look in looks] == ["answer 1", "right"]
        assert looks[0].request.messages == [{"role": "user", "content": "one"}]
        for look in looks:
            engine.end(look, Inside(["answer", " 1"], [0.1, 2.0], [[("answer", 0.9)], [(" 2", 0.6)]], [0, 1]))
        screen = app.screen
        await until(pilot, lambda: len(screen.view_of_log.inside) == len(screen.view_of_log.references) == 1)  # type: ignore[attr-defined]
        await pilot.press("f9")
        assert screen.view_of_log.inside == {}  # type: ignore[attr-defined]
        assert len([each for each in engine.submitted if isinstance(each, LookInside)]) == 2


# -- keeping --------------------------------------------------------------------------------------------------------


async def test_an_exchange_becomes_a_row_a_probe_and_a_behaviour_test(drive: Drive, runs_dir: Path) -> None:
    engine = FakeEngine(answering)
    async with drive(engine=engine) as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await said(pilot, "Which one?")
        await pilot.press("escape", "k")
        rows = chats_dir(runs_dir) / "rows" / "chat.jsonl"
        await until(pilot, lambda: rows.is_file())
        assert json.loads(rows.read_text())["messages"][1]["content"] == "answer 1"
        await pilot.press("k")
        await until(pilot, lambda: "already" in shown(app))
        await pilot.press("g")
        await until(pilot, lambda: app.state.experiment.probes.prompts[-1] == "Which one?")  # type: ignore[union-attr]
        await pilot.press("b")
        await until(pilot, lambda: len(app.state.experiment.behaviour.cases) == 1)  # type: ignore[union-attr]
        (case,) = app.state.experiment.behaviour.cases  # type: ignore[union-attr]
        assert case.prompt == "Which one?" and case.must == ["answer 1"] and app.state.edited


async def test_a_reference_or_a_mended_answer_is_kept_instead(drive: Drive, runs_dir: Path) -> None:
    engine = FakeEngine(answering)
    async with drive(engine=engine) as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await said(pilot, "Which one?")
        await pilot.press(*"/keep reference", "enter")
        await until(pilot, lambda: "The exchange has no reference" in shown(app))
        app.screen.session.exchange().reference = "The blue one."  # type: ignore[attr-defined]
        rows = runs_dir / "mine.jsonl"
        field(app).put(f"/keep reference {rows}")
        await pilot.press("enter")
        await until(pilot, rows.is_file)
        await pilot.press(*"/mend", "enter")
        await until(pilot, lambda: "Mend the answer" in shown(app))
        await pilot.press("!", "ctrl+s")
        mended = chats_dir(runs_dir) / "rows" / "chat.jsonl"
        await until(pilot, mended.is_file)
        kept = [json.loads(path.read_text())["messages"][-1]["content"] for path in (rows, mended)]
        assert kept == ["The blue one.", "answer 1!"]
        assert app.screen.session.exchange().answers[0].text == "answer 1"  # type: ignore[attr-defined]


async def test_a_probe_goes_to_the_run_that_is_going(drive: Drive, build: Build) -> None:
    engine = FakeEngine(answering)
    run = with_config(build().prepared().train(1, 40))
    async with drive(engine=engine) as (app, pilot):
        job = engine.submit(RunExperiment(run.folder.path))
        await open_mode(pilot, "chat", run=run)
        await said(pilot, "Which one?")
        await pilot.press(*"/probe", "enter")
        await until(pilot, lambda: "asks it from its next validation on" in shown(app))
        assert job.control.take_requests() == [("probe", "Which one?")]


async def test_transcripts_are_listed_searched_reopened_exported_and_deleted(drive: Drive, runs_dir: Path) -> None:
    engine = FakeEngine(answering)
    async with drive(engine=engine, size=(80, 24)) as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        screen = app.screen
        await said(pilot, "apples", "pears")
        await pilot.press(*"/title Fruit", "enter", "ctrl+l")
        await said(pilot, "plums")
        first, second = sorted(list_chats(runs_dir), key=lambda chat: chat.title)
        await pilot.press("f10")
        await until(pilot, lambda: isinstance(app.screen, TranscriptsDialog) and "Fruit" in shown(app))
        await pilot.press(*"pear")
        await until(pilot, lambda: "1 found" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is screen and "pears" in shown(app) and "apples" in shown(app))
        assert screen.session.title == "Fruit"  # type: ignore[attr-defined]
        await said(pilot, "figs")
        await pilot.press(*"/save", "enter")
        await until(pilot, lambda: first.path.with_suffix(".md").is_file())
        text = first.path.with_suffix(".md").read_text()
        assert text.startswith("# Fruit") and "figs" in text
        assert [each.question for each in read(first.path).conversation.path()] == ["apples", "pears", "figs"]
        await pilot.press(*"/find plums", "enter")
        await until(pilot, lambda: isinstance(app.screen, TranscriptsDialog) and "1 found" in shown(app))
        await pilot.press("ctrl+x")
        await until(pilot, lambda: "Delete it for good" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: not second.path.exists())


async def test_a_disk_that_cannot_be_written_is_said_and_the_chat_goes_on(drive: Drive, runs_dir: Path) -> None:
    engine = FakeEngine(answering)
    chats_dir(runs_dir).write_text("a file in the way")
    async with drive(engine=engine) as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        await said(pilot, "one")
        session = app.screen.session  # type: ignore[attr-defined]
        await until(pilot, lambda: session.problem, "the trouble")
        await said(pilot, "two")
        await until(pilot, lambda: "is not being written at present" in " ".join(shown(app).split()))
        chats_dir(runs_dir).unlink()
        await until(pilot, lambda: not session.problem and session.path is not None, "it is written later")
        assert [each.question for each in read(session.path).conversation.path()] == ["one", "two"]


async def test_a_hostile_title_and_question_are_text_in_the_list(drive: Drive) -> None:
    engine = FakeEngine(answering)
    async with drive(engine=engine) as (app, pilot):
        await open_mode(pilot, "chat", made=experiment())
        field(app).put(HOSTILE)
        await said(pilot, "")
        await pilot.press("f10")
        await until(
            pilot, lambda: isinstance(app.screen, TranscriptsDialog) and "no[/] markup ␛[31m ‹rlo›abc" in shown(app)
        )
