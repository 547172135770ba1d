"""Whether a word in an English text is said not to be there: "no chicken", "without any beef or pork", "dairy-free".

A plain reading of the words around it, not of the sentence: a negation reaches over the next few words and over a list
of things, and ends at a verb, a "but" or the end of the clause. It decides nothing where no case asks for it.
"""

from __future__ import annotations

import re

REACH = 5
"""Words between a negation and what it negates, in one part of a list."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NEGATIONS = _words(
    """no not never without avoid avoiding avoids exclude excludes excluding excluded omit omits omitting omitted skip
    skipping nor neither zero lacking cannot hardly minus isn't aren't don't doesn't didn't won't can't isn’t aren’t
    don’t doesn’t didn’t won’t can’t"""
)
_PHRASES = (
    *("free of", "free from", "instead of", "rather than", "in place of", "leave out"),
    *("leaving out", "left out"),
)
_OPPOSITES = (
    *("not only", "not just", "no problem", "no doubt", "not to mention", "why not"),
    "without hesitation",
)
_ENDS = _words("but however yet although though except instead while because so then")
_VERBS = _words(
    """is are was were be add adds use uses try include includes contains contain has have serve serves put mix stir
    cook fry bake roast boil grill simmer season top combine make makes take takes choose prefer love like want need
    recommend suggest enjoy replace swap"""
)
_JOINS = _words("and or nor any a an the other")
_CLAUSE = re.compile(r"[.!?;:\n()]")
_NEGATED_BEHIND = re.compile(
    r"\s+(?:is|are|was|were|should|must|can|will|does|do|may)(?:n['’]t|\s+not|\s+never)\b", re.IGNORECASE
)
_WORD = re.compile(r"[\w'’-]+")


def negated(text: str, start: int, end: int) -> bool:
    """Whether the words at `text[start:end]` are in the reach of a negation."""
    if re.match(r"[-\s]?free\b(?!\s+(?:of|from)\b)", text[end:], re.IGNORECASE):
        return True  # dairy-free
    if re.search(r"\bnon[-\s]$", text[:start], re.IGNORECASE):
        return True  # non-dairy
    if _NEGATED_BEHIND.match(text, end):
        return True  # butter is not used
    subject = _WORD.match(text, end + 1)
    acts = subject is not None and subject[0].lower() in _VERBS
    clause = _CLAUSE.split(text[:start])[-1].lower()
    parts = clause.split(",")
    for number, part in enumerate(reversed(parts)):
        words = _WORD.findall(part)
        found = _negation(part, words)
        if found is not None:
            behind = words[found:]
            return len(behind) <= REACH and _reaches(behind, first=True)
        if not number and acts:
            return False  # without nuts, the chicken is fried
        # Further back only over the items of a list.
        own = [word for word in words if word not in _JOINS]
        if not _reaches(words, first=False) or (number and len(own) > 3) or len(own) > REACH:
            return False
    return False


def _negation(part: str, words: list[str]) -> int | None:
    """The number of the word behind the last negation in a part of a clause; None without one."""
    for phrase in _OPPOSITES:
        part = part.replace(phrase, " ".join("x" * len(word) for word in phrase.split()))
    words = _WORD.findall(part)
    best: int | None = None
    for number, word in enumerate(words):
        if (
            word in _NEGATIONS
            or " ".join(words[number - 1 : number + 1]) in _PHRASES
            or " ".join(words[max(number - 2, 0) : number + 1]) in _PHRASES
        ):
            best = number + 1
    return best


def _reaches(words: list[str], *, first: bool) -> bool:
    """Whether a negation goes on over these words. Right behind one a verb is what is negated: "do not add"."""
    for number, word in enumerate(words):
        if word in _ENDS or (word in _VERBS and not (first and number == 0)):
            return False
    return True
