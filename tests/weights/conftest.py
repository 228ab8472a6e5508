"""Local servers in the place of the one that publishes OpenL3, and of the Hugging Face Hub."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from covergen_cli.weights import openl3
from openl3_files import keras_bytes

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextlib.contextmanager
def serving(handler):
    """Serve on a free port of this machine; gives the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as real:
        thread = Thread(target=real.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{real.server_address[1]}"
        real.shutdown()
        thread.join()


class Server:
    """Serves one content under every name; remembers where each answer began.

    ``cut`` answers end early, with the connection, after that many bytes; ``status`` is what is answered instead.
    """

    def __init__(self):
        self.content, self.begins, self.cuts, self.status, self.ranges = b"", [], [], 200, True

    def answer(self, request):
        if self.status != 200:
            request.send_error(self.status)
            return
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        begin = int(asked[1]) if asked and self.ranges else 0
        self.begins.append(begin)
        if begin > len(self.content):
            request.send_error(416)
            return
        body = self.content[begin:]
        request.send_response(206 if begin else 200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: self.cuts.pop(0)] if self.cuts else body)


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    fake = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            fake.answer(self)

        def log_message(self, *_):
            pass

    with serving(Handler) as address:
        fake.url = f"{address}/"
        yield fake


class Hub:
    """Has the same files, path → content, under every model and revision; counts requests and remembers downloads.

    With ``missing`` it knows no model at all.
    """

    def __init__(self):
        self.files, self.requests, self.downloads, self.missing = {}, 0, [], False

    def answer(self, request, *, body=True):
        self.requests += 1
        path = request.path.partition("?")[0]
        entries = [
            {"type": "file", "path": name, "size": len(content), "oid": blob_id(name, content)}
            | ({"lfs": {"oid": blob_id(name, content), "size": len(content), "pointerSize": 9}} if large(name) else {})
            for name, content in self.files.items()
        ]
        siblings = [{"rfilename": name} for name in self.files]
        found = re.search(r"/resolve/([0-9a-f]{40})/(.*)", path)
        commit, name = found.groups() if found else (COMMIT, "")
        if self.missing or (name and name not in self.files):
            request.send_response(404)
            request.send_header("X-Error-Code", "RepoNotFound" if self.missing else "EntryNotFound")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        content = self.files.get(name)
        if content is None:
            listing = entries if "/tree/" in path else {"id": "owner/name", "sha": COMMIT, "siblings": siblings}
            content = json.dumps(listing).encode()
        elif body:
            self.downloads.append(name)
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        if name:
            request.send_header("ETag", f'"{blob_id(name, content)}"')
            request.send_header("X-Repo-Commit", commit)
        else:
            request.send_header("Content-Type", "application/json")
        request.end_headers()
        request.wfile.write(content if body else b"")


def large(name):
    return name.endswith(".safetensors")


def blob_id(name, content):
    """The name of a file in the hub's cache."""
    if large(name):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with a complete Stable Diffusion, an empty cache, and the network on."""
    from huggingface_hub import constants

    fake = Hub()
    fake.files["scheduler/scheduler_config.json"] = b"{}"
    for part, stem in (
        ("unet", "diffusion_pytorch_model"),
        ("vae", "diffusion_pytorch_model"),
        ("text_encoder", "model"),
    ):
        fake.files[f"{part}/config.json"] = b"{}" + part.encode()
        fake.files[f"{part}/{stem}.safetensors"] = b"weights of " + part.encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            fake.answer(self)

        def do_HEAD(self):
            fake.answer(self, body=False)

        def log_message(self, *_):
            pass

    with serving(Handler) as address:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.delenv("HF_HUB_OFFLINE")
        yield fake


@pytest.fixture(scope="session")
def published_bytes():
    return keras_bytes(packed=True)


@pytest.fixture
def published(server, published_bytes, tmp_path, monkeypatch):
    """The server has the file that ``openl3`` is pinned to, and the network is on."""
    from covergen_cli.files import git_blob_id

    path = tmp_path / "published"
    path.write_bytes(published_bytes)
    pinned = openl3.OpenL3File("mel256", "music", git_blob_id(path))
    monkeypatch.setitem(openl3.OPENL3, "openl3", pinned)
    monkeypatch.setattr(openl3, "URL", server.url)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    server.content = published_bytes
    return server
