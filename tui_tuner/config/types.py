"""The kinds of value that an experiment may hold, and the base of its sections.

Values are taken as the file says them: text is never read as a number, and `true` is never 1. The only kindnesses are
those that lose nothing: `1e3` where a whole number is wanted, an integer where a number is wanted, and a single item
where a list is wanted. This module must never know what a section means.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    Strict,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

LARGEST_WHOLE = 2**32 - 1
"""The largest whole number that any key takes: seeds are 32 bits wide, and no count comes near."""


class ConflictError(ValueError):
    """A value that breaks a rule of its own or contradicts another key.

    Args:
        key: the name inside its section of the key to blame, or empty for the field that is being validated.
        message: what is wrong, as a clause that follows the key and its value.
        fix: what to do about it, as an imperative clause.
    """

    def __init__(self, key: str, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.key = key
        self.message = message
        self.fix = fix


def form(*, basic: bool = False, unit: str = "", allowed: str = "") -> dict[str, JsonValue]:
    """What the form shows of a key beyond type and help, for its `json_schema_extra`.

    Args:
        basic: whether somebody who does a first run should see it.
        unit: what its number counts, such as "tokens".
        allowed: the range in words, where bounds alone do not say it.
    """
    return {"basic": basic, "unit": unit, "allowed": allowed}


def _whole(value: Any) -> Any:
    """Turn `1e3` and `100.0` into the integers they are; leave everything else to the strict check."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _not_absurd(value: int) -> int:
    if abs(value) > LARGEST_WHOLE:
        raise ConflictError("", "is too large", f"set it to at most {LARGEST_WHOLE}")
    return value


def _encodable(value: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ConflictError("", "holds bytes that are not UTF-8 text", "write it as UTF-8") from None
    return value


def _present(value: str) -> str:
    if not value.strip():
        raise ConflictError("", "is empty", "give it a value")
    return value


def _one_line(value: str) -> str:
    if not value.isprintable():
        raise ConflictError("", "holds a line break or another control character", "write it on one line")
    return value


def _as_list(value: Any) -> Any:
    """Let a single item stand for a list of one."""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return [value]
    return list(value) if isinstance(value, tuple) else value


AS_LIST = BeforeValidator(_as_list)
Whole = Annotated[int, BeforeValidator(_whole), Strict(), AfterValidator(_not_absurd)]
WholeList = Annotated[list[Annotated[Whole, Field(ge=0)]], BeforeValidator(_as_list)]
Number = Annotated[float, Strict()]
Switch = Annotated[bool, Strict()]
Text = Annotated[str, Strict(), AfterValidator(_encodable)]
Line = Annotated[Text, AfterValidator(_one_line)]
Name = Annotated[Text, AfterValidator(_present), AfterValidator(_one_line)]
Filled = Annotated[Text, AfterValidator(_present)]
Texts = Annotated[list[Filled], BeforeValidator(_as_list)]
Names = Annotated[list[Name], BeforeValidator(_as_list)]


def _of_the_library(value: Any, known: ValidatorFunctionWrapHandler) -> Any:
    """A metric that is not ours and that the library `evaluate` is asked for by name; any other has to be known."""
    if isinstance(value, str) and value.startswith("evaluate:") and len(value) > len("evaluate:"):
        return _encodable(value)
    return known(value)


TextMetric = Literal[
    "exact_match",
    "squad_exact_match",
    "token_f1",
    "numeric_accuracy",
    "rouge1",
    "rouge2",
    "rougeL",
    "rougeLsum",
    "bleu",
    "chrf",
]
"""The metrics that compare an answer with its reference."""
Metric = Annotated[TextMetric, WrapValidator(_of_the_library)]
Metrics = Annotated[list[Metric], BeforeValidator(_as_list)]


class Section(BaseModel):
    """A table of the experiment: knows its keys, refuses others, and checks every assignment."""

    model_config = ConfigDict(
        extra="forbid",
        validate_assignment=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        # A key called model_… would be ours, not pydantic's.
        protected_namespaces=(),
    )

    def __setattr__(self, name: str, value: Any) -> None:
        """Assign a value, or raise pydantic's ValidationError and stay as before.

        Pydantic checks rules between keys after it has stored the value and leaves it there when they fail.
        """
        before = dict(self.__dict__)
        try:
            super().__setattr__(name, value)
        except ValidationError:
            self.__dict__.update(before)
            raise
