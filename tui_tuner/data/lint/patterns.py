"""What damage looks like in text: patterns that rules search for, each with what it must not take for damage."""

from __future__ import annotations

import re

# Special tokens of the families whose texts one meets in files; each is plain text to the others' tokenizers.
FOREIGN_TOKENS = re.compile(
    r"<\|(?:im_start|im_end|im_sep|endoftext|eot_id|eom_id|begin_of_text|end_of_text|start_header_id|end_header_id|user|"
    r"assistant|system|end|endofprompt|startoftext|pad|channel|message|start|return|call|START_OF_TURN_TOKEN|"
    r"END_OF_TURN_TOKEN|CHATBOT_TOKEN|USER_TOKEN|SYSTEM_TOKEN)\|>"
    r"|<(?:start_of_turn|end_of_turn|bos|eos|s|/s|unk|pad|extra_id_\d+)>|\[/?INST\]|<</?SYS>>|\[(?:BOS|EOS|CLS|SEP)\]"
    r"|<｜(?:User|Assistant|begin▁of▁sentence|end▁of▁sentence)｜>|### (?:Instruction|Response|Input|Assistant|Human):"
)
# A backslash and an n where a line break was meant; not the beginning of a command such as \nabla or of a path.
LITERAL_BREAKS = re.compile(
    r"""(?<![\\\w:'"])\\n(?![a-z'"])|(?<=[.,:;!?)\w])\\n(?=\\n|[A-Z\d\s\-*#]|["'(]\w|$)|(?<![\\'"])\\r\\n"""
)
# UTF-8 read as Windows-1252 or Latin-1: a letter of the first column followed by one of the second.
MOJIBAKE = re.compile(
    "[ÃÂâÐÑ][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
)
# A name in double braces that somebody was to fill in; not a formula's braces or a workflow's variables.
PLACEHOLDERS = re.compile(r"(?<![\\\w^_}${])\{\{\s*[A-Za-z][A-Za-z][\w .-]{0,30}?\s*\}\}(?!\})")
REPLACED = "\ufffd"

KEYS = re.compile(
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_[A-Za-z0-9_]{50,}\b|\bglpat-[A-Za-z0-9_-]{20,}\b"
    r"|\bsk-(?:ant-|proj-|live-)?[A-Za-z0-9_-]{20,}\b|\b(?:sk|rk)_live_[A-Za-z0-9]{20,}\b|\bhf_[A-Za-z0-9]{30,}\b"
    r"|\bAIza[0-9A-Za-z_-]{35}\b|\bxox[abprs]-[A-Za-z0-9-]{10,}\b"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\b"
    r"|(?i:\b(?:password|passwd|secret|api[_-]?key|token)\s*[:=]\s*['\"][^\s'\"]{8,}['\"])"
)
ADDRESSES = re.compile(
    r"\b[A-Za-z0-9][A-Za-z0-9._%+-]*@(?!(?:www\.)?(?:example|test|domain|email)[.-])[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}\b"
)


def may_hold_tokens(text: str) -> bool:
    """Whether one of `FOREIGN_TOKENS` can stand in a text at all; they are rare, and the pattern is slow."""
    return "<" in text or "[" in text or "### " in text


# One of these stands in every key, so that most texts need no search by the pattern, which is slow. Those with a mark
# that is rare in prose are looked for where the mark stands.
_SIGNS = ("private key", "akia", "asia", "aiza", "xox", "eyj", "passw", "secret", "api", "token")
_MARKED = {
    "_": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "_live_", "hf_"),
    "-": ("glpat-", "sk-"),
}


def key_in(text: str) -> re.Match[str] | None:
    """The first thing in a text that looks like a key or a password."""
    small = text.lower()
    likely = any(sign in small for sign in _SIGNS) or any(
        mark in small and any(sign in small for sign in signs) for mark, signs in _MARKED.items()
    )
    return KEYS.search(text) if likely else None


def unbroken(text: str) -> str:
    """The text with line breaks in the place of escapes that were meant as such."""
    return LITERAL_BREAKS.sub("\n", text)


def recoded(text: str) -> str:
    """The text with UTF-8 that was read as Windows-1252 read again, piece by piece; pieces that do not fit stay."""

    def again(match: re.Match[str]) -> str:
        piece = match.group()
        for encoding in ("cp1252", "latin-1"):
            try:
                return piece.encode(encoding).decode("utf-8")
            except UnicodeError:
                continue
        return piece

    return _PIECES.sub(again, text)


_AFTER = "\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122"
# One character of UTF-8 as one would see it: two, three or four of its bytes, each as a letter of Windows-1252.
_PIECES = re.compile(f"[\u00c2-\u00df][{_AFTER}]|[\u00e0-\u00ef][{_AFTER}]{{2}}|[\u00f0-\u00f4][{_AFTER}]{{3}}")
