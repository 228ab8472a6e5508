"""Text on covers: inside the safe area, legible on anything, where the picture is calm."""

import numpy as np
import pytest
from PIL import Image

from covergen_cli.covers.text.contrast import CONTRAST, contrast_ratio
from covergen_cli.covers.text.fonts import BUNDLED, FALLBACK
from covergen_cli.covers.text.layout import draw_text
from covergen_cli.covers.text.typesetting import Face, fit

LAYOUTS = ("corner", "centre", "poster", "line")
LONG = "An Improbably Long Title about the Weather in the Mountains, Part Two (Live at the Old Harbour)"
UNBROKEN = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen" * 2


def words(title="Paper Lanterns", artist="The Synthesiser", layout="corner", font=BUNDLED):
    texts = {name: text for name, text in (("title", title), ("artist", artist)) if text}
    return {"title": title, "artist": artist, "layout": layout, "fonts": dict.fromkeys(texts, font)}


def grounds(side=512):
    rng = np.random.default_rng(3)
    yield "white", np.full((side, side, 3), 255)
    yield "black", np.zeros((side, side, 3))
    yield "grey", np.full((side, side, 3), 118)
    yield "noise", rng.integers(0, 256, (side, side, 3))
    yield "stripes", np.repeat(np.arange(side) // 8 % 2 * 255, side * 3).reshape(side, side, 3)
    yield "red", np.broadcast_to((255, 0, 0), (side, side, 3))


def image(pixels):
    return Image.fromarray(np.asarray(pixels, np.uint8))


def luminance(pixels):
    values = pixels / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def ink_of(picture):
    """Where the text is, on a plain ground: what differs from the veil, which has one tone for every row."""
    pixels = np.asarray(picture.convert("L")).astype(int)
    return np.abs(pixels - pixels[:, :1]) > 12


def test_the_ratio_is_that_of_the_standard():
    assert contrast_ratio(0.0, 1.0) == pytest.approx(21)
    assert contrast_ratio(0.3, 0.3) == pytest.approx(1)
    assert contrast_ratio(luminance(np.full(3, 118.0)), 1.0) == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("name", "pixels"), list(grounds()), ids=lambda value: value if isinstance(value, str) else "")
def test_the_contrast_is_reached_on_anything(layout, name, pixels):
    ground = image(pixels)
    drawn, ratio = draw_text(ground, words(layout=layout))
    assert ratio >= CONTRAST
    after = np.asarray(drawn).astype(float)
    extreme = after.max() if (after == 255).all(axis=2).any() and name != "white" else 12
    inked = (after == extreme).all(axis=2)
    assert inked.sum() > 50
    near = dilated(inked, 2) & ~dilated(inked, 1)
    measured = contrast_ratio(luminance(after[near]), luminance(np.full(3, float(extreme))))
    # Beside the letters' cores lie half-covered pixels; most of the ring is ground, and that has to stand off.
    assert np.quantile(measured, 0.9) >= CONTRAST


def dilated(mask, reach):
    grown = mask.copy()
    for down in range(-reach, reach + 1):
        for across in range(-reach, reach + 1):
            grown |= np.roll(mask, (down, across), (0, 1))
    return grown


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("title", ["I", "Paper Lanterns", LONG, UNBROKEN, "Ж" * 200, "a b " * 25])
def test_text_stays_inside_the_safe_area(layout, title):
    drawn, _ = draw_text(image(np.full((400, 400, 3), 118)), words(title=title, artist=LONG, layout=layout))
    rows, columns = np.nonzero(ink_of(drawn))
    margin = 400 * 0.05
    assert columns.min() >= margin - 1
    assert columns.max() <= 400 - margin
    assert rows.min() >= margin - 1
    assert rows.max() <= 400 - margin


def test_the_calmest_corner_is_taken():
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3))
    pixels[:110, 90:] = 40
    drawn, _ = draw_text(image(pixels), words())
    changed = np.abs(np.asarray(drawn).astype(int) - pixels).sum(axis=2) > 300
    rows, columns = np.nonzero(changed)
    assert np.median(rows) < 128
    assert np.median(columns) > 128


def test_a_ground_that_suffices_gets_no_veil():
    drawn, ratio = draw_text(image(np.zeros((256, 256, 3))), words())
    assert ratio > 15
    assert np.asarray(drawn)[200, 250].tolist() == [0, 0, 0]


def test_the_same_words_give_the_same_pixels_and_other_layouts_others():
    ground = image(np.full((200, 200, 3), 118))
    first = [draw_text(ground, words(layout=layout))[0].tobytes() for layout in LAYOUTS]
    assert first == [draw_text(ground, words(layout=layout))[0].tobytes() for layout in LAYOUTS]
    assert len(set(first)) == len(LAYOUTS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_of_the_two_suffices(layout):
    ground = image(np.full((200, 200, 3), 118))
    for only in (words(artist=None, layout=layout), words(title=None, layout=layout)):
        assert np.asarray(draw_text(ground, only)[0]).tobytes() != ground.tobytes()


def test_right_to_left_text_is_set_in_the_other_font():
    ground = image(np.full((200, 200, 3), 118))
    assert draw_text(ground, words(title="שלום עולם", font=FALLBACK))[1] >= CONTRAST


@pytest.mark.parametrize("calm", ["top", "bottom"])
def test_the_two_texts_of_a_line_share_a_baseline(calm):
    pixels = np.random.default_rng(0).integers(0, 256, (512, 512, 3))
    pixels[slice(0, 100) if calm == "top" else slice(-100, None)] = 0
    drawn, _ = draw_text(image(pixels), words(title="ÉHH", artist="HHg", layout="line"))
    ink = (np.asarray(drawn) == 255).all(axis=2)
    ink[100:-100] = False
    # The lowest core pixel of an H stands on the baseline; in "HHg" the g is the right third.
    columns = np.nonzero(ink.any(axis=0))[0]
    left, right = columns[columns < 256], columns[columns >= 256]
    without_g = ink[:, left.min() : left.min() + (left.max() - left.min()) // 2]
    assert np.nonzero(without_g.any(axis=1))[0].max() == np.nonzero(ink[:, right.min() :].any(axis=1))[0].max()


def test_lines_are_balanced_and_words_stay_whole():
    block = fit("The quick brown fox jumps", Face(BUNDLED), 40, 400, 300, 3, smallest=8)
    assert " ".join(block.lines) == "The quick brown fox jumps"
    assert block.width <= 300
    assert len(block.lines) == 2
    assert abs(len(block.lines[0]) - len(block.lines[1])) <= 6


def test_a_long_word_shrinks_before_it_breaks():
    block = fit("Incomprehensibilities", Face(BUNDLED), 60, 400, 200, 2, smallest=8)
    assert block.lines == ("Incomprehensibilities",)
    assert block.width <= 200
    broken = fit("Incomprehensibilities", Face(BUNDLED), 60, 400, 60, 2, smallest=20)
    assert "".join(broken.lines) == "Incomprehensibilities"
    assert broken.width <= 60
