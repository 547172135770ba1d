"""What a chat template does with a conversation, found out by letting it render some.

A template is the model's own code and may do anything: it can refuse, leave words out, or write turn tokens that the
tokenizer does not know. What is found is plain data for the linter. It must never judge by the template's source.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from tui_tuner.data.chatforms import has_template, suggestion
from tui_tuner.errors import brief

ASKED, ANSWERED, SYSTEM, TOOL = "Zebrafish?", "Quokka.", "Wombat rules.", "Ibex 7."
EARLIER = "earlier answers"
"""Stands among the dropped roles for a template that writes only the last answer."""
CALLS = "calls of tools"
"""Stands among them for a template that leaves out which tool the assistant calls."""
_CONTENT = {"user": ASKED, "assistant": ANSWERED, "system": SYSTEM, "tool": TOOL}
_LOOKS_SPECIAL = re.compile(r"<\|[^|<>\s]{1,40}\|>|<(?:start|end)_of_turn>|<｜[^｜<>]{1,40}｜>")
System = Literal["kept", "refused", "dropped"]


@dataclass(frozen=True)
class ChatForm:
    """How a tokenizer's chat template treats conversations; as it stands, one that does all well.

    Attributes:
        present: whether there is one.
        refusal: why a plain question with its answer cannot be rendered; empty when it can.
        system: what becomes of a system message.
        dropped: roles whose words are not in what it writes, and perhaps `EARLIER` and `CALLS`.
        marked: whether it marks where the answer begins, also when the model is to answer.
        fits: whether a question that waits for its answer is written as it is before one.
        strange: turn tokens that it writes and the tokenizer does not know as one token.
        end: id of the token that it ends an answer with; None when it writes none.
        end_text: that token's text.
        suggested: the named template that fits the tokenizer best.
    """

    present: bool = True
    refusal: str = ""
    system: System = "kept"
    dropped: frozenset[str] = field(default_factory=frozenset)
    marked: bool = True
    fits: bool = True
    strange: tuple[str, ...] = ()
    end: int | None = None
    end_text: str = ""
    suggested: str = "plain"


def form_of(tokenizer: Any) -> ChatForm:
    """Lets a tokenizer's chat template render a few words, and says what it does with them."""
    if tokenizer is None or not hasattr(tokenizer, "apply_chat_template"):
        return ChatForm()
    suggested = suggestion(tokenizer)
    if not has_template(tokenizer):
        return ChatForm(present=False, suggested=suggested)
    try:
        full = _rendered(tokenizer, "user", "assistant")
        prompt = _rendered(tokenizer, "user", asks=True)
        unasked = _rendered(tokenizer, "user")
    except Exception as error:  # the template is the model's own code
        return ChatForm(refusal=brief(error), suggested=suggested)
    dropped = {role for role in ("user", "assistant") if _CONTENT[role] not in full}
    if "assistant" not in dropped and _loses(tokenizer, ANSWERED, 2, "user", "assistant", "user", "assistant"):
        dropped.add(EARLIER)
    if _loses(tokenizer, TOOL, 1, "user", "assistant", "tool", "assistant"):
        dropped.add("tool")
    if _loses_calls(tokenizer):
        dropped.add(CALLS)
    system = _system(tokenizer)
    if system == "dropped":
        dropped.add("system")
    end, end_text = _end(tokenizer, full)
    return ChatForm(
        system=system,
        dropped=frozenset(dropped),
        marked=_marks(full, prompt, unasked),
        fits=full.startswith(prompt),
        strange=_strange(tokenizer, full),
        end=end,
        end_text=end_text,
        suggested=suggested,
    )


def _rendered(tokenizer: Any, *roles: str, asks: bool = False) -> str:
    messages = [{"role": role, "content": _CONTENT[role]} for role in roles]
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=asks))


def _system(tokenizer: Any) -> System:
    try:
        return "kept" if SYSTEM in _rendered(tokenizer, "system", "user", "assistant") else "dropped"
    except Exception:
        return "refused"


def _loses(tokenizer: Any, words: str, times: int, *roles: str) -> bool:
    """Whether words that are said so many times get lost; a template that refuses the roles does not lose them."""
    try:
        return _rendered(tokenizer, *roles).count(words) < times
    except Exception:
        return False


def _loses_calls(tokenizer: Any) -> bool:
    """Whether the name of a tool that the assistant calls gets lost."""
    call = {"type": "function", "function": {"name": "wolverine", "arguments": {"n": 1}}}
    messages = [{"role": "user", "content": ASKED}, {"role": "assistant", "content": "", "tool_calls": [call]}]
    try:
        return "wolverine" not in str(tokenizer.apply_chat_template(messages, tokenize=False))
    except Exception:
        return False


def _marks(full: str, prompt: str, unasked: str) -> bool:
    """Whether something stands between question and answer, and is there too when the model is to answer."""
    _, _, after = full.partition(ASKED)
    between, found, _ = after.partition(ANSWERED)
    if not found:
        return True  # the answer is lost, which is told as such
    written_before = prompt.partition(ASKED)[2]
    return bool(between.strip()) and bool(prompt != unasked or written_before.strip().endswith(between.strip()))


def _strange(tokenizer: Any, full: str) -> tuple[str, ...]:
    if not hasattr(tokenizer, "get_vocab"):
        return ()
    known = tokenizer.get_vocab()
    return tuple(dict.fromkeys(token for token in _LOOKS_SPECIAL.findall(full) if token not in known))


def _end(tokenizer: Any, full: str) -> tuple[int | None, str]:
    """The token behind the answer, when it is one of the tokenizer's special ones."""
    if not hasattr(tokenizer, "encode") or not hasattr(tokenizer, "get_vocab"):
        return None, ""
    after = full.rpartition(ANSWERED)[2].strip()
    special = special_texts(tokenizer)
    found = max((text for text in special if text and after.startswith(text)), key=len, default="")
    known = tokenizer.get_vocab()
    return (int(known[found]), found) if found in known else (None, "")


def special_texts(tokenizer: Any) -> frozenset[str]:
    """Texts of a tokenizer's special and added tokens; none without a tokenizer."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    texts = {str(getattr(token, "content", token)) for token in getattr(added, "values", list)()}
    return frozenset(texts | set(map(str, getattr(tokenizer, "all_special_tokens", ()))))


def put_template(tokenizer: Any, text: str) -> None:
    """Makes a tokenizer render with a chosen template, and stop at the token that the template ends an answer with.

    Args:
        tokenizer: mlx-lm's wrapper, freshly loaded; it is changed.
        text: Jinja; nothing happens when it is empty.
    """
    if not text:
        return
    tokenizer._chat_template = None  # of models whose template is Python code
    tokenizer.chat_template = text
    tokenizer.has_chat_template = True
    end = form_of(tokenizer).end
    if end is not None:
        tokenizer.eos_token_ids = tokenizer.eos_token_ids | {end}
