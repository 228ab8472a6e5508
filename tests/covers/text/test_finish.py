"""Text that belongs to a look: legible, inside the safe area, spelled exactly, in the look's colours and font."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from covergen_cli.config import GenerateConfig
from covergen_cli.covers.looks import draw_look, parse_look
from covergen_cli.covers.styling import add_text
from covergen_cli.covers.text.contrast import CONTRAST, contrast_ratio, luminance
from covergen_cli.covers.text.finish import SAFE, draw_styled, letters_of, place
from covergen_cli.covers.text.fonts import BUNDLED, FONTS
from covergen_cli.covers.text.placement import LAYOUTS
from covergen_cli.covers.text.styles import resolve_text, style_of
from covergen_cli.covers.text.wording import BY_LOOK

PALETTE = ("#0b132b", "#3a506b", "#d1495b", "#edae49", "#f4f1de")
TITLES = (
    "I",
    "Über Łódź, ça va",
    "The Long Way Home from the Harbour",
    "Donaudampfschiff" * 9,
    "ab " * 60,
)
LOOKS = ("cutout", "poster", "contour", "fluted", "halftone", "riso", "dither", "engraving", "grain")


def words(title="Paper Lanterns", artist="Zoë Ångström", layout="auto", font=BY_LOOK):
    texts = {name: text for name, text in (("title", title), ("artist", artist)) if text}
    return {"title": title, "artist": artist, "layout": layout, "fonts": dict.fromkeys(texts, font)}


def noise(side=256):
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["cutout", "poster", "dither", "grain"])
def test_the_contrast_is_reached_on_noise(layout, name):
    text = resolve_text(words(layout=layout), parse_look(name), 0)
    drawn, ratio = draw_styled(noise(), text, style_of(parse_look(name)), PALETTE)
    assert ratio >= CONTRAST
    assert drawn.size == (256, 256)


@pytest.mark.parametrize("name", ["cutout", "dither"])
@pytest.mark.parametrize("side", [300, 500, 700])
def test_outlines_of_large_letters_have_no_holes(side, name):
    title = (
        "The Long Way Home from the Harbour" if name == "cutout" else "Concerto for Two Violins in D minor, BWV 1043"
    )
    text = resolve_text(words(title, layout="centre" if name == "cutout" else "giant"), parse_look(name), 0)
    _, ratio = draw_styled(noise(side), text, style_of(parse_look(name)), PALETTE)
    assert ratio >= CONTRAST


def test_the_reported_contrast_is_that_of_the_pixels():
    text = resolve_text(words(layout="label", artist=None), parse_look("poster"), 0)
    drawn, ratio = draw_styled(noise(), text, style_of(parse_look("poster")), PALETTE)
    colours = drawn.getcolors(256 * 256)
    (_, below), (_, ink) = sorted(colours, reverse=True)[:2]
    assert float(contrast_ratio(luminance(np.array(below)), luminance(np.array(ink)))) == pytest.approx(ratio)
    assert {below, ink} <= {tuple(bytes.fromhex(one[1:])) for one in PALETTE}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("font", FONTS)
@pytest.mark.parametrize("title", TITLES)
def test_words_are_spelled_exactly_and_stay_inside_the_safe_area(layout, font, title):
    artist = "An Artist with Quite a Long Name, and Guests"
    pixels = FONTS[font].unit is not None
    placement = place(noise(64), words(title, artist, layout, FONTS[font].name), side=256, pixels=pixels)
    printed = "".join(line for placed in placement for line in placed.block.lines).replace(" ", "")
    assert title.replace(" ", "") in printed
    assert sorted(printed) == sorted((title + artist).replace(" ", ""))
    left, top, right, bottom = letters_of(placement, 256).getbbox()
    assert min(left, top) >= SAFE * 256 - 1
    assert max(right, bottom) <= (1 - SAFE) * 256 + 1


@pytest.mark.parametrize("name", LOOKS)
def test_every_look_has_a_font_and_a_layout_and_gives_the_same_bytes_twice(name):
    look = parse_look(name)
    picture, palette = draw_look(noise(32), look, 200)
    drawn = {"look_drawn": name, "palette_drawn": str(palette)}
    first, record = add_text(picture, words(), drawn, 0, None)
    assert first.tobytes() == add_text(picture, words(), drawn, 0, None)[0].tobytes()
    assert first.tobytes() != picture.tobytes()
    assert record["text_contrast"] >= CONTRAST
    assert record["text_drawn"]["fonts"]["title"] == FONTS[style_of(look).font].name
    assert record["text_drawn"]["layout"] in LAYOUTS


def test_neighbouring_seeds_have_different_layouts():
    layouts = [resolve_text(words(), parse_look("poster"), seed)["layout"] for seed in range(3)]
    assert len(set(layouts)) == 3


def test_letters_that_the_font_of_the_look_lacks_are_set_in_inter():
    fonts = resolve_text(words("Жук", "Band"), parse_look("cutout"), 0)["fonts"]
    assert fonts == {"title": BUNDLED, "artist": FONTS["anton"].name}


def test_letters_on_dither_are_made_of_squares():
    look = parse_look("dither:cells=64")
    plain = Image.new("RGB", (512, 512), (244, 241, 222))
    drawn, _ = add_text(
        plain, words(layout="label"), {"look_drawn": str(look), "palette_drawn": ",".join(PALETTE)}, 0, None
    )
    squares = np.asarray(drawn).reshape(128, 4, 128, 4, 3)
    assert (squares == squares[:, :1, :, :1]).all()
    assert len(drawn.getcolors()) >= 2


def test_a_cover_without_look_keeps_its_veil_and_gets_no_new_record():
    picture = noise()
    drawn, record = add_text(picture, words(layout="corner", font=BUNDLED), {}, 0, None)
    assert set(record) == {"text_contrast"}
    assert drawn.tobytes() != picture.tobytes()


@pytest.mark.parametrize("layout", ["giant", "edge", "band", "label"])
def test_new_layouts_work_without_a_look(layout):
    _, record = add_text(noise(), words(layout=layout, font=BUNDLED), {}, 0, None)
    assert record["text_contrast"] >= CONTRAST


def test_upright_text_runs_along_a_side():
    plain = Image.new("RGB", (256, 256), "white")
    ImageDraw.Draw(plain).rectangle((0, 0, 180, 255), fill="black")
    drawn, _ = add_text(plain, words(layout="edge", font=BUNDLED), {"look_drawn": "poster"}, 0, None)
    rows, columns = np.nonzero(np.abs(np.asarray(drawn).astype(int) - np.asarray(plain)).sum(axis=2))
    assert np.ptp(rows) > 2 * np.ptp(columns)


def test_text_settings_of_a_look_are_left_to_it():
    from pathlib import Path

    from covergen_cli.covers.text.wording import cover_text

    left = cover_text(GenerateConfig(title="A", look="riso"), Path("x"))[0]
    assert (left["layout"], left["fonts"]) == ("auto", {"title": BY_LOOK})
    own = cover_text(GenerateConfig(title="A", look="riso", font="anton", layout="band"), Path("x"))[0]
    assert (own["layout"], own["fonts"]) == ("band", {"title": FONTS["anton"].name})
