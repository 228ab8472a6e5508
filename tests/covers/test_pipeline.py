"""Pictures are drawn in batches that fit into the device's memory, and each is what it would be alone."""

import pytest
import torch

from covergen_cli.config import GenerateConfig
from covergen_cli.covers import pipeline as module
from covergen_cli.covers.fingerprint import find_models
from covergen_cli.covers.pipeline import load_pipeline
from covergen_cli.diffusion.sampler import denoise
from covergen_cli.errors import ModelError
from tiny import tiny_adapter, tiny_base, tiny_embedding


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    base = tiny_base(folder / "base")
    return GenerateConfig(adapter=str(tiny_adapter(folder / "adapter", base)), steps=2, device="cpu")


@pytest.fixture(scope="module")
def pipeline(config):
    return load_pipeline(config, find_models(config))


@pytest.fixture
def small_device(monkeypatch):
    """Lets the device run out of memory with more than a number of pictures; returns the sizes that were tried."""

    def limit(fits):
        sizes = []

        def drawing(base, terms, seeds, *arguments, **settings):
            sizes.append(len(seeds))
            if len(seeds) > fits:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return denoise(base, terms, seeds, *arguments, **settings)

        monkeypatch.setattr(module, "denoise", drawing)
        return sizes

    return limit


def test_a_batch_that_does_not_fit_is_halved(pipeline, config, small_device):
    tokens = pipeline.audio_tokens(*(tiny_embedding(seed) for seed in range(5)))
    seeds = [3, 1, 4, 1, 5]
    sizes = small_device(2)
    pictures = pipeline.draw(tokens, seeds, config)
    assert sizes == [5, 2, 2, 1]
    for picture, token, seed in zip(pictures, tokens, seeds, strict=True):
        assert torch.allclose(picture, pipeline.draw(token[None], [seed], config)[0], atol=1e-4)


def test_a_picture_that_does_not_fit_alone_is_an_error_with_a_hint(pipeline, config, small_device):
    small_device(0)
    with pytest.raises(ModelError, match="the GPU has too little memory") as caught:
        pipeline.draw(pipeline.audio_tokens(tiny_embedding(1)), [0], config)
    assert "--low-memory" in caught.value.hint
