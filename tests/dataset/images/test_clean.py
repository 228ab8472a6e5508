"""Cleaning covers: every kind of picture comes out upright, square, sRGB and small enough, or with a reason."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from covergen_cli.dataset.images.clean import LEAST_PIXELS, MOST_PIXELS, clean_image
from covergen_cli.dataset.sources.base import UnwantedError
from covergen_cli.errors import InputError

ORIENTATION = 0x0112
TURNED_LEFT = 6  # the camera was held so that the picture has to be turned clockwise


def picture(width=200, height=200):
    """Red on the left, blue on the right, darker towards the bottom."""
    shade = np.linspace(1, 0.5, height)[:, None, None]
    sides = np.where(np.arange(width)[None, :, None] < width / 2, (220, 30, 30), (30, 30, 220))
    return Image.fromarray((sides * shade).astype(np.uint8))


def encoded(image, kind="PNG", **how):
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def shown(clean):
    with Image.open(io.BytesIO(clean.jpeg)) as image:
        assert (image.format, image.mode) == ("JPEG", "RGB")
        assert image.width == image.height
        assert np.abs(np.asarray(image, int) - clean.pixels).mean() < 6
    return clean.pixels.astype(int)


def exif(orientation):
    data = Image.Exif()
    data[ORIENTATION] = orientation
    return data


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_every_format_gives_the_same_bytes_again(kind):
    data = encoded(picture(), kind)
    assert clean_image(data).jpeg == clean_image(data).jpeg
    pixels = shown(clean_image(data))
    assert pixels[20, 20, 0] > 150
    assert pixels[20, 20, 2] < 100


def test_a_clean_jpeg_stays_as_it_is(tmp_path):
    data = encoded(picture(), "JPEG", quality=70)
    assert clean_image(data).jpeg == data
    (tmp_path / "cover.jpg").write_bytes(data)
    assert clean_image(tmp_path / "cover.jpg").jpeg == data


def test_the_centre_of_a_wide_picture_is_kept_and_not_blurred():
    stripes = np.zeros((200, 301, 3), np.uint8)
    stripes[:, 0::2] = 255
    pixels = clean_image(encoded(Image.fromarray(stripes))).pixels
    assert pixels.shape == (200, 200, 3)
    assert set(np.unique(pixels)) == {0, 255}


def test_a_large_picture_becomes_smaller():
    for kind in ("PNG", "JPEG"):
        pixels = shown(clean_image(encoded(picture(2500, 2100), kind)))
        assert pixels.shape == (MOST_PIXELS, MOST_PIXELS, 3)
        assert pixels[100, 100, 0] > pixels[900, 100, 0] > 60


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_a_turned_picture_is_set_upright(kind):
    pixels = shown(clean_image(encoded(picture(), kind, exif=exif(TURNED_LEFT))))
    assert pixels[20, 150, 0] > 100 > pixels[180, 150, 0]  # what was left is above now
    with Image.open(io.BytesIO(clean_image(encoded(picture(), kind, exif=exif(TURNED_LEFT))).jpeg)) as image:
        assert ORIENTATION not in image.getexif()


def test_what_is_transparent_becomes_white():
    layer = picture().convert("RGBA")
    layer.putalpha(Image.fromarray(np.repeat(np.array([[255], [0]], np.uint8), 100, 0).repeat(200, 1)))
    pixels = shown(clean_image(encoded(layer)))
    assert pixels[150].min() > 250
    assert pixels[20, 20, 1] < 60
    palette = picture().quantize(8)
    assert shown(clean_image(encoded(palette, transparency=palette.getpixel((10, 10)))))[10, 10].min() > 250


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "1", "I;16", "LA"])
def test_every_mode_becomes_rgb(mode):
    image = picture()
    if mode == "I;16":
        image = Image.fromarray((np.asarray(image.convert("L")).astype(np.uint16)) << 8)
    data = encoded(image.convert(mode), "JPEG" if mode == "CMYK" else "PNG")
    pixels = shown(clean_image(data))
    assert pixels[:100].mean() > pixels[100:].mean()
    if mode == "I;16":
        assert pixels.mean() == pytest.approx(np.asarray(picture().convert("L")).mean(), abs=2)


def test_transparent_grey_of_16_bits_becomes_white():
    ramp = np.arange(200 * 200).reshape(200, 200).astype(np.uint16)
    pixels = shown(clean_image(encoded(Image.fromarray(ramp), transparency=300)))
    assert pixels[1, 100].tolist() == [255, 255, 255]  # 300, which is almost black
    assert pixels[1, 90].max() < 10
    assert pixels[199, 100, 0] == 199 * 200 + 100 >> 8


@pytest.mark.parametrize("size", [2_000_000, 900_000])
def test_text_in_a_png_does_not_matter_however_much_it_is(size):
    texts = PngImagePlugin.PngInfo()
    for number in range(72_000_000 // size if size < 1_000_000 else 1):
        texts.add_text(f"k{number}", "x" * size, zip=True)
    assert clean_image(encoded(picture(), pnginfo=texts)).jpeg == clean_image(encoded(picture())).jpeg


def swapped_profile():
    """A profile whose red and blue primaries are those of sRGB, exchanged."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", profile[128:132])[0]
    for index in range(count):
        start = 132 + 12 * index
        name = bytes(profile[start : start + 4])
        profile[start : start + 4] = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}.get(name, name)
    return bytes(profile).replace(b"sRGB", b"ours").replace(b"s\0R\0G\0B", b"o\0u\0r\0s")


def test_colours_follow_the_profile():
    swapped = shown(clean_image(encoded(picture(), icc_profile=swapped_profile())))
    assert swapped[20, 20, 2] > 150 > swapped[20, 20, 0]
    damaged = shown(clean_image(encoded(picture(), icc_profile=b"no profile")))
    assert damaged[20, 20, 0] > 150


def bomb():
    """A PNG of 300 bytes that claims 20,000 × 20,000 pixels."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<html>not found</html>", "not a JPEG, PNG or WebP"),
        (b"", "not a JPEG, PNG or WebP"),
        (encoded(picture(), "GIF"), "not a JPEG, PNG or WebP"),
        (encoded(picture(), "JPEG")[:1500], "cannot be used"),
        (encoded(picture())[:400], "cannot be used"),
        (bomb(), "decompression bomb"),
        (encoded(Image.new("1", (9000, 9000))), "9000 × 9000 pixels"),
    ],
    ids=["html", "empty", "gif", "cut jpeg", "cut png", "bomb", "too large"],
)
def test_what_is_no_sound_image_is_an_error(data, words):
    with pytest.raises(InputError, match=words) as caught:
        clean_image(data)
    assert not isinstance(caught.value, UnwantedError)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (picture(400, LEAST_PIXELS - 1), "too small: 400 × 127"),
        (Image.new("RGB", (300, 300), "black"), "blank"),
        (Image.new("RGB", (300, 300), (200, 10, 90)), "blank"),
        (Image.new("RGBA", (300, 300), (200, 10, 90, 0)), "blank"),
    ],
)
def test_what_is_sound_but_no_good_is_unwanted(image, words):
    with pytest.raises(UnwantedError, match=words):
        clean_image(encoded(image))


def test_a_faint_picture_is_not_blank():
    fog = np.full((200, 200, 3), 128, np.uint8)
    fog[60:140, 60:140] = 160
    clean_image(encoded(Image.fromarray(fog)))
