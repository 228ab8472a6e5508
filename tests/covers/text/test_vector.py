import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from covergen_cli.covers.looks import look_svg, parse_look
from covergen_cli.covers.text.contrast import CONTRAST
from covergen_cli.covers.text.finish import SAFE, letters_of, place
from covergen_cli.covers.text.styles import resolve_text, style_of
from covergen_cli.covers.text.vector import text_svg
from svg_paths import area, points_of

DISC = Image.radial_gradient("L").convert("RGB")
PALETTE = ("#0b132b", "#3a506b", "#d1495b", "#edae49", "#f4f1de")


def words(layout, look):
    text = {"title": "Über den Fluß", "artist": "O", "layout": layout}
    return resolve_text({**text, "fonts": dict.fromkeys(("title", "artist"), "by look 1")}, look, 0)


@pytest.mark.parametrize("layout", ["giant", "label", "edge", "line"])
@pytest.mark.parametrize("name", ["cutout", "poster"])
def test_letters_are_paths_of_the_same_area_inside_the_safe_area(name, layout):
    look = parse_look(name)
    image, text = DISC.resize((1000, 1000)), words(layout, look)
    body, ratio = text_svg(image, text, style_of(look), PALETTE)
    assert ratio >= CONTRAST
    data = re.search(r'<path id="letters"[^>]* d="([^"]*)"', body)[1]
    turned = image.transpose(Image.Transpose.ROTATE_270) if layout == "edge" else image
    mask = np.asarray(letters_of(place(turned, text, side=1000), 1000), float) / 255
    assert area(data) == pytest.approx(mask.sum(), rel=0.04)
    points = np.concatenate(list(points_of(data)))
    assert points.min() >= 1000 * SAFE - 2
    assert points.max() <= 1000 * (1 - SAFE) + 2


def test_a_cover_with_text_is_one_document():
    look = parse_look("cutout")
    body, _ = text_svg(DISC.resize((400, 400)), words("label", look), style_of(look), PALETTE)
    root = ET.fromstring(look_svg(DISC, look, overlay=body))  # noqa: S314
    names = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(names) == len(set(names))
    assert {"ground", "letters", "shadow-ground", "sheet0"} <= set(names)
