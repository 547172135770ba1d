"""The prepared rows of a run as tokens: the same for whoever trains on them."""

from __future__ import annotations

from tui_tuner.config import Experiment
from tui_tuner.data.examples import Example
from tui_tuner.data.prepare import Prepared
from tui_tuner.data.tokencache import tokenise_cached
from tui_tuner.models.load import Base


def tokenised(experiment: Experiment, base: Base, prepared: Prepared) -> tuple[list[Example], list[Example]]:
    """Rows to train on and rows to validate on, tokenised, or read from the cache.

    Raises:
        TunerError: when a row cannot be, naming it.
    """
    train, valid = (
        tokenise_cached(
            rows,
            base.tokenizer,
            mask_prompt=experiment.data.mask_prompt,
            max_length=experiment.train.max_seq_length,
            where=where,
            tokenizer_folder=base.path,
        )
        for rows, where in ((prepared.train, "train"), (prepared.valid, "valid"))
    )
    return train, valid
