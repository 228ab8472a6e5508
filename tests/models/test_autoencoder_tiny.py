"""The small autoencoder in plain torch gives what diffusers gives with the same weights."""

import pytest
import torch

from covergen_cli.models.autoencoder_tiny import AutoencoderTiny

TAESD = {"scaling_factor": 1.0}
STARTER = {
    "latent_channels": 8,
    "encoder_block_out_channels": (16, 16, 16, 16, 16),
    "decoder_block_out_channels": (16, 16, 16, 16, 16),
    "num_encoder_blocks": (0, 1, 2, 1, 1),
    "num_decoder_blocks": (1, 1, 2, 1, 0),
    "scaling_factor": 1.5,
    "shift_factor": 0.1,
}


@pytest.mark.parametrize("settings", [TAESD, STARTER], ids=["taesd", "starter"])
def test_latents_and_images_are_those_of_diffusers(settings):
    from diffusers import AutoencoderTiny as Reference

    with torch.random.fork_rng():
        torch.manual_seed(0)
        reference = Reference(**settings).eval()
    assert AutoencoderTiny.supports({**reference.config, "_class_name": "AutoencoderTiny"})
    ours = AutoencoderTiny(reference.config).eval()
    ours.load_state_dict(reference.state_dict())
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(2, 3, 32, 48, generator=generator) * 2 - 1
    with torch.inference_mode():
        latents = reference.encode(images).latents
        assert torch.allclose(ours.encode(images).latents, latents, atol=1e-5)
        assert torch.allclose(ours.decode(4 * latents).sample, reference.decode(4 * latents).sample, atol=1e-5)
    for name in ("scaling_factor", "shift_factor", "latent_channels", "block_out_channels"):
        assert getattr(ours.config, name) == getattr(reference.config, name)


@pytest.mark.parametrize("change", [{"act_fn": "gelu"}, {"upsample_fn": "bilinear"}, {"_class_name": "AutoencoderKL"}])
def test_what_it_cannot_do_is_left_to_diffusers(change):
    config = {"_class_name": "AutoencoderTiny", **STARTER}
    assert AutoencoderTiny.supports(config)
    assert not AutoencoderTiny.supports({**config, **change})
