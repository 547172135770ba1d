"""What docs/security.md promises: that the page and these tests name the same things, and that they hold."""

from __future__ import annotations

import ast
import os
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Tuner, tuner
from tests.ui.fakes import RunBuilder
from tui_tuner.cli.output import Output
from tui_tuner.config import Experiment
from tui_tuner.config.saving import save_preset
from tui_tuner.data.formprobe import put_template
from tui_tuner.engine import background, handover, new_run
from tui_tuner.engine.new_run import create_run
from tui_tuner.errors import TunerError
from tui_tuner.models.load import load_tokenizer
from tui_tuner.paths import resolve_model
from tui_tuner.runs import RunFolder
from tui_tuner.runs.catalogue import find_run
from tui_tuner.runs.events import EventLog
from tui_tuner.runs.labels import change_labels
from tui_tuner.runs.lock import RunLock
from tui_tuner.runs.queue import RunQueue
from tui_tuner.runs.trash import restore_run
from tui_tuner.settings import Settings, save_settings

__all__ = ["tuner"]
ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "tui_tuner").rglob("*.py"))
TOKEN = "hf_" + "s3cr3tS3CR3Ts3cr3t" * 2
EXPERIMENT = Experiment.model_validate(
    {"model": {"path": "embedded:phi3-tiny"}, "data": {"source": "embedded:players"}, "train": {"iters": 2}}
)


Calls = list[tuple[str, str, ast.Call]]


# -- what the source may not hold -------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def calls() -> Calls:
    """Each call in the source: its file, the called name with its dots, the call."""
    return [
        (str(path.relative_to(ROOT / "tui_tuner")), ast.unparse(node.func), node)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
    ]


FORBIDDEN = re.compile(
    r"(eval|exec|compile|__import__|os\.(system|popen|exec\w*|spawn\w*)|marshal\.\w+|shelve\.\w+|torch\.\w+|joblib\.\w+"
    r"|yaml\.(load|full_load|unsafe_load)|subprocess\.(getoutput|getstatusoutput)|tarfile\.(open|TarFile)|shutil\.unpack_archive"
    r"|.*\.extractall|pickle\.Unpickler)"
)


def test_nothing_runs_text_as_code(calls: Calls) -> None:
    assert [(file, name) for file, name, _ in calls if FORBIDDEN.fullmatch(name)] == []


def test_only_the_linters_own_process_is_talked_to_in_pickles(calls: Calls) -> None:
    assert {file for file, name, _ in calls if name.startswith(("pickle.", "dill.", "cloudpickle."))} == {
        "data/lint/portions.py"
    }
    loads = [node for _, name, node in calls if name in ("np.load", "numpy.load")]
    assert loads and all(
        any(word.arg == "allow_pickle" and ast.unparse(word.value) == "False" for word in node.keywords)
        for node in loads
    )


def test_no_process_is_started_through_a_shell(calls: Calls) -> None:
    started = [node for _, name, node in calls if name.startswith("subprocess.")]
    assert len(started) >= 5
    assert not any(word.arg == "shell" for node in started for word in node.keywords)
    assert all(not isinstance(node.args[0], ast.Constant | ast.JoinedStr) for node in started if node.args)


OWN = {
    "quickstart/build/tokenizer.py",
    "training/distributed.py",
    "training/fast/activations.py",
    "engine/uploading.py",
    "engine/bundles.py",
}
"""Whose JSON this program has just made itself."""


def test_what_is_read_may_be_nested_without_end() -> None:
    """A text of a few thousand brackets is a RecursionError for Python's readers, which is no ValueError."""
    unguarded = []
    for path in SOURCES:
        name = str(path.relative_to(ROOT / "tui_tuner"))
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(function, ast.FunctionDef) or name in OWN:
                continue
            text = ast.unparse(function)
            if re.search(r"\b(json\.loads?|tomllib\.loads?|literal_eval)\(", text) and not re.search(
                "RecursionError|RuntimeError", text
            ):
                unguarded.append(f"{name}: {function.name}")
    assert unguarded == []


def test_nothing_listens_but_the_server_for_a_browser(calls: Calls) -> None:
    """Ranks look for a free port of this machine by binding it for a moment; that is all besides."""
    assert {
        file for file, name, _ in calls if name.endswith((".bind", ".listen", "create_server", "start_server"))
    } == {"engine/ranks/hosts.py", "browser/place.py"}
    from tui_tuner.engine.ranks.hosts import HERE

    assert HERE == "127.0.0.1"


def test_remote_code_is_trusted_only_where_a_consent_was_looked_up(calls: Calls) -> None:
    """Whoever passes `trust_remote_code` on takes it from `check_trust`, never a constant."""
    words = [
        ast.unparse(word.value) for _, _, node in calls for word in node.keywords if word.arg == "trust_remote_code"
    ]
    assert words and set(words) <= {"_runs(folder, config)", "_runs(base.path, base.config)", "trusted"}


# -- names lead nowhere -----------------------------------------------------------------------------------------------
NAMES = [
    "../out",
    "..",
    ".",
    "/etc/x",
    "a/../../b",
    "~root/x",
    "x\0y",
    "-rf",
    "CON",
    "a" * 400,
    "\u202egpj.exe",
    "$(x)",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_runs_name_makes_a_folder_among_the_runs(name: str, tmp_path: Path) -> None:
    folder = create_run(EXPERIMENT, tmp_path / "runs", name)
    assert folder.path.parent == tmp_path / "runs"
    assert [entry.name for entry in tmp_path.iterdir()] == ["runs"]
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", folder.name)


@pytest.mark.parametrize("name", NAMES)
def test_a_presets_name_makes_a_file_among_the_presets(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUI_TUNER_CONFIG", str(tmp_path / "config"))
    if "/" in name:
        return  # a path is meant, and a person who types one means it
    try:
        path = save_preset(EXPERIMENT, name)
    except TunerError as error:
        assert error.code == "bad-name"
    else:
        assert path.resolve().parent == (tmp_path / "config" / "presets").resolve()


@pytest.mark.parametrize(
    "name", ["../secret", "..", ".", "", "/etc", "../../etc/passwd", "x\0", "*", "run-1/../../secret"]
)
def test_a_name_that_was_given_finds_nothing_else_than_runs(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "note.txt").write_text("keep")
    runs = tmp_path / "runs"
    RunBuilder(runs, "run-1")
    with pytest.raises(TunerError):
        find_run(name, runs)
    with pytest.raises(TunerError):
        restore_run(name, runs)
    assert (tmp_path / "secret" / "note.txt").read_text() == "keep"


def test_a_queue_names_runs_beside_it_only(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    elsewhere = RunBuilder(tmp_path / "elsewhere", "other").folder
    queue = RunQueue(runs)
    queue.add(RunBuilder(runs, "mine").folder)
    file = next((runs / ".queue").glob("queue.json"))
    text = file.read_text("utf-8")
    file.write_text(text.replace(RunFolder.open(next(runs.glob("mine*"))).name, f"../elsewhere/{elsewhere.name}"))
    from tui_tuner.runs.lock import process

    turn = queue.take(process(), set())
    assert turn.folder is None or turn.folder.path.parent == runs


# -- what lies on the disk --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mask", [0o077, 0o022, 0o002])
def test_files_have_the_rights_that_the_person_chose(
    mask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUI_TUNER_CONFIG", str(tmp_path / "config"))
    before = os.umask(mask)
    try:
        folder = create_run(EXPERIMENT, tmp_path / "runs")
        log = EventLog(folder.events)
        log.append("log", level="info", text="x")
        log.close()
        change_labels(folder, add=["kept"])
        RunQueue(tmp_path / "runs").add(folder)
        save_settings(Settings())
        save_preset(EXPERIMENT, "mine")
        lock = RunLock(folder)
        lock.acquire()
        found = {path: stat.S_IMODE(path.lstat().st_mode) for path in tmp_path.rglob("*")}
        lock.release()
    finally:
        os.umask(before)
    assert len(found) > 12
    for path, mode in found.items():
        assert mode == (0o777 if path.is_dir() else 0o666) & ~mask, f"{path.name}: {mode:o}"


# -- secrets ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("words", [["--set", f"model.path=x?token={TOKEN}"], [f"Bearer {TOKEN}"], [TOKEN]])
def test_a_token_among_the_arguments_is_not_kept(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_run.sys, "argv", ["tui-tuner", "run", *words])
    folder = create_run(EXPERIMENT, tmp_path)
    kept = "".join(path.read_text("utf-8") for path in folder.path.rglob("*") if path.is_file())
    assert '"arguments"' in kept and TOKEN not in kept


def test_a_token_in_the_environment_reaches_no_file_message_or_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is passed on to processes of ours as environment, which `ps` of other people does not show."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    asked: list[Any] = []

    def start(command: list[str], **options: Any) -> Any:
        asked.append((command, options))
        raise OSError(f"no such thing as {TOKEN}")

    monkeypatch.setattr(background.subprocess, "Popen", start)
    folder = create_run(EXPERIMENT, tmp_path / "runs")
    for begin in (lambda: handover.continue_in_background(folder), lambda: handover.work_off_in_background(tmp_path)):
        (tmp_path / ".queue").mkdir(exist_ok=True)
        with pytest.raises(OSError):
            begin()
    assert len(asked) == 2
    assert all(TOKEN not in " ".join(command) for command, _ in asked)
    assert not any(TOKEN in path.read_text("utf-8") for path in tmp_path.rglob("*") if path.is_file())


def test_a_failure_that_says_a_token_is_told_without_it(tuner: Tuner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"401 for https://host/x?X-Signature=abc with Authorization: Bearer {TOKEN}")

    monkeypatch.setattr("tui_tuner.config.load_preset", fail)
    for options in ([], ["--debug"], ["--json"]):
        said = tuner("run", "quickstart", *options)
        assert said.status == 1 and "RuntimeError" in said.out + said.err
        assert TOKEN not in said.out + said.err and "X-Signature=abc" not in said.out + said.err


# -- text and templates are inert -------------------------------------------------------------------------------------
class Terminal:
    """A stream that says it is a terminal."""

    def __init__(self) -> None:
        self.said = ""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.said += text
        return len(text)

    def flush(self) -> None:
        pass


def test_what_a_command_says_never_steers_a_terminal() -> None:
    odd = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028]))
    terminal = Terminal()
    output = Output(terminal, terminal)  # type: ignore[arg-type]
    output.say(odd)
    output.note(f"\x1b]52;c;aGk=\x07{odd}")
    output.stream(odd)
    output.error(TunerError(odd, where=odd, fix=odd))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", terminal.said)


ATTACKS = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages.__class__.__base__.__subclasses__() }}",
    "{{ self.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.system('touch MARK') }}",
    "{{ lipsum.__globals__['os'].popen('touch MARK').read() }}",
    "{{ messages.append({'role': 'user', 'content': 'x'}) }}",
    "{{ raise_exception.__globals__['os'] }}",
    "{% include 'x' %}",
    "{% import 'os' as os %}{{ os.system('touch MARK') }}",
    "{{ range(10**9) | list }}",
]


@pytest.mark.mlx
def test_a_chat_template_runs_in_a_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tokenizer = load_tokenizer(Path(resolve_model("embedded:phi3-tiny", None)))
    messages = [{"role": "user", "content": "hello"}]
    for attack in ATTACKS:
        put_template(tokenizer, attack.replace("MARK", str(tmp_path / "mark")))
        try:
            said = str(tokenizer.apply_chat_template(messages, tokenize=False))
        except Exception as error:  # whatever the sandbox refuses with
            said = str(error)
        assert "<class" not in said and "<module" not in said and "subclasses() of" not in said, (attack, said)
        assert list(tmp_path.iterdir()) == [] and len(messages) == 1, attack


# -- what it is made of -----------------------------------------------------------------------------------------------
def test_every_dependency_is_pinned() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    pins = dict(line.partition("==")[::2] for line in lines)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+]+", line) for line in lines)
    known = {re.sub(r"[-_.]+", "-", name).lower() for name in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.match(r"[A-Za-z0-9_.-]+", text)[0] for text in wanted}  # type: ignore[index]
    assert {re.sub(r"[-_.]+", "-", name).lower() for name in names} <= known


def test_installing_takes_the_pins() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert "--constraint constraints.txt" in makefile and "pip_audit" in makefile


def test_the_page_names_tests_that_there_are() -> None:
    page = (ROOT / "docs" / "security.md").read_text("utf-8")
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", page))
    assert len(named) >= 15
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_nothing_is_fetched_by_merely_starting(tmp_path: Path) -> None:
    """A command that needs no network imports nothing that could ask it."""
    code = (
        "import sys; from tui_tuner.cli.app import run; run(['presets', '--json']); "
        "sys.exit(any(name in sys.modules for name in ('requests', 'httpx', 'huggingface_hub', 'urllib3', 'aiohttp')))"
    )
    environment = {**os.environ, "TUI_TUNER_CONFIG": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
