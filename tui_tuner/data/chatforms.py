"""Chat templates by name or file, for a model that has none, has a wrong one, or shall be asked in another form.

`model.chat_template` chooses: "auto" is the model's own, a name one of those beside this module (each says where it
is from), anything else a Jinja file. What is chosen is text, put into the tokenizer once, so that preview, scan,
training, benchmark and chat all render with it. It must never change a tokenizer when nothing is chosen.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from tui_tuner.config.reading import AUTO_TEMPLATE, CHAT_TEMPLATES
from tui_tuner.errors import TunerError
from tui_tuner.paths import find_local
from tui_tuner.runs.files import read_failure

RECORDED = "chat_template.jinja"
"""What a chosen template is kept as beside the adapter that was trained with it; transformers calls it so too."""

_FOLDER = Path(__file__).parent / "templates"
_LARGEST = 1 << 20

NAMES = tuple(name for name in CHAT_TEMPLATES if name != AUTO_TEMPLATE)
"""The named templates: files beside this module."""

# What tells a family: all of these are tokens of the tokenizer. The first that fits is suggested.
_MARKS = (
    ("chatml", ("<|im_start|>", "<|im_end|>")),
    ("llama-3", ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")),
    ("gemma", ("<start_of_turn>", "<end_of_turn>")),
    ("phi-3", ("<|user|>", "<|assistant|>", "<|end|>")),
    ("mistral", ("[INST]", "[/INST]")),
)


def has_template(tokenizer: Any) -> bool:
    """Whether a tokenizer can render conversations."""
    return getattr(tokenizer, "chat_template", None) is not None or getattr(tokenizer, "has_chat_template", False)


def template_text(choice: str, base: Path | None = None) -> str:
    """The Jinja text that a choice means; empty for "auto", the model's own.

    Args:
        choice: as `model.chat_template` has it.
        base: folder that a relative path is looked for in first.

    Raises:
        TunerError: neither a name nor a file that can be read, or no Jinja (code "unknown-chat-template").
    """
    if choice == AUTO_TEMPLATE:
        return ""
    if choice in NAMES:
        return (_FOLDER / f"{choice}.jinja").read_text(encoding="utf-8")
    path = find_local(choice, base)
    if path is None or not path.is_file():
        raise _unknown(choice)
    return read_template(path)


def read_template(path: Path) -> str:
    """The text of a template's file, proven to be Jinja.

    Raises:
        TunerError: it cannot be read, is too large, or is no Jinja.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise _no_template(path, "it is larger than 1 MB")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise _no_template(path, "it is not UTF-8 text") from None
    except OSError as error:
        raise read_failure(error, path) from None
    if not text.strip():
        raise _no_template(path, "it is empty")
    _check_syntax(text, path)
    return text


def _check_syntax(text: str, path: Path) -> None:
    from jinja2 import Environment, TemplateSyntaxError

    try:
        # Only parsed: transformers renders it in a sandbox of its own, with these extensions and one block more.
        Environment(extensions=["jinja2.ext.loopcontrols"], autoescape=True).parse(
            text.replace("{% generation %}", "").replace("{% endgeneration %}", "")
        )
    except TemplateSyntaxError as error:
        raise _no_template(path, f"line {error.lineno}: {error.message}") from None


def _no_template(path: Path, why: str) -> TunerError:
    return TunerError(
        f"is no chat template ({why})",
        code="unknown-chat-template",
        where=str(path),
        fix="give a Jinja file that writes `messages`, or name one of " + ", ".join(NAMES),
    )


def _unknown(choice: str) -> TunerError:
    near = difflib.get_close_matches(choice.casefold(), NAMES, n=1)
    names = ", ".join(CHAT_TEMPLATES)
    return TunerError(
        f'there is no chat template "{choice}", neither by name nor as a file',
        code="unknown-chat-template",
        where="model.chat_template",
        fix=f'did you mean "{near[0]}"? There are {names}' if near else f"take one of {names}, or a file",
        usage=True,
    )


def suggestion(tokenizer: Any) -> str:
    """The named template whose tokens a tokenizer has; "plain", which needs none, where it has no family's."""
    known = tokenizer.get_vocab() if hasattr(tokenizer, "get_vocab") else {}
    return next((name for name, marks in _MARKS if all(mark in known for mark in marks)), "plain")
