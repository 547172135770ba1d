"""Whether a prediction says the same as its reference: exactly, after SQuAD's normalisation, or in how many words.

The normalisation and the F-measure are those of SQuAD's official evaluation script, version 2.0 (Rajpurkar et al.
2018): with several references the best one counts.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """A text as SQuAD's script compares it."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def exact(prediction: str, references: Sequence[str]) -> float:
    """1.0 where the prediction is one of the references, once white space around is taken off."""
    said = prediction.strip()
    return float(any(said == right.strip() for right in references))


def squad_exact(prediction: str, references: Sequence[str]) -> float:
    """1.0 where the prediction is one of the references after normalisation."""
    said = normalised(prediction)
    return float(any(said == normalised(right) for right in references))


def token_f1(prediction: str, references: Sequence[str]) -> float:
    """The best F-measure of the words shared with a reference after normalisation, 0 to 1."""
    said = normalised(prediction).split()
    return max(_f1(said, normalised(right).split()) for right in references)


def _f1(said: list[str], right: list[str]) -> float:
    if not said or not right:
        return float(said == right)
    shared = sum((Counter(said) & Counter(right)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(said), shared / len(right)
    return 2 * precision * recall / (precision + recall)
