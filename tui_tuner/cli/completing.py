"""What the shell offers for an argument: names of runs, presets, models, results and keys, as they are at that moment.

The shell waits at every press of the tab key, so only names of files are looked at, no log is read and no model library
is loaded. A name goes through the shell's own evaluation, so only plain ones are offered. It must never fail: a folder
that cannot be read has nothing to offer.
"""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import typer

Offer = list[str | tuple[str, str]]

MOST = 200
"""Names that are offered at most, the newest first."""
_PLAIN = re.compile(r"[\w./@+-][\w .,:=/@+-]*", re.ASCII)
_CHECKPOINT = re.compile(r"(\d{7})_adapters\.safetensors")


def among(*words: str) -> Callable[[str], Offer]:
    """Offers fixed words."""

    def offer(incomplete: str) -> Offer:
        return [word for word in words if word.startswith(incomplete)]

    return offer


def runs(ctx: typer.Context, incomplete: str) -> Offer:
    """Runs by name, newest first, and `last`."""
    return _begun(["last", *_runs(ctx)], incomplete)


def deleted(ctx: typer.Context, incomplete: str) -> Offer:
    """Runs that were deleted."""
    from tui_tuner.runs.trash import TRASH

    return _begun((path.name for path in _folders(_runs_dir(ctx) / TRASH)), incomplete)


def presets(incomplete: str) -> Offer:
    """Presets by name, with the first line of their header."""
    from tui_tuner.paths import presets_dirs

    found: dict[str, str] = {}
    for folder in presets_dirs():
        for path in _sorted(folder, "*.toml"):
            found.setdefault(path.stem, _title(path))
    return [(name, title) if title else name for name, title in found.items() if _offered(name, incomplete)]


def experiments(ctx: typer.Context, incomplete: str) -> Offer:
    """Presets, then runs."""
    return [*presets(incomplete), *runs(ctx, incomplete)]


def results(ctx: typer.Context, incomplete: str) -> Offer:
    """Runs; after `RUN:` the results that this run has."""
    run, colon, _ = incomplete.partition(":")
    if not colon:
        return runs(ctx, incomplete)
    return _begun((f"{run}:{label}" for label in _labels(ctx, run)), incomplete)


def labels(ctx: typer.Context, incomplete: str) -> Offer:
    """The results of the runs that were named before."""
    named = ctx.params.get("runs") or ctx.params.get("run") or ["last"]
    names = [named] if isinstance(named, str) else named
    return _begun((label for name in names for label in _labels(ctx, name)), incomplete)


def steps(ctx: typer.Context, incomplete: str) -> Offer:
    """The checkpoints of the run that was named before."""
    return _begun(["best", *_steps(ctx, ctx.params.get("run") or "last")], incomplete)


def adapted(ctx: typer.Context, incomplete: str) -> Offer:
    """Runs; after `RUN:` the checkpoints that this run has."""
    run, colon, _ = incomplete.partition(":")
    if not colon:
        return runs(ctx, incomplete)
    return _begun((f"{run}:{step}" for step in ("best", "base", *_steps(ctx, run))), incomplete)


def models(incomplete: str) -> Offer:
    """Models: the embedded ones, those that were made here, and those in the Hub's cache."""
    from tui_tuner.paths import EMBEDDED, embedded_models, models_dir

    own = [str(path) for path in _folders(models_dir()) if (path / "config.json").is_file()]
    cached = [path.name.removeprefix("models--").replace("--", "/") for path in _folders(_hub(), "models--*")]
    return _begun([*(EMBEDDED + name for name in embedded_models()), *cached, *own], incomplete)


def answering(ctx: typer.Context, incomplete: str) -> Offer:
    """Models, and runs with their checkpoints."""
    return [*models(incomplete), *adapted(ctx, incomplete)]


def queueable(ctx: typer.Context, incomplete: str) -> Offer:
    """What `queue` takes after its verb: presets to add, else the runs that wait."""
    act = str(ctx.params.get("act") or "")
    return presets(incomplete) if act == "add" else runs(ctx, incomplete)


def tags(ctx: typer.Context, incomplete: str) -> Offer:
    """The tags of the run that was named before."""
    from tui_tuner.errors import TunerError

    try:
        from tui_tuner.runs.catalogue import find_run
        from tui_tuner.runs.labels import labels_of

        return _begun(labels_of(find_run(ctx.params.get("run") or "last", _runs_dir(ctx)).path).tags, incomplete)
    except (TunerError, OSError):
        return []


def chats(ctx: typer.Context, incomplete: str) -> Offer:
    """Conversations that were kept, and `last`."""
    from tui_tuner.paths import chats_dir

    places = [chats_dir(_runs_dir(ctx)), *(_runs_dir(ctx) / run / "chats" for run in _runs(ctx))]
    return _begun(["last", *(path.stem for place in places for path in _sorted(place, "*.jsonl"))], incomplete)


def overrides(incomplete: str) -> Offer:
    """Keys of a preset, each with the first sentence of its help; after `=` the values that it may have."""
    from tui_tuner.config import describe

    key, equals, _ = incomplete.partition("=")
    if not equals:
        known = ((name, describe.field(name)) for name in describe.key_names() if name.startswith(key))
        return [(f"{name}=", _first_sentence(info.help)) for name, info in known if info is not None]
    info = describe.field(key)
    return _begun((f"{key}={choice}" for choice in (info.choices if info is not None else ()) or ()), incomplete)


# -- what there is ----------------------------------------------------------------------------------------------------
def _runs_dir(ctx: typer.Context) -> Path:
    from tui_tuner.paths import runs_dir

    chosen = ctx.params.get("runs_dir")
    return runs_dir(Path(chosen) if chosen else None)


def _runs(ctx: typer.Context) -> list[str]:
    folders = [path for path in _folders(_runs_dir(ctx)) if (path / "events.jsonl").is_file()]
    return [path.name for path in sorted(folders, key=_age)][:MOST]


def _labels(ctx: typer.Context, run: str) -> list[str]:
    return [path.stem for path in _sorted(_runs_dir(ctx) / _named(ctx, run) / "evaluation", "*.jsonl")]


def _steps(ctx: typer.Context, run: str) -> list[str]:
    files = _sorted(_runs_dir(ctx) / _named(ctx, run) / "adapters", "*_adapters.safetensors")
    return [str(int(found[1])) for path in files if (found := _CHECKPOINT.fullmatch(path.name))]


def _named(ctx: typer.Context, run: str) -> str:
    """The folder's name of a run: the newest for `last`, the only one that begins so, or what was written."""
    names = _runs(ctx)
    if run == "last":
        return names[0] if names else run
    begun = [name for name in names if name.startswith(run)]
    return begun[0] if len(begun) == 1 else run


def _hub() -> Path:
    """The Hub's cache, found as its library does it."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache).expanduser()
    home = os.environ.get("HF_HOME")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (Path(home).expanduser() if home else base / "huggingface") / "hub"


def _folders(place: Path, pattern: str = "*") -> Iterator[Path]:
    return (path for path in _sorted(place, pattern) if path.is_dir() and not path.name.startswith("."))


def _sorted(place: Path, pattern: str) -> list[Path]:
    try:
        return sorted(place.glob(pattern))
    except OSError:
        return []


def _age(path: Path) -> float:
    try:
        return -(path / "events.jsonl").stat().st_mtime
    except OSError:
        return 0.0


def _title(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            line = file.readline(200)
    except OSError:
        return ""
    return _harmless(line.lstrip("# ")) if line.startswith("#") else ""


def _first_sentence(text: str) -> str:
    return _harmless(" ".join(text.split()).partition(". ")[0])


def _harmless(text: str) -> str:
    """A line that no shell reads anything into."""
    plain = "".join(sign for sign in text.strip() if sign.isalnum() or sign in " .,:;-+/=%_")
    return textwrap.shorten(plain, 60, placeholder="")


def _begun(names: Iterable[str], incomplete: str) -> Offer:
    return list(dict.fromkeys(name for name in names if _offered(name, incomplete)))


def _offered(name: str, incomplete: str) -> bool:
    return name.startswith(incomplete) and _PLAIN.fullmatch(name) is not None
