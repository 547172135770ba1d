"""How commands explain themselves: usage, arguments, options, examples and exit status, for the help and the manual.

The library's own help speaks Python (`<int range>`, `{model}`); here a value is named by what a person types. It must
import nothing heavy: every command's class is made at every start.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from tui_tuner.cli.examples import Ending

_VALUES = {"int": "N", "float": "NUMBER", "str": "TEXT", "path": "PATH", "file": "FILE", "directory": "FOLDER"}
PROGRAM = "tui-tuner"


def usage(command: Any) -> list[str]:
    """What follows the command's name: `[OPTIONS]`, then each argument, in brackets when it may be left out."""
    words = [name if parameter.required else f"[{name}]" for parameter, name in _arguments(command)]
    return ["[OPTIONS]", *words, *(["[COMMAND]"] if isinstance(command, TyperGroup) else [])]


def arguments(command: Any) -> list[tuple[str, str]]:
    """Each argument: how it is called, and what it is."""
    found = []
    for parameter, name in _arguments(command):
        choices = _choices(parameter)
        text = f"{parameter.help or ''} One of: {', '.join(choices)}." if choices else parameter.help or ""
        found.append((name, text + _default(parameter)))
    return found


def options(command: Any, context: Any) -> list[tuple[str, str]]:
    """Each option that is shown: how it is written, and what it does, with its default and bounds."""
    found = []
    for parameter in command.get_params(context):
        if parameter.param_type_name != "option" or parameter.hidden:
            continue
        names = [*sorted(parameter.opts, key=len), *parameter.secondary_opts]
        value = "" if parameter.is_flag or parameter.count else f" {_value(parameter, context)}"
        found.append((", ".join(names) + value, (parameter.help or "") + _default(parameter)))
    return found


def ending(command: Any) -> Ending | None:
    """Examples and exit status of a command; None for one that is not shown."""
    from tui_tuner.cli.examples import ENDINGS

    return ENDINGS.get("" if isinstance(command, TyperGroup) else str(command.name))


def _arguments(command: Any) -> Iterator[tuple[Any, str]]:
    for parameter in command.params:
        if parameter.param_type_name == "argument" and not parameter.hidden:
            many = parameter.nargs != 1 and parameter.metavar is None
            yield parameter, _called(parameter) + (" …" if many else "")


def name_as_help_does(error: Any) -> None:
    """Has an error about an argument call it as the help does."""
    parameter = getattr(error, "param", None)
    if getattr(parameter, "param_type_name", "") == "argument" and error.param_hint is None:
        error.param_hint = f"'{_called(parameter)}'"


def _called(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _value(parameter: Any, context: Any) -> str:
    if parameter.metavar is not None:
        return str(parameter.metavar)
    kind = parameter.display_type(context).strip("<>").removesuffix(" range")
    kind = kind.removeprefix("list[").removesuffix("]")
    return str(_VALUES.get(kind, kind))


def _choices(parameter: Any) -> list[str]:
    return [str(getattr(choice, "value", choice)) for choice in parameter.type_descriptor.choices or ()]


def _default(parameter: Any) -> str:
    """What holds when it is left out, and the bounds of a number, in brackets."""
    told = []
    default = parameter.default
    if parameter.show_default and default not in (None, "", False, ()) and not isinstance(default, list):
        told.append(f"{getattr(default, 'value', default)} unless given")
    low, high = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if high is not None:
        told.append(f"{low} to {high}")
    elif low:
        told.append(f"at least {low}")
    if parameter.envvar:
        told.append(f"or the variable {parameter.envvar}")
    return f" [{'; '.join(told)}]" if told else ""


def _write_lists(command: Any, context: Any, formatter: Any) -> None:
    for title, entries in (("Arguments", arguments(command)), ("Options", options(command, context))):
        if entries:
            with formatter.section(title):
                formatter.write_dl(entries)


def _write_ending(command: Any, formatter: Any) -> None:
    told = ending(command)
    if told is None:
        return
    with formatter.section("Examples"):
        for what, line in told.examples:
            formatter.write(f"{'':{formatter.current_indent}}{what}:\n")
            formatter.write(f"{'':{formatter.current_indent}}  {PROGRAM} {line}".rstrip() + "\n")
    formatter.write_paragraph()
    formatter.write_text(f"Exit status: {told.status}")


class Command(TyperCommand):
    """A command whose help is written here."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return usage(self)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_lists(self, ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        _write_ending(self, formatter)


class Group(TyperGroup):
    """The program itself: its commands by what they are for."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return usage(self)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_lists(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        from tui_tuner.cli.examples import TOPICS

        width = max(len(name) for name in self.commands)
        for topic, names in TOPICS.items():
            with formatter.section(topic):
                formatter.write_dl([(f"{name:<{width}}", self.commands[name].help or "") for name in names])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        _write_ending(self, formatter)
        formatter.write_paragraph()
        formatter.write_text(f"More on a command: {PROGRAM} COMMAND --help, or the manual: {PROGRAM} man --help.")
