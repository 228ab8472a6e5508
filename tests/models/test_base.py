"""Bases in Stable-Diffusion layout load, or say what is wrong with them."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from covergen_cli.errors import ModelError
from covergen_cli.models.adapter import Adapter
from covergen_cli.models.base import check_adapter_fits, load_base, with_fast_decoder
from covergen_cli.models.checkpoint import load_adapter
from covergen_cli.models.fingerprint import base_fingerprint, refiner_fingerprint
from covergen_cli.weights import hub
from tiny import tiny_adapter, tiny_base, tiny_refiner, tiny_sd_base, tiny_vae, tiny_xl_base


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("models") / "flow")


@pytest.fixture(scope="module")
def refiner(tmp_path_factory):
    return tiny_refiner(tmp_path_factory.mktemp("models") / "refiner")


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "base")


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_parts_of_a_base(folder):
    base = load_base(str(folder))
    assert base.native_size == 16
    assert base.latent_shape == (4, 8, 8)
    assert base.cross_attention_dim == 32
    assert base.null_tokens.shape == (1, 8, 32)
    assert base.scheduler_config["prediction_type"] == "flow_prediction"
    assert base.revision is None
    assert not base.unet.training
    assert not any(parameter.requires_grad for part in (base.unet, base.vae) for parameter in part.parameters())


def test_latents_are_shifted_and_scaled(folder):
    base = load_base(str(folder))
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    with torch.inference_mode():
        latents = base.encode(images)
        raw = base.vae.encode(images).latent_dist.mean
        assert torch.allclose(latents, (raw - 0.25) * 0.5, atol=1e-6)
        assert torch.allclose(base.decode(latents), base.vae.decode(raw).sample.clamp(-1, 1), atol=1e-5)
        assert torch.equal(base.encode(images), latents)
        assert base.decode(latents * 1e3).abs().max() <= 1


def test_without_a_shift(folder):
    shutil.rmtree(folder / "vae")
    tiny_vae(shift_factor=None).save_pretrained(folder / "vae")
    base = load_base(str(folder))
    images = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        assert torch.allclose(base.encode(images), base.vae.encode(images).latent_dist.mean * 0.5, atol=1e-6)


def test_a_tiny_autoencoder_will_do(folder):
    shutil.rmtree(folder / "vae")
    write_tiny_autoencoder(folder / "vae", scaling_factor=0.5, shift_factor=0.25)
    base = load_base(str(folder))
    images = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        latents, deviation = base.posterior(images)
        assert deviation is None
        assert latents.shape == (1, *base.latent_shape)
        assert torch.allclose(latents, (base.vae.encode(images).latents - 0.25) * 0.5, atol=1e-6)
        assert base.decode(latents).shape == (1, 3, 16, 16)


def write_tiny_autoencoder(folder, **settings):
    from diffusers import AutoencoderTiny

    blocks = {f"{side}_block_out_channels": (8, 8) for side in ("encoder", "decoder")}
    counts = {f"num_{side}_blocks": (1, 1) for side in ("encoder", "decoder")}
    AutoencoderTiny(**blocks, **counts, **settings).save_pretrained(folder)
    return folder


def test_the_fast_decoder_takes_the_latents_of_stable_diffusion(tmp_path, monkeypatch):
    from diffusers import AutoencoderTiny

    sd = tiny_sd_base(tmp_path / "sd")
    taesd = write_tiny_autoencoder(tmp_path / "taesd")
    monkeypatch.setattr(hub, "resolve", lambda name, *_: taesd if name == "taesd" else sd)
    with pytest.raises(ModelError, match="has others"):
        with_fast_decoder(load_base("sd"))
    tiny_vae(scaling_factor=0.18215, shift_factor=None).save_pretrained(sd / "vae")
    base = load_base("sd")
    fast = with_fast_decoder(base)
    assert (fast.latent_shape, fast.native_size) == (base.latent_shape, base.native_size)
    latents = torch.randn(1, *base.latent_shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        theirs = AutoencoderTiny.from_pretrained(taesd).decode(latents).sample.clamp(-1, 1)
        assert torch.allclose(fast.decode(latents), theirs, atol=1e-5)
        assert not torch.allclose(base.decode(latents), theirs, atol=1e-2)


def test_the_fast_decoder_does_not_know_xl(tmp_path):
    with pytest.raises(ModelError, match="has others") as caught:
        with_fast_decoder(load_base(str(tiny_xl_base(tmp_path / "xl"))))
    assert "--fast-decode" in caught.value.hint


def test_the_same_commit_fits_in_any_precision(folder, tmp_path):
    base = load_base(str(folder))
    loaded = load_adapter(tiny_adapter(tmp_path / "foreign", tiny_base(tmp_path / "other", seed=1)))
    commit = "a" * 40
    published = replace(base, revision=commit)
    check_adapter_fits(replace(loaded, base={**loaded.base, "revision": commit}), published)
    with pytest.raises(ModelError, match="other weights"):
        check_adapter_fits(replace(loaded, base={**loaded.base, "revision": "b" * 40}), published)
    with pytest.raises(ModelError, match="other weights"):
        check_adapter_fits(loaded, replace(base, revision=None))


def test_another_base_can_be_forced_if_the_widths_fit(folder, tmp_path):
    other = load_base(str(tiny_base(tmp_path / "other", seed=1)))
    loaded = load_adapter(tiny_adapter(tmp_path / "adapter", folder))
    with pytest.raises(ModelError, match="other weights") as caught:
        check_adapter_fits(loaded, other)
    assert "--force-base" in caught.value.hint
    check_adapter_fits(loaded, other, force=True)
    wide = load_base(str(tiny_base(tmp_path / "wide", cross_attention_dim=48)))
    with pytest.raises(ModelError, match="tokens 32 wide"):
        check_adapter_fits(loaded, wide, force=True)
    adapter = Adapter(replace(loaded.config, cross_attention="decoupled"), {"down_blocks-0": 24})
    with pytest.raises(ModelError, match="other cross-attentions"):
        check_adapter_fits(replace(loaded, adapter=adapter), other, force=True)


def test_half_precision(folder):
    for base in (load_base(str(folder), dtype=torch.bfloat16), load_base(str(folder)).in_precision(torch.bfloat16)):
        assert base.unet.dtype == base.vae.dtype == base.null_tokens.dtype == base.dtype == torch.bfloat16


def test_clips_empty_prompt_is_computed_once(tmp_path, monkeypatch, isolated_home):
    import transformers

    folder = tiny_sd_base(tmp_path / "sd")
    base = load_base(str(folder))
    assert base.null_tokens.shape == (1, 77, 32)
    ids = torch.tensor([[0] + [1] * 76])
    model = transformers.CLIPTextModel.from_pretrained(folder / "text_encoder").eval()
    with torch.inference_mode():
        assert torch.allclose(base.null_tokens, model(ids)[0], atol=1e-5)
    cached = list(isolated_home.rglob("null/*.safetensors"))
    assert len(cached) == 1
    monkeypatch.setattr(transformers, "CLIPTextModel", None)
    again = load_base(str(folder))
    assert torch.equal(again.null_tokens, base.null_tokens)


def test_a_damaged_cache_is_made_anew(tmp_path, isolated_home):
    folder = tiny_sd_base(tmp_path / "sd")
    first = load_base(str(folder)).null_tokens
    (cached,) = isolated_home.rglob("null/*.safetensors")
    cached.write_bytes(b"half")
    assert torch.equal(load_base(str(folder)).null_tokens, first)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("unet/config.json", r"unet.config\.json is missing"),
        ("vae/diffusion_pytorch_model.safetensors", "holds no diffusion_pytorch_model"),
        ("unet/diffusion_pytorch_model.safetensors", "holds no diffusion_pytorch_model"),
        ("scheduler/scheduler_config.json", r"scheduler_config\.json is missing"),
        ("null_condition/null.safetensors", "no null condition"),
    ],
)
def test_a_part_is_missing(folder, missing, message):
    (folder / missing).unlink()
    with pytest.raises(ModelError, match=message):
        load_base(str(folder))


@pytest.mark.parametrize("part", ["unet", "vae"])
def test_weights_cut_short(folder, part):
    path = folder / part / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ModelError, match=f"{part} cannot be loaded"):
        load_base(str(folder))


def test_pickled_weights_are_not_read(folder):
    (folder / "unet" / "diffusion_pytorch_model.safetensors").rename(folder / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        load_base(str(folder))


def test_a_weight_is_missing(folder):
    from safetensors.torch import load_file, save_file

    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    weights.pop("conv_in.weight")
    save_file(weights, path)
    with pytest.raises(ModelError, match="lacks 1 weights"):
        load_base(str(folder))


def test_another_kind_of_model(folder):
    edit(folder / "unet" / "config.json", _class_name="FluxTransformer2DModel")
    with pytest.raises(ModelError, match="holds a FluxTransformer2DModel"):
        load_base(str(folder))


def test_a_null_condition_of_another_width(folder, tmp_path):
    other = tiny_base(tmp_path / "wide", cross_attention_dim=16)
    shutil.copytree(other / "null_condition", folder / "null_condition", dirs_exist_ok=True)
    with pytest.raises(ModelError, match=r"shape \(1, 8, 16\)"):
        load_base(str(folder))


def test_fingerprint_names_the_weights_not_the_place(made, folder, tmp_path):
    assert base_fingerprint(folder) == base_fingerprint(made)
    (folder / "MODEL_CARD.md").write_text("words")
    assert base_fingerprint(folder) == base_fingerprint(made)
    assert base_fingerprint(tiny_base(tmp_path / "other", seed=1)) != base_fingerprint(made)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder_2"])
def test_the_fingerprint_of_a_refiner_covers_all_its_weights(refiner, tmp_path, part):
    folder = shutil.copytree(refiner, tmp_path / "copy")
    assert refiner_fingerprint(folder) == refiner_fingerprint(refiner)
    (weights,) = (folder / part).glob("*.safetensors")
    weights.write_bytes(weights.read_bytes() + b"x")
    assert refiner_fingerprint(folder) != refiner_fingerprint(refiner)


def test_the_adapter_must_fit(folder, tmp_path):
    base = load_base(str(folder))
    check_adapter_fits(load_adapter(tiny_adapter(tmp_path / "good", folder)), base)
    wide = load_adapter(tiny_adapter(tmp_path / "wide", folder, output_dim=48))
    with pytest.raises(ModelError, match="48 wide"):
        check_adapter_fits(wide, base)
    other = tiny_base(tmp_path / "other", seed=1)
    foreign = load_adapter(tiny_adapter(tmp_path / "foreign", other))
    with pytest.raises(ModelError, match="other weights") as caught:
        check_adapter_fits(foreign, base)
    assert str(other) in caught.value.hint


def test_the_metadata_are_what_an_adapter_records(folder):
    base = load_base(str(folder))
    metadata = base.metadata()
    json.dumps(metadata)
    assert metadata["fingerprint"] == base_fingerprint(folder)
    config, adapter = SimpleNamespace(output_dim=32), SimpleNamespace(projections=None)
    loaded = SimpleNamespace(adapter=adapter, config=config, base=metadata)
    check_adapter_fits(loaded, base)


def test_a_text_encoder_with_the_names_of_stable_diffusion(tmp_path):
    """Its file calls every weight ``text_model.…`` and holds ``position_ids``, whatever transformers writes today."""
    from safetensors.torch import load_file, save_file

    folder = tiny_sd_base(tmp_path / "sd")
    path = folder / "text_encoder" / "model.safetensors"
    tensors = {f"text_model.{name.removeprefix('text_model.')}": tensor for name, tensor in load_file(path).items()}
    tensors["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    expected = load_base(str(folder)).null_tokens
    save_file(tensors, path, metadata={"format": "pt"})
    assert torch.allclose(load_base(str(folder)).null_tokens, expected, atol=1e-6)


def test_a_text_encoder_that_lacks_weights(tmp_path):
    from safetensors.torch import load_file, save_file

    folder = tiny_sd_base(tmp_path / "sd")
    path = folder / "text_encoder" / "model.safetensors"
    tensors = load_file(path)
    tensors.pop(next(name for name in tensors if name.endswith("final_layer_norm.weight")))
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lacks 1 weights"):
        load_base(str(folder))
