"""The finished picture: size, mode, grain."""

import numpy as np
import pytest
import torch

from covergen_cli.covers.finish import enlarge


def picture(size=32, seed=0):
    small = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(seed)) * 0.4
    return torch.nn.functional.interpolate(small[None], size=(size, size), mode="bicubic")[0].clamp(-1, 1)


def pixels(image):
    return np.asarray(image).astype(float)


@pytest.mark.parametrize("size", [16, 32, 50, 200])
def test_size_and_mode(size):
    image = enlarge(picture(), size, grain=0.5)
    assert (image.size, image.mode) == ((size, size), "RGB")


def test_the_range_is_mapped_whole():
    levels = torch.tensor([-1.0, 0.0, 1.0, 5.0]).repeat(3, 4, 1)
    assert pixels(enlarge(levels, 4))[0, :, 0].tolist() == [0, 128, 255, 255]


def test_at_native_size_the_picture_is_left_alone():
    drawn = picture()
    expected = ((drawn + 1) * 127.5).round().permute(1, 2, 0).numpy()
    assert np.abs(pixels(enlarge(drawn, 32, grain=1.0)) - expected).max() <= 1


def test_the_same_arguments_give_the_same_pixels():
    first = enlarge(picture(), 64, seed=3, grain=0.5)
    assert np.array_equal(pixels(first), pixels(enlarge(picture(), 64, seed=3, grain=0.5)))
    assert not np.array_equal(pixels(first), pixels(enlarge(picture(), 64, seed=4, grain=0.5)))


def test_grain_is_fine_grey_and_as_strong_as_asked():
    flat = torch.zeros(3, 32, 32)
    assert pixels(enlarge(flat, 128)).std() == 0
    weak, strong = (pixels(enlarge(flat, 128, grain=grain)) for grain in (0.25, 1.0))
    assert np.ptp(strong, axis=2).max() == 0
    assert strong.std() == pytest.approx(4 * weak.std(), rel=0.1)
    assert strong.mean() == pytest.approx(127.5, abs=1)
    assert 0.035 < strong.std() / 255 < 0.065


def test_grain_spares_black_and_white():
    levels = [pixels(enlarge(torch.full((3, 16, 16), level), 64, grain=1.0)).std() for level in (-0.9, 0.0, 0.9)]
    assert levels[1] > 2 * levels[0]
    assert levels[1] > 2 * levels[2]


def test_enlarging_keeps_the_picture():
    drawn = picture()
    small = pixels(enlarge(drawn, 32))
    back = pixels(enlarge(drawn, 128)).reshape(32, 4, 32, 4, 3).mean(axis=(1, 3))
    assert np.abs(back - small).mean() < 3


def test_an_edge_gets_crisper_but_no_halo():
    edge = torch.full((3, 32, 32), -0.5)
    edge[:, :, 16:] = 0.5
    row = pixels(enlarge(edge, 64))[32, :, 0]
    assert row.min() >= 64 - 30
    assert row.max() <= 191 + 30


def test_the_bleed_is_cut_off():
    framed = torch.ones(3, 40, 40)
    framed[:, 4:-4, 4:-4] = -1
    assert pixels(enlarge(framed, 32, bleed=0.1)).max() == 0


def test_a_wide_picture_is_cut_square():
    wide = torch.zeros(3, 16, 32)
    assert enlarge(wide, 16).size == (16, 16)


def test_tone_deepens_shadows_and_lifts_lights_and_keeps_the_ends():
    levels = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0]).repeat(3, 5, 1)
    plain, toned = (pixels(enlarge(levels, 5, tone=tone))[0, :, 0] for tone in (0.0, 1.0))
    assert toned[[0, 2, 4]] == pytest.approx(plain[[0, 2, 4]], abs=1)
    assert toned[1] < plain[1] - 8
    assert toned[3] > plain[3] + 8


def test_tone_lifts_what_is_nearly_flat_and_keeps_the_order():
    flat = [torch.linspace(-contrast, contrast, 32).expand(3, 32, 32) for contrast in (0.02, 0.06, 0.2)]
    plain, toned = ([pixels(enlarge(picture, 32, tone=tone)).std() for picture in flat] for tone in (0.0, 0.5))
    assert toned[0] > 1.8 * plain[0]
    assert toned[0] < toned[1] < toned[2]


def test_an_upscaler_goes_first_and_only_where_something_is_enlarged():
    asked = []

    def upscaler(pictures):
        asked.append(tuple(pictures.shape))
        return torch.nn.functional.interpolate(pictures, scale_factor=4)

    edge = torch.full((3, 32, 32), -0.5)
    edge[:, :, 16:] = 0.5
    row = pixels(enlarge(edge, 128, upscaler=upscaler))[64, :, 0]
    assert asked == [(1, 3, 32, 32)]
    assert np.unique(row).tolist() == [64, 191], "nothing is sharpened on top"
    enlarge(edge, 32, upscaler=upscaler)
    assert len(asked) == 1


def test_plain_enlargement_overshoots_no_more_than_lanczos_does():
    edge = torch.full((3, 32, 32), -0.5)
    edge[:, :, 16:] = 0.5
    sharp, plain = (pixels(enlarge(edge, 64, sharpen=sharpen))[32, :, 0] for sharpen in (True, False))
    assert np.ptp(plain) < np.ptp(sharp)
