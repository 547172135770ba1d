"""Rules about the model's chat template: what it loses, does not mark, or writes in a way that nobody can read back.

They are silent where no row is rendered by it. A template that refuses rows is told by the rows it refuses.
"""

from __future__ import annotations

from tui_tuner.config.reading import AUTO_TEMPLATE
from tui_tuner.data.chatforms import NAMES
from tui_tuner.data.findings import Problem, Severity
from tui_tuner.data.formprobe import CALLS, EARLIER
from tui_tuner.data.lint.facts import LintContext
from tui_tuner.data.lint.sets import Collected
from tui_tuner.units import many

FOLD = "fold-system"
KEY = "model.chat_template"


def _rendered(found: Collected) -> int:
    return found.kinds["chat"] + found.kinds["completion"]


def change_to(name: str) -> tuple[tuple[str, object], ...]:
    """The change that chooses a template by its name."""
    return ((KEY, name),)


def choose(name: str) -> str:
    """What to do, for a template that is no good."""
    others = ", ".join(other for other in NAMES if other != name)
    return f'set {KEY} = "{name}" (there are also {others}, or a file)'


def lost_words(found: Collected, context: LintContext) -> list[Problem]:
    """The template leaves out what somebody says: it is never trained, or the answer is learned without its reason."""
    problems = []
    for role in sorted(context.form.dropped):
        count = _rendered(found) if role in ("user", "assistant") else found.roles[role]
        if not count:
            continue
        blocks = role in ("user", "assistant", EARLIER)
        severity: Severity = "error" if blocks or role == CALLS else "warning"
        what = f"what {role} messages say" if role in ("user", "assistant", "system", "tool") else role
        message = f"the model's chat template leaves out {what} ({many(count, 'row has', 'rows have')} some)"
        if role == "system":
            problems.append(Problem("lost-words", severity, count, message, "put it before the first question", FOLD))
        elif blocks:
            name = context.form.suggested
            problems.append(Problem("lost-words", severity, count, message, choose(name), change=change_to(name)))
        else:
            fix = f"take a model that knows tools, or a template of your own that writes them ({KEY})"
            problems.append(Problem("lost-words", severity, count, message, fix))
    return problems


def unmarked_answers(found: Collected, context: LintContext) -> Problem | None:
    """Nothing tells the model where its answer begins."""
    if context.form.marked or not _rendered(found):
        return None
    name = context.form.suggested
    message = "the chat template does not mark where an answer begins, so the model is asked otherwise than trained"
    return Problem("unmarked-answers", "warning", _rendered(found), message, choose(name), change=change_to(name))


def other_prompt(found: Collected, context: LintContext) -> Problem | None:
    """What the model is asked is not the beginning of what it is trained on."""
    if context.form.fits or not context.form.marked or not _rendered(found):
        return None
    message = (
        "the model's chat template writes a question that waits for its answer otherwise than one that has it, so the "
        "loss counts from the wrong place and the model is asked otherwise than trained"
    )
    fix = "look at a row's mask; a template of your own can write both alike (model.chat_template)"
    return Problem("prompt-mismatch", "warning", _rendered(found), message, fix)


def strange_tokens(found: Collected, context: LintContext) -> Problem | None:
    """Turn tokens of another family, which the tokenizer takes apart into letters."""
    strange = context.form.strange
    if not strange or not _rendered(found):
        return None
    shown = ", ".join(f'"{token}"' for token in strange[:4])
    name = context.form.suggested
    message = f"the chat template writes {shown}, which are no tokens of {context.model or 'this model'} but plain text"
    # Some models were made with such tokens in plain letters, so their own template is no mistake.
    if context.template in (AUTO_TEMPLATE, "zephyr"):
        return Problem("template-tokens", "info", _rendered(found), message, "leave it, if the model was made so")
    return Problem("template-tokens", "warning", _rendered(found), message, choose(name), change=change_to(name))


def never_stops(found: Collected, context: LintContext) -> Problem | None:
    """The template ends answers with a token at which nobody stops."""
    form = context.form
    if form.end is None or not context.stops or form.end in context.stops or not _rendered(found):
        return None
    message = (
        f'the chat template ends answers with "{form.end_text}", at which answering does not stop (the model\'s '
        "configuration does not name it as an end): answers would run on to the cap"
    )
    fix = choose(form.suggested) + ", which stops there, or add it to eos_token_id in generation_config.json"
    return Problem("never-stops", "warning", _rendered(found), message, fix, change=change_to(form.suggested))


def of_form(found: Collected, context: LintContext) -> list[Problem]:
    """All problems that the template makes."""
    single = [rule(found, context) for rule in (unmarked_answers, other_prompt, strange_tokens, never_stops)]
    return [*lost_words(found, context), *(problem for problem in single if problem is not None)]
