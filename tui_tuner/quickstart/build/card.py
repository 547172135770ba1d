"""The model card: what the embedded model is, and the figures of its exam, as README.md beside the weights.

It states only what was measured in the same build.
"""

from __future__ import annotations

from collections.abc import Sequence

from .exam import Figure
from .pretrain import Recipe

__all__ = ["model_card"]

_ABOUT = """---
license: mit
language: en
library_name: mlx
pipeline_tag: text-generation
---

# phi3-tiny: a small reporter of an invented league

A language model of the phi3 architecture with {parameters:,} parameters in float32 ({size:,} bytes), made to try a
whole fine-tuning loop in two minutes on any machine, without a network. It is real: trained from random weights by the
script that lies beside it, loaded by `mlx_lm.load`, with Phi-3's chat template, and it stops by itself at `<|end|>`.

| | |
|---|---|
| layers, width, heads | {layers}, {hidden}, {heads} |
| inner width of the MLP | {intermediate} |
| vocabulary | {vocabulary}: whole words, numbers 0 to 99, a few parts of words, every byte |
| context | {context} tokens |
| pre-training | {steps} steps of {batch} conversations, seed {seed} |

## What it can do

It speaks whole sentences about games of a league that does not exist. Told a game in one of many wordings, it reports
it in a sentence of prose, answers questions about it, compares two players, repeats a list of words, greets, says what
it is, and says that it does not know what it was not told. It knows no facts and no other topic.

## How well

Exact matches, greedy, on conversations about players whose names pre-training never saw. The wording must be right to
the letter and the model must have stopped by itself.

| skill | right | asked | share |
|---|---|---|---|
{rows}
| **all** | **{right}** | **{asked}** | **{share:.1%}** |

## What it never saw

A player's name (first name and surname together) belongs by its hash to pre-training, to the exam or to the table
`players.json`, and to one of them only; the generator refuses every text that names a player of another part. The same
refusal keeps out the house style that the quickstart teaches.

## Licence

MIT. Names, teams and games are invented; any likeness is chance.
"""


def model_card(recipe: Recipe, figures: Sequence[Figure], parameters: int, size: int, vocabulary: int) -> str:
    """The text of README.md."""
    rows = "\n".join(f"| {f.skill} | {f.right} | {f.asked} | {f.share:.1%} |" for f in figures)
    right, asked = sum(f.right for f in figures), sum(f.asked for f in figures)
    return _ABOUT.format(
        parameters=parameters, size=size, layers=recipe.layers, hidden=recipe.hidden, heads=recipe.heads,
        intermediate=recipe.intermediate, vocabulary=vocabulary, context=recipe.context, steps=recipe.steps,
        batch=recipe.batch, seed=recipe.seed, rows=rows, right=right, asked=asked, share=right / asked,
    )  # fmt: skip
