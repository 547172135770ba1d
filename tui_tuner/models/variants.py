"""Remembers which variants were made of a model, and what they were found to be like, for a table of them.

Kept in the cache folder by the model's content, so that it does not matter how the model was called. What cannot be
read counts as nothing: the table is a convenience, the models are what was made.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_tuner.errors import TunerError
from tui_tuner.paths import cache_dir
from tui_tuner.runs.files import read_json, write_json

if TYPE_CHECKING:
    from tui_tuner.models.quantize import Plan

_MOST = 200


@dataclass(frozen=True)
class Variant:
    """One conversion of a model.

    Attributes:
        path: where it is.
        scheme: what was done, in words.
        bytes: of its weights.
        bits_per_weight: on average.
        perplexity: on the rows it was measured on; None where it was not, as the following.
        perplexity_before: of the model it was made from, on the same rows.
        kl: mean divergence from that model, in nats per token.
        top1: share of positions with the same likeliest token.
        tokens_per_second: of one greedy answer.
        measured_on: which rows.
        made: seconds since the epoch.
        memory: bytes while answering: the weights, and what one answer takes on top; None where that is not known.
        calibrated_on: which rows a learned method looked at; None for others.
    """

    path: str
    scheme: str
    bytes: int
    bits_per_weight: float
    perplexity: float | None
    perplexity_before: float | None
    kl: float | None
    top1: float | None
    tokens_per_second: float
    measured_on: str | None
    made: float
    memory: int | None = None
    calibrated_on: str | None = None

    @classmethod
    def of(cls, made: Plan, path: Path, found: dict[str, Any]) -> Variant:
        """From a plan that was carried out and what was measured then."""
        perplexity = found["perplexity"] or {"before": None, "after": None}
        return cls(
            str(path),
            made.scheme.text(),
            made.bytes_after,
            made.bits_per_weight,
            perplexity["after"],
            perplexity["before"],
            found["kl"],
            found["top1_agreement"],
            found["tokens_per_second"]["after"],
            found["measured_on"],
            time.time(),
            found["memory"]["after"],
            found["calibrated_on"],
        )

    def as_json(self) -> dict[str, Any]:
        """As `convert --json` lists it."""
        return asdict(self)


def known_variants(model: str) -> list[Variant]:
    """The variants of a model that are still there, in the order they were made.

    Args:
        model: its fingerprint.
    """
    return _read(_file(model))


def all_variants() -> list[Variant]:
    """The variants of whichever model that are still there."""
    try:
        files = sorted((cache_dir() / "variants").glob("*.json"))
    except OSError:
        return []
    return [variant for file in files for variant in _read(file)]


def _read(file: Path) -> list[Variant]:
    try:
        listed = read_json(file)
    except TunerError:
        return []
    found = []
    for each in listed if isinstance(listed, list) else []:
        try:
            variant = Variant(**each)
            if Path(variant.path, "config.json").is_file():
                found.append(variant)
        except (TypeError, OSError):
            continue
    return found


def remember(model: str, variant: Variant) -> list[Variant]:
    """Adds a variant, in the place of one at the same path; where the cache cannot be written, to what is given only.

    Returns:
        All that are known then.
    """
    kept = [*(each for each in known_variants(model) if each.path != variant.path), variant][-_MOST:]
    file = _file(model)
    with contextlib.suppress(TunerError, OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, [each.as_json() for each in kept])
    return kept


def _file(model: str) -> Path:
    return cache_dir() / "variants" / f"{model[:40]}.json"
