"""Archives of runs: the same bytes for the same contents, and nothing that is hostile gets out of one."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.errors import TunerError
from tui_tuner.runs.archive import CONTENTS, Part, may_hold, unpack, write_archive

PARTS = [
    Part("events.jsonl", b'{"type": "log"}\n' * 3),
    Part("config.toml", b"[run]\n"),
    Part("adapters/adapters.safetensors", bytes(range(256)) * 9),
]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "run.tar.gz"
    write_archive(path, {"run": "a"}, PARTS)
    return path


def test_how_far_it_is_ends_with_all(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    (tmp_path / "rows").write_bytes(bytes(5 << 20))
    write_archive(
        tmp_path / "a", {}, [*PARTS, Part("data/train.jsonl", tmp_path / "rows")], lambda *how: told.append(how)
    )
    total = (5 << 20) + sum(len(part.source) for part in PARTS if isinstance(part.source, bytes))
    assert {all_of for _, all_of in told} == {total} and told[-1][0] == total
    assert len(told) > len(PARTS) + 1 and told == sorted(told), "a large file is told of in pieces"


def listing(files: dict[str, bytes]) -> bytes:
    told = {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()}
    return json.dumps({"format": 1, "run": "x", "files": told}).encode()


def built(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], kind: int = tarfile.GNU_FORMAT) -> Path:
    """An archive of somebody else's making."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=kind) as tar:
        for head, data in members:
            tar.addfile(head, io.BytesIO(data))
    path.write_bytes(gzip.compress(raw.getvalue()))
    return path


def member(name: str, data: bytes = b"", **changes: Any) -> tuple[tarfile.TarInfo, bytes]:
    head = tarfile.TarInfo(name)
    head.size = len(data)
    for key, value in changes.items():
        setattr(head, key, value)
    return head, data


def refused(path: Path, into: Path, *codes: str) -> None:
    with pytest.raises(TunerError) as caught:
        unpack(path, into)
    assert caught.value.code in codes, caught.value
    assert not into.exists()


def test_what_is_put_in_comes_out(archive: Path, tmp_path: Path) -> None:
    about = unpack(archive, tmp_path / "out")
    assert about["run"] == "a" and list(about["files"]) == sorted(part.name for part in PARTS)
    for part in PARTS:
        assert (tmp_path / "out" / part.name).read_bytes() == part.source


def test_the_same_contents_are_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    source = tmp_path / "events"
    source.write_bytes(b'{"type": "log"}\n' * 3)
    os.utime(source, (1, 1))
    write_archive(tmp_path / "again.tar.gz", {"run": "a"}, [Part("events.jsonl", source), *reversed(PARTS[1:])])
    assert (tmp_path / "again.tar.gz").read_bytes() == archive.read_bytes()


def test_it_is_an_ordinary_archive_without_owner_or_time(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        heads = tar.getmembers()
    assert [head.name for head in heads] == [CONTENTS, *sorted(part.name for part in PARTS)]
    assert {(head.uid, head.gid, head.uname, head.mtime, head.mode) for head in heads} == {(0, 0, "", 0, 0o644)}
    assert archive.read_bytes()[4:8] == bytes(4)


@pytest.mark.parametrize(
    "name",
    ["../config.toml", "/etc/passwd", "data/../../x", "data/train.jsonl/../../x", "adapters/../x.json",
     "adapters/x.pkl", "adapters/model.pt", "adapters/.x.json", "adapters/a/b.json", "evil.py",
     "config.toml\0", "config.toml/", "",
     "adapters/weights.bin", "C:\\x", "data/train.jsonl.", "evaluation/a b.json", "bundle.json"],
)  # fmt: skip
def test_names_that_no_run_has(name: str, tmp_path: Path) -> None:
    assert not may_hold(name)
    files = {"config.toml": b"x", name: b"evil"}
    path = built(tmp_path / "evil.tar.gz", [member(CONTENTS, listing(files)), member("config.toml", b"x")])
    refused(path, tmp_path / "out", "bundle-refused", "not-a-bundle")
    if name and "\0" not in name:
        # Named in the archive, and not in its list.
        path = built(tmp_path / "evil.tar.gz", [member(CONTENTS, listing({})), member(name, b"evil")])
        refused(path, tmp_path / "out", "bundle-refused", "not-a-bundle")
    assert [one.name for one in tmp_path.iterdir()] == ["evil.tar.gz"]


@pytest.mark.parametrize(
    "changes",
    [{"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, {"type": tarfile.LNKTYPE, "linkname": "../x"},
     {"type": tarfile.DIRTYPE}, {"type": tarfile.FIFOTYPE}, {"type": tarfile.CHRTYPE}, {"type": tarfile.BLKTYPE},
     {"type": tarfile.CONTTYPE}],
)  # fmt: skip
def test_links_and_devices_are_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    path = built(tmp_path / "evil.tar.gz", [member(CONTENTS, listing({"config.toml": b""})),
                                            member("config.toml", **changes)])  # fmt: skip
    refused(path, tmp_path / "out", "bundle-refused")


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_are_not_followed(kind: int, tmp_path: Path) -> None:
    name = "adapters/" + "a" * 300 + ".json"
    path = built(tmp_path / "evil.tar.gz", [member(CONTENTS, listing({})), member(name, b"x")], kind)
    refused(path, tmp_path / "out", "bundle-refused")


def test_a_file_that_is_not_what_was_listed(tmp_path: Path) -> None:
    good = {"config.toml": b"good"}
    for data in (b"evil", b"longer than good", b""):
        path = built(tmp_path / "evil.tar.gz", [member(CONTENTS, listing(good)), member("config.toml", data)])
        refused(path, tmp_path / "out", "bundle-damaged")
    path = built(tmp_path / "evil.tar.gz", [member(CONTENTS, listing(good))])
    refused(path, tmp_path / "out", "bundle-damaged")
    twice = [member(CONTENTS, listing(good)), member("config.toml", b"good"), member("config.toml", b"good")]
    refused(built(tmp_path / "evil.tar.gz", twice), tmp_path / "out", "bundle-refused")


def test_more_than_the_disk_holds(tmp_path: Path) -> None:
    told = json.loads(listing({"config.toml": b""}))
    told["files"]["config.toml"]["size"] = 1 << 60
    path = built(tmp_path / "evil.tar.gz", [member(CONTENTS, json.dumps(told).encode())])
    refused(path, tmp_path / "out", "no-space")


@pytest.mark.parametrize(
    "make",
    [lambda _: b"", lambda _: b"no gzip", lambda whole: whole[:-40], lambda whole: whole[: len(whole) // 2],
     lambda _: gzip.compress(b""), lambda _: gzip.compress(b"x" * 2000), lambda _: gzip.compress(bytes(1024)),
     lambda whole: whole[:60] + b"\xff\xff" + whole[62:]],
)  # fmt: skip
def test_what_is_no_archive_or_a_piece_of_one(make: Callable[[bytes], bytes], archive: Path, tmp_path: Path) -> None:
    archive.write_bytes(make(archive.read_bytes()))
    refused(archive, tmp_path / "out", "not-a-bundle", "bundle-damaged", "bundle-refused")


@pytest.mark.parametrize(
    "about",
    [b"[]", b"{}", b"nonsense", b'{"format": 1, "files": []}', b"[" * 100_000,
     b'{"format": 1, "files": {"config.toml": 3}}',
     b'{"format": 1, "files": {"config.toml": {"size": -1, "sha256": "x"}}}'],
)  # fmt: skip
def test_lists_that_are_none(about: bytes, tmp_path: Path) -> None:
    path = built(tmp_path / "evil.tar.gz", [member(CONTENTS, about)])
    refused(path, tmp_path / "out", "not-a-bundle", "bundle-refused")


def test_a_later_format_is_said(tmp_path: Path) -> None:
    path = built(tmp_path / "new.tar.gz", [member(CONTENTS, b'{"format": 2, "files": {}}')])
    refused(path, tmp_path / "out", "bundle-format")


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 5000), bits=st.integers(1, 255))
def test_a_changed_byte_is_noticed_or_without_effect(
    at: int, bits: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("fuzz")
    write_archive(place / "a.tar.gz", {"run": "a"}, PARTS)
    data = bytearray((place / "a.tar.gz").read_bytes())
    data[at % len(data)] ^= bits
    (place / "a.tar.gz").write_bytes(data)
    try:
        unpack(place / "a.tar.gz", place / "out")
    except TunerError:
        assert not (place / "out").exists()
        return
    for part in PARTS:
        assert (place / "out" / part.name).read_bytes() == part.source


def test_a_link_is_not_handed_on(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(TunerError, match="no plain file"):
        write_archive(tmp_path / "a.tar.gz", {}, [Part("config.toml", tmp_path / "link")])
    assert not (tmp_path / "a.tar.gz").exists()


def test_a_failure_leaves_the_old_archive(archive: Path, tmp_path: Path) -> None:
    before = archive.read_bytes()
    with pytest.raises(TunerError):
        write_archive(archive, {}, [Part("config.toml", tmp_path / "missing")])
    assert archive.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_there_is_no_such_archive(tmp_path: Path) -> None:
    refused(tmp_path / "none.tar.gz", tmp_path / "out", "not-found")
