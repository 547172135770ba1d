"""`man`: manual pages, written from the very words that the help is written from; roff as man(7) describes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tui_tuner.cli.helping import PROGRAM, arguments, ending, options, usage
from tui_tuner.cli.options import Debug, Json
from tui_tuner.cli.output import opened
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from collections.abc import Iterable

_SIGNS = {
    "\\": "\\e", "-": "\\-", "`": "\\(ga", "'": "\\(aq", "^": "\\(ha", "~": "\\(ti", "…": "...", "×": "x"
}  # fmt: skip
_COMMON = (
    ("RUN", "A run's name, the beginning of one if no other run begins so, its path, or last for the newest."),
    ("PRESET", f"The name of a preset ({PROGRAM} presets lists them) or the path of a TOML file."),
    ("MODEL", "A folder, a repository on the Hugging Face Hub (owner/name), or embedded:phi3-tiny."),
)


def man(
    context: typer.Context,
    command: Annotated[
        str | None,
        typer.Argument(help="Whose page goes to stdout; else the program's.", show_default=False),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Write every page into this folder instead.", show_default=False)
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Writes the manual pages: one to stdout, or all of them into a folder where man finds them."""
    from tui_tuner.cli.app import program as whole

    program = whole()
    with opened(json=json, debug=debug) as output:
        if to is None:
            name = command or ""
            made = pages(program, context.find_root())
            if name not in made:
                raise TunerError(
                    f"there is no command {name}", code="usage", fix=f"`{PROGRAM} --help` lists them", usage=True
                )
            page = made[name]
            output.document({"page": page}) if json else output.stream(page)
            return 0
        if command is not None:
            raise TunerError("--to writes all pages", code="usage", fix="leave the command out", usage=True)
        written = _written(pages(program, context.find_root()), to)
        if json:
            output.document({"folder": str(to.absolute()), "pages": written})
        else:
            output.say(f"{len(written)} pages in {to}")
    return 0


def _written(made: dict[str, str], folder: Path) -> list[str]:
    from tui_tuner.atomic import write_atomic, write_failure

    names = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for command, page in made.items():
            name = f"{PROGRAM}-{command}.1" if command else f"{PROGRAM}.1"
            write_atomic(folder / name, page)
            names.append(name)
    except OSError as error:
        raise write_failure(error, folder) from error
    return names


def pages(program: Any, context: Any) -> dict[str, str]:
    """The page of every command that is shown, by its name; the program's own under the empty name."""
    shown = {name: command for name, command in program.commands.items() if not command.hidden}
    made = {"": _page(program, context, PROGRAM, _commands(shown))}
    for name, command in shown.items():
        inner = type(context)(command, parent=context, info_name=name)
        made[name] = _page(command, inner, f"{PROGRAM} {name}", [])
    return made


def _page(command: Any, context: Any, called: str, more: list[str]) -> str:
    from tui_tuner import __version__

    told = ending(command)
    name = called.replace(" ", "-")
    text = " ".join((command.help or "").split())
    lines = [
        f'.TH {_text(name.upper())} 1 "" "{PROGRAM} {__version__}" "{PROGRAM}"',
        ".SH NAME",
        f"{_text(name)} \\- {_text(text[:1].lower() + text[1:].rstrip('.'))}",
        ".SH SYNOPSIS",
        f".B {_text(called)}",
        _text(" ".join(usage(command))),
        ".SH DESCRIPTION",
        _text(text),
        *_list("ARGUMENTS", arguments(command)),
        *_list("OPTIONS", options(command, context)),
        *more,
    ]
    if told is not None:
        lines += [".SH EXIT STATUS", _text(told.status[:1].upper() + told.status[1:])]
        lines.append(".SH EXAMPLES")
        for number, (what, example) in enumerate(told.examples):
            line = _text(f"{PROGRAM} {example}".rstrip())
            lines += [*([".PP"] if number else []), f"{_text(what)}:", ".PP", ".nf", ".RS", line, ".RE", ".fi"]
    return "\n".join([*lines, *_also(command)]) + "\n"


def _commands(shown: dict[str, Any]) -> list[str]:
    from tui_tuner.cli.examples import TOPICS

    lines = [".SH COMMANDS"]
    for topic, names in TOPICS.items():
        lines += [f".SS {_text(topic)}", *_entries((name, shown[name].help or "") for name in names)]
    return [*lines, *_list("WHAT ARGUMENTS MEAN", _COMMON)]


def _also(command: Any) -> list[str]:
    from tui_tuner.cli.examples import TOPICS

    name = str(command.name)
    beside = next((names for names in TOPICS.values() if name in names), ())
    others = [PROGRAM] if beside else []
    others += [f"{PROGRAM}-{other}" for other in beside if other != name]
    return [".SH SEE ALSO", ",\n".join(f"\\fB{_text(other)}\\fR(1)" for other in others)] if others else []


def _list(title: str, entries: Iterable[tuple[str, str]]) -> list[str]:
    lines = _entries(entries)
    return [f".SH {title}", *lines] if lines else []


def _entries(entries: Iterable[tuple[str, str]]) -> list[str]:
    lines = []
    for name, text in entries:
        lines += [".TP", f"\\fB{_text(name)}\\fR", _text(" ".join(text.split()))]
    return lines


def _text(text: str) -> str:
    """Text that roff takes as it stands: no request, no escape, dashes that can be copied."""
    text = "".join(_SIGNS.get(sign, sign) for sign in text)
    return f"\\&{text}" if text.startswith((".", "\\(aq")) else text
