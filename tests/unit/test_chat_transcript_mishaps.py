"""Whatever befalls the file of a conversation: what was said is kept, and comes back."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.transcripts import BASE, answered, asking, lead, plain, run, talk, until
from tui_tuner.chat import scribe as scribing
from tui_tuner.chat.conversation import Answer, AnswerState, Conversation, Exchange
from tui_tuner.chat.transcript import Kept, Transcript, read
from tui_tuner.chat.voices import Voice
from tui_tuner.errors import TunerError

__all__ = ["run", "talk"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    folder = tmp_path_factory.mktemp("runs") / "run" / "chats"
    folder.mkdir(parents=True)
    transcript = Transcript.create(folder)
    lead(transcript, Conversation(), Voice("m", folder.parent / "adapters"))
    assert transcript.close() and transcript.path is not None
    return transcript.path, transcript.path.read_bytes()


def texts(kept: Kept) -> dict[tuple[int, int], str]:
    return {
        (number, column): answer.text
        for number, exchange in kept.conversation.exchanges.items()
        for column, answer in enumerate(exchange.answers)
    }


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_transcript_cut_anywhere_is_a_beginning(whole: tuple[Path, bytes], data: Any) -> None:
    path, raw = whole
    cut = path.with_name("cut.jsonl")
    size = data.draw(st.integers(0, len(raw)))
    cut.write_bytes(raw[:size])
    kept, full = read(cut), read(path)
    assert kept.skipped == 0
    assert list(kept.conversation.exchanges) == list(full.conversation.exchanges)[: len(kept.conversation.exchanges)]
    for place, text in texts(kept).items():
        assert texts(full)[place].startswith(text)
    again = Transcript.resume(kept)  # mends the line that is torn
    again.titled("mended")
    assert again.close()
    mended = read(cut)
    assert (mended.skipped, mended.torn, mended.title) == (0, False, "mended")
    assert plain(mended.conversation) == plain(kept.conversation)
    assert set(raw[:size].split(b"\n")) <= {*cut.read_bytes().split(b"\n"), *_aside(cut)}


def _aside(path: Path) -> list[bytes]:
    aside = path.with_suffix(".torn")
    found = aside.read_bytes().split(b"\n") if aside.exists() else []
    aside.unlink(missing_ok=True)
    return found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_no_line_makes_reading_fail(whole: tuple[Path, bytes], data: Any) -> None:
    path, raw = whole
    found = [json.loads(line) for line in raw.splitlines()]
    for _ in range(data.draw(st.integers(1, 4))):
        line = data.draw(st.sampled_from(found))
        if isinstance(line, dict) and line:
            line[data.draw(st.sampled_from(sorted(line)))] = data.draw(JSON)
        found.insert(data.draw(st.integers(0, len(found))), data.draw(JSON | st.sampled_from(found)))
    odd = path.with_name("odd.jsonl")
    odd.write_text("\n".join(json.dumps(line) for line in found) + "\n")
    kept = read(odd)
    for exchange in kept.conversation.exchanges.values():
        assert exchange.ended
        assert isinstance(exchange.sampling.temperature, float)
    kept.conversation.path()


def test_foreign_lines_are_counted_and_the_rest_is_shown(whole: tuple[Path, bytes]) -> None:
    path, raw = whole
    odd = path.with_name("foreign.jsonl")
    odd.write_bytes(b'hello\n{"a":1}\n\n{"t":1,"type":"of later","x":1}\n' + raw + b"\xff\xfe\n")
    kept = read(odd)
    assert (kept.skipped, kept.problem) == (3, "3 lines of it could not be read")
    assert texts(kept) == texts(read(path))
    odd.write_bytes(b"not json\n")
    assert read(odd).problem == "is no transcript"
    with pytest.raises(TunerError) as caught:
        read(path.with_name("nothing.jsonl"))
    assert caught.value.code == "not-found"


def test_a_megabyte_without_a_break_is_kept(talk: tuple[Transcript, Conversation]) -> None:
    transcript, _ = talk
    exchange = Exchange(1, 0, "x" * 1_000_000, [Answer(BASE)])
    transcript.asked(exchange)
    for _ in range(100):
        exchange.answers[0].text += "y" * 10_000
        transcript.said(exchange)
    assert transcript.flush(60) and transcript.path is not None
    kept = read(transcript.path).conversation.exchanges[1]
    assert (kept.question, kept.answers[0].text) == (exchange.question, exchange.answers[0].text)


def test_a_full_disk_is_told_and_made_up_for(
    talk: tuple[Transcript, Conversation], monkeypatch: pytest.MonkeyPatch
) -> None:
    transcript, conversation = talk
    real, full = os.write, [False]

    def write(descriptor: int, data: Any) -> int:
        if full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(scribing, "RETRY", 0.01)
    first = answered(conversation.add(asking(1, 0, "Hi", [Answer(BASE)])), "Hello.")
    transcript.asked(first)
    assert transcript.flush()
    full[0] = True
    transcript.asked(answered(conversation.add(asking(2, 1, "And?", [Answer(BASE)])), "No."))
    until(lambda: transcript.problem)
    assert "no space left on the disk" in transcript.problem
    assert transcript.problem.endswith("what is missing is kept.")
    full[0] = False
    until(lambda: not transcript.problem)
    assert transcript.flush() and transcript.path is not None
    assert plain(read(transcript.path).conversation) == plain(conversation)


def test_a_folder_that_went_away_is_told_and_not_made_again(
    talk: tuple[Transcript, Conversation], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transcript, conversation = talk
    monkeypatch.setattr(scribing, "RETRY", 0.01)
    transcript.asked(answered(conversation.add(asking(1, 0, "Hi", [Answer(BASE)])), "Hello."))
    assert transcript.flush()
    away = run.rename(run.with_name("away"))
    transcript.asked(answered(conversation.add(asking(2, 1, "And?", [Answer(BASE)])), "No."))
    until(lambda: transcript.problem)
    assert "missing" in transcript.problem and not run.exists()
    run.mkdir()  # it is back, and empty: all is written anew
    until(lambda: not transcript.problem)
    assert transcript.flush() and transcript.path is not None
    assert plain(read(transcript.path).conversation) == plain(conversation)
    assert read(away / "chats" / transcript.path.name).conversation.exchanges.keys() == {1}


def test_the_end_does_not_wait_for_a_full_disk(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(descriptor: int, data: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", write)
    transcript = Transcript.create(run / "chats")
    transcript.asked(Exchange(1, 0, "Hi", [Answer(BASE)]))
    assert not transcript.flush(1_000_000)
    assert not transcript.close()


TALKER = """
import sys
from pathlib import Path
from tui_tuner.chat.conversation import Answer, Exchange
from tui_tuner.chat.transcript import Transcript
from tui_tuner.chat.voices import Voice

exchange = Exchange(1, 0, "Talk!", [Answer(Voice("m"))])
transcript = Transcript.create(Path(sys.argv[1]))
transcript.asked(exchange)
for number in range(1_000_000):
    exchange.answers[0].text += f" This is sentence {number}." if number % 3 else f" No end {number},"
    transcript.said(exchange)
    transcript.flush()
    print(len(exchange.answers[0].text), flush=True)
"""


def test_a_kill_leaves_all_that_was_said(run: Path) -> None:
    arguments = [sys.executable, "-c", TALKER, str(run / "chats")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as talker:
        assert talker.stdout is not None
        seen = [int(talker.stdout.readline()) for _ in range(40)]
        talker.send_signal(signal.SIGKILL)
        seen += [int(line) for line in talker.stdout if line.endswith("\n")]
    (path,) = (run / "chats").iterdir()
    kept = read(path)
    answer = kept.conversation.exchanges[1].answers[0]
    assert (answer.state, kept.skipped) == (AnswerState.STOPPED, 0)
    assert len(answer.text) >= seen[-1]
    sentences = "".join(f" This is sentence {n}." if n % 3 else f" No end {n}," for n in range(len(seen) + 2))
    assert sentences.startswith(answer.text)
