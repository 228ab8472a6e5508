"""Words become tokens as transformers makes them, from local files alone."""

import pytest
import torch

from covergen_cli.errors import ConfigError, ModelError
from covergen_cli.models.text import cached_text_tokens, embed_pooled_texts, embed_texts
from tiny import POOLED, tiny_refiner, tiny_sd_base


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_sd_base(tmp_path_factory.mktemp("models") / "sd")


def test_several_texts_are_those_of_the_library(folder):
    from transformers import CLIPTextModel, CLIPTokenizer

    given = embed_texts(folder, ["a b", ""])
    assert given.shape == (2, 77, 32)
    ids = CLIPTokenizer.from_pretrained(folder / "tokenizer")(["a b", ""], padding="max_length", return_tensors="pt")
    with torch.inference_mode():
        theirs = CLIPTextModel.from_pretrained(folder / "text_encoder")(ids.input_ids).last_hidden_state
    assert torch.allclose(given, theirs, atol=1e-5)
    assert not torch.allclose(given[0], given[1], atol=1e-2)


def test_the_refiners_texts(tmp_path):
    words = embed_pooled_texts(tiny_refiner(tmp_path / "refiner"), ["a", "b"], "cpu", torch.float32)
    assert (words.tokens.shape, words.pooled.shape) == ((2, 77, 32), (2, POOLED))


def test_a_cached_text_is_embedded_once(folder, monkeypatch, isolated_home):
    import transformers

    first = cached_text_tokens(folder, "a b", "f" * 64)
    assert torch.equal(first, embed_texts(folder, ["a b"]))
    assert len(list(isolated_home.rglob("null/*.safetensors"))) == 1
    monkeypatch.setattr(transformers, "CLIPTextModel", None)
    assert torch.equal(cached_text_tokens(folder, "a b", "f" * 64), first)
    with pytest.raises(AttributeError):
        cached_text_tokens(folder, "b", "f" * 64)


def test_loading_says_nothing(folder, capfd):
    embed_texts(folder, ["a"])
    assert capfd.readouterr() == ("", "")


def test_a_text_that_is_too_long_is_not_cut_in_silence(folder):
    assert embed_texts(folder, ["a " * 75]).shape == (1, 77, 32)
    with pytest.raises(ConfigError, match="has 76 tokens; the model takes 75"):
        embed_texts(folder, ["a " * 76])


def test_pickled_weights_are_not_read(folder, tmp_path):
    from shutil import copytree

    copy = copytree(folder, tmp_path / "sd")
    (copy / "text_encoder" / "model.safetensors").rename(copy / "text_encoder" / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        embed_texts(copy, ["a"])
