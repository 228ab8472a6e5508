"""Guidance: what each weight means, and that nothing is asked for in vain."""

import dataclasses

import pytest
import torch

from covergen_cli.diffusion.guidance import guide, predict
from covergen_cli.models.base import load_base
from covergen_cli.models.condition import Condition
from tiny import tiny_sd_base, tiny_xl_base


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return load_base(str(tiny_sd_base(tmp_path_factory.mktemp("models") / "sd")))


def tokens(seed, count=8, batch=1):
    return torch.randn(batch, count, 32, generator=torch.Generator().manual_seed(seed))


LATENTS = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
SONG, WORDS, NEGATIVE = Condition(tokens(1)), Condition(tokens(2, 77)), Condition(tokens(3, 77))
BOTH = WORDS.with_prefix(SONG.tokens)


def answer(base, terms):
    with torch.inference_mode():
        return predict(base, LATENTS, torch.tensor(500), terms)


def asked(base, condition):
    with torch.inference_mode():
        return base.unet(LATENTS, torch.tensor(500), encoder_hidden_states=condition.tokens).sample


def test_plain_guidance(base):
    null, song = asked(base, base.null), asked(base, SONG)
    given = answer(base, guide(base.null, [(SONG, 1.0)], 3.0))
    assert torch.allclose(given, null + 3 * (song - null), atol=1e-5)
    assert len(guide(base.null, [(SONG, 1.0)], 1.0)) == 1


def test_a_prompt_stands_beside_the_song(base):
    assert torch.equal(BOTH.tokens, torch.cat([SONG.tokens, WORDS.tokens], dim=1))
    null, both = asked(base, base.null), asked(base, BOTH)
    terms = guide(base.null, [(WORDS, 1.0), (BOTH, 1.0)], 3.0)
    assert [term.condition.tokens.shape[1] for term in terms] == [77, 85]
    assert torch.allclose(answer(base, terms), null + 3 * (both - null), atol=1e-5)


@pytest.mark.parametrize("scales", [(1.0, 0.0), (1.0, 0.4), (0.3, 2.0), (2.0, 1.0)])
def test_every_difference_has_its_scale(base, scales):
    null, words, both = (asked(base, given) for given in (base.null, WORDS, BOTH))
    given = answer(base, guide(base.null, [(WORDS, scales[0]), (BOTH, scales[1])], 3.0))
    assert torch.allclose(given, null + 3 * (scales[0] * (words - null) + scales[1] * (both - words)), atol=1e-5)


def test_a_single_scale_is_guidance(base):
    scaled = answer(base, guide(base.null, [(SONG, 0.5)], 3.0))
    assert torch.allclose(scaled, answer(base, guide(base.null, [(SONG, 1.0)], 1.5)), atol=1e-5)


def test_without_the_song_only_words_or_nothing_are_left(base):
    (term,) = guide(base.null, [(SONG, 0.0)], 3.0)
    assert (term.weight, term.condition is base.null) == (1.0, True)
    terms = guide(base.null, [(WORDS, 1.0), (BOTH, 0.0)], 3.0)
    assert [(term.weight, term.condition.tokens.shape[1]) for term in terms] == [(-2.0, 77), (3.0, 77)]


def test_negative_words_take_the_place_of_nothing(base):
    negative, song, null = (asked(base, given) for given in (NEGATIVE, SONG, base.null))
    given = answer(base, guide(NEGATIVE, [(base.null, 1.0), (SONG, 1.0)], 3.0))
    assert torch.allclose(given, negative + 3 * (song - negative), atol=1e-5)
    weaker = answer(base, guide(NEGATIVE, [(base.null, 1.0), (SONG, 0.5)], 3.0))
    assert torch.allclose(weaker, negative + 3 * ((null - negative) + 0.5 * (song - null)), atol=1e-5)


def test_one_prompt_serves_every_song(base):
    songs = tokens(5, batch=3)
    terms = guide(base.null, [(WORDS.with_prefix(songs), 1.0)], 3.0)
    assert terms[1].condition.tokens.shape == (3, 85, 32)
    with torch.inference_mode():
        together = predict(base, LATENTS.expand(3, -1, -1, -1), torch.tensor(500), terms)
        alone = predict(base, LATENTS, torch.tensor(500), guide(base.null, [(WORDS.with_prefix(songs[1:2]), 1.0)], 3.0))
    assert torch.allclose(together[1], alone[0], atol=1e-5)


def test_the_sides_of_xl_keep_their_pooled_texts(tmp_path):
    base = load_base(str(tiny_xl_base(tmp_path / "xl")))
    latents = torch.randn(2, *base.latent_shape, generator=torch.Generator().manual_seed(0))
    text = base.embed("a b")
    terms = guide(base.null, [(text, 1.0)], 3.0)
    with torch.inference_mode():
        given = predict(base, latents, torch.tensor(500), terms)
        sides = [
            base.unet(
                latents,
                torch.tensor(500),
                encoder_hidden_states=side.expand(2).tokens,
                added_cond_kwargs=side.expand(2).added,
            ).sample
            for side in (base.null, text)
        ]
    assert torch.allclose(given, sides[0] + 3 * (sides[1] - sides[0]), atol=1e-4)


def test_halves_are_added_in_single_precision(base):
    half = dataclasses.replace(base, unet=base.unet.to(torch.bfloat16))
    terms = [
        dataclasses.replace(term, condition=term.condition.to(dtype=torch.bfloat16))
        for term in guide(base.null, [(SONG, 1.0)], 3.0)
    ]
    with torch.inference_mode():
        assert predict(half, LATENTS.bfloat16(), torch.tensor(500), terms).dtype == torch.float32
    base.unet.float()


def test_conditions_of_different_lengths_are_asked_for_in_one_call(base):
    calls = []

    class Counting:
        config = base.unet.config

        def __call__(self, latents, *arguments, **settings):
            calls.append(len(latents))
            return base.unet(latents, *arguments, **settings)

    terms = guide(base.null, [(SONG, 1.0)], 3.0)
    assert {term.condition.tokens.shape[1] for term in terms} == {8, 77}
    counted = answer(dataclasses.replace(base, unet=Counting()), terms)
    assert calls == [2]
    assert torch.allclose(counted, answer(base, terms))
    longer = guide(base.null, [(Condition(torch.cat([SONG.tokens, tokens(9, 4)], dim=1)), 1.0)], 3.0)
    assert not torch.allclose(counted, answer(base, longer), atol=1e-4), "real tokens are not attended to"
