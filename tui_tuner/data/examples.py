"""Rows to tokens: the one function that training, previews and benchmarks share.

The tokens and offsets equal those of mlx-lm's own data sets (`CompletionsDataset`, `ChatDataset`, `TextDataset` in
`mlx_lm.tuner.datasets`), which a test proves row by row. It must never guess a format from another row, and never
return an example without a counted target.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tui_tuner.data.chatforms import NAMES, has_template
from tui_tuner.data.prepare import Row, messages_of, row_kind
from tui_tuner.data.promptlength import prompt_lengths
from tui_tuner.errors import TunerError, brief

TOGETHER = 512
"""Rows that are encoded in one call."""


@dataclass(frozen=True)
class Example:
    """One row as the model sees it.

    Attributes:
        tokens: token ids, the whole row, not cut.
        offset: how many of them are prompt; the first counted target is `tokens[offset]` (`tokens[1]` when 0,
            because the first token has nothing that predicts it).
    """

    tokens: list[int]
    offset: int


def _conversation(row: Row) -> tuple[list[dict[str, Any]], Any]:
    return messages_of(row), row.get("tools")


def _apply(tokenizer: Any, messages: list[dict[str, Any]], tools: Any, **options: Any) -> Any:
    """The conversation as token ids, or with `tokenize=False` as text."""
    if not has_template(tokenizer):
        raise TunerError(
            "the model's tokenizer has no chat template, so a conversation cannot be rendered",
            code="no-chat-template",
            fix=f"set model.chat_template to one of {', '.join(NAMES)}, or give rows with a `text` field",
        )
    try:
        written = tokenizer.apply_chat_template(messages, tools=tools, return_dict=False, **options)
    except TunerError:
        raise
    except Exception as error:  # the template is the model's own code: whatever it raises is about this row
        raise _refused(tokenizer, messages, error) from error
    return written if isinstance(written, str) else list(written)


def _refused(tokenizer: Any, messages: list[dict[str, Any]], error: Exception) -> TunerError:
    """Whether it is the system message that a template refuses, or something else."""
    rest = [message for message in messages if message.get("role") not in ("system", "developer")]
    if rest and len(rest) < len(messages):
        with contextlib.suppress(Exception):
            tokenizer.apply_chat_template(rest, tokenize=False)
            return TunerError(
                f"the model's chat template refuses system messages: {brief(error)}",
                code="system-role",
                fix='put them before the first question: data.fixes = ["fold-system"]',
            )
    return TunerError(
        f"the model's chat template refuses this conversation: {brief(error)}",
        code="chat-template",
        fix="check the roles and their order",
    )


def tokenise(row: Row, tokenizer: Any, *, mask_prompt: bool) -> Example:
    """Turns a prepared row into token ids and the number of prompt tokens the loss leaves out.

    Args:
        row: prompt/completion, messages (and tools), or text.
        tokenizer: mlx-lm's `TokenizerWrapper`, or any Hugging Face tokenizer with a chat template.
        mask_prompt: leave the prompt out of the loss; impossible for text rows.

    Raises:
        TunerError: for text rows with `mask_prompt`, a missing template, or a template that refuses the row.
    """
    if row_kind(row) == "text":
        if mask_prompt:
            raise TunerError(
                "prompt masking needs rows that tell the prompt from the answer, and these have only `text`",
                code="mask-text",
                fix="set data.mask_prompt = false",
            )
        ids = list(tokenizer.encode(row["text"]))
        if not ids or ids[-1] != tokenizer.eos_token_id:
            ids.append(tokenizer.eos_token_id)
        return Example(ids, 0)
    messages, tools = _conversation(row)
    tokens = _apply(tokenizer, messages, tools)
    if not mask_prompt:
        return Example(tokens, 0)
    answered = messages[-1].get("role") == "assistant"
    prompt = _apply(tokenizer, messages[:-1], tools, add_generation_prompt=answered)
    return Example(tokens, len(prompt))


def prompt_tokens(row: Row, tokenizer: Any) -> list[int]:
    """Token ids of a row's prompt as the model gets them when it is to answer: (length,) ids."""
    if row_kind(row) == "text":
        raise TunerError(
            "rows with only `text` have no prompt to answer",
            code="no-prompt",
            fix="give data.prompt and data.completion templates, or turn the evaluation off",
        )
    messages, tools = _conversation(row)
    return list(_apply(tokenizer, messages[:-1], tools, add_generation_prompt=True))


def conversation_tokens(messages: list[dict[str, Any]], tokenizer: Any) -> list[int]:
    """Token ids of a conversation that waits for the assistant's turn."""
    return list(_apply(tokenizer, messages, None, add_generation_prompt=True))


@dataclass
class Rendered:
    """Rows as texts that are ready to be encoded.

    Attributes:
        backend: what encodes them; None where the rows were tokenised one by one.
        found: for each row its tokens, as far as they are known already, or its error.
        texts: (number of the row, its text, the text of its prompt or None) of those that are to be encoded.
    """

    backend: Any
    found: list[Example | TunerError]
    texts: list[tuple[int, str, str | None]]


def tokenise_many(rows: Sequence[Row], tokenizer: Any, *, mask_prompt: bool) -> list[Example | TunerError]:
    """What `tokenise` gives for each row, or the error it raises, in their order; several times as fast.

    Conversations are rendered one by one and encoded together by the tokenizer's own library. Where a tokenizer cannot
    do that (no fast one, or a template written in Python), they are tokenised one by one.
    """
    return encode_many(render_many(rows, tokenizer, mask_prompt=mask_prompt))


def render_many(rows: Sequence[Row], tokenizer: Any, *, mask_prompt: bool) -> Rendered:
    """The first half of `tokenise_many`: what is Python's work, and holds the interpreter."""
    made = Rendered(_backend(tokenizer), [], [])
    if made.backend is not None and (written := _rendered_together(rows, tokenizer, mask_prompt=mask_prompt)):
        made.found = [Example([], 0)] * len(rows)
        made.texts = [(number, full, prompt) for number, (full, prompt) in enumerate(written)]
        return made
    for number, row in enumerate(rows):
        try:
            if made.backend is None or row_kind(row) == "text":
                made.found.append(tokenise(row, tokenizer, mask_prompt=mask_prompt))
                continue
            made.found.append(Example([], 0))
            made.texts.append((number, *_rendered(row, tokenizer, mask_prompt=mask_prompt)))
        except TunerError as error:
            made.found[number:] = [error]
    return made


def encode_many(made: Rendered) -> list[Example | TunerError]:
    """The second half: what the tokenizer's library does, while others run."""
    if made.texts:
        encoded = made.backend.encode_batch_fast([full for _, full, _ in made.texts], add_special_tokens=False)
        tokens = [encoding.ids for encoding in encoded]
        pairs = [(full, prompt) for _, full, prompt in made.texts if prompt is not None]
        # Either all rows of a call have a prompt to leave out, or none has.
        offsets = prompt_lengths(made.backend, pairs, tokens) if pairs else [0] * len(tokens)
        for (number, _, _), ids, offset in zip(made.texts, tokens, offsets, strict=True):
            made.found[number] = Example(ids, offset)
    return made.found


def _backend(tokenizer: Any) -> Any:
    """The library's own tokenizer behind mlx-lm's wrapper, when conversations are rendered by a Jinja template.

    None also for one that comes with truncation or padding of its own: transformers takes them off in the first call
    that encodes one by one, and the library would cut and fill rows unasked.
    """
    inner = getattr(tokenizer, "_tokenizer", tokenizer)
    if getattr(tokenizer, "_chat_template", None) is not None or not getattr(inner, "is_fast", False):
        return None
    backend = getattr(inner, "backend_tokenizer", None)
    if backend is None or backend.truncation is not None or backend.padding is not None:
        return None
    return backend


def _rendered(row: Row, tokenizer: Any, *, mask_prompt: bool) -> tuple[str, str | None]:
    """The conversation as text, and its prompt when that is to be left out of the loss."""
    messages, tools = _conversation(row)
    full = _apply(tokenizer, messages, tools, tokenize=False)
    if not mask_prompt:
        return full, None
    answered = messages[-1].get("role") == "assistant"
    return full, _apply(tokenizer, messages[:-1], tools, tokenize=False, add_generation_prompt=answered)


def _rendered_together(
    rows: Sequence[Row], tokenizer: Any, *, mask_prompt: bool
) -> list[tuple[str, str | None]] | None:
    """What `_rendered` gives for each row, by one call for all; None where one of them needs a call of its own."""
    if any(row_kind(row) == "text" or row.get("tools") is not None for row in rows):
        return None
    conversations = [messages_of(row) for row in rows]
    answered = {messages[-1].get("role") == "assistant" for messages in conversations}
    # What a template makes of no message at all is asked of it row by row.
    if len(answered) != 1 or any(len(messages) < 2 for messages in conversations):
        return None
    try:
        full = tokenizer.apply_chat_template(conversations, tokenize=False)
        if not mask_prompt:
            return [(text, None) for text in full]
        before = [messages[:-1] for messages in conversations]
        prompts = tokenizer.apply_chat_template(before, tokenize=False, add_generation_prompt=answered.pop())
        return list(zip(full, prompts, strict=True))
    except Exception:  # one by one it is found out which row it is, and what can be done about it
        return None


def opening_tokens(text: str, tokenizer: Any) -> list[int]:
    """Token ids of a text that the model is to go on from: the first turn of a conversation, and for a model without a
    chat template the text itself.

    Raises:
        TunerError: when the template refuses it, or there are no tokens.
    """
    if has_template(tokenizer):
        return _some(conversation_tokens([{"role": "user", "content": text}], tokenizer))
    return plain_tokens(text, tokenizer)


def plain_tokens(text: str, tokenizer: Any) -> list[int]:
    """Token ids of a text that the model is to go on from, without a chat template.

    Raises:
        TunerError: there are none.
    """
    ids = list(tokenizer.encode(text))
    if ids and ids[-1] == tokenizer.eos_token_id:
        ids.pop()  # the text is not over
    return _some(ids)


def _some(ids: list[int]) -> list[int]:
    if not ids:
        raise TunerError("the model's tokenizer makes no tokens of it", code="no-prompt", fix="write another prompt")
    return ids


def tokenise_all(
    rows: Sequence[Row], tokenizer: Any, *, mask_prompt: bool, max_length: int, where: str
) -> list[Example]:
    """Tokenises every row before the first step, so that no bad row can end a run half-way.

    Raises:
        TunerError: naming the first row that cannot be rendered or has no counted target within `max_length`.
    """
    examples = []
    for start in range(0, len(rows), TOGETHER):
        some = tokenise_many(rows[start : start + TOGETHER], tokenizer, mask_prompt=mask_prompt)
        for number, example in enumerate(some, start + 1):
            if isinstance(example, TunerError):
                raise TunerError(
                    example.message, code=example.code, where=example.where or f"{where}, row {number}", fix=example.fix
                ) from example
            if max(example.offset, 1) >= min(len(example.tokens), max_length):
                raise TunerError(
                    f"of {len(example.tokens)} tokens {example.offset} are prompt, and none of the answer is left "
                    f"within max_seq_length = {max_length}",
                    code="no-trainable-tokens",
                    where=f"{where}, row {number}",
                    fix="raise train.max_seq_length, or shorten or remove the row",
                )
            examples.append(example)
    return examples
