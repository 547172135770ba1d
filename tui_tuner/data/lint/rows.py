"""Rules that look at one row at a time: small pure functions, each with its reason and what to do.

A rule must stay silent on sound rows of any language, code and mathematics included: a linter that cries wolf is
switched off. What cannot be read or rendered at all never comes here; it is refused before and listed by its own code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from tui_tuner.data.findings import Severity
from tui_tuner.data.lint import patterns
from tui_tuner.data.lint.facts import Hit, LintContext, RowFacts, Tally
from tui_tuner.units import many


@dataclass(frozen=True)
class RowRule:
    """A rule about single rows.

    Attributes:
        code: of the problem.
        severity: of the problem.
        find: whether it hits a row, and with what.
        say: the sentence for all rows hit.
        fix: what a person can do.
        step: the fix that the program can make; empty for none.
    """

    code: str
    severity: Severity
    find: Callable[[RowFacts, LintContext], Hit | None]
    say: Callable[[Tally, LintContext], str]
    fix: str = ""
    step: str = ""


# -- tokens -----------------------------------------------------------------------------------------------------------


def no_trainable_tokens(facts: RowFacts, context: LintContext) -> Hit | None:
    """Nothing of the row is left for the loss to look at: the sum over no token divided by none is no number."""
    if not facts.length or max(facts.offset, 1) < min(facts.length, context.max_length):
        return None
    return Hit(amount=facts.offset)


def truncated(facts: RowFacts, context: LintContext) -> Hit | None:
    """The row is longer than the cut, so the end of its answer, and its end token, are never learned."""
    lost = facts.length - context.max_length
    if lost <= 0 or no_trainable_tokens(facts, context) is not None:
        return None
    return Hit(amount=lost)


def missing_end(facts: RowFacts, context: LintContext) -> Hit | None:
    """The row does not end with a token that ends an answer (a line break may follow it): the model never stops."""
    if not context.ends or not facts.length or facts.length > context.max_length:
        return None
    return None if not context.ends.isdisjoint(facts.end) else Hit()


def doubled_start(facts: RowFacts, context: LintContext) -> Hit | None:
    """The row begins with two start tokens: its text brings one, the tokenizer adds another."""
    return Hit() if context.bos is not None and facts.start == (context.bos, context.bos) else None


# -- texts ------------------------------------------------------------------------------------------------------------


def foreign_tokens(facts: RowFacts, context: LintContext) -> Hit | None:
    """Special tokens of another model's family, which this tokenizer reads as plain text."""
    if not patterns.may_hold_tokens(facts.text):
        return None
    for match in patterns.FOREIGN_TOKENS.finditer(facts.text):
        if match.group() not in context.specials and not match.group().startswith("###"):
            return Hit(match.group())
    return None


def own_tokens(facts: RowFacts, context: LintContext) -> Hit | None:
    """This model's own special tokens inside a text, where they act as such: a turn can end in mid-sentence."""
    if facts.kind == "text" or not patterns.may_hold_tokens(facts.text):
        return None
    for match in patterns.FOREIGN_TOKENS.finditer(facts.text):
        if match.group() in context.specials:
            return Hit(match.group())
    return None


def literal_breaks(facts: RowFacts, _context: LintContext) -> Hit | None:
    """A backslash and an n stand where a line break was meant; inside JSON that is how one is written."""
    if "\\n" not in facts.text or '": ' in facts.text or '":"' in facts.text:
        return None
    match = patterns.LITERAL_BREAKS.search(facts.text)
    return Hit(facts.text[max(match.start() - 12, 0) : match.end() + 8]) if match else None


def mojibake(facts: RowFacts, _context: LintContext) -> Hit | None:
    """Letters that come of reading UTF-8 as another encoding, and can be read back."""
    if facts.text.isascii():
        return None
    match = patterns.MOJIBAKE.search(facts.text)
    if match is None or patterns.recoded(facts.text) == facts.text:
        return None
    return Hit(facts.text[max(match.start() - 8, 0) : match.end() + 8])


def replaced(facts: RowFacts, _context: LintContext) -> Hit | None:
    """The sign that stands for a byte nobody could read."""
    return Hit() if patterns.REPLACED in facts.text else None


def placeholders(facts: RowFacts, _context: LintContext) -> Hit | None:
    """A name in double braces that nobody filled in; templates of programs and pages are full of them, and sound."""
    text = facts.text
    if "{{" not in text or "{%" in text or "```" in text or "</" in text:
        return None
    match = patterns.PLACEHOLDERS.search(text)
    return Hit(match.group()) if match else None


def secrets(facts: RowFacts, _context: LintContext) -> Hit | None:
    """What looks like a key or a password. The example is cut short, so that no report spreads it."""
    match = patterns.key_in(facts.text)
    return Hit(match.group()[:6] + "…") if match else None


def addresses(facts: RowFacts, _context: LintContext) -> Hit | None:
    """Addresses of people, which the model may say to others."""
    if "@" not in facts.text:
        return None
    match = patterns.ADDRESSES.search(facts.text)
    return Hit("…@" + match.group().rpartition("@")[2]) if match else None


# -- conversations ----------------------------------------------------------------------------------------------------


def role_order(facts: RowFacts, _context: LintContext) -> Hit | None:
    """Turns out of order: two of the same speaker in a row, an assistant who begins, a system message in the middle."""
    roles = [message["role"] for message in facts.messages]
    if not roles:
        return None
    turns = roles[1:] if roles[0] in ("system", "developer") else roles
    if "system" in turns:
        return Hit("system in the middle")
    if turns and turns[0] == "assistant":
        return Hit("the assistant begins")
    for one, other in pairwise(turns):
        if one == other and one in ("user", "assistant"):
            return Hit(f"{one} after {other}")
    return None


def only_last_turn(facts: RowFacts, context: LintContext) -> Hit | None:
    """With masking only the last answer of a conversation is learned; earlier ones are context."""
    if not context.mask_prompt:
        return None
    answers = sum(message["role"] == "assistant" for message in facts.messages)
    return Hit(amount=answers - 1) if answers > 1 else None


def _said(one: str, several: str) -> Callable[[Tally, LintContext], str]:
    """A sentence about the rows hit, in both numbers; `{shown}`, `{amount}` and the context's `{cut}` are filled in."""

    def say(tally: Tally, context: LintContext) -> str:
        text = (one if tally.count == 1 else several).format(
            shown=", ".join(f'"{example}"' for example in tally.examples),
            amount=f"{tally.amount:,.0f}",
            cut=f"{context.max_length:,}",
            model=context.model or "this model",
        )
        return f"{many(tally.count, 'row', 'rows')} of {tally.total:,} {text}"

    return say


ROW_RULES: tuple[RowRule, ...] = (
    RowRule(
        "no-trainable-tokens",
        "error",
        no_trainable_tokens,
        _said(
            "has no token of its answer left within the cut of {cut}, so its loss would be no number",
            "have no token of their answers left within the cut of {cut}, so their loss would be no number",
        ),
        "raise train.max_seq_length, or leave such rows out with data.filter, as 'length(answer) < 2000'",
    ),
    RowRule(
        "truncated",
        "warning",
        truncated,
        _said(
            "is cut at {cut} tokens and loses {amount} tokens of its answer, the end included",
            "are cut at {cut} tokens and lose {amount} tokens of their answers, the ends included",
        ),
        "raise train.max_seq_length, or shorten these rows",
    ),
    RowRule(
        "missing-eos",
        "warning",
        missing_end,
        _said(
            "does not end with a token that ends an answer, so it does not teach the model to stop",
            "do not end with a token that ends an answer, so they do not teach the model to stop",
        ),
        "take the model's own chat template, or end the texts with its end token",
    ),
    RowRule(
        "doubled-bos",
        "warning",
        doubled_start,
        _said(
            "begins with two start tokens, which the model never saw",
            "begin with two start tokens, which the model never saw",
        ),
        "take the start token out of the texts",
        "strip-special-tokens",
    ),
    RowRule(
        "foreign-special-tokens",
        "warning",
        foreign_tokens,
        _said(
            "holds special tokens of another family ({shown}), which are plain text to {model}",
            "hold special tokens of another family ({shown}), which are plain text to {model}",
        ),
        "turn the texts into messages, or take these tokens out",
        "messages-from-tokens",
    ),
    RowRule(
        "special-tokens-in-text",
        "warning",
        own_tokens,
        _said(
            "holds this model's own special tokens inside its text ({shown}), where they act as such",
            "hold this model's own special tokens inside their texts ({shown}), where they act as such",
        ),
        "take them out of the texts",
        "strip-special-tokens",
    ),
    RowRule(
        "literal-newlines",
        "warning",
        literal_breaks,
        _said(
            'has a backslash and an n ("\\n") where a line break was meant',
            'have a backslash and an n ("\\n") where a line break was meant',
        ),
        "write real line breaks",
        "unescape-newlines",
    ),
    RowRule(
        "mojibake",
        "warning",
        mojibake,
        _said(
            "was read in the wrong encoding on its way here ({shown})",
            "were read in the wrong encoding on their way here ({shown})",
        ),
        "read the original file as UTF-8",
        "fix-mojibake",
    ),
    RowRule(
        "replacement-characters",
        "warning",
        replaced,
        _said("holds the sign for lost characters (U+FFFD)", "hold the sign for lost characters (U+FFFD)"),
        "go back to the original file, or take these rows out",
        "drop-replaced",
    ),
    RowRule(
        "placeholders",
        "warning",
        placeholders,
        _said(
            "holds a placeholder that nobody filled in ({shown})", "hold placeholders that nobody filled in ({shown})"
        ),
        "write what they stand for into the file",
    ),
    RowRule(
        "role-order",
        "warning",
        role_order,
        _said(
            "has turns out of order ({shown}), which chat templates render in odd ways",
            "have turns out of order ({shown}), which chat templates render in odd ways",
        ),
        "let user and assistant take turns, the user first",
        "merge-turns",
    ),
    RowRule(
        "only-last-turn",
        "info",
        only_last_turn,
        _said(
            "has several answers; with masking only the last is learned, {amount} before it are context",
            "have several answers; with masking only the last of each is learned, {amount} before them are context",
        ),
        "make a row of each answer, or set data.mask_prompt = false to learn everything",
        "split-turns",
    ),
    RowRule(
        "secrets",
        "warning",
        secrets,
        _said("holds what looks like a key or password ({shown})", "hold what looks like a key or password ({shown})"),
        "take them out: a model can say what it was trained on",
        "drop-secrets",
    ),
    RowRule(
        "addresses",
        "info",
        addresses,
        _said("holds an e-mail address ({shown})", "hold e-mail addresses ({shown})"),
        "make sure that they may be learned and said",
    ),
)
"""Every rule about single rows, most severe first."""
