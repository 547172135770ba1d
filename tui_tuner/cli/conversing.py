"""The command that lists, shows, searches and exports the conversations that were kept, and sums their votes up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui_tuner.cli import completing
from tui_tuner.cli.options import Debug, Force, Json, RunsDir, find
from tui_tuner.cli.output import Output, opened
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.chat.conversation import Exchange
    from tui_tuner.chat.library import ChatSummary
    from tui_tuner.chat.transcript import Kept


def chats(
    chat: Annotated[
        str | None,
        typer.Argument(
            help="Shows this one: its name, the beginning of it, a file, or `last`.",
            show_default=False,
            autocompletion=completing.chats,
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option("--run", help="Only this run's; `last` for the newest run.", autocompletion=completing.runs),
    ] = None,
    search: Annotated[str | None, typer.Option("--search", metavar="WORDS", help="Tells where words stand.")] = None,
    votes: Annotated[bool, typer.Option("--votes", help="Sums up which answers were found better.")] = False,
    export: Annotated[Path | None, typer.Option("--export", metavar="FILE.md", help="Writes one as Markdown.")] = None,
    force: Force = False,
    runs_dir: RunsDir = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Lists the conversations that were kept, the latest first; shows, searches, exports them, and sums votes up."""
    from tui_tuner.chat.library import find_chat, list_chats
    from tui_tuner.paths import runs_dir as runs_place

    with opened(json=json, debug=debug) as output:
        place = runs_place(runs_dir)
        there = list_chats(place, find(run, runs_dir) if run is not None else None)
        if sum((search is not None, votes, export is not None)) > 1:
            raise TunerError("--search, --votes and --export are three commands", code="usage", usage=True)
        if export is not None and chat is None:
            raise TunerError(
                "--export needs a conversation",
                code="usage",
                fix="name one, such as `tui-tuner chats last --export FILE.md`",
                usage=True,
            )
        chosen = [find_chat(chat, there)] if chat is not None else there
        if search is not None:
            return _search(search, chosen, output)
        if votes:
            return _votes(chosen, output)
        if chat is not None:
            return _show(chosen[0], export, force, output)
        if json:
            output.document([_document(each) for each in there])
        else:
            _list(there, place, output)
    return 0


def _list(there: list[ChatSummary], place: Path, output: Output) -> None:
    if not there:
        output.say(f"no conversations yet in {place}; `tui-tuner chat MODEL` begins one")
    width = max((len(each.run) for each in there), default=0)
    for each in there:
        questions = f"{each.exchanges} {'question' if each.exchanges == 1 else 'questions'}"
        told = ", ".join([questions, *([_count(len(each.ballots))] if each.ballots else [])])
        if each.problem:
            told = each.problem
        output.say(f"{each.name:<15}  {each.run.ljust(width)}  {each.title}  ({told})".rstrip())


def _count(votes: int) -> str:
    return f"{votes} {'vote' if votes == 1 else 'votes'}"


def _document(chat: ChatSummary) -> dict[str, Any]:
    keys = ("run", "title", "created", "changed", "model", "exchanges", "problem")
    found = {"name": chat.name, **{key: getattr(chat, key) for key in keys}}
    return {**found, "voices": list(chat.voices), "votes": len(chat.ballots), "path": str(chat.path)}


def _search(words: str, chosen: list[ChatSummary], output: Output) -> int:
    from tui_tuner.chat.library import search

    hits = search(words, chosen)
    if output.json:
        found = [
            {"name": hit.chat.name, "run": hit.chat.run, "exchange": hit.exchange, "excerpt": hit.excerpt}
            for hit in hits
        ]
        output.document(found)
        return 0
    none = True
    for hit in hits:
        none = False
        where = f"question {hit.exchange}" if hit.exchange else "title"
        output.say(f"{hit.chat.name}  {hit.chat.run or '-'}  {where}: {hit.excerpt}")
    if none:
        output.say(f"none of {len(chosen)} conversations holds that")
    return 0


def _votes(chosen: list[ChatSummary], output: Output) -> int:
    from tui_tuner.chat.library import votes_in

    pairs = votes_in(chosen)
    if output.json:
        output.document([pair.as_json() for pair in pairs])
        return 0
    for pair in pairs:
        for sentence in pair.sentences:
            output.say(sentence)
    if not pairs:
        output.say("no votes yet; in the chat, ask two voices side by side and say which is better")
    return 0


def _show(chat: ChatSummary, export: Path | None, force: bool, output: Output) -> int:
    from tui_tuner.atomic import write_atomic
    from tui_tuner.chat.export import as_markdown
    from tui_tuner.chat.transcript import read

    kept = read(chat.path)
    if export is not None:
        if export.exists() and not force:
            raise TunerError(
                "is there already",
                code="exists",
                where=str(export),
                fix="name another file, or add --force",
                usage=True,
            )
        write_atomic(export, as_markdown(kept, title=chat.title))
        if output.json:
            output.document({"name": chat.name, "run": chat.run, "file": str(export)})
        else:
            output.say(f"wrote {export}")
    elif output.json:
        output.document({**_document(chat), "at": kept.conversation.at, "conversation": _exchanges(kept)})
    else:
        output.say(as_markdown(kept, title=chat.title).rstrip())
    return 0


def _exchanges(kept: Kept) -> list[dict[str, Any]]:
    return [_exchange(exchange) for exchange in kept.conversation.exchanges.values()]


def _exchange(exchange: Exchange) -> dict[str, Any]:
    keys = ("number", "parent", "question", "system", "memory", "plain", "reference", "source", "vote", "blind")
    answers = [
        {
            "voice": answer.voice.label or answer.voice.name,
            "model": answer.voice.model,
            "adapter": answer.voice.adapter,
            "text": answer.text,
            "state": answer.state,
            "problem": answer.problem,
        }
        for answer in exchange.answers
    ]

    told = {key: getattr(exchange, key) for key in keys}
    return {**told, "asked": exchange.asked, "sampling": exchange.sampling.as_json(), "answers": answers}
