"""A hub of models on this machine: what downloading and uploading ask of the real one, and its failures on demand.

Point `HF_ENDPOINT` at its address before the hub's library is imported, so in a process of its own; or use `at` for
this process. `HF_HUB_DISABLE_XET=1` belongs to it: the other way to send files is not played here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

TOKEN = "hf_" + "Zx9" * 11
"""The only token that the hub knows."""


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    range: str
    token: str


@dataclass
class ModelHub:
    """What the hub holds, and how it behaves.

    Attributes:
        files: content by path, by repository.
        private, gated: repositories that only who has the token sees, or nobody.
        statuses: answers to give, once each, to requests whose path contains the key.
        cut: bytes of a file after which its connection is cut, once each.
        held: files that stop in their middle until the event is set.
        undivided: files that are sent whole, whatever part of them is asked for.
        asked: all requests, in order.
        made: repositories that were created: name and whether it is private.
        messages: of the commits.
    """

    files: dict[str, dict[str, bytes]]
    private: set[str] = field(default_factory=set)
    gated: set[str] = field(default_factory=set)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    cut: dict[str, list[int]] = field(default_factory=dict)
    held: dict[str, threading.Event] = field(default_factory=dict)
    undivided: set[str] = field(default_factory=set)
    asked: list[Asked] = field(default_factory=list)
    made: dict[str, bool] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    address: str = ""
    reached: threading.Event = field(default_factory=threading.Event)

    def commit(self, name: str) -> str:
        return hashlib.sha1(repr(sorted(self.files[name].items())).encode()).hexdigest()

    def ranges(self, path: str) -> list[str]:
        """The `Range` of every request for a file's content."""
        return [one.range for one in self.asked if one.method == "GET" and one.path.endswith(path)]


def is_large(path: str) -> bool:
    return path.endswith((".safetensors", ".gguf", "tokenizer.json"))


def digest(path: str, content: bytes) -> str:
    if is_large(path):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: ClassVar[ModelHub]

    def do_GET(self) -> None:
        hub, url = self.hub, urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        hub.asked.append(Asked(self.command, path, self.headers.get("Range", ""), token))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        for part, statuses in hub.statuses.items():
            if part in path and statuses:
                return self._answer(statuses.pop(0), {"error": "as the test wants it"})
        if token and token != TOKEN:
            return self._answer(
                401, {"error": "no"}, {"X-Error-Message": "Invalid credentials in Authorization header"}
            )
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            return self._api(parts[2:], token, body)
        if parts[0] == "api":
            return self._other(parts[1:], token, body)
        if parts[0] == "lfs":
            return self._store(parts[1], body)
        name = "/".join(parts[:2])
        if parts[1].endswith(".git"):
            return self._batch(body)
        if not self._may_see(name, token) or parts[2] != "resolve":
            return None
        return self._file(name, "/".join(parts[4:]))

    do_HEAD = do_POST = do_PUT = do_GET

    def _may_see(self, name: str, token: str) -> bool:
        if name in self.hub.gated:
            self._answer(403, {"error": "gated"}, {"X-Error-Code": "GatedRepo"})
        elif name not in self.hub.files or (name in self.hub.private and token != TOKEN):
            self._answer(401, {"error": "none"}, {"X-Error-Code": "RepoNotFound"})
        else:
            return True
        return False

    def _api(self, parts: list[str], token: str, body: bytes) -> None:
        name, rest = "/".join(parts[:2]), parts[2:]
        if not self._may_see(name, token):
            return None
        files, commit = self.hub.files[name], self.hub.commit(name)
        if rest[:1] == ["preupload"]:
            wanted = json.loads(body)["files"]
            modes = [
                {
                    "path": one["path"],
                    "uploadMode": "lfs" if is_large(one["path"]) else "regular",
                    "shouldIgnore": False,
                    "oid": digest(one["path"], files[one["path"]]) if one["path"] in files else None,
                }
                for one in wanted
            ]
            return self._answer(200, {"files": modes})
        if rest[:1] == ["commit"]:
            return self._commit(name, body)
        if rest[1:2] and rest[1] not in ("main", commit):
            return self._answer(404, {"error": "none"}, {"X-Error-Code": "RevisionNotFound"})
        if rest[:1] == ["tree"]:
            return self._answer(200, [self._entry(path, content) for path, content in files.items()])
        siblings = []
        for path, content in files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            one: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": blob}
            if is_large(path):
                one["lfs"] = {"sha256": digest(path, content), "size": len(content), "pointerSize": 130}
            siblings.append(one)
        document = {"id": name, "sha": commit, "siblings": siblings, "private": name in self.hub.private, "tags": []}
        return self._answer(200, document)

    def _entry(self, path: str, content: bytes) -> dict[str, Any]:
        entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": digest(path, content)[:40]}
        if is_large(path):
            entry["lfs"] = {"oid": digest(path, content), "size": len(content), "pointerSize": 130}
        else:
            entry["oid"] = digest(path, content)
        return entry

    def _other(self, parts: list[str], token: str, body: bytes) -> None:
        if parts == ["validate-yaml"]:
            return self._answer(200, {"warnings": [], "errors": []})
        if parts == ["repos", "create"]:
            if token != TOKEN:
                return self._answer(401, {"error": "who?"}, {"X-Error-Message": "Invalid username or password."})
            wish = json.loads(body)
            name = f"{wish.get('organization') or 'me'}/{wish['name']}"
            if name in self.hub.files:
                return self._answer(409, {"url": f"{self.hub.address}/{name}"})
            self.hub.files[name] = {}
            private = bool(wish.get("private")) or wish.get("visibility") == "private"
            self.hub.made[name] = private
            if private:
                self.hub.private.add(name)
            return self._answer(200, {"url": f"{self.hub.address}/{name}", "name": name, "id": "1"})
        return self._answer(404, {"error": "none"})

    def _batch(self, body: bytes) -> None:
        objects = []
        for one in json.loads(body)["objects"]:
            link = {"href": f"{self.hub.address}/lfs/{one['oid']}"}
            known = one["oid"] in self.hub.blobs
            objects.append({**one, **({} if known else {"actions": {"upload": link}})})
        return self._answer(200, {"transfer": "basic", "objects": objects})

    def _store(self, oid: str, body: bytes) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            return self._answer(400, {"error": "another hash"})
        self.hub.blobs[oid] = body
        return self._answer(200, {})

    def _commit(self, name: str, body: bytes) -> None:
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                self.hub.messages.append(value["summary"])
            elif line["key"] == "file":
                self.hub.files[name][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.hub.files[name][value["path"]] = self.hub.blobs[value["oid"]]
        commit = self.hub.commit(name)
        url = f"{self.hub.address}/{name}/commit/{commit}"
        self._answer(200, {"commitUrl": url, "commitOid": commit, "success": True})

    def _file(self, name: str, path: str) -> None:
        content = self.hub.files[name].get(path)
        if content is None:
            return self._answer(404, {"error": "none"}, {"X-Error-Code": "EntryNotFound"})
        headers = {"X-Repo-Commit": self.hub.commit(name), "ETag": f'"{digest(path, content)}"'}
        start = 0
        found = None if path in self.hub.undivided else self.headers.get("Range")
        if found:
            start = int(found.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        rest = content[start:]
        cuts = self.hub.cut.get(path, [])
        if self.command == "GET" and cuts:
            self._send(206 if found else 200, rest, headers, "application/octet-stream", stop=cuts.pop(0))
            self.close_connection = True
            self.connection.close()
            return None
        held = self.hub.held.get(path) if self.command == "GET" else None
        return self._send(206 if found else 200, rest, headers, "application/octet-stream", held=held)

    def _answer(self, status: int, document: object, headers: Mapping[str, str] | None = None) -> None:
        self._send(status, json.dumps(document).encode(), headers or {}, "application/json")

    def _send(
        self,
        status: int,
        content: bytes,
        headers: Mapping[str, str],
        kind: str,
        stop: int | None = None,
        held: threading.Event | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        try:
            if held is not None:
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                self.hub.reached.set()
                held.wait(60)
                content = content[len(content) // 2 :]
            self.wfile.write(content[:stop])
            self.wfile.flush()
        except OSError:  # who asked is gone
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""


@contextmanager
def model_hub(files: Mapping[str, Mapping[str, bytes]]) -> Iterator[ModelHub]:
    """A hub with these models (name → path → content), ended with the block."""
    hub = ModelHub({name: dict(content) for name, content in files.items()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        for event in hub.held.values():
            event.set()
        server.shutdown()
        thread.join()
        server.server_close()


def at(hub: ModelHub, cache: Path, monkeypatch: pytest.MonkeyPatch, token: str | None = None) -> None:
    """Points this process's library at a hub, with a cache of its own."""
    from huggingface_hub import constants

    template = hub.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr("huggingface_hub.file_download.HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    if token is None:
        monkeypatch.delenv("HF_TOKEN", raising=False)
    else:
        monkeypatch.setenv("HF_TOKEN", token)


def folder_files(folder: Path) -> dict[str, bytes]:
    """The files of a model folder, by name."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
