"""Texts become tokens as transformers makes them, from local files alone."""

from shutil import copytree, rmtree

import pytest
import torch

from covergen_cli.errors import ConfigError, ModelError
from covergen_cli.models.fingerprint import has_text_encoder, text_fingerprint
from covergen_cli.models.text import TextEncoder
from tiny import POOLED, tiny_refiner, tiny_sd_base, tiny_xl_base


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_sd_base(tmp_path_factory.mktemp("models") / "sd")


@pytest.fixture
def encoder(folder):
    return TextEncoder(folder, "f" * 64)


def test_a_text_is_that_of_the_library(folder, encoder):
    from transformers import CLIPTextModel, CLIPTokenizer

    given = encoder.embed("a b")
    assert given.tokens.shape == (1, 77, 32)
    assert given.pooled is None
    ids = CLIPTokenizer.from_pretrained(folder / "tokenizer")(["a b"], padding="max_length", return_tensors="pt")
    with torch.inference_mode():
        theirs = CLIPTextModel.from_pretrained(folder / "text_encoder")(ids.input_ids).last_hidden_state
    assert torch.allclose(given.tokens, theirs, atol=1e-5)
    assert not torch.allclose(given.tokens, encoder.embed("").tokens, atol=1e-2)


@pytest.mark.parametrize(("make", "width"), [(tiny_refiner, 32), (tiny_xl_base, 64)], ids=["refiner", "xl"])
def test_the_texts_of_xl(tmp_path, make, width):
    found = TextEncoder(make(tmp_path / "model"), "").embed("a")
    assert (found.tokens.shape, found.pooled.shape) == ((1, 77, width), (1, POOLED))


def test_a_cached_text_is_embedded_once(folder, encoder, monkeypatch, isolated_home):
    import transformers

    first = encoder.embed("a b", cached=True)
    assert torch.equal(first.tokens, encoder.embed("a b").tokens)
    assert len(list(isolated_home.rglob("null/*.safetensors"))) == 1
    monkeypatch.setattr(transformers, "CLIPTextModel", None)
    again = TextEncoder(folder, "f" * 64)
    assert torch.equal(again.embed("a b", cached=True).tokens, first.tokens)
    with pytest.raises(AttributeError):
        again.embed("b", cached=True)


def test_a_cached_text_of_xl_keeps_its_pooled_vector(tmp_path):
    folder = tiny_xl_base(tmp_path / "xl")
    first = TextEncoder(folder, "").embed("a", cached=True)
    assert torch.equal(TextEncoder(folder, "").embed("a", cached=True).pooled, first.pooled)


def test_loading_says_nothing(encoder, capfd):
    encoder.embed("a")
    assert capfd.readouterr() == ("", "")


def test_a_text_that_is_too_long_is_not_cut_in_silence(encoder):
    assert encoder.count_tokens("a " * 75) == 75
    assert encoder.embed("a " * 75).tokens.shape == (1, 77, 32)
    with pytest.raises(ConfigError, match="has 76 tokens; the model takes 75"):
        encoder.embed("a " * 76)


def test_pickled_weights_are_not_read(folder, tmp_path):
    copy = copytree(folder, tmp_path / "sd")
    (copy / "text_encoder" / "model.safetensors").rename(copy / "text_encoder" / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        TextEncoder(copy, "").embed("a")


def test_a_text_encoder_needs_its_tokenizer(folder, tmp_path):
    copy = copytree(folder, tmp_path / "sd")
    assert has_text_encoder(copy)
    rmtree(copy / "tokenizer")
    assert not has_text_encoder(copy)


def test_a_damaged_tokenizer(folder, tmp_path):
    copy = copytree(folder, tmp_path / "sd")
    (copy / "tokenizer" / "vocab.json").write_text("{")
    with pytest.raises(ModelError, match="the tokenizer of"):
        TextEncoder(copy, "").count_tokens("a")


def test_the_fingerprint_covers_both_encoders_of_xl(tmp_path):
    folder = tiny_xl_base(tmp_path / "xl")
    before = text_fingerprint(folder)
    for part in ("text_encoder", "text_encoder_2"):
        weights = folder / part / "model.safetensors"
        weights.write_bytes(weights.read_bytes() + b"x")
        assert text_fingerprint(folder) != before
        before = text_fingerprint(folder)
