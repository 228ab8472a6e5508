"""A server that plays the part of the one that OpenL3 publishes on, faults and all."""

from __future__ import annotations

import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from covergen_cli.weights import openl3
from openl3_files import keras_bytes


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

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as real:
        fake.url = f"http://127.0.0.1:{real.server_address[1]}/"
        thread = Thread(target=real.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield fake
        real.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def published_bytes():
    return keras_bytes(packed=True)


@pytest.fixture
def published(server, published_bytes, tmp_path, monkeypatch):
    """The server has the file that ``openl3`` is pinned to, and the network is on."""
    from covergen_cli.weights.download import git_blob_id

    path = tmp_path / "published"
    path.write_bytes(published_bytes)
    pinned = openl3.OpenL3File("mel256", "music", git_blob_id(path))
    monkeypatch.setitem(openl3.OPENL3, "openl3", pinned)
    monkeypatch.setattr(openl3, "URL", server.url)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    server.content = published_bytes
    return server
