"""Adapters come back from the disk as they were, or say why not."""

import json

import pytest
import torch

from covergen_cli.errors import ModelError
from covergen_cli.models.adapter import Adapter
from covergen_cli.models.checkpoint import load_adapter, save_adapter
from tiny import ENCODER, tiny_adapter_config

BASE = {"reference": "starter", "revision": None, "fingerprint": "f" * 64, "cross_attention_dim": 32}


@pytest.fixture
def adapter():
    torch.manual_seed(1)
    return Adapter(tiny_adapter_config(alpha=2.0)).eval()


@pytest.fixture
def folder(tmp_path, adapter):
    save_adapter(tmp_path / "run" / "adapter", adapter, ENCODER, BASE, {"epochs": 3})
    return tmp_path / "run" / "adapter"


def edit(folder, **changes):
    path = folder / "adapter.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_round_trip(folder, adapter):
    loaded = load_adapter(folder)
    clip = torch.randn(1, 4, 512)
    assert torch.equal(loaded.adapter(clip), adapter(clip))
    assert loaded.config == adapter.config
    assert loaded.encoder_spec == ENCODER
    assert loaded.base == BASE
    assert not loaded.adapter.training
    assert sorted(path.name for path in folder.iterdir()) == ["adapter.json", "adapter.safetensors"]


def test_a_run_folder_will_do(folder):
    assert load_adapter(folder.parent).fingerprint == load_adapter(folder).fingerprint


def test_half_precision_on_disk_is_float32_in_memory(tmp_path, adapter):
    save_adapter(tmp_path, adapter, ENCODER, BASE, {}, dtype=torch.float16)
    loaded = load_adapter(tmp_path)
    clip = torch.randn(1, 4, 512)
    assert loaded.adapter(clip).dtype == torch.float32
    assert torch.allclose(loaded.adapter(clip), adapter(clip), atol=2e-2)


def test_the_fingerprint_follows_the_content(tmp_path, folder, adapter):
    first = load_adapter(folder).fingerprint
    save_adapter(folder, adapter, ENCODER, BASE, {"epochs": 4})
    assert load_adapter(folder).fingerprint == first
    save_adapter(folder, adapter, {"name": "mel"}, BASE, {})
    assert load_adapter(folder).fingerprint != first
    with torch.no_grad():
        adapter.offsets.add_(1)
    save_adapter(tmp_path, adapter, ENCODER, BASE, {})
    assert load_adapter(tmp_path).fingerprint != first


def test_loading_leaves_the_random_numbers_alone(folder):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    load_adapter(folder)
    assert torch.equal(torch.rand(1), expected)


def test_no_adapter_there(tmp_path):
    with pytest.raises(ModelError, match="holds no adapter"):
        load_adapter(tmp_path)


def test_weights_missing(folder):
    (folder / "adapter.safetensors").unlink()
    with pytest.raises(ModelError, match="missing"):
        load_adapter(folder)


def test_one_flipped_bit(folder):
    path = folder / "adapter.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="damaged"):
        load_adapter(folder)


def test_json_cut_short(folder):
    path = folder / "adapter.json"
    path.write_text(path.read_text()[:50])
    with pytest.raises(ModelError, match=r"adapter\.json cannot be read"):
        load_adapter(folder)


def test_a_schema_from_the_future(folder):
    edit(folder, schema=2)
    with pytest.raises(ModelError, match="schema 2") as caught:
        load_adapter(folder)
    assert "Upgrade" in caught.value.hint


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ({"wings": 2}, "unknown architecture"),
        ({"rank": "many"}, "invalid architecture"),
        ({"pooling": "attention"}, "invalid architecture"),
        ({"hidden_dim": 99, "output_dim": 32}, "does not fit"),
    ],
)
def test_an_architecture_that_cannot_be(folder, architecture, message):
    edit(folder, architecture=architecture)
    with pytest.raises(ModelError, match=message):
        load_adapter(folder)


def test_a_part_of_the_json_is_missing(folder):
    edit(folder, encoder=None)
    with pytest.raises(ModelError, match="no 'encoder'"):
        load_adapter(folder)
