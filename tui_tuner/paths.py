"""Where things lie: presets, runs, the person's settings, and what a path in a preset means.

This module only answers; it must never create a folder or a file, and never reach for the network.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
import unicodedata
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from tui_tuner.errors import TunerError

EMBEDDED = "embedded:"
_EMBEDDED_MODELS = {"phi3-tiny": Path("quickstart/model")}
_EMBEDDED_DATA = {
    "players": Path("quickstart/players.json"),
    "articles": Path("quickstart/samples/articles.jsonl"),
    "statistics": Path("quickstart/samples/statistics.json"),
    "instructions": Path("quickstart/samples/instructions.json"),
    "recipes": Path("quickstart/samples/recipes.jsonl"),
}
_LONGEST_NAME = 60
_NUMBERED = re.compile(r"(.+?)-(\d+)")
_REPOSITORY = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")


def embedded_models() -> tuple[str, ...]:
    """Names of the embedded models."""
    return tuple(_EMBEDDED_MODELS)


def package_dir() -> Path:
    """The folder of the installed package."""
    return Path(__file__).resolve().parent


def checkout_dir() -> Path | None:
    """The root of the project's own source tree when the package is run from one, else None."""
    root = package_dir().parent
    return root if (root / "pyproject.toml").is_file() and (root / "presets").is_dir() else None


def config_dir() -> Path:
    """The folder of the person's settings and presets, which need not exist.

    `TUI_TUNER_CONFIG` decides; without it `~/Library/Application Support/tui-tuner` on a Mac, else `tui-tuner` in
    `XDG_CONFIG_HOME` (by default `~/.config`).
    """
    if chosen := os.environ.get("TUI_TUNER_CONFIG"):
        return _absolute(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "tui-tuner"
    base = os.environ.get("XDG_CONFIG_HOME", "")
    # The XDG specification has relative paths ignored.
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".config") / "tui-tuner"


def cache_dir() -> Path:
    """The folder of what can be computed again and may be deleted at any time; it need not exist.

    `TUI_TUNER_CACHE` decides; without it `~/Library/Caches/tui-tuner` on a Mac, else `tui-tuner` in `XDG_CACHE_HOME`
    (by default `~/.cache`).
    """
    if chosen := os.environ.get("TUI_TUNER_CACHE"):
        return _absolute(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tui-tuner"
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "tui-tuner"


def presets_dirs() -> list[Path]:
    """The folders that presets are looked up in, first match first; some may not exist.

    The person's own, the working directory's, the source tree's, and the package's (in an installed wheel).
    """
    candidates = [config_dir() / "presets", Path.cwd() / "presets"]
    if root := checkout_dir():
        candidates.append(root / "presets")
    candidates.append(package_dir() / "presets")
    seen: dict[Path, Path] = {}
    for folder in candidates:
        seen.setdefault(folder.resolve(), folder)
    return list(seen.values())


def runs_dir(override: Path | None = None) -> Path:
    """The folder that runs land in, absolute; it need not exist.

    First of: `override`, `TUI_TUNER_RUNS`, the setting `runs_dir`, `runs` in the source tree when the working directory
    is inside it, `~/tui-tuner/runs`.
    """
    return _work_dir("runs", override)


def chats_dir(override: Path | None = None) -> Path:
    """The folder of conversations that belong to no run, `chats` in the folder of runs; it need not exist.

    Args:
        override: where runs live, when it is not where `runs_dir` says.
    """
    return runs_dir(override) / "chats"


def models_dir(override: Path | None = None) -> Path:
    """The folder that models are converted and fused into, absolute; it need not exist.

    First of: `override`, `TUI_TUNER_MODELS`, the setting `models_dir`, `models` in the source tree when the working
    directory is inside it, `~/tui-tuner/models`.
    """
    return _work_dir("models", override)


def _work_dir(what: Literal["runs", "models"], override: Path | None) -> Path:
    if override is not None:
        return _absolute(override)
    if chosen := os.environ.get(f"TUI_TUNER_{what.upper()}"):
        return _absolute(chosen)
    # Settings ask this module where their file lies, so they can only be asked back late.
    from tui_tuner.settings import load_settings

    settings = load_settings()
    if setting := settings.runs_dir if what == "runs" else settings.models_dir:
        # Settings hold wherever the app is started, so a relative folder counts from home.
        return _absolute(Path.home() / os.path.expanduser(setting))  # noqa: PTH111
    root = checkout_dir()
    if root is not None and Path.cwd().resolve().is_relative_to(root):
        return root / what
    return Path.home() / "tui-tuner" / what


def resolve_model(path: str, base: Path | None) -> str:
    """What a model's path means: the absolute folder, or `path` unchanged when there is none (a Hub repository).

    Args:
        path: `embedded:NAME`, a local path, or the name of a repository.
        base: the folder that a relative path is looked up in before the working directory; a preset's own folder.

    Raises:
        TunerError: when there is no embedded model of that name.
    """
    return _resolve(path, base, _EMBEDDED_MODELS, "model")


def resolve_data(source: str, base: Path | None) -> str:
    """What a data source means: the absolute file or folder, or `source` unchanged when there is none.

    Args:
        source: `embedded:NAME`, a local path, or the name of a repository.
        base: the folder that a relative path is looked up in before the working directory; a preset's own folder.

    Raises:
        TunerError: when there is no embedded data of that name.
    """
    return _resolve(source, base, _EMBEDDED_DATA, "data set")


def is_repository_name(name: str) -> bool:
    """Whether the text has the form `owner/name` of a repository on the Hub."""
    return bool(_REPOSITORY.match(name)) and ".." not in name


def safe_name(text: str) -> str:
    """A name for a folder made from any text: ASCII letters, digits, `.`, `_` and `-`, at most 60, never empty.

    The name starts and ends with a letter, a digit or `_`, so that it is no hidden file, no option, no `..`.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    # A mark between letters stands for a gap, so that "a/b" and "ab" stay apart.
    dashed = re.sub(r"-{2,}", "-", re.sub(r"[^A-Za-z0-9._-]+", "-", plain))
    return dashed.strip(".-")[:_LONGEST_NAME].strip(".-") or "unnamed"


def numbered_name(name: str, taken: Collection[str]) -> str:
    """The name with the next number behind it that makes a folder name of its own: `players`, then `players-2`.

    A number at the end is counted on where the rest is taken too, so that `phi-3` does not become `phi-4`. A name too
    long for a folder loses what the number needs.

    Args:
        name: any text.
        taken: names as `safe_name` makes them.
    """
    found = _NUMBERED.fullmatch(name)
    stem, count = (found[1], int(found[2])) if found and safe_name(found[1]) in taken else (name, 1)
    while True:
        count += 1
        while len(safe_name(stem)) + len(f"-{count}") > _LONGEST_NAME:
            stem = stem[:-1]
        if safe_name(f"{stem}-{count}") not in taken:
            return f"{stem}-{count}"


def _resolve(text: str, base: Path | None, embedded: dict[str, Path], kind: str) -> str:
    if text.startswith(EMBEDDED):
        name = text.removeprefix(EMBEDDED)
        if name not in embedded:
            near = difflib.get_close_matches(name, embedded, n=1)
            choice = near[0] if near else ", ".join(embedded)
            raise TunerError(
                f'there is no embedded {kind} "{name}"',
                code="unknown-embedded",
                where=text,
                fix=f"use {EMBEDDED}{choice}",
            )
        return str(package_dir() / embedded[name])
    return str(found) if (found := find_local(text, base)) else text


def find_local(text: str, base: Path | None) -> Path | None:
    """The absolute path of an existing file or folder called `text` under `base` or the working directory, or None."""
    if not text.strip():
        return None
    try:
        path = Path(text).expanduser()
        for folder in ([base] if base is not None else []) + [Path.cwd()]:
            candidate = folder / path
            if candidate.exists():
                return Path(os.path.abspath(candidate))  # noqa: PTH100  a link keeps its own name
    except (OSError, ValueError, RuntimeError):
        # Too long, a zero byte, no such user: no file of this machine, so perhaps a repository's name.
        return None
    return None


def noted_base(run: Path) -> Path | None:
    """The folder that relative paths in a run's configuration start from, as it was noted when the run was made.

    Args:
        run: the run's folder.

    Returns:
        None where none was noted: the working directory, then.
    """
    try:
        meta = json.loads((run / "meta.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    base = meta.get("base") if isinstance(meta, dict) else None
    return Path(base) if isinstance(base, str) else None


def _absolute(path: str | Path) -> Path:
    # Unlike Path's, these leave a link its own name and an unknown user's home as it is written.
    return Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111
