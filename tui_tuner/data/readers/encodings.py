"""Which encoding a file's text has, and its bytes as text.

UTF-8 where the bytes are UTF-8. Else the encoding whose letters make words of a language: for Latin scripts told by
alphabets kept here, because general detectors take French for Polish; for other scripts by charset-normalizer, which is
reliable there. It must never put a mark of replacement into a text: what means nothing is refused with its record.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from tui_tuner.config.reading import encoding_name
from tui_tuner.data.readers.content import Content, head

_HEAD = 1 << 18
_WINDOW = 1 << 15
_WINDOWS = 8
_WIDE = (  # the longer marks first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SIGNS = "‘’‚“”„«»‹›–—…•°§©®™€£¥¿¡·²³½¼¾×÷±µ¶´ªº\xa0\xad"
_WITHIN_WORDS = "’‘´·\xad"
_WESTERN = (
    "àâäæçéèêëîïôöœùûüÿ",  # French
    "äöüß",  # German
    "áéíñóúü",  # Spanish
    "áàâãçéêíóôõúü",  # Portuguese
    "àáèéìíòóùú",  # Italian
    "åäöé",  # Swedish, Finnish
    "æøåéöü",  # Danish, Norwegian
    "áðéíóúýþæö",  # Icelandic
    "äöõüšž",  # Estonian
    "çèéíïòóúü",  # Catalan
)
_CENTRAL = (
    "ąćęłńóśźż",  # Polish
    "áčďéěíňóřšťúůýž",  # Czech
    "áéíóöőúüű",  # Hungarian
    "ăâîşţ",  # Romanian
    "čćđšž",  # Croatian
    "áäčďéíĺľňóôŕšťúýž",  # Slovak
)
_CODECS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("cp1252", "Windows-1252", _WESTERN),
    ("mac_roman", "Mac Roman", _WESTERN),
    ("cp850", "the DOS code page 850", _WESTERN),
    ("cp1250", "Windows-1250", _CENTRAL),
    ("iso8859_2", "ISO 8859-2", _CENTRAL),
    ("cp1254", "Windows-1254", ("çğıöşüâîûİ",)),
)
_ENOUGH = 1 << 14
_LIKELY, _SURELY = 0.9, 0.97
_PLAUSIBLE = 0.6
_CYRILLIC = ("абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґўђјљњћџ№",)
_GREEK = ("αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώϊϋΐΰ",)
_OTHER_CODECS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("cp1255", "Windows-1255", ("אבגדהוזחטיךכלםמןנסעףפץצקרשת",)),  # first: Cyrillic text has more bytes than these
    ("cp1251", "Windows-1251", _CYRILLIC),
    ("koi8_r", "KOI8-R", _CYRILLIC),
    ("cp866", "the DOS code page 866", _CYRILLIC),
    ("mac_cyrillic", "Mac Cyrillic", _CYRILLIC),
    ("iso8859_5", "ISO 8859-5", _CYRILLIC),
    ("cp1253", "Windows-1253", _GREEK),
    ("iso8859_7", "ISO 8859-7", _GREEK),
)
# Of encodings that read a text alike the one that most files have.
_USUAL = ("cp1255", "cp1256", "cp932", "euc_jp", "gb18030", "big5", "cp949", "cp874")
_BEYOND = re.compile(r"(?:(?<=(.))|\A)([^\x00-\x7f])(?=(.?))", re.DOTALL)
_WORDS = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")


@dataclass(frozen=True)
class Coding:
    """How the bytes of a file are text.

    Attributes:
        recode: the encoding that the file must be turned from; empty when it is read as UTF-8.
        start: where the text starts, behind a byte order mark.
        fallback: whether a line that is not UTF-8 may be read as Windows-1252: never ("none"), where that makes words
            ("likely"), or always, because the whole file is so ("any").
        note: what a person should know about it; empty for plain UTF-8.
    """

    recode: str = ""
    start: int = 0
    fallback: Literal["none", "likely", "any"] = "likely"
    note: str = ""


def coding_of(content: Content, named: str = "") -> Coding:
    """How a file's bytes are text, judged by samples of the whole file.

    Args:
        content: the file.
        named: an encoding that a person names, which is then believed.
    """
    first = head(content, _HEAD)
    start = len(codecs.BOM_UTF8) if first.startswith(codecs.BOM_UTF8) else 0
    if named:
        name = encoding_name(named) or "utf-8"
        if name in ("utf-8", "ascii", "utf-8-sig"):
            return Coding(start=start, fallback="none")
        return Coding(recode=name, fallback="none")
    for mark, encoding in _WIDE:
        if first.startswith(mark):
            return Coding(recode=encoding, fallback="none", note=f"the file is encoded as {encoding.upper()}")
    if wide := _wide_without_mark(first):
        note = f"the file is encoded as {wide.upper()}, without a mark that says so"
        return Coding(recode=wide, fallback="none", note=note)
    if b"\x1b$B" in first or b"\x1b$@" in first:
        return Coding(recode="iso2022_jp", fallback="none", note="the file is encoded as ISO-2022-JP")
    whole, broken = _sampled_lines(content, first)
    if whole or not broken or start:
        return Coding(start=start)
    return _guess(b"\n".join(broken[:: 1 + sum(map(len, broken)) // _ENOUGH])[:_ENOUGH])


def decoded(raw: bytes, coding: Coding) -> str | None:
    """The text of a record's bytes; None when they mean nothing."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if coding.fallback == "none":
        return None
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError:  # five bytes mean nothing in Windows-1252
        return None
    # A character of UTF-8 that was cut would give what no language writes, as in `cafÃ`.
    if coding.fallback == "likely" and _share(text, _WESTERN) < _PLAUSIBLE:
        return None
    return text


def _sampled_lines(content: Content, first: bytes) -> tuple[int, list[bytes]]:
    """Of lines with more than ASCII in samples of the file: how many are UTF-8, and those that are not."""
    samples = [first]
    if content.complete and content.size > _HEAD:
        step = (content.size - _HEAD) // _WINDOWS
        samples += [content.read(at, at + _WINDOW) for at in range(_HEAD, content.size, max(step, 1))]
    whole, broken = 0, []
    for number, sample in enumerate(samples):
        if sample.isascii():
            continue
        lines = sample.split(b"\n")
        if len(lines) == 1 and len(sample) > 6 and not (number == 0 and len(sample) < _HEAD):
            lines = [_trimmed(sample)]
        else:  # the sample may begin and end within a line
            lines = lines[bool(number) : None if number == 0 and len(sample) < _HEAD else -1]
        for line in lines:
            if line.isascii():
                continue
            try:
                line.decode("utf-8")
                whole += 1
            except UnicodeDecodeError:
                broken.append(line)
    return whole, broken


def _trimmed(sample: bytes) -> bytes:
    """A sample from within one long line, without the halves of characters at its ends."""
    start = 0
    while start < 3 and 0x80 <= sample[start] < 0xC0:
        start += 1
    end = len(sample)
    for back in range(1, 4):
        if sample[-back] >= 0xC0:
            end -= back
            break
    return sample[start:end]


def _wide_without_mark(first: bytes) -> str:
    """UTF-16 and UTF-32 are told by where the zero bytes of plain letters stand."""
    sample = first[: 4096 - len(first) % 4] if len(first) < 4096 else first[:4096]
    if len(sample) < 8 or sample.count(0) * 3 < len(sample):
        return ""
    zeros = [sample[lane::4].count(0) * 4 / len(sample) for lane in range(4)]
    if min(zeros[1:]) > 0.9 and zeros[0] < 0.1:
        return "utf-32-le"
    if min(zeros[:3]) > 0.9 and zeros[3] < 0.1:
        return "utf-32-be"
    even, odd = (zeros[0] + zeros[2]) / 2, (zeros[1] + zeros[3]) / 2
    if odd > 0.4 and even < 0.05:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 and odd < 0.05 else ""


def _guess(raw: bytes) -> Coding:
    """The encoding of lines that are not UTF-8."""
    words = _WORDS.findall(raw)[:2000]
    high = sum(sum(byte >= 0x80 for byte in word) for word in words)
    if high > 0.6 * sum(map(len, words)):  # hardly a letter of ASCII within words
        codec, name, share = _best(raw, _OTHER_CODECS)
        if share >= _SURELY:
            return Coding(recode=codec, fallback="none", note=_told(name))
        if found := _other_script(raw):
            return found
    codec, name, share = _best(raw, _CODECS)
    if share < _LIKELY and (found := _other_script(raw)):
        return found
    if codec == "cp1252" or share < _LIKELY:  # read line by line, as lines of UTF-8 may be among them
        return Coding(fallback="any")
    return Coding(recode=codec, fallback="none", note=_told(name))


def _best(raw: bytes, codecs_: tuple[tuple[str, str, tuple[str, ...]], ...]) -> tuple[str, str, float]:
    """The encoding under which most characters are a language's, its name, and their share; the first of equals."""
    best = ("", "", 0.0)
    for codec, name, alphabets in codecs_:
        try:
            share = _share(raw.decode(codec), alphabets)
        except UnicodeDecodeError:
            continue
        if share > best[2]:
            best = (codec, name, share)
    return best


def _other_script(raw: bytes) -> Coding | None:
    """What charset-normalizer makes of it, where that is a script other than Latin."""
    from charset_normalizer import from_bytes

    best = from_bytes(raw[: 1 << 16]).best()
    if best is None:
        return None
    encoding = next((name for name in _USUAL if name in best.could_be_from_charset), best.encoding)
    try:
        text = raw[: 1 << 14].decode(encoding, "ignore")
    except LookupError:
        return None
    letters = [char for char in text if ord(char) > 0x7F and char.isalpha()]
    if sum(ord(char) > 0x24F for char in letters) * 2 < len(letters) or not letters:
        return None
    return Coding(recode=encoding, fallback="none", note=_told(encoding.replace("_", "-").upper()))


def _told(name: str) -> str:
    return f"the file is not UTF-8 and read as {name}; look whether its letters are right, or name data.encoding"


def _share(text: str, alphabets: tuple[str, ...]) -> float:
    """The share of the characters beyond ASCII that the best fitting of some languages writes where they stand.

    No language writes a capital after a small letter, a sign between two letters, or two scripts in one word.
    """
    found = Counter(_BEYOND.findall(text))
    total = sum(found.values())
    best = 0
    for alphabet in alphabets:
        letters = set(alphabet + alphabet.upper())
        good = 0
        for (before, char, after), count in found.items():
            if char in letters:
                mixed = char > "\u024f" and (
                    (before.isascii() and before.isalpha()) or (after.isascii() and after.isalpha())
                )
                good += 0 if mixed or (char.isupper() and before.islower()) else count
            elif char in _SIGNS:
                good += 0 if before.isalpha() and after.isalpha() and char not in _WITHIN_WORDS else count
        best = max(best, good)
    return best / total if total else 1.0
