"""Every look: the same bytes, the same drawing at every size, and never an empty cover."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from covergen_cli.covers.looks import LOOKS, apply_look, look_svg, palette_from, parse_look
from covergen_cli.errors import ConfigError
from covergen_cli.measures.colour import srgb_to_oklab

DRAWN = sorted(LOOKS.keys() - {"paint"})
VECTOR = [name for name in DRAWN if LOOKS[name].vector]


def lightness(image):
    return srgb_to_oklab(np.asarray(image))[..., 0]


@pytest.mark.parametrize("name", DRAWN)
def test_same_arguments_same_pixels_at_every_size(name, hills):
    small = apply_look(hills, LOOKS[name](), 256, seed=3)
    assert small.mode == "RGB"
    assert small.size == (256, 256)
    assert small.tobytes() == apply_look(hills, LOOKS[name](), 256, seed=3).tobytes()
    large = apply_look(hills, LOOKS[name](), 1300, seed=3).resize((256, 256), Image.Resampling.BOX)
    # Blurred by a pixel and a half, so that screens count as their tone.
    tones = [np.asarray(image.resize((96, 96), Image.Resampling.BOX), float) for image in (small, large)]
    assert np.abs(tones[0] - tones[1]).mean() < 3.5
    assert np.corrcoef(tones[0].ravel(), tones[1].ravel())[0, 1] > 0.98


@pytest.mark.parametrize("colour", [(3, 3, 5), (128, 128, 128), (250, 250, 250)], ids=["dark", "grey", "light"])
@pytest.mark.parametrize("name", DRAWN)
def test_no_cover_is_empty(name, colour):
    drawn = apply_look(Image.new("RGB", (64, 64), colour), LOOKS[name](), 128, seed=1)
    light = lightness(drawn)
    assert light.std() > 0.08
    down, right = np.gradient(light)
    assert (np.hypot(down, right) > 0.04).mean() > 0.02


@pytest.mark.parametrize("name", DRAWN)
def test_a_locked_palette_is_all_there_is(name, hills):
    drawn = np.asarray(apply_look(hills, LOOKS[name](), 128, palette=palette_from("#111,#888,#eee")), float) / 255
    assert drawn.std() > 0.1
    # The picture is red and blue; riso has its own inks and a yellowish paper.
    assert np.ptp(drawn, axis=-1).mean() < (0.16 if name == "riso" else 0.06)


def test_paint_leaves_the_picture(hills):
    assert apply_look(hills, LOOKS["paint"](), 128).tobytes() == hills.tobytes()


@pytest.mark.parametrize("name", VECTOR)
def test_svg_is_small_and_well_formed(name, hills):
    text = look_svg(hills, LOOKS[name](), seed=3)
    assert len(text) < 2_000_000
    root = ET.fromstring(text)  # noqa: S314
    assert root.get("viewBox") == "0 0 1000 1000"
    assert len(list(root)) > 3
    assert len(set(re.findall(r'fill="(#\w*)"', text))) > 3
    # Nothing outside of the file is needed: every reference is to an element of it.
    names = set(re.findall(r' id="(\w+)"', text))
    references = re.findall(r'href="([^"]*)"|url\(([^)]*)\)', text)
    assert {"".join(one).removeprefix("#") for one in references} <= names
    assert not re.search(r"<(image|script|style|text|foreignObject)", text)


def test_svg_of_other_looks_is_refused(hills):
    with pytest.raises(ConfigError, match="cannot be written as SVG") as caught:
        look_svg(hills, LOOKS["dither"]())
    assert "cutout" in caught.value.hint


def test_text_form_round_trips():
    for kind in LOOKS.values():
        assert parse_look(str(kind())) == kind()
    look = parse_look("halftone:pitch=60, angle=15")
    assert (look.pitch, look.angle) == (60, 15)
    assert str(look).startswith("halftone:pitch=60,angle=15,")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("halftome", "no look 'halftome'", "did you mean halftone?"),
        ("halftone:pich=60", "no parameter 'pich'", "did you mean pitch?"),
        ("halftone:pitch=1", "it takes 16 to 240", None),
        ("halftone:pitch", "not a parameter", "halftone:key=value"),
        ("fluted:run=across", "not one of", "upright"),
        ("paint:size=3", "no parameter 'size'", "no parameters"),
        ("cutout:depth=nan", "depth", None),
    ],
)
def test_what_is_wrong_with_a_look_is_said(text, message, hint):
    with pytest.raises(ConfigError, match=message) as caught:
        parse_look(text)
    assert hint is None or hint in caught.value.hint
