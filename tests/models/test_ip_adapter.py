"""A decoupled adapter in the files of IP-Adapter gives in diffusers what it gives here."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from covergen_cli.config import AdapterConfig
from covergen_cli.errors import ModelError
from covergen_cli.models.adapter import Adapter
from covergen_cli.models.base import load_base
from covergen_cli.models.decoupled import decouple, own_projections, projection_widths
from covergen_cli.models.ip_adapter import image_embeds, ip_adapter_weights, save_tensors
from tiny import WIDTH, tiny_embedding, tiny_sd_base

SHAPE = AdapterConfig(hidden_dim=16, rank=2, output_dim=WIDTH, tokens=4, cross_attention="decoupled", projection_rank=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_sd_base(tmp_path_factory.mktemp("ip") / "base")


def adapter_for(base, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        adapter = Adapter(dataclasses.replace(SHAPE, **settings), projection_widths(base.unet)).eval()
        adapter.load_state_dict(adapter.state_dict() | own_projections(base))
        for name, parameter in adapter.named_parameters():
            if name.endswith("lora_b") or name == "projections.norm.bias":
                torch.nn.init.normal_(parameter, std=0.3)
    return adapter


def test_diffusers_loads_it_and_predicts_the_same(folder, tmp_path):
    from diffusers import StableDiffusionPipeline

    base = load_base(str(folder))
    adapter, embedding = adapter_for(base), torch.from_numpy(tiny_embedding(3))
    save_tensors(tmp_path / "ip-adapter.safetensors", ip_adapter_weights(adapter))
    theirs = load_base(str(folder))
    pipeline = StableDiffusionPipeline(
        vae=theirs.vae,
        unet=theirs.unet,
        text_encoder=None,
        tokenizer=None,
        scheduler=None,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.load_ip_adapter(
        str(tmp_path), subfolder="", weight_name="ip-adapter.safetensors", image_encoder_folder=None
    )
    latents, time = torch.randn(1, *base.latent_shape, generator=torch.Generator().manual_seed(1)), torch.tensor(500)
    embeds = image_embeds(adapter, embedding)
    assert embeds.shape == (2, 1, 4 * WIDTH)
    assert not embeds[0].any()
    with torch.inference_mode():
        found = pipeline.unet(
            latents,
            time,
            encoder_hidden_states=base.null_tokens,
            added_cond_kwargs={"image_embeds": [embeds[1:]]},
            return_dict=False,
        )[0]
        plain = base.unet(latents, time, encoder_hidden_states=base.null_tokens, return_dict=False)[0]
        decouple(base)
        ours = base.unet(latents, time, encoder_hidden_states=adapter(embedding[None]), return_dict=False)[0]
    torch.testing.assert_close(found, ours, rtol=1e-4, atol=1e-5)
    assert (ours - plain).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("settings", "words"), [({"tokens": 8}, "gives 8 tokens"), ({"cross_attention": "shared"}, "no projections")]
)
def test_what_does_not_fit_into_the_layout_is_said(folder, settings, words):
    base = load_base(str(folder))
    adapter = Adapter(dataclasses.replace(SHAPE, **settings), projection_widths(base.unet))
    with pytest.raises(ModelError, match=words) as caught:
        ip_adapter_weights(adapter)
    assert "--preset decoupled" in caught.value.hint
