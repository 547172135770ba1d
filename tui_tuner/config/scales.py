"""A preset at another scale: tables `[scale.NAME.section]` whose keys take the place of the preset's own.

A recipe made for a large model can so be tried as a whole on a small one, with `--set scale=NAME`. The tables are no
part of an experiment: what a run keeps is the outcome.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tui_tuner.config import describe
from tui_tuner.config.problems import Location, Origin, inert, unknown_key
from tui_tuner.config.suggest import nearest
from tui_tuner.config.sweep_table import SWEEP
from tui_tuner.errors import TunerError

SCALE = "scale"
"""The table of a preset that holds scales, and the key that `--set` chooses one by."""


def at_scale(
    data: Mapping[str, Any], overrides: Sequence[str], where: str, lines: Mapping[Location, int]
) -> tuple[dict[str, Any], list[str], dict[Location, int]]:
    """The tables at the scale that the overrides ask for, the other overrides, and the lines that the values are from.

    Args:
        data: the tables of a preset.
        overrides: `key=value` texts; the last `scale=NAME` counts.
        where: what to call the preset in errors.
        lines: the line of every key.

    Raises:
        TunerError: a scale has a key that there is not, or the preset has no such scale.
    """
    scales = _checked(data.get(SCALE, {}), Origin(where, lines))
    tables = {name: dict(table) if isinstance(table, Mapping) else table for name, table in data.items()}
    tables.pop(SCALE, None)
    wished = [text.partition("=")[2].strip().strip("\"'") for text in overrides if _chooses(text)]
    others = [text for text in overrides if not _chooses(text)]
    if not wished:
        return tables, others, dict(lines)
    name = wished[-1]
    if name not in scales:
        raise no_scale(name, scales, where)
    placed = dict(lines)
    for section, keys in scales[name].items():
        table = tables.setdefault(section, {})
        if isinstance(table, dict):
            table.update(keys)
            inside = (SCALE, name, section)
            for path in [path for path in placed if path[:1] == (section,) and path[1:2] and path[1] in keys]:
                del placed[path]
            for path, line in lines.items():
                if path[: len(inside)] == inside and len(path) > len(inside):
                    placed[(section, *path[len(inside) :])] = line
    return tables, others, placed


def scale_names(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The scales that a preset has."""
    scales = data.get(SCALE)
    return tuple(scales) if isinstance(scales, Mapping) else ()


def no_scale(name: str, scales: Mapping[str, Any], where: str) -> TunerError:
    """What to say when a scale is asked for that there is not."""
    if not scales:
        fix = "leave it out; the factor of the adapter is adapter.scale"
        return TunerError(
            f"{where or 'it'} has no scales", code="no-scale", where=f"--set scale={inert(name)}", fix=fix, usage=True
        )
    near = nearest(name, scales)
    fix = (
        f'did you mean "{near}"?' if near else f"it has {', '.join(scales)}; the factor of the adapter is adapter.scale"
    )
    return TunerError(
        f'{where or "it"} has no scale "{inert(name)}"',
        code="no-scale",
        where=f"--set scale={inert(name)}",
        fix=fix,
        usage=True,
    )


def _chooses(text: str) -> bool:
    return text.partition("=")[0].strip() == SCALE


def _checked(scales: Any, origin: Origin) -> dict[str, dict[str, dict[str, Any]]]:
    """The scales, when every key of them is one of an experiment."""
    if not isinstance(scales, Mapping):
        raise _wrong((SCALE,), "scale is no table", "write its keys under [scale.tiny.train] and the like", origin)
    for name, sections in scales.items():
        if not isinstance(sections, Mapping):
            fix = f"write its keys under [scale.{name}.train] and the like"
            raise _wrong((SCALE, name), f"scale.{name} is no table", fix, origin)
        for section, keys in sections.items():
            if not isinstance(keys, Mapping):
                message, fix = unknown_key(str(section))
                raise _wrong((SCALE, name, section), message, fix, origin)
            for key in keys if section != SWEEP else ():
                if describe.field(f"{section}.{key}") is None:
                    message, fix = unknown_key(f"{section}.{key}")
                    raise _wrong((SCALE, name, section, key), message, fix, origin)
    return {name: {section: dict(keys) for section, keys in sections.items()} for name, sections in scales.items()}


def _wrong(location: Location, message: str, fix: str, origin: Origin) -> TunerError:
    return TunerError(message, code="bad-config", where=origin.place(origin.line(location)), fix=fix)
