"""A tiny dataset folder and a tiny base."""

from __future__ import annotations

import socket

import pytest

from covergen_cli.dataset.pairs import read_pairs
from tiny import tiny_base
from training_data import write_dataset


@pytest.fixture
def data(tmp_path):
    return write_dataset(tmp_path / "DATA", {"train": 10, "val": 4, "test": 2})


@pytest.fixture
def pairs(data):
    return read_pairs(data, "train")


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]
