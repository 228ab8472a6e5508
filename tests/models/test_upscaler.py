"""The upscaler: four times the size, and honest about damage."""

import pytest
import torch
from safetensors.torch import save_file

from covergen_cli.errors import ModelError
from covergen_cli.files import write_json
from covergen_cli.models.fingerprint import UPSCALER_CONFIG, UPSCALER_WEIGHTS
from covergen_cli.models.upscaler import Upscaler, load_upscaler


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    upscaler = Upscaler(channels=8, blocks=2)
    torch.nn.init.normal_(upscaler.last.weight, std=0.1)
    write_json(tmp_path / UPSCALER_CONFIG, upscaler.config)
    save_file(upscaler.state_dict(), tmp_path / UPSCALER_WEIGHTS)
    return tmp_path, upscaler


def test_untrained_it_is_the_bilinear_enlargement():
    picture = torch.rand(1, 3, 8, 8) * 2 - 1
    larger = Upscaler(channels=8, blocks=1)(picture)
    assert larger.shape == (1, 3, 32, 32)
    assert torch.equal(larger, torch.nn.functional.interpolate(picture, scale_factor=4, mode="bilinear"))


def test_what_was_saved_is_loaded(saved):
    folder, upscaler = saved
    picture = torch.rand(1, 3, 8, 8)
    loaded = load_upscaler(folder)
    assert torch.equal(loaded(picture), upscaler(picture))
    assert not any(p.requires_grad for p in loaded.parameters())


def test_most_bases_have_none(tmp_path):
    assert load_upscaler(tmp_path) is None


def test_damage_is_told(saved):
    folder, _ = saved
    (folder / UPSCALER_WEIGHTS).write_bytes(b"not weights")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_upscaler(folder)
