"""The conversations that were kept: of all runs and of none, listed, searched, found by name, renamed and deleted.

Like the list of runs it must come up whatever lies in the folders: a file that is no transcript is told as such, and
one that may not be read is, too. It reads a file again only when that has changed, and never writes but to rename or
delete.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tui_tuner.atomic import write_failure
from tui_tuner.chat.conversation import Exchange
from tui_tuner.chat.scribe import hold
from tui_tuner.chat.transcript import Kept, Transcript, read
from tui_tuner.chat.votes import Ballot, PairVotes, ballots_of, summed
from tui_tuner.errors import TunerError
from tui_tuner.paths import chats_dir
from tui_tuner.runs.folder import RunFolder

LAST = "last"
"""What stands for the conversation that went on last, wherever one is asked for."""
_TITLE = 80
_AROUND = 40
_KEEP_IN_MIND = 1000


@dataclass(frozen=True)
class ChatSummary:
    """One conversation in a line.

    Attributes:
        path: its file.
        run: the name of the run that it belongs to; empty for none.
        title: as a person called it, else its first question in one line.
        named: whether a person called it so.
        created, changed: seconds since the epoch of its first and last line.
        model: what was talked to.
        voices: who answered, by label, in the order in which they came in.
        exchanges: how many questions were asked, on all branches.
        ballots: the votes that were given.
        problem: what is wrong with the file, in a clause; empty when nothing is.
    """

    path: Path
    run: str = ""
    title: str = ""
    named: bool = False
    created: float = 0.0
    changed: float = 0.0
    model: str = ""
    voices: tuple[str, ...] = ()
    exchanges: int = 0
    ballots: tuple[Ballot, ...] = ()
    problem: str = ""

    @property
    def name(self) -> str:
        """What commands call it: the file's name without its ending."""
        return self.path.stem


@dataclass(frozen=True)
class Hit:
    """Where words were found.

    Attributes:
        chat: the conversation.
        exchange: its number; 0 for the title.
        excerpt: the words and what stands around them, in one line.
        at: where the first word begins in the excerpt.
        length: how long it is.
    """

    chat: ChatSummary
    exchange: int
    excerpt: str
    at: int
    length: int


def chat_folders(runs_dir: Path, run: RunFolder | None = None) -> list[tuple[str, Path]]:
    """The folders in which conversations are kept, each with its run's name.

    Args:
        runs_dir: where runs live.
        run: only this one's.
    """
    if run is not None:
        return [(run.name, run.chats)]
    try:
        entries = sorted(entry for entry in runs_dir.iterdir() if not entry.name.startswith("."))
    except OSError:
        entries = []
    own = chats_dir(runs_dir)
    return [("", own), *((entry.name, entry / "chats") for entry in entries if entry != own)]


def list_chats(runs_dir: Path, run: RunFolder | None = None) -> list[ChatSummary]:
    """The conversations of all runs and of none, or of one run; what went on last comes first."""
    found = []
    for name, folder in chat_folders(Path(runs_dir).absolute(), run):
        try:
            paths = [path for path in folder.iterdir() if path.suffix == ".jsonl" and not path.name.startswith(".")]
        except OSError:
            continue
        found += [summarise(path, name) for path in paths]
    return sorted(found, key=lambda chat: (chat.changed, chat.path), reverse=True)


def summarise(path: Path, run: str = "") -> ChatSummary:
    """One conversation in a line; a file that has not changed is not read again."""
    try:
        status = path.stat()
        signature = (status.st_mtime_ns, status.st_size, status.st_ino)
        with _lock:
            known = _known.get((path, run))
        if known is not None and known[0] == signature:
            return known[1]
        summary = _summary(read(path), run)
    except OSError as error:
        return ChatSummary(path, run, path.stem, problem=f"cannot be read ({error.strerror})")
    except TunerError as error:
        return ChatSummary(path, run, path.stem, problem=error.message)
    with _lock:
        if len(_known) >= _KEEP_IN_MIND:
            _known.clear()
        _known[path, run] = signature, summary
    return summary


_known: dict[tuple[Path, str], tuple[tuple[int, int, int], ChatSummary]] = {}
_lock = threading.Lock()


def _summary(kept: Kept, run: str) -> ChatSummary:
    exchanges = kept.conversation.exchanges
    voices = [answer.voice for exchange in exchanges.values() for answer in exchange.answers]
    return ChatSummary(
        path=kept.path,
        run=run,
        title=title_of(kept),
        named=bool(kept.title),
        created=kept.created,
        changed=kept.changed,
        model=kept.model,
        voices=tuple(dict.fromkeys(voice.label or voice.name for voice in voices)),
        exchanges=len(exchanges),
        ballots=tuple(ballots_of(kept.conversation)),
        problem=kept.problem,
    )


def title_of(kept: Kept) -> str:
    """What a conversation is called: its title, else its first question in one line, else its file's name."""
    if kept.title:
        return kept.title
    first = next(iter(kept.conversation.exchanges.values()), None)
    line = " ".join(first.question[: 10 * _TITLE].split()) if first is not None else ""
    return (line if len(line) <= _TITLE else line[: _TITLE - 1] + "…") or kept.path.stem


def find_chat(name_or_path: str | Path, chats: Sequence[ChatSummary]) -> ChatSummary:
    """The conversation that a person means.

    Args:
        name_or_path: its name, the beginning of one that no other shares, "last", or a file.
        chats: those to choose from, as `list_chats` gives them.

    Raises:
        TunerError: `no-such-chat`; the caller's to mend (`usage`).
    """
    text = str(name_or_path).strip()
    if text == LAST and chats:
        return chats[0]
    fitting = [chat for chat in chats if chat.name == text] or [chat for chat in chats if chat.name.startswith(text)]
    if text and len(fitting) == 1:
        return fitting[0]
    if text and fitting:
        runs = ", ".join(f"{chat.name} of {chat.run or 'no run'}" for chat in fitting[:3])
        raise TunerError(
            f"{len(fitting)} conversations begin with “{text}”: {runs}{' …' if len(fitting) > 3 else ''}",
            code="no-such-chat",
            fix="give more of the name, or the run with --run",
            usage=True,
        )
    if isinstance(name_or_path, Path) or text.endswith(".jsonl") or "/" in text:
        path = Path(text).expanduser().absolute()
        if path.is_file():
            return summarise(path, path.parent.parent.name if path.parent.name == "chats" else "")
    raise TunerError(
        f"there is no conversation “{text}”", code="no-such-chat", fix="list them with `tui-tuner chats`", usage=True
    )


def search(query: str, chats: Sequence[ChatSummary]) -> Iterator[Hit]:
    """Where words stand in conversations: each exchange, or title, that holds all of them, in any case.

    It goes through the files one by one, so that hits can be shown as they are found; a file that cannot be read is
    passed over. Without words nothing is found.
    """
    words = [re.compile(re.escape(word), re.IGNORECASE) for word in query.split()]
    if not words:
        return
    for chat in chats:
        if (found := _excerpt([chat.title] if chat.named else [], words)) is not None:
            yield Hit(chat, 0, *found)
        try:
            kept = read(chat.path)
        except TunerError:
            continue
        for exchange in kept.conversation.exchanges.values():
            if (found := _excerpt(_texts(exchange), words)) is not None:
                yield Hit(chat, exchange.number, *found)


def _texts(exchange: Exchange) -> list[str]:
    return [exchange.question, *(answer.text for answer in exchange.answers), exchange.reference, exchange.system]


def _excerpt(texts: Sequence[str], words: Sequence[re.Pattern[str]]) -> tuple[str, int, int] | None:
    """The place of the first word, where texts together hold all words."""
    places = [next(((text, found) for text in texts if (found := word.search(text))), None) for word in words]
    if not places or any(place is None for place in places) or places[0] is None:
        return None
    text, found = places[0]
    start = max(0, found.start() - _AROUND)
    before = text[start : found.start()].replace("\n", " ").lstrip()
    after = text[found.end() : found.end() + 2 * _AROUND].replace("\n", " ").rstrip()
    lead = f"{'…' if start else ''}{before}"
    tail = f"{after}{'…' if found.end() + 2 * _AROUND < len(text) else ''}"
    return f"{lead}{found.group()}{tail}", len(lead), len(found.group())


def votes_in(chats: Sequence[ChatSummary]) -> list[PairVotes]:
    """The votes of all these conversations, summed up for each pair of voices."""
    return summed(ballot for chat in sorted(chats, key=lambda chat: chat.created) for ballot in chat.ballots)


def rename(path: Path, title: str) -> None:
    """Gives a conversation a name; an empty one takes it back.

    Raises:
        TunerError: it is going on (`transcript-busy`; its own `Transcript.titled` names it), or cannot be written.
    """
    transcript = Transcript.resume(read(path))
    transcript.titled(title)
    if not transcript.close(30):
        raise TunerError(
            transcript.problem or "could not be written in time", code="write-failed", where=path.name, fix="try again"
        )


def delete(path: Path) -> None:
    """Deletes a conversation for good; who calls it has asked.

    Raises:
        TunerError: it is going on (`transcript-busy`), or may not be deleted.
    """
    held = hold(path)
    try:
        path.unlink()
        path.with_suffix(".torn").unlink(missing_ok=True)
    except OSError as error:
        raise write_failure(error, path) from error
    finally:
        os.close(held)
