"""Ranks are planned, started and watched: what goes wrong with one of them is noticed, said once, and ends the rest."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tui_tuner.config import Experiment
from tui_tuner.engine.ranks import hosts, wire
from tui_tuner.engine.ranks.hosts import RankPlan, check_ranks, plan_ranks
from tui_tuner.engine.ranks.launch import LOG, Launch
from tui_tuner.engine.takeup import note_end
from tui_tuner.errors import TunerError
from tui_tuner.runs import RunFolder, RunLock, RunState, read_events
from tui_tuner.runs.catalogue import summarise

TWO = RankPlan(("127.0.0.1", "127.0.0.1"))


# -- plans ------------------------------------------------------------------------------------------------------------
def test_one_process_is_an_ordinary_run() -> None:
    assert plan_ranks(None, None) is None
    assert plan_ranks(1, None) is None
    assert plan_ranks(2, None) == TWO
    with pytest.raises(TunerError) as caught:
        plan_ranks(2, Path("hosts.json"))
    assert (caught.value.code, caught.value.usage) == ("usage", True)


def test_ranks_on_this_machine_get_free_ports_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = set(range(20000, 32000)) - {25000, 27001, 27002, 27003}
    monkeypatch.setattr(hosts, "_is_free", lambda port: port not in taken)
    monkeypatch.setattr(hosts, "_TRIES", 1_000_000)
    options = RankPlan(("127.0.0.1",) * 3).launcher_options()
    assert options == [
        *("--backend", "ring", "--starting-port", "27001"),
        *("--hosts", "127.0.0.1", "--repeat-hosts", "3"),
    ]
    monkeypatch.setattr(hosts, "_TRIES", 5)
    monkeypatch.setattr(hosts, "_is_free", lambda port: False)
    with pytest.raises(TunerError, match="no ports are free"):
        TWO.launcher_options()


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert not hosts._is_free(port)
    assert hosts._is_free(port)


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_hosts_file_names_ranks_and_backend(tmp_path: Path) -> None:
    macs = [{"ssh": f"mac-{n}", "ips": [f"10.0.0.{n}"]} for n in (1, 2)]
    file = write(tmp_path / "hosts.json", {"backend": "jaccl", "envs": [], "hosts": macs})
    plan = plan_ranks(None, file)
    assert plan == RankPlan(("mac-1", "mac-2"), "jaccl", file)
    assert (plan.size, plan.here, plan.most_on_a_host) == (2, False, 1)
    assert plan.launcher_options() == ["--backend", "jaccl", "--hostfile", str(file)]
    assert plan.options() == ["--hosts", str(file)]
    # A list alone is mlx's older form.
    assert plan_ranks(None, write(file, macs)) == RankPlan(("mac-1", "mac-2"), "ring", file)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not valid JSON"),
        ({"hosts": []}, "lists no hosts"),
        ("3", "lists no hosts"),
        ({"backend": "mpi", "hosts": [{"ssh": "a", "ips": ["1"]}]}, "not supported, “mpi”"),
        ([{"ips": ["1"]}], "names no `ssh` for rank 0"),
        ([{"ssh": "a", "ips": ["1"]}, {"ssh": "b"}], "lists no `ips` for rank 1"),
    ],
)
def test_a_hosts_file_that_is_none_is_refused_with_an_example(content: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(TunerError, match=says) as caught:
        plan_ranks(None, write(tmp_path / "hosts.json", content))
    assert caught.value.code == "bad-hosts"
    assert "10.0.0.1" in caught.value.fix


def test_a_hosts_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(TunerError, match="cannot be read"):
        plan_ranks(None, tmp_path / "none.json")


@pytest.mark.parametrize(
    ("mode", "batch", "fix"),
    [("fast", 1, "2 or more"), ("stock", 5, "a multiple of 2"), ("fast", 5, ""), ("stock", 4, "")],
)
def test_every_rank_must_get_rows(mode: str, batch: int, fix: str) -> None:
    train = {"mode": mode, "batch_size": batch}
    experiment = Experiment.model_validate({"model": {"path": "m"}, "data": {"source": "d"}, "train": train})
    if not fix:
        check_ranks(experiment, TWO)
        return
    with pytest.raises(TunerError) as caught:
        check_ranks(experiment, TWO)
    assert caught.value.code == "batch-and-ranks"
    assert fix in caught.value.fix


# -- words ------------------------------------------------------------------------------------------------------------
def test_messages_are_found_among_what_else_is_printed() -> None:
    line = json.dumps({"tui-tuner-rank": 1, "say": "alive"})
    assert wire.heard(f"noise {line}\n") == {"tui-tuner-rank": 1, "say": "alive", "rank": 1}
    for other in ("", "noise\n", line[:-3], json.dumps({"tui-tuner-rank": "x", "say": "alive"}), '{"say": "alive"}'):
        assert wire.heard(other) is None


def test_a_rank_speaks_hears_and_notices_that_its_launcher_is_gone(tmp_path: Path) -> None:
    """The pipe's other end is the launcher; closing it is the launcher's end."""
    reading, writing = os.pipe()
    said = (tmp_path / "said").open("w+")
    post = wire.Post(1, said, stdin=reading)
    post.begin(write(tmp_path / "config.toml", "[run]"))
    os.write(writing, b"go\n")
    assert post.wait_for_all()
    lost: list[int] = []
    post.when_lost(lambda: lost.append(1))
    post.failed(TunerError("no model", code="model-not-found", where="m", fix="look"))
    os.close(writing)
    while not lost:
        pass
    assert not post.wait_for_all()
    post.ended("stopped")
    os.close(reading)
    said.seek(0)
    messages = [wire.heard(line) for line in said]
    assert [m["say"] for m in messages if m] == ["hello", "failed", "ended"]
    hello, failed, _ = (m for m in messages if m)
    assert hello["pid"] == os.getpid()
    assert (hello["config"], hello["versions"]) == (wire.digest_of(tmp_path / "config.toml"), wire.versions())
    assert (failed["message"], failed["code"]) == ("no model", "model-not-found")


# -- the watch --------------------------------------------------------------------------------------------------------
class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


Start = Callable[..., Launch]


@pytest.fixture
def start(tmp_path: Path) -> Any:
    """Starts a launcher that does what a script says: `say(rank, what, …)`, `hello(rank)`, `heard()`, `warn(text)`."""
    launches: list[Launch] = []
    folder = RunFolder.create(tmp_path / "runs", "a")
    write(folder.config, "[run]\n")

    def begin(script: str, plan: RankPlan = TWO, clock: Any = None) -> Launch:
        same = {"config": wire.digest_of(folder.config), "versions": wire.versions()}
        head = f"""
        import json, os, socket, sys, time
        def say(rank, what, **fields):
            print(json.dumps({{"tui-tuner-rank": rank, "say": what, **fields}}), flush=True)
        def hello(rank, **fields):
            known = dict(pid=os.getpid(), host="elsewhere", **{same!r})
            say(rank, "hello", **{{**known, **fields}})
        def heard():
            return sys.stdin.readline().strip()
        def warn(text):
            print(text, file=sys.stderr, flush=True)
        """
        program = textwrap.dedent(head) + textwrap.dedent(script)
        options = {} if clock is None else {"clock": clock}
        launch = Launch(folder, plan, [sys.executable, "-c", program], **options)
        launch.start()
        launches.append(launch)
        return launch

    yield begin
    for launch in launches:
        launch.close()


def watched(launch: Launch, clock: Clock | None = None) -> TunerError | None:
    """Looks until nothing runs any more; with a clock, a second goes by with each sign of life of rank 0."""
    while launch.look():
        if clock is not None and launch._ranks[0].heard == clock.now:
            clock.now += 1.0
    return launch.failure


def test_ranks_that_do_what_they_are_to_do(start: Start) -> None:
    launch = start("""
        hello(0); hello(1)
        assert heard() == "go"
        say(1, "ended", status="finished"); say(0, "ended", status="finished")
        print("what a library prints")
    """)
    assert watched(launch) is None
    assert (launch._folder.path / LOG).read_text() == "what a library prints\n"


@pytest.mark.parametrize(("folder", "says"), [("none", "folder is missing"), (".", "launcher cannot be started")])
def test_a_launcher_that_cannot_be_started_is_one_sentence(folder: str, says: str, tmp_path: Path) -> None:
    launch = Launch(RunFolder(tmp_path / folder), TWO, [str(tmp_path / "no launcher")])
    with pytest.raises(TunerError, match=says):
        launch.start()


def test_nobody_begins_before_all_are_there(start: Start) -> None:
    launch = start("""
        hello(0)
        first = heard()
        say(0, "failed", message=first, code="x", where="", fix="")
    """)
    assert launch.failure is None
    while launch._ranks[0].there is False:
        launch.look()
    assert not launch._ranks[1].there
    launch._take(
        json.dumps(
            {
                "tui-tuner-rank": 1,
                "say": "hello",
                "config": wire.digest_of(launch._folder.config),
                "versions": wire.versions(),
            }
        )
    )
    failure = watched(launch)
    assert failure is not None
    assert failure.message == "go"


def test_what_a_rank_says_of_its_failure_is_said(start: Start) -> None:
    """Whether it or the launcher's word that it ended comes first, and whatever the others say then."""
    failed = 'say(1, "failed", message="there is no such model", code="model-not-found", where="m", fix="copy it")'
    ended = 'warn("[WARN] Node with rank 1 exited with code 1")'
    lost = 'say(0, "failed", message="another rank is gone", code="rank-lost", where="", fix="")'
    for order in ((failed, ended, lost), (ended, failed, lost), (lost, ended, failed), (lost, failed, ended)):
        pause = "; time.sleep(0.3); "  # stdout and stderr are read by two threads
        error = watched(start(f"hello(0); hello(1); heard(); {pause.join(order)}"))
        assert error is not None
        assert error.sentence() == "m: rank 1: there is no such model; copy it."
        assert error.code == "model-not-found"


def test_a_failure_of_rank_0_is_the_run_s_own(start: Start) -> None:
    error = watched(
        start('hello(0); hello(1); say(0, "failed", message="no rows", code="no-rows", where="d", fix="add")')
    )
    assert error is not None
    assert error.sentence() == "d: no rows; add."


def test_a_rank_that_was_killed_is_named_with_how_to_go_on(start: Start) -> None:
    launch = start("""
        hello(0); hello(1); heard()
        warn("\\x1b[33m[WARN] Node with rank 1 exited with code -9")
        say(0, "failed", message="another rank is gone", code="rank-lost", where="", fix="")
        warn("[WARN] Node with rank 0 exited with code -15")
    """)
    error = watched(launch)
    assert error is not None
    assert error.code == "rank-died"
    assert error.message == "rank 1 is gone (ended by SIGKILL)"
    assert error.where.endswith("engine-rank1.log")
    assert f"`tui-tuner resume {launch._folder.name} -n 2`" in error.fix


def test_the_exit_of_a_rank_that_has_done_its_part_is_nothing(start: Start) -> None:
    assert watched(start("""
        hello(0); hello(1)
        for rank in (1, 0):
            say(rank, "ended", status="stopped")
            time.sleep(0.3)
            warn(f"Node with rank {rank} exited with code -6")
    """)) is None  # fmt: skip


def test_a_rank_that_falls_silent_ends_the_others(start: Start) -> None:
    """The others wait for it in a collective, and would for ever."""
    clock = Clock()
    launch = start("""
        hello(0); hello(1); heard()
        while True:
            say(0, "alive"); time.sleep(0.01)
    """, clock=clock)  # fmt: skip
    while not all(rank.there for rank in launch._ranks):
        launch.look()
    error = watched(launch, clock)
    assert error is not None
    assert error.message == "rank 1 is gone (silent for 120 s)"


def test_a_rank_that_does_not_come_is_not_waited_for_for_ever(start: Start) -> None:
    clock = Clock()
    error = watched(start("hello(0)\nwhile True: say(0, 'alive'); time.sleep(0.01)", clock=clock), clock)
    assert error is not None
    assert error.message == "rank 1 is gone (not there after 180 s)"
    assert error.where.endswith(LOG)


def test_a_process_that_vanished_without_a_word_is_noticed(start: Start) -> None:
    clock = Clock()
    launch = start("""
        import subprocess
        child = subprocess.Popen([sys.executable, "-c", ""]); child.wait()
        hello(0, pid=os.getpid(), host=socket.gethostname()); hello(1, pid=child.pid, host=socket.gethostname())
        while True:
            say(0, "alive"); say(1, "alive"); time.sleep(0.01)
    """, clock=clock)  # fmt: skip
    error = watched(launch, clock)
    assert error is not None
    assert error.message == "rank 1 is gone (without a word)"


def test_a_launcher_that_ends_before_its_ranks_began_says_where_to_look(start: Start) -> None:
    launch = start('warn("No module named tui_tuner")')
    error = watched(launch)
    assert error is not None
    assert error.message == "rank 0 is gone (before it began)"
    assert "No module named tui_tuner" in Path(error.where).read_text()


@pytest.mark.parametrize(
    ("field", "says"), [("config", "does not see this run folder"), ("versions", "has other versions")]
)
def test_a_rank_with_another_folder_or_other_versions_is_refused(field: str, says: str, start: Start) -> None:
    plan = RankPlan(("127.0.0.1", "mac-2"), "ring")
    error = watched(start(f'hello(0); hello(1, {field}="other"); time.sleep(60)', plan))
    assert error is not None
    assert error.code == "rank-differs"
    assert says in error.message


def test_a_failure_that_rank_0_could_not_write_is_written(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "a")
    with RunLock(folder):
        note_end(folder, "failed", "rank 1 is gone.")  # somebody else writes it: hands off
    assert read_events(folder.events) == []
    note_end(folder, "failed", "rank 1 is gone.")
    assert read_events(folder.events)[-1]["reason"] == "rank 1 is gone."
    assert summarise(folder).state is RunState.FAILED
