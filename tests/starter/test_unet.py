"""The U-Net and what it listens to."""

import numpy as np
import pytest
import torch

from covergen_cli.models.fingerprint import CONDITION_WEIGHTS
from covergen_cli.starter import unet as module
from covergen_cli.starter.bundle_writer import write_bundle
from covergen_cli.starter.train_loop import Budget
from covergen_cli.starter.unet import (
    TOKEN_DIM,
    TOKENS,
    build_condition_encoder,
    build_unet,
    restore,
    start_from,
    train_unet,
)
from covergen_cli.synthetic.conditions import SIZE


def heard(count=3):
    return torch.linspace(0, 1, count * SIZE).reshape(count, SIZE)


def test_the_tokens_are_those_that_the_adapter_is_built_for():
    assert build_condition_encoder()(heard()).shape == (3, TOKENS, TOKEN_DIM) == (3, 12, 128)


def test_the_prediction_has_the_shape_of_the_latent():
    unet, tokens = build_unet(), torch.zeros(2, TOKENS, TOKEN_DIM)
    with torch.inference_mode():
        predicted = unet(torch.zeros(2, 8, 16, 16), torch.tensor([10.0, 900.0]), encoder_hidden_states=tokens).sample
    assert predicted.shape == (2, 8, 16, 16)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unet")
    torch.manual_seed(0)
    unet, condition = build_unet(), build_condition_encoder()
    start = condition.null.detach().clone()
    latents = np.random.default_rng(0).standard_normal((4, 8, 16, 16)).astype(np.float16)
    budget = Budget(steps=3, minutes=1e6, learning_rate=1e-2)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "NULL_SHARE", 0.5)
        list(train_unet(folder, unet, condition, latents, heard(4).numpy(), budget, seed=1, batch=3, compiled=False))
    return folder, unet, condition, start


def test_training_teaches_the_null_condition_too(trained):
    _, _, condition, start = trained
    assert condition.null.shape == (1, TOKENS, TOKEN_DIM)
    assert (condition.null - start).abs().max() > 1e-3  # weight decay alone changes it by 1e-5


def test_what_was_trained_can_be_restored_frozen(trained):
    folder, unet, condition, _ = trained
    other, listener = build_unet(), build_condition_encoder()
    restore(folder, other, listener)
    for here, there in ((unet, other), (condition, listener)):
        pairs = zip(here.state_dict().values(), there.state_dict().values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
        assert not there.training
        assert not any(parameter.requires_grad for parameter in there.parameters())


def test_what_is_told_changes_what_is_predicted(trained):
    _, unet, condition, _ = trained
    noise = torch.randn(1, 8, 16, 16, generator=torch.Generator().manual_seed(0))

    def predict(tokens):
        return unet(noise, torch.tensor([500.0]), encoder_hidden_states=tokens).sample

    with torch.inference_mode():
        told, other, silent = predict(condition(heard()[:1])), predict(condition(heard()[2:])), predict(condition.null)
    assert not torch.allclose(told, other, atol=1e-5)
    assert not torch.allclose(told, silent, atol=1e-5)


def test_training_can_start_from_the_weights_of_a_bundle(trained, tmp_path):
    _, unet, condition, _ = trained
    write_bundle(tmp_path, unet=unet, condition=condition)
    other, listener = build_unet(), build_condition_encoder()
    start_from(tmp_path, other, listener)
    for here, there in ((unet, other), (condition, listener)):
        pairs = zip(here.state_dict().values(), there.state_dict().values(), strict=True)
        assert all(torch.allclose(a, b, atol=2e-3) for a, b in pairs)


def test_the_null_condition_of_a_bundle_without_condition_encoder_is_kept(trained, tmp_path):
    _, unet, condition, _ = trained
    write_bundle(tmp_path, unet=unet, condition=condition)
    (tmp_path / CONDITION_WEIGHTS).unlink()
    listener = build_condition_encoder()
    start_from(tmp_path, build_unet(), listener)
    assert torch.allclose(listener.null, condition.null, atol=2e-3)
