"""The Ray engine on a real Ray of this machine; skipped where Ray is not installed."""

import importlib.util
import os
import subprocess
import sys

import pytest

from covergen_cli.cli.main import run as covergen
from covergen_cli.config import EmbedConfig
from covergen_cli.dataset.embed import embed_dataset
from covergen_cli.errors import ConfigError
from dataset_files import read_table

HERE = importlib.util.find_spec("ray") is not None


@pytest.mark.skipif(not HERE, reason="Ray is not installed")
def test_ray_does_what_is_missing_and_writes_the_bytes_of_the_local_engine(dataset):
    (dataset / "audio" / "s1.wav").write_bytes(b"no music")
    assert covergen(["embed", str(dataset), "-q"]) == 3
    target = dataset / "embeddings" / "mel"
    local = {path.name: path.read_bytes() for path in target.iterdir()}
    pairs = (dataset / "pairs.csv").read_bytes()
    kept = (target / "s0.npy").stat().st_mtime_ns
    (target / "s2.npy").unlink()
    line = [sys.executable, "-m", "covergen_cli", "embed", str(dataset), "--engine", "ray", "--workers", "1", "-v"]
    # Workers have a low priority by default, and would starve beside the other tests.
    environment = {**os.environ, "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", "RAY_worker_niceness": "0"}
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 3, done.stderr
    assert "s1.wav is not audio" in done.stderr
    assert "s2: segment" in done.stderr
    assert "s0: segment" not in done.stderr
    assert {path.name: path.read_bytes() for path in target.iterdir()} == local
    assert (target / "s0.npy").stat().st_mtime_ns == kept
    assert (dataset / "pairs.csv").read_bytes() == pairs
    assert [row["status"] for row in read_table(target / "status.csv")] == ["ok", "failed", "ok"]


@pytest.mark.skipif(HERE, reason="Ray is installed")
def test_without_ray_the_way_to_get_it_is_said(dataset):
    with pytest.raises(ConfigError, match="needs the package ray") as refused:
        list(embed_dataset(dataset, EmbedConfig(encoder="mel", engine="ray")))
    assert "pip install 'ray[data]'" in refused.value.hint
