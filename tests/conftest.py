"""Every test runs with empty cache and config folders, no settings from outside, and no network."""

from __future__ import annotations

import os
import socket

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # One worker per core runs the tests, so that more threads would only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

LOCAL = ("127.0.0.1", "::1", "localhost")


@pytest.fixture(autouse=True)
def isolated_home(tmp_path_factory, monkeypatch):
    """Point every per-user folder to a new empty one and drop the variables that change settings."""
    home = tmp_path_factory.mktemp("home")
    for variable in ("HOME", "USERPROFILE", "LOCALAPPDATA", "APPDATA", "HF_HOME"):
        monkeypatch.setenv(variable, str(home))
    for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(home / kind.lower()))
    for variable in [name for name in os.environ if name.startswith("COVERGEN_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return home


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """Let sockets connect to this machine only."""
    connect = socket.socket.connect

    def guarded(self, address):
        if isinstance(address, tuple) and address[0] not in LOCAL:
            pytest.fail(f"a test tried to reach {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
