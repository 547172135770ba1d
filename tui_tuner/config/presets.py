"""Presets: experiments kept as commented TOML files, found by name or by path.

A name is looked up in the folders of `paths.presets_dirs()` and nowhere else: it must never lead out of them.
"""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_tuner.config.model import Experiment
from tui_tuner.config.scales import SCALE, scale_names
from tui_tuner.config.suggest import nearest
from tui_tuner.config.toml import load_experiment, read_text
from tui_tuner.errors import TunerError
from tui_tuner.paths import config_dir, noted_base, presets_dirs

SUFFIX = ".toml"
_CONSENT = "model.trust_remote_code"
_OF_RUN = "config.toml"
"""What the configuration in a run's folder is called."""


@dataclass(frozen=True)
class Preset:
    """A preset's file and what its header comment says of it.

    Attributes:
        name: the file's name without `.toml`.
        path: the file, absolute.
        title: the first comment line; the name when there is none.
        description: the rest of the header comment, with its line breaks.
    """

    name: str
    path: Path
    title: str
    description: str

    @property
    def base(self) -> Path:
        """The folder that relative paths in the preset are looked up in: its own, or where a run was made from."""
        noted = noted_base(self.path.parent) if self.path.name == _OF_RUN else None
        return noted or self.path.parent


def list_presets() -> list[Preset]:
    """Every preset that can be found by name, by folder and then by name; of equal names the first folder's.

    A file that cannot be read is listed under its name, so that opening it can say what is wrong.
    """
    found: dict[str, Preset] = {}
    for folder in presets_dirs():
        for path in _files(folder):
            if path.stem not in found:
                found[path.stem] = _preset(path)
    return list(found.values())


@dataclass(frozen=True)
class PresetFacts:
    """What a list of presets tells of one.

    Attributes:
        preset: its name, file and header.
        problem: why it cannot be used, in a sentence; empty when it can.
        scales: the scales it can be taken at.
        sweep: whether it expands into several runs.
        changed: when its file was last written, in seconds since the epoch; 0 when that is unknown.
    """

    preset: Preset
    problem: str = ""
    scales: tuple[str, ...] = ()
    sweep: bool = False
    changed: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The facts as the command `presets` prints them."""
        told = {"name": self.preset.name, "title": self.preset.title, "path": str(self.preset.path)}
        return {
            **told,
            "problem": self.problem or None,
            "scales": list(self.scales),
            "sweep": self.sweep,
            "changed": self.changed or None,
        }


def preset_facts(preset: Preset) -> PresetFacts:
    """Reads a preset as far as it can be read; what is wrong with it is told, not raised."""
    changed = 0.0
    with contextlib.suppress(OSError):
        changed = preset.path.stat().st_mtime
    scales: tuple[str, ...] = ()
    sweep, problem = False, ""
    with contextlib.suppress(TunerError, tomllib.TOMLDecodeError, RecursionError, ValueError):
        tables = tomllib.loads(read_text(preset.path))
        scales, sweep = scale_names(tables), "sweep" in tables
    try:
        load_experiment(preset.path)
        for scale in scales:
            load_experiment(preset.path, [f"{SCALE}={scale}"])
    except TunerError as error:
        problem = error.sentence()
    return PresetFacts(preset, problem, scales, sweep, changed)


def find_preset(name_or_path: str) -> Preset:
    """The preset of that name, or in that file.

    What ends in `.toml` or holds a `/` is a path; anything else is a name.

    Raises:
        TunerError: usage; names the nearest preset, or all of them when none is near.
    """
    text = name_or_path.strip()
    if "/" in text or text.endswith(SUFFIX):
        return _by_path(text)
    for folder in presets_dirs():
        for path in _files(folder):
            if path.stem == text:
                return _preset(path)
    names = [preset.name for preset in list_presets()]
    near = nearest(text, names)
    if text and _is_file(Path(text + SUFFIX)):
        fix = f"to name the file, write {text}{SUFFIX}"
    elif near:
        fix = f'did you mean "{near}"?'
    elif names:
        fix = f"the presets are {', '.join(names)}; or give the path of a {SUFFIX} file"
    else:
        fix = f"give the path of a {SUFFIX} file"
    raise TunerError(f'there is no preset "{text}"', code="no-preset", fix=fix, usage=True)


def load_preset(name_or_path: str, overrides: Sequence[str] = ()) -> tuple[Experiment, Preset]:
    """The experiment of a preset with the overrides applied, and the preset.

    Raises:
        TunerError: as `find_preset` and `load_experiment`.
    """
    preset = find_preset(name_or_path)
    return without_strange_consent(load_experiment(preset.path, overrides), preset.path, overrides), preset


def own_presets() -> Path:
    """The person's own folder of presets, which need not exist."""
    return config_dir() / "presets"


def without_strange_consent(experiment: Experiment, path: Path, overrides: Sequence[str]) -> Experiment:
    """The experiment without a consent to somebody's code that a preset brought along.

    A consent counts from the person alone: from a preset in their own folder, or from an override. In any other file it
    is a stranger's, so the code is refused as if nobody had allowed it, and the refusal spells how to.
    """
    named = {override.partition("=")[0].strip() for override in overrides}
    if path.parent.resolve() == own_presets().resolve() or _CONSENT in named:
        return experiment
    section, _, key = _CONSENT.partition(".")
    told = getattr(experiment, section).model_copy(update={key: ""})
    return experiment.model_copy(update={section: told})


def _by_path(text: str) -> Preset:
    try:
        path = Path(text).expanduser()
    except RuntimeError:  # no such user
        path = Path(text)
    if _is_file(path):
        if path.suffix == SUFFIX:
            return _preset(path)
        raise TunerError("it is no preset", code="no-preset", where=text, fix=f"name a {SUFFIX} file", usage=True)
    names = [preset.name for preset in list_presets()]
    stem = text.rstrip("/").rpartition("/")[2].removesuffix(SUFFIX)
    near = stem if stem in names else nearest(stem, names)
    if _is_file(path.with_name(path.name + SUFFIX) if path.name else path):
        fix = f"did you mean {text}{SUFFIX}?"
    elif _is_file(path / "config.toml"):
        fix = f"did you mean {text.rstrip('/')}/config.toml?"
    elif near:
        fix = f'did you mean the preset "{near}"?'
    else:
        fix = "check the path"
    raise TunerError("there is no such file", code="no-preset", where=text, fix=fix, usage=True)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, a zero byte
        return False


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(
            path
            for path in folder.iterdir()
            if path.suffix == SUFFIX and not path.name.startswith(".") and path.is_file()
        )
    except OSError:
        return []


def _preset(path: Path) -> Preset:
    try:
        title, description = header(read_text(path))
    except TunerError:
        title, description = "", ""
    return Preset(path.stem, path.absolute(), title or path.stem, description)


def header(text: str) -> tuple[str, str]:
    """Title and description from the comment that a TOML text starts with.

    The header ends at the first line that is no comment. Its lines keep their breaks and their spacing.
    """
    comment: list[str] = []
    for line in text.strip().splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("#").removeprefix(" ").rstrip())
    while comment and not comment[0]:
        comment.pop(0)
    if not comment:
        return "", ""
    return comment[0].strip(), "\n".join(comment[1:]).strip("\n")
