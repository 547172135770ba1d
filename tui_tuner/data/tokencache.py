"""Tokenisation once: what `tokenise_all` found for the same rows and tokenizer is read back instead of computed again.

An entry's name is a hash of everything that tokens depend on, so a changed row, template or tokenizer file is another
entry and nothing ever has to be declared stale. The cache may be deleted at any time. It must never fail a run: an
entry that is damaged or cannot be written is as good as none. It must never return anything but what `tokenise_all`
would.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tui_tuner.data.cachefiles import read_arrays, write_arrays
from tui_tuner.data.examples import Example, tokenise_all
from tui_tuner.data.prepare import Row
from tui_tuner.paths import cache_dir
from tui_tuner.versions import installed

LIMIT = 512 << 20
"""Bytes that all entries together may take; the longest unused are removed first."""

_FORMAT = 1
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "config.json",  # mlx-lm takes the end-of-text tokens from it
)
_LIBRARIES = ("transformers", "tokenizers", "mlx-lm")
_CLOCK_WORDS = ("strftime", "now(", "today")


def tokenise_cached(
    rows: Sequence[Row],
    tokenizer: Any,
    *,
    mask_prompt: bool,
    max_length: int,
    where: str,
    tokenizer_folder: Path,
    folder: Path | None = None,
    limit: int = LIMIT,
) -> list[Example]:
    """`tokenise_all`, or what it gave the last time.

    Args:
        rows, tokenizer, mask_prompt, max_length, where: as for `tokenise_all`. `max_length` only says which rows are
            refused, so entries are shared between lengths.
        tokenizer_folder: the model folder that the tokenizer was loaded from.
        folder: where entries lie; by default `tokens` in the cache folder of the platform.
        limit: bytes that all entries may take.

    Raises:
        TunerError: what `tokenise_all` raises, for the same rows.
    """
    folder = folder if folder is not None else cache_dir() / "tokens"
    path = folder / f"{cache_key(rows, tokenizer, mask_prompt=mask_prompt, tokenizer_folder=tokenizer_folder)}.npz"
    found = _read(path, len(rows))
    if found is not None and all(max(e.offset, 1) < min(len(e.tokens), max_length) for e in found):
        return found
    examples = tokenise_all(rows, tokenizer, mask_prompt=mask_prompt, max_length=max_length, where=where)
    if found is None and examples:
        _write(path, examples, limit)
    return examples


def cache_key(rows: Sequence[Row], tokenizer: Any, *, mask_prompt: bool, tokenizer_folder: Path) -> str:
    """A hash of everything tokens depend on: rows, tokenizer files, chat template, masking, library versions.

    A template that asks for the date (as Llama 3's does) gives other tokens tomorrow, so the date is in its key.
    """
    template = str(getattr(tokenizer, "chat_template", None))
    digest = hashlib.sha256()
    head: dict[str, Any] = {"format": _FORMAT, "mask": mask_prompt, "template": template, "rows": len(rows)}
    head |= {"versions": library_versions(), "date": date_of(template)}
    _add(digest, json.dumps(head, sort_keys=True).encode())
    for name, content in tokenizer_files(tokenizer_folder):
        _add(digest, name.encode())
        _add(digest, content)
    for row in rows:
        _add(digest, json.dumps(row, sort_keys=True).encode())
    return digest.hexdigest()


def tokenizer_files(folder: Path, *more: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file of a model folder that its tokens depend on, and of those named besides."""
    for name in (*_TOKENIZER_FILES, *more):
        with contextlib.suppress(OSError):
            yield name, (folder / name).read_bytes()


def library_versions() -> dict[str, str]:
    """The versions of the libraries that make tokens of texts."""
    return {name: installed(name) or "" for name in _LIBRARIES}


def date_of(template: str) -> str:
    """Today's date where a template asks for the clock, else nothing; local time, as the template's clock is."""
    asks = any(word in template for word in _CLOCK_WORDS)
    return datetime.datetime.now().date().isoformat() if asks else ""


def _add(digest: Any, data: bytes) -> None:
    # The length first, so that no two different sequences of parts look alike.
    digest.update(len(data).to_bytes(8, "little"))
    digest.update(data)


def _read(path: Path, count: int) -> list[Example] | None:
    """An entry's examples; None when there is none or it is not whole (the archive's checksums tell)."""
    stored = read_arrays(path)
    if stored is None or not {"tokens", "ends", "offsets"} <= set(stored):
        return None
    tokens, ends, offsets = stored["tokens"], stored["ends"], stored["offsets"]
    if len(ends) != count or len(offsets) != count or (count and ends[-1] != len(tokens)):
        return None
    flat, starts = tokens.tolist(), [0, *ends.tolist()[:-1]]
    return [
        Example(flat[start:end], offset)
        for start, end, offset in zip(starts, ends.tolist(), offsets.tolist(), strict=True)
    ]


def _write(path: Path, examples: Sequence[Example], limit: int) -> None:
    """Writes an entry, where that can be."""
    lengths = np.array([len(e.tokens) for e in examples], np.int64)
    flat = np.fromiter((t for e in examples for t in e.tokens), np.int32, int(lengths.sum()))
    offsets = np.array([e.offset for e in examples], np.int64)
    write_arrays(path, {"tokens": flat, "ends": np.cumsum(lengths), "offsets": offsets}, limit)
