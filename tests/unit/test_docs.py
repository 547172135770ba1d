"""The pages say what the program does: links lead somewhere; commands, keys and codes are those of the code."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from docs import keys
from docs.svg import self_contained
from tui_tuner.cli.app import app
from tui_tuner.cli.steering import Wish
from tui_tuner.runs.requests import KINDS
from tui_tuner.ui.actions import ACTIONS
from tui_tuner.ui.marks import KINDS as MARK_KINDS

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
IMAGES = sorted((ROOT / "docs" / "images").glob("*.svg"))
COMMAND_LINE = (ROOT / "docs" / "command-line.md").read_text("utf-8")
SCREENS = (ROOT / "docs" / "screens.md").read_text("utf-8")
REGISTRIES = re.compile(
    r"\b(?:py" r"pi|test\.py" r"pi|files\.python" r"hosted|registry\.npm" r"js|crates|anaconda)\.(?:org|io)\b"
)


def prose(page: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)


def anchors(page: str) -> set[str]:
    """The anchors that a page's headings have, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def links(page: Path) -> Iterator[str]:
    yield from re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text("utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_picture_is_there(page: Path) -> None:
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}"
        assert target.is_relative_to(ROOT), f"{page.name} links out of the project: {link}"
        if anchor:
            assert anchor in anchors(target.read_text("utf-8")), f"{page.name} links to {link}"


def test_every_page_can_be_reached_from_the_guide() -> None:
    index = ROOT / "docs" / "index.md"
    reached = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert {page.resolve() for page in PAGES if page.parent == index.parent and page != index} <= reached


def test_every_picture_is_used_and_self_contained() -> None:
    used = {(page.parent / link).resolve() for page in PAGES for link in links(page) if link.endswith(".svg")}
    assert used == set(IMAGES)
    for image in IMAGES:
        svg = image.read_text("utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert "://" not in svg and "@font-face" not in svg, image.name
        assert len(svg.encode()) < 300_000, image.name


@pytest.mark.parametrize("page", [*PAGES, *IMAGES], ids=lambda page: page.name)
def test_no_page_names_a_registry_or_a_place_on_a_machine(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not REGISTRIES.search(text)
    assert not re.search(r"(?<![\w.~])/(?:work|root|tmp|Users)/", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_has_a_gap(page: Path) -> None:
    assert not re.search(r"@[A-Z]+@|\bTODO\b|\bTBD\b|\bFIXME\b|lorem ipsum", page.read_text("utf-8"))


def test_the_registries_would_be_noticed() -> None:
    assert REGISTRIES.search("see https://py" + "pi.org/project")


def test_the_readme_begins_with_the_two_commands() -> None:
    blocks = re.findall(r"^```\w*\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert [block.strip() for block in blocks[:2]] == ["make quickstart", "make test"]
    targets = (ROOT / "Makefile").read_text("utf-8")
    assert all(re.search(rf"^{word}:", targets, flags=re.MULTILINE) for word in ("quickstart", "test"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text("utf-8"), flags=re.MULTILINE))
    assert named <= targets


def commands() -> dict[str, set[str]]:
    """The options of each command, of the program itself under the empty name; without what every command has."""
    group = typer.main.get_command(app)
    shown = {name: command for name, command in group.commands.items() if not command.hidden}  # type: ignore[attr-defined]
    found = {"": group, **shown}
    return {
        name: {
            option
            for parameter in command.params
            for option in parameter.opts
            if option.startswith("--") and option not in ("--help", "--install-completion", "--show-completion")
        }
        for name, command in found.items()
    }


def sections() -> dict[str, str]:
    """What the page says of each command."""
    parts = re.split(r"^## ", COMMAND_LINE, flags=re.MULTILINE)[1:]
    heads = {part.partition("\n")[0]: part for part in parts}
    return {
        head.removeprefix("tui-tuner").strip(): part for head, part in heads.items() if head.startswith("tui-tuner")
    }


def test_the_page_tells_of_the_commands_there_are() -> None:
    assert set(sections()) == set(commands())
    listed = re.findall(r"^\| `tui-tuner ?([a-z-]*)", COMMAND_LINE, flags=re.MULTILINE)
    assert set(listed) == set(commands())


@pytest.mark.parametrize("name", sorted(commands()))
def test_the_page_tells_of_each_option(name: str) -> None:
    told = re.findall(r"^\| `(--[a-z-]+)`", sections()[name], flags=re.MULTILINE)
    assert len(told) == len(set(told))
    assert set(told) == commands()[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"(?:^|`|\$ )tui-tuner ([a-z][a-z-]*)", page.read_text("utf-8"), flags=re.MULTILINE)
    assert set(named) <= set(commands())


def test_the_json_examples_are_json() -> None:
    blocks = re.findall(r"^```json\n(.*?)^```$", COMMAND_LINE, flags=re.MULTILINE | re.DOTALL)
    documents = [json.loads(block) for block in blocks]
    assert documents[0].keys() == {"error"}
    assert len(documents) == 27


def test_the_page_tells_of_each_environment_variable() -> None:
    source = "".join(file.read_text("utf-8") for file in (ROOT / "tui_tuner").rglob("*.py"))
    # `TUI_TUNER_{what.upper()}` stands for two that docstrings name in full.
    used = set(re.findall(r"TUI_TUNER_[A-Z]+", source))
    told = set(re.findall(r"^\| `(TUI_TUNER_[A-Z]+)`", COMMAND_LINE, flags=re.MULTILINE))
    assert told == used


def test_the_page_tells_of_each_request() -> None:
    (line,) = [line for line in COMMAND_LINE.splitlines() if line.startswith("ask(folder")]
    assert set(re.findall(r'"([a-z_]+)"', line)) == set(KINDS)
    wishes = sections()["steer"].partition("| wish |")[2].partition("```")[0]
    told = re.findall(r"^\| (`.*?) \|", wishes, flags=re.MULTILINE)
    assert {word for cell in told for word in re.findall(r"`([a-z-]+)", cell)} == set(Wish)


def test_the_keys_on_the_page_are_those_of_the_table() -> None:
    assert keys.filled(SCREENS) == SCREENS, "run python -m docs.keys"
    told = {key for row in re.findall(r"^\| ((?:`[^`]+` ?)+)\|", SCREENS, flags=re.MULTILINE) for key in row.split()}
    of_actions = {f"`{key}`" for action in ACTIONS for key in action.all_keys_text.split()}
    assert told == of_actions | {key for key, _, _ in keys.chart_keys()}


def test_the_page_explains_every_sign_on_the_curve() -> None:
    signs = re.findall(r"^\| (\S) \|", SCREENS, flags=re.MULTILINE)
    assert signs and sorted(signs) == sorted(kind.sign for kind in MARK_KINDS.values())


def codes() -> set[str]:
    """Every code that the program gives an error."""
    found = set()
    for file in (ROOT / "tui_tuner").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                given = [word.value for word in node.keywords if word.arg == "code"]
                found |= {value.value for value in given if isinstance(value, ast.Constant)}
    return {code for code in found if isinstance(code, str)}


def test_troubleshooting_has_every_code() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    rows = [line.split("|")[3] for line in page.splitlines() if line.startswith("|") and line.count("|") == 4]
    told = {code for row in rows for code in re.findall(r"`([a-z-]+)`", row)}
    told |= set(re.findall(r"`([a-z-]+)`", page.partition("## From Python")[2]))
    assert codes() - told == set(), "codes that docs/troubleshooting.md does not tell of"
    # `mixed-rows` and the like are chosen by an expression; they still have to be in the source.
    source = "".join(file.read_text("utf-8") for file in (ROOT / "tui_tuner").rglob("*.py"))
    assert {code for code in told if f'"{code}"' not in source} == set()


def test_pictures_place_every_sign_of_a_line() -> None:
    line = (
        '<text class="r1" x="24.4" y="20" textLength="146.4" clip-path="url(#line-0)">'
        "&#160;a&#160;b&#160;&#160;&lt;c&#160;⠀⣿⣿┐▁</text>"
    )
    svg = self_contained(f"<style>@font-face {{ src: url(https://x/y) }}</style>{line}")
    assert "://" not in svg
    placed = re.findall(r'x="([\d.]+)"(?: textLength="([\d.]+)")?.*?>(.*?)</text>', svg)
    assert placed == [
        ("36.6", "36.6", "a&#160;b"),
        ("97.6", "24.4", "&lt;c"),
        ("146.4", "", "⣿"),
        ("158.6", "", "⣿"),
        ("170.8", "24.4", "┐▁"),
    ]
