"""A hub of data sets on this machine: as much of the real one's interface as reading a set asks for.

Point `HF_ENDPOINT` at its address before the hub's library is imported, so in a process of its own.
"""

from __future__ import annotations

import hashlib
import json
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

Repositories = Mapping[str, Mapping[str, bytes]]
COMMIT = "1" * 40


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    repositories: ClassVar[Repositories] = {}
    gated: ClassVar[frozenset[str]] = frozenset()

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        parts = [urllib.parse.unquote(part) for part in url.path.strip("/").split("/")]
        api = parts[:2] == ["api", "datasets"]
        if parts[:1] != ["datasets"] and not api:
            return self._answer(404, {})
        rest = parts[2:] if api else parts[1:]
        name = "/".join(rest[:2])
        if name in self.gated:
            return self._answer(403, {"error": "gated"}, {"X-Error-Code": "GatedRepo"})
        if name not in self.repositories:
            return self._answer(401, {"error": "no such repository"}, {"X-Error-Code": "RepoNotFound"})
        files = self.repositories[name]
        if not api and rest[2:3] == ["resolve"]:
            return self._file(files, "/".join(rest[4:]))
        if rest[2:3] == ["tree"]:
            below = "/".join(rest[4:])
            everything = "recursive=true" in url.query.lower()
            return self._answer(200, list(self._tree(files, below, everything)))
        if rest[2:3] == ["paths-info"]:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            given = json.loads(body)["paths"] if body.startswith("{") else urllib.parse.parse_qs(body)["paths"]
            return self._answer(200, [self._entry(files, path) for path in given if path in files])
        siblings = [{"rfilename": path} for path in files]
        return self._answer(200, {"id": name, "sha": COMMIT, "siblings": siblings, "private": False, "tags": []})

    do_HEAD = do_POST = do_GET

    def _file(self, files: Mapping[str, bytes], path: str) -> None:
        if path not in files:
            return self._answer(404, {"error": "no such file"}, {"X-Error-Code": "EntryNotFound"})
        content = files[path]
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(content).hexdigest()}"', "Accept-Ranges": "bytes"}
        start, stop = 0, len(content)
        if found := self.headers.get("Range"):
            first, _, last = found.removeprefix("bytes=").partition("-")
            start, stop = int(first), int(last) + 1 if last else stop
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        self._send(206 if found else 200, content[start:stop], headers, "application/octet-stream")

    def _tree(self, files: Mapping[str, bytes], below: str, everything: bool) -> Iterator[dict[str, object]]:
        prefix = f"{below}/" if below else ""
        folders = set()
        for path in files:
            if not path.startswith(prefix):
                continue
            inner = path.removeprefix(prefix)
            if "/" in inner:
                folder = prefix + inner.partition("/")[0]
                if folder not in folders:
                    folders.add(folder)
                    yield {"type": "directory", "path": folder, "oid": "0" * 40, "size": 0}
            if everything or "/" not in inner:
                yield self._entry(files, path)

    def _entry(self, files: Mapping[str, bytes], path: str) -> dict[str, object]:
        return {"type": "file", "path": path, "size": len(files[path]), "oid": hashlib.sha1(files[path]).hexdigest()}

    def _answer(self, status: int, document: object, headers: Mapping[str, str] | None = None) -> None:
        self._send(status, json.dumps(document).encode(), headers or {}, "application/json")

    def _send(self, status: int, content: bytes, headers: Mapping[str, str], kind: str) -> None:
        if self.command == "POST":
            self.rfile.read(0)
        self.send_response(status)
        for name, value in {**headers, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""


@contextmanager
def fake_hub(repositories: Repositories, gated: frozenset[str] = frozenset()) -> Iterator[str]:
    """A hub with these data sets (name → path → content); gives its address, and ends it with the block."""
    handler = type("Handler", (_Handler,), {"repositories": repositories, "gated": gated})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
