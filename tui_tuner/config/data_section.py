"""The section `[data]`: where the examples come from, and how a record becomes a prompt and an answer.

As in the rest of the model, the text under a key is its help. Whether a column exists or a row can be trained on is
checked where the records are at hand, not here.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from tui_tuner.config.types import ConflictError, Name, Section, Switch, Texts, Whole


class DataSection(Section):
    """The examples that are learned from, and how a record becomes a prompt and an answer."""

    source: Name
    """The examples: a file (JSONL, JSON, CSV or TSV), a folder with train, valid and test files, or
    "embedded:players". A relative path is looked up beside this file first."""
    prompt: Texts = Field(default_factory=list)
    """Templates of the question, with columns in braces, such as "Summarise: {text}". Each wording makes an example
    of its own from every record; leave it empty when the rows already are prompt/completion, messages or text."""
    completion: Texts = Field(default_factory=list)
    """Templates of the answer that the model shall learn, with columns in braces. Give one for all prompts, or one
    for each."""
    train: Whole = Field(0, ge=0)
    """How many records to train on; 0 takes all that are left after validation and test. Lower it to see what less
    data would have done."""
    valid: Whole = Field(0, ge=0)
    """How many records to hold back for the validation loss; 0 takes 10 %, at least one, or all of a folder's valid
    file. Training never sees them."""
    test: Whole = Field(0, ge=0)
    """How many records to hold back for the benchmark before and after; 0 takes 10 %, at least one, or all of a
    folder's test file. More rows make the verdict surer and the benchmark slower."""
    mask_prompt: Switch = True
    """Whether the loss counts the answer's tokens only. Switch it off to learn the prompt's wording too, and for rows
    of plain text, which have no prompt."""

    @model_validator(mode="after")
    def _templates_pair_up(self) -> Self:
        prompts, answers = len(self.prompt), len(self.completion)
        if answers and not prompts:
            raise ConflictError(
                "completion", "is given without data.prompt", "add data.prompt, or remove data.completion"
            )
        if prompts and not answers:
            raise ConflictError(
                "prompt", "is given without data.completion", "add data.completion, or remove data.prompt"
            )
        if prompts and answers not in (1, prompts):
            many = f"has {answers} templates for {prompts} prompt{'s' if prompts > 1 else ''}"
            raise ConflictError("completion", many, f"give one template{f', or {prompts}' if prompts > 1 else ''}")
        return self
