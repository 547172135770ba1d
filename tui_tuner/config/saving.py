"""Saving an experiment as a preset, without taking anything away that somebody wrote by hand.

A preset that is there is never written over unasked: what would go with it (comments, scales, a sweep) is said, and
another name is offered. A mere name lands in the person's own folder of presets and must never lead out of it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from tui_tuner.atomic import write_atomic, write_failure
from tui_tuner.config.anchor import anchored
from tui_tuner.config.locate import comments
from tui_tuner.config.model import Experiment
from tui_tuner.config.presets import SUFFIX, header, list_presets, own_presets
from tui_tuner.config.problems import inert
from tui_tuner.config.toml import EVERY_KEY, dump_experiment, experiment_from_text, read_text
from tui_tuner.errors import TunerError
from tui_tuner.paths import numbered_name, safe_name

_SHOWN = 60


@dataclass(frozen=True)
class Standing:
    """A preset that stands where one is to be saved.

    Attributes:
        path: its file.
        comments: the comment lines of it that the new file would not have, in their order.
        tables: what else the new file would not have: `scale.NAME` for its scales, `sweep`.
        hidden: whether it is another folder's preset, which stays but could no longer be found by its name.
    """

    path: Path
    comments: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    hidden: bool = False

    @property
    def by_hand(self) -> bool:
        """Whether saving would take away what somebody wrote by hand."""
        return bool(self.comments or self.tables) and not self.hidden

    @property
    def sentence(self) -> str:
        """What would become of it, in a clause."""
        name = self.path.stem
        if self.hidden:
            return f'there is a preset "{name}" in {self.path.parent} already, which yours would hide'
        if not self.by_hand:
            return f'the preset "{name}" is there already, and its values would go'
        lost = []
        if self.comments:
            lines = "comment" if len(self.comments) == 1 else f"{len(self.comments)} lines of comments"
            first = self.comments[0]
            shown = first if len(first) <= _SHOWN else f"{first[: _SHOWN - 1]}…"
            lost.append(f"its {lines} (the first is “{inert(shown, _SHOWN + 5)}”)")
        if self.tables:
            lost.append(f"[{'], ['.join(self.tables)}]")
        return f'the preset "{name}" was written by hand: {" and ".join(lost)} would go'


def preset_path(name_or_path: str) -> Path:
    """The file that a preset of that name, or at that path, is saved in; absolute.

    What ends in `.toml` or holds a `/` is a path, anything else a name in the person's own folder, as it is in
    `presets.find_preset`.

    Raises:
        TunerError: `bad-name`, usage: it is empty, or would be no plain file name; offers a good one.
    """
    text = name_or_path.strip()
    if text.endswith(SUFFIX) or "/" in text:
        path = Path(text).expanduser() if text.startswith("~/") else Path(text)
        if path.suffix == SUFFIX and "\0" not in text:
            return path.absolute()
        raise _bad_name(text, f"name a {SUFFIX} file")
    if text != safe_name(text):
        raise _bad_name(text, f'call it "{safe_name(text)}"' if text else "give it one")
    return own_presets() / (text + SUFFIX)


def offer_name(name: str) -> str:
    """A name that no preset has yet: the name itself if it is free, else with a number behind."""
    taken = {preset.name for preset in list_presets()}
    wish = safe_name(name.strip())
    return numbered_name(wish, taken) if wish in taken else wish


def standing(name_or_path: str, text: str = "") -> Standing | None:
    """The preset that is there already, with what it holds that `text` does not; None when the place is free.

    Args:
        name_or_path: as in `preset_path`.
        text: what would be written.

    Raises:
        TunerError: as `preset_path`.
    """
    path = preset_path(name_or_path)
    if path.exists() or path.is_symlink():
        return _standing(path, text)
    if path.parent == own_presets():
        others = [preset for preset in list_presets() if preset.name == path.stem]
        return Standing(others[0].path, hidden=True) if others else None
    return None


def save_preset(
    experiment: Experiment,
    name_or_path: str,
    *,
    title: str = "",
    description: str = "",
    base: Path | None = None,
    replace: bool = False,
) -> Path:
    """Save an experiment as a preset, whole or not at all; returns its file.

    Args:
        experiment: what is saved; every key is written out.
        name_or_path: a name in the person's own folder, or the path of a TOML file whose folder is there.
        title, description: the header comment; the run's name alone when empty.
        base: the folder that relative paths in the experiment were meant from; they are made absolute.
        replace: whether a preset that is there may be written over.

    Raises:
        TunerError: `bad-name`; `preset-exists` with what would go and a free name; or why it cannot be written.
    """
    path = preset_path(name_or_path)
    text = preset_text(experiment, title=title, description=description, base=base)
    there = None if replace else standing(name_or_path, text)
    if there is not None and not _same(there.path, text):
        raise TunerError(
            there.sentence,
            code="preset-exists",
            where=str(path),
            fix=f'save it as "{_another(path)}", or write over it with --force',
            usage=True,
        )
    if path.parent == own_presets():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_failure(error, path.parent) from error
    write_atomic(path, text)
    return path


def preset_text(experiment: Experiment, *, title: str = "", description: str = "", base: Path | None = None) -> str:
    """What `save_preset` writes."""
    told = "\n".join(line for line in description.splitlines() if line.strip() != EVERY_KEY)
    return dump_experiment(anchored(experiment, base), title, told.strip("\n"))


def tables_beside(path: Path) -> tuple[str, ...]:
    """The tables of a preset's file that are no part of its experiment, and so of nothing saved from it.

    Args:
        path: of a preset that was read already.
    """
    try:
        return _beside(tomllib.loads(read_text(path)))
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):  # it has become another one since
        return ()


def _beside(data: dict[str, object]) -> tuple[str, ...]:
    scales = data.get("scale")
    tables = [f"scale.{name}" for name in scales] if isinstance(scales, dict) else []
    return (*tables, *(["sweep"] if "sweep" in data else []))


def _standing(path: Path, text: str) -> Standing:
    try:
        old = read_text(path)
        data = tomllib.loads(old)
    except (TunerError, tomllib.TOMLDecodeError, RecursionError, ValueError):
        # What cannot be read as a preset is somebody's all the same.
        return Standing(path, comments=("a file that cannot be read as a preset",))
    kept = {*comments(text), *_helps(old, path)}
    lost = tuple(line for line in comments(old) if line and line not in kept)
    return Standing(path, lost, _beside(data))


def _helps(text: str, path: Path) -> list[str]:
    """The comments that a dump of the same values would have below its title, which nobody wrote."""
    try:
        own = experiment_from_text(text, str(path))
    except TunerError:
        return []
    title, _ = header(text)
    lines = comments(dump_experiment(own, title))
    return lines if EVERY_KEY in text else lines[1:]


def _same(path: Path, text: str) -> bool:
    try:
        return path.read_text("utf-8") == text
    except (OSError, ValueError):
        return False


def _another(path: Path) -> str:
    """A free name, or path when it is a path that was asked for."""
    if path.parent == own_presets():
        return offer_name(path.stem)
    count = 2
    while path.with_name(f"{path.stem}-{count}{SUFFIX}").exists():
        count += 1
    return str(path.with_name(f"{path.stem}-{count}{SUFFIX}"))


def _bad_name(text: str, fix: str) -> TunerError:
    message = f'"{inert(text)}" is no name for a preset' if text else "the preset has no name"
    return TunerError(message, code="bad-name", fix=fix, usage=True)
