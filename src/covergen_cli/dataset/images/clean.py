"""Convert any cover to a clean square JPEG.

A cover is decoded completely, turned upright, converted to sRGB, cropped to its square centre and scaled down if it is
too large. A JPEG that needs none of this stays as it is, byte for byte, since encoding it again would lose quality.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageCms, ImageOps, ImageStat, UnidentifiedImageError

from covergen_cli.dataset.sources.base import UnwantedError
from covergen_cli.errors import InputError
from covergen_cli.provenance import without_png_text

if TYPE_CHECKING:
    import numpy.typing as npt

FORMATS = ("JPEG", "PNG", "WEBP")
"""Formats that are read; Pillow has decoders for many more, and each is an attack surface."""

LEAST_PIXELS = 128
"""Minimum side of an image; a smaller one is unwanted."""

MOST_PIXELS = 1024
"""Maximum side of a cleaned image."""

MOST_DECODED_PIXELS = 64_000_000
"""Maximum pixels of an image before it is cropped and scaled: 8000 × 8000."""

BLANK_SPREAD = 3.0
"""Minimum standard deviation of the strongest channel, of 255; below it, an image is one flat colour."""

_JPEG_QUALITY = 92
_UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,  # raised for a broken PNG
    OverflowError,
    EOFError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


@dataclass(frozen=True)
class CleanImage:
    """A cleaned cover.

    Args:
        jpeg: bytes of the file: RGB, square, upright, at most 1024 pixels per side.
        pixels: its pixels before they were encoded, sRGB bytes ``(S, S, 3)``.
    """

    jpeg: bytes
    pixels: npt.NDArray[np.uint8]


def clean_image(source: Path | bytes) -> CleanImage:
    """Convert a JPEG, PNG or WebP (file or bytes) to an RGB JPEG: upright, sRGB, square, at most 1024 pixels per side.

    Transparency becomes white; of an animation, the first picture is used. With one version of Pillow, the same input
    gives the same bytes.

    Raises:
        UnwantedError: the picture is too small, or one flat colour.
        InputError: it is not a JPEG, PNG or WebP, is damaged, or has too many pixels.
    """
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
        try:
            image, changed = _upright_square(data)
        except ValueError:
            image, changed = _upright_square(without_png_text(data))
    except UnidentifiedImageError as error:
        raise InputError("the image is not a JPEG, PNG or WebP, or is damaged") from error
    except _UNREADABLE as error:
        raise InputError(f"the image cannot be used: {error}") from error
    pixels = np.asarray(image)
    if max(ImageStat.Stat(image).stddev) < BLANK_SPREAD:
        raise UnwantedError("the image is blank: one flat colour")
    if not changed:
        return CleanImage(data, pixels)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return CleanImage(out.getvalue(), pixels)


def _upright_square(data: bytes) -> tuple[Image.Image, bool]:
    """Decode, turn, crop, convert and scale down; return whether this changed the image, or it is not a JPEG."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged EXIF does not damage pixels
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            return _convert(opened)


def _convert(opened: Image.Image) -> tuple[Image.Image, bool]:
    if opened.width * opened.height > MOST_DECODED_PIXELS:
        raise InputError(f"the image has {opened.width} × {opened.height} pixels, more than are decoded")
    side = min(opened.size)
    if side < LEAST_PIXELS:
        raise UnwantedError(f"the image is too small: {opened.width} × {opened.height} pixels")
    if opened.format == "JPEG":
        opened.draft(None, (MOST_PIXELS, MOST_PIXELS))  # lets the decoder scale by powers of two
    before = (opened.format, opened.mode, opened.size)
    upright = ImageOps.exif_transpose(opened)
    turned = opened.getexif().get(0x0112, 1) != 1
    side = min(upright.size)
    left, top = (upright.width - side) // 2, (upright.height - side) // 2  # integers, so that nothing is blurred
    image, converted = _to_srgb(upright.crop((left, top, left + side, top + side)), opened.info.get("icc_profile"))
    if image.width > MOST_PIXELS:
        image = image.resize((MOST_PIXELS, MOST_PIXELS), Image.Resampling.LANCZOS)
    return image, turned or converted or before != ("JPEG", "RGB", image.size)


def _to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, bool]:
    """Convert any mode to RGB, with the colour profile if it is valid and not sRGB."""
    if image.mode.startswith("I;16"):
        grey = np.asarray(image)
        pixels = (grey >> 8).astype(np.uint8)
        pixels[grey == image.info.get("transparency", -1)] = 255
        image = Image.fromarray(pixels)
    elif image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    elif image.mode not in {"RGB", "L", "CMYK"}:
        image = image.convert("RGB")
    converted = _by_profile(image, profile) if profile else None
    return converted or image.convert("RGB"), converted is not None


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Convert to sRGB; ``None`` if the profile is sRGB itself, is damaged, or is for another mode."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return None
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
