"""A cover says what made it, and foreign files say nothing."""

import numpy as np
import pytest
from PIL import Image

from covergen_cli.errors import OutputError
from covergen_cli.provenance import DIGITAL_SOURCE_TYPE, read_provenance, save_cover

FACTS = {"schema": 1, "version": "1.2", "input": "Straße -- 夜.mp3", "segment": [1.5, 31.5], "fingerprint": "f" * 64}


@pytest.fixture
def image():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_round_trip(tmp_path, image, kind):
    path = tmp_path / f"cover.{kind}"
    save_cover(path, image, FACTS, kind)
    assert read_provenance(path) == {**FACTS, "generator": "covergen"}


@pytest.mark.parametrize(("kind", "name"), [("png", "PNG"), ("jpg", "JPEG")])
def test_the_file_is_marked_as_made_by_a_model(tmp_path, image, kind, name):
    path = tmp_path / f"cover.{kind}"
    save_cover(path, image.convert("RGBA"), FACTS, kind)
    with Image.open(path) as saved:
        assert (saved.format, saved.mode, saved.size) == (name, "RGB", (32, 32))
        xmp = saved.info["xmp"].decode()
    assert "Iptc4xmpExt:DigitalSourceType" in xmp
    assert DIGITAL_SOURCE_TYPE in xmp
    assert "covergen 1.2" in xmp


def test_the_xmp_is_well_formed(tmp_path, image):
    from xml.etree import ElementTree as ET

    save_cover(tmp_path / "x.png", image, FACTS, "png")
    with Image.open(tmp_path / "x.png") as saved:
        root = ET.fromstring(saved.info["xmp"].decode())  # noqa: S314 — written three lines above
    attributes = {key: value for node in root.iter() for key, value in node.attrib.items()}
    name = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
    assert attributes[name] == DIGITAL_SOURCE_TYPE


def test_png_keeps_every_pixel_and_jpeg_its_colours(tmp_path, image):
    save_cover(tmp_path / "x.png", image, FACTS, "png")
    with Image.open(tmp_path / "x.png") as saved:
        assert np.array_equal(np.asarray(saved), np.asarray(image))
        assert "srgb" in saved.info
    save_cover(tmp_path / "x.jpg", image, FACTS, "jpg")
    with Image.open(tmp_path / "x.jpg") as saved:
        assert [layer[1:3] for layer in saved.layer] == [(1, 1)] * 3


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_the_same_cover_gives_the_same_bytes(tmp_path, image, kind):
    for name in ("a", "b"):
        save_cover(tmp_path / name, image, FACTS, kind)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def foreign(folder, image):
    image.save(folder / "plain.png")
    image.save(folder / "plain.jpg")
    image.save(folder / "comment.jpg", comment=b"\xff\xfe no utf-8")
    image.save(folder / "json.jpg", comment=b'{"generator": "other"}')
    image.save(folder / "list.jpg", comment=b'["covergen"]')
    image.save(folder / "picture.webp")
    (folder / "empty.png").write_bytes(b"")
    (folder / "half.png").write_bytes((folder / "plain.png").read_bytes()[:30])
    (folder / "text.png").write_text("no picture")
    (folder / "folder.png").mkdir()
    return [*folder.iterdir(), folder / "missing.png"]


def test_foreign_files_say_nothing(tmp_path, image):
    assert {path.name: read_provenance(path) for path in foreign(tmp_path, image)} == dict.fromkeys(
        [path.name for path in [*tmp_path.iterdir(), tmp_path / "missing.png"]]
    )


def test_a_failing_save_leaves_nothing(tmp_path, image, monkeypatch):
    def fail(self, target, **_settings):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OutputError, match="No space left"):
        save_cover(tmp_path / "cover.png", image, FACTS, "png")
    assert list(tmp_path.iterdir()) == []


def test_a_jpeg_keeps_to_a_weight_and_to_its_provenance(tmp_path, image):
    large = image.resize((400, 400), Image.Resampling.NEAREST)
    save_cover(tmp_path / "free.jpg", large, FACTS, "jpg")
    limit = (tmp_path / "free.jpg").stat().st_size // 2
    save_cover(tmp_path / "held.jpg", large, FACTS, "jpg", limit)
    assert (tmp_path / "held.jpg").stat().st_size <= limit
    assert read_provenance(tmp_path / "held.jpg") == {**FACTS, "generator": "covergen"}


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_a_weight_that_cannot_be_kept_leaves_nothing(tmp_path, image, kind):
    with pytest.raises(OutputError, match=r"weigh"):
        save_cover(tmp_path / "cover", image, FACTS, kind, 500)
    assert list(tmp_path.iterdir()) == []
