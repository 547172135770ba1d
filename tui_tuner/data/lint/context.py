"""What the linter must know of a model and a configuration, read off the tokenizer. Imports no library itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tui_tuner.data.chatforms import has_template
from tui_tuner.data.formprobe import form_of, special_texts
from tui_tuner.data.lint.facts import LintContext
from tui_tuner.data.recipe import Recipe

if TYPE_CHECKING:
    from tui_tuner.config import Experiment

_ENDINGS = ("<|end|>", "<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|endoftext|>", "</s>", "<eos>", "<|end_of_text|>")


def context_of(experiment: Experiment, tokenizer: Any, recipe: Recipe) -> LintContext:
    """The linter's context for an experiment.

    Args:
        tokenizer: mlx-lm's wrapper, or any Hugging Face tokenizer; None to lint without a model.
        recipe: how records become rows.
    """
    data, train = experiment.data, experiment.train
    return LintContext(
        model=experiment.model.path.rpartition("/")[2].removeprefix("embedded:"),
        specials=special_texts(tokenizer),
        bos=getattr(tokenizer, "bos_token_id", None),
        ends=_ends(tokenizer),
        has_template=has_template(tokenizer),
        max_length=train.max_seq_length,
        batch_size=train.batch_size,
        drops_remainder=train.mode == "stock",
        mask_prompt=data.mask_prompt,
        benchmark=experiment.evaluation.enabled,
        numeric=experiment.evaluation.enabled and "numeric_accuracy" in experiment.evaluation.metrics,
        shape=recipe.guess.shape,
        confidence=recipe.guess.confidence,
        templated=bool(data.prompt),
        wordings=max(len(recipe.wordings), 1),
        split=data.split,
        grouped=bool(data.group),
        form=form_of(tokenizer),
        template=experiment.model.chat_template,
        stops=frozenset(getattr(tokenizer, "eos_token_ids", None) or ()),
        allow=tuple(data.allow),
    )


def _ends(tokenizer: Any) -> frozenset[int]:
    """Ids of the tokens that end an answer: those the model stops at, and the ends of turns of known templates."""
    if tokenizer is None:
        return frozenset()
    ids = set(getattr(tokenizer, "eos_token_ids", None) or ())
    if getattr(tokenizer, "eos_token_id", None) is not None:
        ids.add(tokenizer.eos_token_id)
    known = tokenizer.get_vocab() if hasattr(tokenizer, "get_vocab") else {}
    ids.update(known[token] for token in _ENDINGS if token in known)
    return frozenset(ids)
