"""Files in the encodings of the world: their letters come out right, or a record is named that means nothing."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.config import DataSection
from tui_tuner.data.opening import open_source
from tui_tuner.data.readers.content import FileContent
from tui_tuner.data.readers.encodings import Coding, coding_of, decoded
from tui_tuner.data.table import Fault

FRENCH = "À Noël, le garçon à côté a mangé une crème brûlée où l'île était déjà gelée"
GERMAN = "Die Mädchen grüßen fröhlich über die Straße hinüber zum Ärger der Öfen"
POLISH = "Zażółć gęślą jaźń, mówił źrebak, i żółw poszedł łąką ku Łodzi"
CZECH = "Příliš žluťoučký kůň úpěl ďábelské ódy v šeré mlze"
TURKISH = "Şişli'de ağır ışıkları gören çocuğun öğretmeni İstanbul'a döndü"
RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю"
GREEK = "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία και τη γνώση της θάλασσας"
HEBREW = "דג סקרן שט בים מאוכזב ולפתע מצא חברה טובה"
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所で"
CHINESE = "我们在图书馆里学习语言，每天都读很多有意思的书，然后一起讨论问题"
KOREAN = "모든 사람은 태어날 때부터 자유롭고 존엄하며 평등하다 그리고 서로 형제애의 정신으로"


def lines(text: str, count: int = 12) -> list[dict[str, str]]:
    """Rows with the words of a text in another order each, so that no two are alike."""
    words = text.split(" ") if " " in text else [text[at : at + 6] for at in range(0, len(text), 6)]
    return [{"n": str(n), "text": " ".join(words[n % len(words) :] + words[: n % len(words)])} for n in range(count)]


def written(rows: list[dict[str, str]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def read(path: Path, **options: Any) -> tuple[list[Any], list[str]]:
    table = open_source(DataSection(source=str(path), **options)).main
    found = list(table.rows())
    return found, table.notes()


@pytest.mark.parametrize(
    ("text", "encoding", "said"),
    [
        (FRENCH, "cp1252", "Windows-1252"),
        (GERMAN, "cp1252", "Windows-1252"),
        (FRENCH, "mac_roman", "Mac Roman"),
        (GERMAN, "cp850", "code page 850"),
        (POLISH, "cp1250", "Windows-1250"),
        (POLISH, "iso8859_2", "ISO 8859-2"),
        (CZECH, "cp1250", "Windows-1250"),
        (TURKISH, "cp1254", "Windows-1254"),
        (RUSSIAN, "cp1251", "Windows-1251"),
        (RUSSIAN, "koi8_r", "KOI8-R"),
        (RUSSIAN, "cp866", "code page 866"),
        (GREEK, "cp1253", "Windows-1253"),
        (HEBREW, "cp1255", "Windows-1255"),
        (JAPANESE, "cp932", "CP932"),
        (JAPANESE, "euc_jp", "EUC-JP"),
        (JAPANESE, "iso2022_jp", "ISO-2022-JP"),
        (CHINESE, "gb18030", "GB18030"),
        (KOREAN, "cp949", "CP949"),
    ],
    ids=lambda value: value if value.isascii() else None,
)
def test_letters_come_out_as_they_were_written_and_it_is_said_how(
    tmp_path: Path, text: str, encoding: str, said: str
) -> None:
    rows = lines(text)
    path = tmp_path / "a.jsonl"
    path.write_bytes(written(rows).encode(encoding))
    found, notes = read(path)
    assert found == rows
    assert any(said in note for note in notes), notes


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("marked", [True, False])
def test_wide_text_is_told_with_and_without_its_mark(tmp_path: Path, encoding: str, marked: bool) -> None:
    rows = lines("words with ä few lëtters", 9)
    mark = getattr(codecs, f"BOM_{encoding.replace('-', '').replace('utf', 'UTF').upper()[:5]}_{encoding[-2:].upper()}")
    path = tmp_path / "a.jsonl"
    path.write_bytes((mark if marked else b"") + written(rows).encode(encoding))
    found, notes = read(path)
    assert found == rows
    assert any(encoding.upper()[:6] in note and ("without a mark" in note) != marked for note in notes)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_one_line_of_many_kilobytes_is_told_by_samples_that_cut_its_letters(tmp_path: Path, encoding: str) -> None:
    """A document of several hundred kilobytes without a break: samples begin and end within letters."""
    rows = [{"n": str(number), "text": f"é{FRENCH} {number}" * 3} for number in range(2_600)]
    path = tmp_path / "a.json"
    path.write_bytes(json.dumps(rows, ensure_ascii=False).encode(encoding))
    assert path.stat().st_size > 600_000
    found, _ = read(path)
    assert found == rows


def test_a_named_encoding_is_believed_and_what_it_cannot_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(written(lines(RUSSIAN, 3)).encode("koi8_r"))
    assert read(path, encoding="koi8-r")[0] == lines(RUSSIAN, 3)
    path.write_bytes(b'{"text": "good"}\n{"text": "caf\xe9"}\n')
    good, bad = read(path, encoding="utf-8")[0]
    assert good == {"text": "good"}
    assert isinstance(bad, Fault) and bad.place.line == 2


def test_a_line_of_another_encoding_among_utf8_is_read_where_it_makes_words(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    mixed = written(lines(GERMAN, 4)).encode() + '{"text": "Fußgänger"}\n'.encode("cp1252") + b'{"text": "caf\xc3"}\n'
    path.write_bytes(mixed)
    found, notes = read(path)
    assert found[:4] == lines(GERMAN, 4) and found[4] == {"text": "Fußgänger"}
    assert isinstance(found[5], Fault), "half a character of UTF-8 is no letter of another encoding"
    assert any("1252" in note for note in notes)


@settings(max_examples=40)
@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["none", "likely", "any"]))
def test_what_is_utf8_is_read_as_utf8_whatever_else_may_be(text: str, fallback: Any) -> None:
    assert decoded(text.encode("utf-8"), Coding(fallback=fallback)) == text


@settings(max_examples=40)
@given(st.binary(max_size=40))
def test_no_mark_of_replacement_is_ever_put_into_a_text(raw: bytes) -> None:
    for fallback in ("none", "likely", "any"):
        text = decoded(raw, Coding(fallback=fallback))  # type: ignore[arg-type]
        assert text is None or "\ufffd" not in text or b"\xef\xbf\xbd" in raw
        assert text is None or raw in (text.encode("utf-8"), text.encode("cp1252", "replace"))


@pytest.mark.parametrize("raw", [b"", b"ascii only\n" * 40, b"\xef\xbb\xbfmarked \xc3\xa9\n", b"\x00" * 6])
def test_plain_files_need_no_note(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(raw)
    content = FileContent(path)
    coding = coding_of(content)
    content.close()
    assert (coding.recode, coding.note, coding.start) == ("", "", 3 if raw.startswith(codecs.BOM_UTF8) else 0)
