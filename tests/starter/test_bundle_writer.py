"""The bundle that training writes is one that the rest of CoverGen reads, and any change to it is noticed."""

import pytest
import torch

from covergen_cli.audio.encoders import get_encoder
from covergen_cli.config import AdapterConfig
from covergen_cli.errors import ModelError
from covergen_cli.models.adapter import Adapter
from covergen_cli.models.base import check_adapter_fits, load_base
from covergen_cli.models.checkpoint import load_adapter
from covergen_cli.models.condition_encoder import ConditionEncoder
from covergen_cli.starter.bundle_writer import write_bundle
from covergen_cli.weights.hub import verify_hashes
from tiny import tiny_unet, tiny_vae

WIDTH = 32


@pytest.fixture(scope="module")
def parts():
    torch.manual_seed(0)
    adapter = Adapter(AdapterConfig(hidden_dim=16, output_dim=WIDTH, blocks=1, rank=2))
    return {
        "vae": tiny_vae(),
        "unet": tiny_unet(WIDTH),
        "condition": ConditionEncoder(7, (), WIDTH),
        "adapter": adapter,
    }


@pytest.fixture
def bundle(tmp_path, parts):
    folder = tmp_path / "bundle"
    write_bundle(folder, vae=parts["vae"], unet=parts["unet"], condition=parts["condition"])
    write_bundle(folder, adapter=parts["adapter"], training={"songs": 3})
    return folder


def test_base_and_adapter_are_read_again_and_fit_each_other(bundle, parts):
    verify_hashes(bundle)
    base, loaded = load_base(str(bundle)), load_adapter(bundle)
    check_adapter_fits(loaded, base)
    assert loaded.base["reference"] == "starter"
    assert loaded.encoder_spec == get_encoder("mel").spec()
    assert torch.allclose(base.null_tokens, parts["condition"].null, atol=2e-3)
    embedding = torch.randn(1, 5, 512)
    with torch.inference_mode():
        assert torch.allclose(loaded.adapter(embedding), parts["adapter"].eval()(embedding), atol=2e-2)
    for name, value in parts["unet"].state_dict().items():
        assert torch.allclose(base.unet.state_dict()[name], value, atol=1e-3), name


def test_the_models_that_were_written_stay_in_full_precision(bundle, parts):
    assert {value.dtype for value in parts["unet"].state_dict().values()} == {torch.float32}
    assert (bundle / "unet" / "diffusion_pytorch_model.safetensors").stat().st_size < 2.5 * sum(
        value.numel() for value in parts["unet"].state_dict().values()
    ) + 100_000


@pytest.mark.parametrize(
    "name", ["unet/config.json", "vae/diffusion_pytorch_model.safetensors", "adapter/adapter.json"]
)
def test_a_changed_file_is_noticed(bundle, name):
    path = bundle / name
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    with pytest.raises(ModelError, match="damaged"):
        verify_hashes(bundle)


def test_writing_a_part_again_seals_the_bundle_anew(bundle):
    torch.manual_seed(9)
    write_bundle(bundle, unet=tiny_unet(WIDTH))
    verify_hashes(bundle)
    with pytest.raises(ModelError, match="other weights"):
        check_adapter_fits(load_adapter(bundle), load_base(str(bundle)))
