"""Changes of single values in a TOML text that leave everything else as a person wrote it, comments with it.

What comes out is proven by reading it again: it says exactly what it shall, or it is not used. This module must never
write a file.
"""

from __future__ import annotations

from tui_tuner.config import describe
from tui_tuner.config.locate import layout
from tui_tuner.config.model import Experiment
from tui_tuner.config.toml import experiment_from_text
from tui_tuner.errors import TunerError


def changed_keys(before: Experiment, after: Experiment) -> list[describe.FieldInfo]:
    """The keys whose values differ, in the order of the file."""
    return [info for info in describe.fields() if describe.value_of(before, info) != describe.value_of(after, info)]


def patched(text: str, before: Experiment, after: Experiment) -> str | None:
    """The text of `before` with the values of `after` in it; None where that cannot be done without rewriting it.

    Args:
        text: TOML that says `before`.
        before, after: the experiments.
    """
    for info in changed_keys(before, after):
        if info.kind == "tables":
            return None
        text = _with_value(text, info, describe.in_toml(describe.value_of(after, info)))
    return text if says(text, after) else None


def says(text: str, experiment: Experiment) -> bool:
    """Whether a TOML text says exactly this experiment."""
    try:
        return experiment_from_text(text, "") == experiment
    except TunerError:
        return False


def brief(experiment: Experiment) -> str:
    """The experiment as TOML without what is as the default has it: what a person would write."""
    parts: list[str] = []
    for section in describe.sections():
        infos = [info for info in describe.fields() if info.section == section.name]
        written = [info for info in infos if info.required or describe.value_of(experiment, info) != info.default]
        if written:
            plain = [info for info in written if info.kind != "tables"]
            lines = [f"{info.name} = {describe.in_toml(describe.value_of(experiment, info))}" for info in plain]
            parts.append("\n".join([f"[{section.name}]", *lines] if lines else []))
            for info in written:
                if info.kind == "tables":
                    parts += describe.in_tables(info, describe.value_of(experiment, info))
    return "\n\n".join(part for part in parts if part) + "\n"


def _with_value(text: str, info: describe.FieldInfo, value: str) -> str:
    place, path = layout(text), (info.section, info.name)
    if path in place.values:
        start, end = place.values[path]
        return f"{text[:start]}{value}{text[end:]}"
    line = f"{info.name} = {value}"
    table = (info.section,)
    if table in place.headings:
        at = place.ends[table]
        return f"{text[:at]}\n{line}{text[at:]}"
    order = [section.name for section in describe.sections()]
    later = order[order.index(info.section) + 1 :]
    starts = [start for path, start in place.headings.items() if path[0] in later or path[0] not in order]
    at = _above_comment(text, min(starts)) if starts else len(text)
    head = text[:at].rstrip("\n")
    return f"{head}{chr(10) * 2 if head else ''}[{info.section}]\n{line}\n{chr(10) if starts else ''}{text[at:]}"


def _above_comment(text: str, at: int) -> int:
    """The start of the comment that stands right above a heading, or of the heading itself."""
    while at > 0:
        start = text.rfind("\n", 0, at - 1) + 1
        if not text[start:at].startswith("#"):
            break
        at = start
    return at
