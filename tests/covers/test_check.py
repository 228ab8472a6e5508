"""Pictures held against stores' rules."""

import numpy as np
import pytest
from PIL import Image

from covergen_cli.covers.check import check, detail_size, open_picture
from covergen_cli.covers.stores import Store, load_stores
from covergen_cli.errors import InputError
from covergen_cli.provenance import save_cover

SMALL = Store("small", 64, 48, ("jpg", "png"), (), max_size=200, max_bytes=20_000)


def noise(width=64, height=64, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def found(path, store=SMALL):
    checked = check(open_picture(path), store)
    return checked.passes, {f.rule: f.level for f in checked.findings if f.level != "ok"}


def test_a_good_cover_passes_with_nothing_to_say(tmp_path):
    save_cover(tmp_path / "a.jpg", noise(), {"version": "1", "native_size": 64}, "jpg")
    assert found(tmp_path / "a.jpg") == (True, {})


@pytest.mark.parametrize(
    ("rule", "make"),
    [
        ("square", lambda path: noise(64, 70).save(path)),
        ("size", lambda path: noise(40, 40).save(path)),
        ("size", lambda path: noise(256, 256).save(path, quality=5)),
        ("format", lambda path: noise().save(path, format="WEBP")),
        ("colour", lambda path: noise().convert("CMYK").save(path)),
        ("colour", lambda path: noise().convert("L").save(path)),
        ("alpha", lambda path: noise().convert("RGBA").save(path, format="PNG")),
        ("rotation", lambda path: noise().save(path, exif=turned())),
        ("weight", lambda path: noise(200, 200).save(path, quality=95)),
    ],
)
def test_each_rule_refuses(tmp_path, rule, make):
    make(tmp_path / "a.jpg")
    passes, findings = found(tmp_path / "a.jpg")
    assert not passes
    assert [name for name, level in findings.items() if level == "refused"] == [rule]


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize(
    ("rule", "make"),
    [
        ("size", lambda path: noise(50, 50).save(path)),
        ("format", lambda path: noise().save(path, format="PNG")),
        ("sharpness", lambda path: scene(32).resize((64, 64), Image.Resampling.BICUBIC).save(path, quality=95)),
        ("declaration", lambda path: noise().save(path)),
    ],
)
def test_what_a_store_may_dislike_is_advice_only(tmp_path, rule, make):
    make(tmp_path / "a.jpg")
    passes, findings = found(tmp_path / "a.jpg")
    assert passes
    assert findings[rule] == "advice"


def test_a_cover_that_says_it_was_enlarged_is_believed(tmp_path):
    save_cover(tmp_path / "a.jpg", noise(), {"version": "1", "native_size": 16}, "jpg")
    checked = check(open_picture(tmp_path / "a.jpg"), SMALL)
    assert next(f.text for f in checked.findings if f.rule == "sharpness").startswith("drawn at 16 pixels")


def test_a_store_that_asks_for_a_declaration_says_what_to_do(tmp_path):
    save_cover(tmp_path / "a.jpg", noise(), {"version": "1"}, "jpg")
    checked = check(open_picture(tmp_path / "a.jpg"), load_stores()["apple"])
    assert "transparency tag" in next(f.text for f in checked.findings if f.rule == "declaration")


def scene(side, slope=1.4):
    """A picture whose detail falls off with its fineness as in photographs."""
    spectrum = np.fft.rfft2(np.random.default_rng(0).standard_normal((side, side)))
    fineness = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    fineness[0, 0] = np.inf
    drawn = np.fft.irfft2(spectrum / fineness**slope, (side, side))
    return Image.fromarray(np.clip(128 + 45 * drawn / drawn.std(), 0, 255).astype(np.uint8)).convert("RGB")


@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize("way", [Image.Resampling.BICUBIC, Image.Resampling.LANCZOS])
def test_detail_tells_the_size_before_enlargement(factor, way):
    assert detail_size(scene(256).resize((256 * factor, 256 * factor), way)) == 256


def test_a_sharp_thing_before_a_plain_ground_is_sharp():
    picture = Image.new("RGB", (256, 256), (90, 90, 90))
    picture.paste(noise(160, 160), (48, 48))
    assert detail_size(picture) == 256


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0 half"])
def test_what_is_no_picture_is_named(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.jpg"):
        open_picture(tmp_path / "a.jpg")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "gone.jpg", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            open_picture(path)


def test_a_file_that_is_far_too_heavy_is_not_read(tmp_path):
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(300_000_000)
    with pytest.raises(InputError, match="heavier than 200 MB"):
        open_picture(tmp_path / "a.jpg")


def test_a_bomb_is_not_opened(tmp_path, monkeypatch):
    noise().save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    with pytest.raises(InputError, match="more pixels"):
        open_picture(tmp_path / "a.png")
