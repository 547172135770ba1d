"""What libraries print goes to the log: this thread's Python prints and all C-level writes, nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tui_tuner.engine.output import printing_to
from tui_tuner.errors import TunerError


def test_prints_of_the_thread_and_writes_below_python_go_to_the_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "engine.log"
    log.write_text("before\n")
    with printing_to(log):
        print("a print")
        print("an error", file=sys.stderr)
        sys.stdout.buffer.write(b"bytes\n")
        os.write(1, b"below one\n")
        os.write(2, b"below two\n")
        subprocess.run([sys.executable, "-c", "print('a child')"], check=True, timeout=60)
        print("half a pair \udc80")
        assert not sys.stdout.isatty()
        assert sys.stdout.encoding == "utf-8"
        sys.stdout.flush()
    print("afterwards")
    os.write(1, b"afterwards below\n")
    text = log.read_text()
    for line in ("before", "a print", "an error", "bytes", "below one", "below two", "a child", "half a pair \\udc80"):
        assert f"{line}\n" in text
    out, err = capfd.readouterr()
    assert "afterwards\n" in out
    assert "afterwards below\n" in out
    assert "afterwards" not in text
    assert "print" not in out
    assert err == ""


def test_other_threads_keep_their_streams(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "engine.log"
    inside, done = threading.Event(), threading.Event()

    def job() -> None:
        with printing_to(log):
            print("of the job")
            inside.set()
            assert done.wait(60)

    thread = threading.Thread(target=job)
    thread.start()
    try:
        assert inside.wait(60)
        print("of the screen")
        print("of the screen too", file=sys.stderr)
    finally:
        done.set()
        thread.join(60)
    assert log.read_text() == "of the job\n"
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("of the screen\n", "of the screen too\n")


def test_streams_and_descriptors_are_put_back_also_after_a_failure(tmp_path: Path) -> None:
    streams = sys.stdout, sys.stderr
    targets = [os.fstat(descriptor) for descriptor in (1, 2)]
    opened = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(ZeroDivisionError), printing_to(tmp_path / "engine.log"):
        raise ZeroDivisionError
    assert (sys.stdout, sys.stderr) == streams
    assert [os.fstat(descriptor) for descriptor in (1, 2)] == targets
    assert len(list(Path("/dev/fd").iterdir())) == opened


def test_a_stream_put_in_place_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sys.stdout
    with printing_to(tmp_path / "engine.log"):
        theirs = (tmp_path / "theirs").open("w")
        sys.stdout = theirs
    try:
        assert sys.stdout is theirs
    finally:
        sys.stdout = before
        theirs.close()


def test_a_log_that_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TunerError) as caught, printing_to(tmp_path / "file" / "engine.log"):
        pass
    assert caught.value.where == str(tmp_path / "file")
    assert caught.value.code == "in-the-way"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_costs_the_words_and_not_the_job() -> None:
    with printing_to(Path("/dev/full")):
        print("lost")
        sys.stdout.flush()
        still_here = True
    assert still_here
