"""From one record to its rows: by templates where the preset has some, else by the shape that was recognised.

A recipe is settled once for a source and then asked record by record, so that a screen can look at any one of a million
without making the others. It is a pure function of the configuration, the guess and the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tui_tuner.data.conditions import Condition
from tui_tuner.data.lookup import has_column, is_empty, look_up, paths_of
from tui_tuner.data.rows import Row, checked_row
from tui_tuner.data.shapes import LIKELY, Guess, recognise
from tui_tuner.data.shapes.advice import unusable
from tui_tuner.data.shapes.conversation import dialogue_from, messages_from, tools_from
from tui_tuner.data.template import Template, unknown_column
from tui_tuner.errors import TunerError

if TYPE_CHECKING:
    from tui_tuner.config import DataSection

MOST_COLUMNS = 400


@dataclass(frozen=True)
class Wording:
    """One way of asking and answering."""

    prompt: Template
    completion: Template


class Recipe:
    """How records of one source become rows.

    Attributes:
        guess: what the records are.
        wordings: pairs of templates; empty where the shape has messages or text.
        columns: the paths that the sample has, for messages and completion.
    """

    def __init__(self, data: DataSection, guess: Guess, columns: Sequence[str]) -> None:
        """
        Raises:
            TunerError: a template or condition is malformed, or they do not fit together.
        """
        self.guess, self.columns = guess, list(columns)
        self.wordings = wordings_of(data)
        self._asked = bool(self.wordings)
        mapping = guess.mapping
        if not self._asked and guess.trainable and "prompt" in mapping:
            self.wordings = [Wording(Template.parse(mapping["prompt"]), Template.parse(mapping.get("completion", "")))]
        system = data.system or mapping.get("system", "")
        self._system = Template.parse(system) if system else None
        self._own_system = bool(data.system)
        self._text = Template.parse(mapping["text"]) if "text" in mapping and not self._asked else None
        self._filter = [Condition.parse(text) for text in data.filter]

    # -- what it asks of the columns -------------------------------------------------------------------------------
    @property
    def templates(self) -> list[Template]:
        """Every template once."""
        pairs = [template for wording in self.wordings for template in (wording.prompt, wording.completion)]
        single = [template for template in (self._system, self._text) if template is not None]
        return list({template.text: template for template in [*pairs, *single]}.values())

    @property
    def used(self) -> set[str]:
        """The columns that templates and conditions look at, and those that messages and tools come from."""
        paths = {path for template in self.templates for path in template.fields}
        paths |= {path for condition in self._filter for path in condition.paths}
        mapping = self.guess.mapping
        paths |= {mapping[role] for role in ("messages", "dialogue", "tools", "before") if role in mapping}
        return paths | {path.split(".")[0] for path in paths}

    def check_columns(self, records: Iterable[Mapping[str, Any]], where: str) -> None:
        """Refuses a template or a condition with a column that no record has.

        Args:
            records: are gone through several times.

        Raises:
            TunerError: names the column and the nearest there is (code "unknown-column").
        """
        asked = [(path, template.text) for template in self.templates for path in sorted(template.fields)]
        asked += [(path, condition.text) for condition in self._filter for path in sorted(condition.paths)]
        for path, text in asked:
            if not any(has_column(record, path) for record in records):
                raise located(unknown_column(path, self.columns, text), where)

    # -- records ---------------------------------------------------------------------------------------------------
    def keeps(self, record: Mapping[str, Any]) -> bool:
        """Whether a record meets all conditions of the filter."""
        return all(condition.holds(record) for condition in self._filter)

    def rows_of(self, record: Mapping[str, Any], where: str) -> list[Row]:
        """The rows of a record: one for each wording.

        Args:
            where: its place, for errors.

        Raises:
            TunerError: it cannot be used; says why, and where.
        """
        try:
            return self._rows(record, where)
        except TunerError as error:
            raise located(error, where) from None

    def _rows(self, record: Mapping[str, Any], where: str) -> list[Row]:
        if self.wordings:
            return [self._worded(wording, record, where) for wording in self.wordings]
        if not self.guess.trainable or self.guess.confidence < LIKELY:
            raise unusable(self.guess, self.columns, record)
        if self._text is not None:
            self._refuse_other_shape(self._text.written, record)
            return [checked_row({"text": self._text.render(record)}, "text", where)]
        return [self._conversation(record, where)]

    def _worded(self, wording: Wording, record: Mapping[str, Any], where: str) -> Row:
        if not self._asked:
            self._refuse_other_shape(wording.prompt.written | wording.completion.written, record)
        prompt, answer = wording.prompt.render(record), wording.completion.render(record)
        for text, template in ((prompt, wording.prompt), (answer, wording.completion)):
            if not text.strip() and template.fields:
                raise _nothing(template, asked=self._asked)
        system = self._system.render(record) if self._system is not None else ""
        if not system.strip():
            return checked_row({"prompt": prompt, "completion": answer}, "completion", where)
        turns = [("system", system), ("user", prompt), ("assistant", answer)]
        return checked_row({"messages": [{"role": r, "content": c} for r, c in turns]}, "chat", where)

    def _refuse_other_shape(self, needed: set[str], record: Mapping[str, Any]) -> None:
        """A record of another shape than the source's has its own words: it is no matter of templates."""
        missing = [path for path in sorted(needed) if not has_column(record, path)]
        if not missing:
            return
        other = recognise([record])
        if other.trainable and other.confidence >= LIKELY and other.shape != self.guess.shape:
            raise TunerError(
                f"the rows before are {self.guess.shape} rows, but this one is a {other.shape} row",
                code="mixed-rows",
                fix="give every row the same keys",
            )
        has = ", ".join(map(str, record)) or "none"
        raise TunerError(
            f'the row has no "{missing[0]}" (its columns: {has})', code="bad-row", fix="give every row the same keys"
        )

    def _conversation(self, record: Mapping[str, Any], where: str) -> Row:
        mapping = self.guess.mapping
        if "dialogue" in mapping:
            messages = dialogue_from(look_up(record, mapping["dialogue"]))
        else:
            column = mapping.get("messages", "messages")
            self._refuse_other_shape({column}, record)
            value = look_up(record, column)
            if is_empty(value):
                raise TunerError(
                    f'"{column}" is missing or empty', code="bad-row", fix="fill it in or take the row out"
                )
            messages = messages_from(value)
        if "before" in mapping and not is_empty(before := look_up(record, mapping["before"])):
            opening = messages_from(before)
            messages = messages if messages[: len(opening)] == opening else opening + messages
        if self._system is not None and (self._own_system or messages[0]["role"] != "system"):
            system = self._system.render(record)
            rest = messages[1:] if messages[0]["role"] == "system" else messages
            messages = [{"role": "system", "content": system}, *rest] if system.strip() else messages
        row: dict[str, Any] = {"messages": messages}
        if "tools" in mapping and (tools := tools_from(look_up(record, mapping["tools"]) or [])):
            row["tools"] = tools
        return checked_row(row, "chat", where)


def settle(data: DataSection, records: Sequence[Mapping[str, Any]], where: str) -> Recipe:
    """The recipe for a source, from its first records.

    Raises:
        TunerError: templates that do not fit their columns, or a shape that cannot be trained on.
    """
    guess = recognise(records, data.shape)
    columns = paths_of(records)[:MOST_COLUMNS]
    recipe = Recipe(data, guess, columns)
    if not recipe.wordings and (not guess.trainable or guess.confidence < LIKELY):
        raise located(unusable(guess, columns, records[0]), where)
    return recipe


def wordings_of(data: DataSection) -> list[Wording]:
    """Every wording of the configuration, parsed; empty when rows are made by their shape.

    Raises:
        TunerError: only one side is given, or their numbers differ.
    """
    prompts, completions = list(data.prompt), list(data.completion)
    if bool(prompts) != bool(completions):
        have, lack = ("prompt", "completion") if prompts else ("completion", "prompt")
        raise TunerError(
            f"data.{have} is set and data.{lack} is not", code="bad-template", fix="write both, or neither", usage=True
        )
    if len(completions) not in (1, len(prompts)) and prompts:
        raise TunerError(
            f"data.prompt has {len(prompts)} wordings and data.completion {len(completions)}",
            code="bad-template",
            fix="write one completion for all wordings, or one for each",
            usage=True,
        )
    answers = [Template.parse(text) for text in completions]
    return [
        Wording(Template.parse(text), answers[index if len(answers) > 1 else 0]) for index, text in enumerate(prompts)
    ]


def located(error: TunerError, where: str) -> TunerError:
    """The same error with its place, unless it names one."""
    return TunerError(error.message, code=error.code, where=error.where or where, fix=error.fix, usage=error.usage)


def _nothing(template: Template, *, asked: bool) -> TunerError:
    path = min(template.fields)
    mend = f"write what an empty value means, such as {{{path} or 0}}, or take the row out" if asked else ""
    message = f'the template "{template.text}" gives no text here' if asked else f'"{path}" is empty'
    return TunerError(message, code="bad-row", fix=mend or "fill it in or take the row out")
