"""What `--help` and the manual pages tell: of everything, in a person's words, with examples that can be typed."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.support.commands import Tuner, tuner
from tui_tuner.cli import helping, manual
from tui_tuner.cli.app import app, program
from tui_tuner.cli.examples import ENDINGS, TOPICS

__all__ = ["tuner"]
PROGRAM: Any = typer.main.get_command(app)
SHOWN = {name: command for name, command in PROGRAM.commands.items() if not command.hidden}
CONTEXT = PROGRAM.make_context("tui-tuner", [], resilient_parsing=True)
PAGES = manual.pages(PROGRAM, CONTEXT)


def test_every_command_is_listed_under_one_topic_and_has_an_ending() -> None:
    listed = [name for names in TOPICS.values() for name in names]
    assert sorted(listed) == sorted(SHOWN)
    assert set(ENDINGS) == {"", *SHOWN}
    assert all(1 <= len(told.examples) <= 3 for told in ENDINGS.values())


EXAMPLES = [(name, line) for name, told in ENDINGS.items() for _, line in told.examples]


@pytest.mark.parametrize(("name", "line"), EXAMPLES, ids=lambda value: value[:40])
def test_every_example_is_a_command_line(name: str, line: str) -> None:
    words = shlex.split(line.partition(" | ")[0])
    if not name:
        PROGRAM.make_context("tui-tuner", words)
        return
    assert words[0] == name
    SHOWN[name].make_context(name, words[1:], parent=CONTEXT)


@pytest.mark.parametrize("name", sorted(SHOWN))
def test_every_argument_and_option_says_what_it_is(name: str) -> None:
    command = SHOWN[name]
    entries = [*helping.arguments(command), *helping.options(command, CONTEXT)]
    assert entries
    for syntax, text in entries:
        assert len(text.split()) >= 2, (syntax, text)
        assert not re.search(r"[<{]|range|\bint\b|\bstr\b", syntax), syntax


def test_help_has_usage_values_defaults_examples_and_status(tuner: Tuner) -> None:
    said = tuner("serve", "-h").out
    assert "Usage: tui-tuner serve [OPTIONS]\n" in said
    assert "  -p, --port N " in said and "[8000 unless given; 0 to 65535]" in " ".join(said.split())
    assert "Examples:\n  Open the workbench in a browser here:\n    tui-tuner serve --open-browser\n" in said
    assert "Exit status: 0 when it is done, 1 when " in said
    said = tuner("queue", "--help").out
    assert "Usage: tui-tuner queue [OPTIONS] [ACT] [WHAT] [TO]\n" in said
    assert "up, down, top, bottom" in said and "[list unless given]" in said
    assert "Usage: tui-tuner report [OPTIONS] RUN …\n" in tuner("report", "--help").out


def test_the_programs_help_lists_all_by_topic(tuner: Tuner) -> None:
    said = tuner("--help").out
    for topic, names in TOPICS.items():
        section = said.partition(f"\n{topic}:\n")[2].partition("\n\n")[0]
        assert re.findall(r"^  ([a-z-]+) ", section, flags=re.MULTILINE) == list(names)
    assert "rank" not in re.findall(r"^  ([a-z-]+) ", said, flags=re.MULTILINE)


@pytest.mark.parametrize("name", ["", *sorted(SHOWN)])
def test_every_page_tells_all_of_its_command(name: str) -> None:
    page, command = PAGES[name], SHOWN.get(name, PROGRAM)
    for syntax, text in helping.options(command, CONTEXT):
        assert f"\\fB{manual._text(syntax)}\\fR\n{manual._text(' '.join(text.split()))}\n" in page
    for _, example in ENDINGS[name].examples:
        assert f".RS\n{manual._text(f'tui-tuner {example}'.rstrip())}\n" in page
    heads = re.findall(r"^\.SH (.+)$", page, flags=re.MULTILINE)
    assert heads[:3] == ["NAME", "SYNOPSIS", "DESCRIPTION"] and heads[-3 if name else -2 :][0] == "EXIT STATUS"
    assert page.isascii()


def test_text_is_never_a_request_or_an_escape() -> None:
    assert manual._text(".de x") == "\\&.de x"
    assert manual._text("'quoted' \\fB --x") == "\\&\\(aqquoted\\(aq \\efB \\-\\-x"


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="there is no mandoc on this machine")
def test_a_formatter_finds_nothing_wrong(tuner: Tuner, tmp_path: Path) -> None:
    said = tuner("man", "--to", tmp_path / "man1", "--json").document
    assert said["pages"] == [f"tui-tuner-{name}.1" if name else "tui-tuner.1" for name in PAGES]
    pages = [str(tmp_path / "man1" / name) for name in said["pages"]]
    found = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True, text=True)
    wrong = [line for line in found.stdout.splitlines() if "missing date" not in line]
    assert wrong == []
    shown = subprocess.run(["mandoc", "-T", "utf8", pages[2]], capture_output=True, text=True).stdout
    plain = re.sub(".\b", "", shown)
    assert "tui-tuner run [OPTIONS] PRESET" in plain and "-n, --ranks N" in plain


def test_one_page_goes_to_stdout(tuner: Tuner, tmp_path: Path) -> None:
    assert tuner("man", "run").out == PAGES["run"]
    assert tuner("man").out == PAGES[""]
    assert tuner("man", "run", "--json").document == {"page": PAGES["run"]}
    for words in (["man", "rank"], ["man", "no-such"], ["man", "run", "--to", str(tmp_path)]):
        said = tuner(*words)
        assert said.status == 2 and said.err.count("\n") == 1
    (tmp_path / "file").touch()
    said = tuner("man", "--to", tmp_path / "file", "--json")
    assert (said.status, said.document["error"]["code"]) == (1, "in-the-way")


@pytest.mark.parametrize("name", sorted(PROGRAM.commands))
def test_a_command_is_made_alone_and_is_the_same(name: str) -> None:
    alone = program([name, "--help"])
    assert list(alone.commands) == [name]
    assert alone.commands[name].callback is not None
    assert [parameter.opts for parameter in alone.commands[name].params] == [
        parameter.opts for parameter in PROGRAM.commands[name].params
    ]


def test_no_more_commands_are_made_than_can_be_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    every = set(PROGRAM.commands)
    made = {
        (): set(), ("--runs-dir", "x"): set(), ("--preset", "quickstart"): {"quickstart"}, ("--debug", "run"): {"run"},
        ("run", "stop"): {"run"}, ("--help",): every, ("--preset", "run", "-h"): every, ("rnu",): every,
    }  # fmt: skip
    assert {words: set(program(words).commands) for words in made} == made
    assert set(program().commands) == every
    monkeypatch.setenv("_TUI_TUNER_COMPLETE", "complete_bash")
    assert set(program(["run"]).commands) == every


def test_a_misspelt_command_is_told(tuner: Tuner) -> None:
    for words in (["rnu"], ["--debug", "rnu"]):
        said = tuner(*words)
        assert said.status == 2 and "rnu" in said.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run",), "Missing argument 'PRESET'"),
        (("replay",), "Missing argument 'BUNDLE'"),
        (("steer", "last", "dance"), "Invalid value for 'WISH'"),
    ],
)
def test_errors_call_an_argument_as_the_help_does(tuner: Tuner, words: tuple[str, ...], said: str) -> None:
    told = tuner(*words)
    assert told.status == 2 and said in told.err
