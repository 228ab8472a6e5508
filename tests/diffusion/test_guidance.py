"""The sides of guidance: what each weight means, and that nothing is asked for in vain."""

import dataclasses

import pytest
import torch

from covergen_cli.diffusion.guidance import guide, predict
from covergen_cli.models.base import load_base
from tiny import tiny_sd_base


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return load_base(str(tiny_sd_base(tmp_path_factory.mktemp("models") / "sd")))


def tokens(seed, count=8, batch=1):
    return torch.randn(batch, count, 32, generator=torch.Generator().manual_seed(seed))


LATENTS = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
SONG, WORDS, NEGATIVE = tokens(1), tokens(2, 77), tokens(3, 77)


def answer(base, terms):
    with torch.inference_mode():
        return predict(base, LATENTS, torch.tensor(500), terms)


def asked(base, given):
    with torch.inference_mode():
        return base.unet(LATENTS, torch.tensor(500), encoder_hidden_states=given).sample


def test_plain_guidance(base):
    null, song = asked(base, base.null_tokens), asked(base, SONG)
    given = answer(base, guide(SONG, base.null_tokens, 3.0))
    assert torch.allclose(given, null + 3 * (song - null), atol=1e-5)
    assert len(guide(SONG, base.null_tokens, 1.0)) == 1


def test_a_prompt_stands_beside_the_song(base):
    null, both = asked(base, base.null_tokens), asked(base, torch.cat([SONG, WORDS], dim=1))
    terms = guide(SONG, base.null_tokens, 3.0, prompt=WORDS)
    assert [term.tokens.shape[1] for term in terms] == [77, 85]
    assert torch.allclose(answer(base, terms), null + 3 * (both - null), atol=1e-5)


@pytest.mark.parametrize("scale", [0.0, 0.4, 2.0])
def test_the_audio_scale_weighs_the_song_over_the_words_alone(base, scale):
    null, words, both = (asked(base, given) for given in (base.null_tokens, WORDS, torch.cat([SONG, WORDS], dim=1)))
    given = answer(base, guide(SONG, base.null_tokens, 3.0, prompt=WORDS, audio_scale=scale))
    assert torch.allclose(given, null + 3 * ((words - null) + scale * (both - words)), atol=1e-5)


def test_without_a_prompt_the_audio_scale_is_guidance(base):
    scaled = answer(base, guide(SONG, base.null_tokens, 3.0, audio_scale=0.5))
    assert torch.allclose(scaled, answer(base, guide(SONG, base.null_tokens, 1.5)), atol=1e-5)


def test_without_the_song_only_words_or_nothing_are_left(base):
    (term,) = guide(SONG, base.null_tokens, 3.0, audio_scale=0.0)
    assert (term.weight, term.tokens is base.null_tokens) == (1.0, True)
    terms = guide(SONG, base.null_tokens, 3.0, prompt=WORDS, audio_scale=0.0)
    assert [(term.weight, term.tokens.shape[1]) for term in terms] == [(-2.0, 77), (3.0, 77)]


def test_negative_words_take_the_place_of_nothing(base):
    negative, song, null = (asked(base, given) for given in (NEGATIVE, SONG, base.null_tokens))
    given = answer(base, guide(SONG, base.null_tokens, 3.0, negative=NEGATIVE))
    assert torch.allclose(given, negative + 3 * (song - negative), atol=1e-5)
    weaker = answer(base, guide(SONG, base.null_tokens, 3.0, negative=NEGATIVE, audio_scale=0.5))
    assert torch.allclose(weaker, negative + 3 * ((null - negative) + 0.5 * (song - null)), atol=1e-5)


def test_one_prompt_serves_every_song(base):
    songs = tokens(5, batch=3)
    terms = guide(songs, base.null_tokens, 3.0, prompt=WORDS)
    assert terms[1].tokens.shape == (3, 85, 32)
    with torch.inference_mode():
        together = predict(base, LATENTS.expand(3, -1, -1, -1), torch.tensor(500), terms)
        alone = predict(base, LATENTS, torch.tensor(500), guide(songs[1:2], base.null_tokens, 3.0, prompt=WORDS))
    assert torch.allclose(together[1], alone[0], atol=1e-5)


def test_halves_are_added_in_single_precision(base):
    half = dataclasses.replace(base, unet=base.unet.to(torch.bfloat16))
    terms = [dataclasses.replace(term, tokens=term.tokens.bfloat16()) for term in guide(SONG, base.null_tokens, 3.0)]
    with torch.inference_mode():
        assert predict(half, LATENTS.bfloat16(), torch.tensor(500), terms).dtype == torch.float32
    base.unet.float()
