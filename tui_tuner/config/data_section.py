"""The section `[data]`: where the examples come from, and how a record becomes a prompt and an answer.

As in the rest of the model, the text under a key is its help. Whether a column exists or a row can be trained on is
checked where the records are at hand, not here.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from tui_tuner.config.reading import Slice, encoding_name, separator
from tui_tuner.config.types import ConflictError, Name, Names, Number, Section, Switch, Text, Texts, Whole, form

Shape = Literal[
    "auto", "completion", "text", "messages", "sharegpt", "alpaca", "dolly", "question-answer", "preference", "tree"
]
Header = Literal["auto", "yes", "no"]
SplitMode = Literal["records", "grouped", "facts"]
Branch = Literal["best", "longest", "all"]


def _is_slice(value: str) -> str:
    if Slice.parse(value) is None:
        raise ConflictError("", "is no slice", 'write it as "train[:1000]", "[10%:20%]" or "test"')
    return value


def _is_encoding(value: str) -> str:
    if value and encoding_name(value) is None:
        raise ConflictError("", "is no encoding", 'name one such as "utf-8", "cp1252", "mac_roman" or "shift_jis"')
    return value


def _is_delimiter(value: str) -> str:
    if value and separator(value) is None:
        raise ConflictError("", "separates nothing", 'give a sign such as ";", or "tab" or "spaces"')
    return value


Slicing = Annotated[Text, AfterValidator(_is_slice)]
Encoding = Annotated[Text, AfterValidator(_is_encoding)]
Delimiter = Annotated[Text, AfterValidator(_is_delimiter)]


class DataSection(Section):
    """The examples that are learned from, and how a record becomes a prompt and an answer."""

    source: Name = Field(json_schema_extra=form(basic=True))
    """The examples: a file (JSONL, JSON, CSV, Parquet, text and others), a folder with train, valid and test files, a
    data set on the Hugging Face Hub ("hf:owner/name"), or "embedded:players". A relative path is looked up beside this
    file first."""
    subset: Text = ""
    """Which of several sets a source holds: a configuration on the Hub, a folder in a folder, or the key of a list in a
    JSON file. Empty where there is only one."""
    slice: Slicing = ""
    """Which part to take, such as "train[:1000]", "[10%:20%]" or "test"; empty takes everything. With the name of a
    split, only that one is used, and validation and test are held back from it."""
    encoding: Encoding = ""
    """The encoding of a text file, such as "cp1252" or "shift_jis"; empty finds it out. Set it when accented letters
    come out wrong."""
    delimiter: Delimiter = ""
    """What separates the columns of a text file: a sign or several, or "tab" or "spaces" (two or more); empty finds it
    out."""
    header: Header = "auto"
    """Whether the first record of a CSV file names the columns; "auto" judges by its values, and says how surely."""
    shape: Shape = "auto"
    """What the records look like; "auto" recognises it, and the Data screen says how surely. Set it when the guess is
    wrong; templates come before it."""
    prompt: Texts = Field(default_factory=list, json_schema_extra=form(basic=True))
    """Templates of the question, with columns in braces, such as "Summarise: {text}". Each wording makes an example
    of its own from every record; leave it empty when the rows already are prompt/completion, messages or text."""
    completion: Texts = Field(default_factory=list, json_schema_extra=form(basic=True))
    """Templates of the answer that the model shall learn, with columns in braces. Give one for all prompts, or one
    for each."""
    system: Text = Field("", json_schema_extra=form(basic=True))
    """Template of a system message put before every prompt; empty for none. Use it when the model will be called with
    the same one."""
    filter: Texts = Field(default_factory=list)
    """Conditions that a record must meet to be used, such as 'yards > 0' or 'category != "closed_qa"'; all of them
    must hold. How many records they leave out is said."""
    sample: Whole = Field(0, ge=0, json_schema_extra=form(basic=True, unit="records"))
    """How many records to take by seed before anything else, after the filter; 0 takes all. Use it to try a large
    set quickly."""
    train: Whole = Field(0, ge=0, json_schema_extra=form(basic=True, unit="records"))
    """How many records to train on; 0 takes all that are left after validation and test. Lower it to see what less
    data would have done."""
    valid: Whole = Field(0, ge=0, json_schema_extra=form(basic=True, unit="records"))
    """How many records to hold back for the validation loss; 0 takes 10 %, at least one, or all of a folder's valid
    file. Training never sees them."""
    test: Whole = Field(0, ge=0, json_schema_extra=form(basic=True, unit="records"))
    """How many records to hold back for the benchmark before and after; 0 takes 10 %, at least one, or all of a
    folder's test file. More rows make the verdict surer and the benchmark slower."""
    valid_share: Number = Field(0.0, ge=0, lt=1)
    """The share of the records to hold back for validation, such as 0.05; 0 leaves it to valid. Not for sources that
    bring their own splits."""
    test_share: Number = Field(0.0, ge=0, lt=1)
    """The share of the records to hold back for the benchmark, such as 0.1; 0 leaves it to test. Not for sources that
    bring their own splits."""
    split: SplitMode = Field("records", json_schema_extra=form(basic=True))
    """What is held back: "records" draws single records, "grouped" keeps records together that share the columns named
    by group, "facts" trains every fact and holds back wordings, to measure recall in new words."""
    group: Names = Field(default_factory=list)
    """The columns that tell what a record is about, such as a name or a document; records that agree in them never
    straddle two splits. Needed by "grouped", useful with "facts"."""
    valid_wordings: Whole = Field(1, ge=0, json_schema_extra=form(unit="wordings"))
    """With split = "facts": how many of the last prompt templates are kept for validation, before those of the
    test."""
    test_wordings: Whole = Field(1, ge=1, json_schema_extra=form(unit="wordings"))
    """With split = "facts": how many of the last prompt templates are kept for the test."""
    unseen: Whole = Field(0, ge=0, json_schema_extra=form(unit="records"))
    """With split = "facts": how many records are never trained in any wording, as a set of its own that shows
    guessing; 0 keeps none."""
    tree: Branch = "best"
    """How a tree of messages becomes conversations: "best" follows the best-ranked replies, "longest" the longest
    branch, "all" takes every branch."""
    fixes: Names = Field(default_factory=list)
    """Mendings applied to the rows, in order, by the names that the Data screen gives them. Take a name out to undo it;
    the file itself is never changed."""
    allow: Names = Field(default_factory=list)
    """Problems of severity error that shall not block training, by their codes; "leakage" and "lost-words" can be
    trained in spite of. Allow only what you have looked at."""
    mask_prompt: Switch = Field(True, json_schema_extra=form(basic=True))
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

    @model_validator(mode="after")
    def _splits_make_sense(self) -> Self:
        for part in ("valid", "test"):
            if getattr(self, part) and getattr(self, f"{part}_share"):
                raise ConflictError(f"{part}_share", f"is given beside data.{part}", "give only one of them")
        if self.valid_share + self.test_share >= 1:
            raise ConflictError(
                "test_share", "leaves no records to train on", "lower data.valid_share or data.test_share"
            )
        if self.split == "grouped" and not self.group:
            raise ConflictError("split", "needs data.group", "name the columns that tell what a record is about")
        if self.split == "facts":
            held = self.valid_wordings + self.test_wordings
            if len(self.prompt) <= held:
                has = f"has {len(self.prompt)} templates, of which {held} are held back"
                raise ConflictError("prompt", has, "write at least one more wording to train on")
        return self
