"""Covers from anywhere → clean square JPEGs.

A cover is decoded to its end, turned upright, brought to sRGB, cut to its square centre and made smaller where it is
too large. A JPEG that needs none of this stays as it is, byte for byte; it would only lose by being written again.
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

if TYPE_CHECKING:
    import numpy.typing as npt

FORMATS = ("JPEG", "PNG", "WEBP")
"""Formats that are read; Pillow knows many more, and each is a door."""

LEAST_PIXELS = 128
"""Least side of the square that is cut from an image; what is smaller has nothing to teach."""

MOST_PIXELS = 1024
"""Greatest side of a cleaned image."""

MOST_DECODED_PIXELS = 64_000_000
"""Pixels that an image may have before it is cut and made smaller: 8000 × 8000, of which stores take a seventh."""

BLANK_SPREAD = 3.0
"""Least standard deviation of the strongest channel, of 255; below it, an image is one flat colour."""

_JPEG_QUALITY = 92
_UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,  # Pillow's word for a broken PNG
    OverflowError,
    EOFError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


@dataclass(frozen=True)
class CleanImage:
    """A cleaned cover.

    Args:
        jpeg: the file: RGB, square, upright, at most 1024 pixels per side.
        pixels: what it shows, sRGB bytes ``(S, S, 3)``, before it was written as JPEG.
    """

    jpeg: bytes
    pixels: npt.NDArray[np.uint8]


def clean_image(source: Path | bytes) -> CleanImage:
    """Make an RGB JPEG of a JPEG, PNG or WebP: upright, sRGB, its square centre, at most 1024 pixels per side.

    What is transparent becomes white. Of an animation, the first picture is taken.

    Args:
        source: a file, or its bytes.

    Returns:
        The cover; with one version of Pillow the same input gives the same bytes.

    Raises:
        UnwantedError: the picture is sound but no good: too small, or one flat colour.
        InputError: it is no JPEG, PNG or WebP, is damaged, or unpacks to too many pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged EXIF, which costs no pixels
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as opened:
                image, changed = _upright_square(opened)
    except UnidentifiedImageError as error:
        raise InputError("the image is no JPEG, PNG or WebP, or is damaged") from error
    except _UNREADABLE as error:
        raise InputError(f"the image cannot be used: {error}") from error
    pixels = np.asarray(image)
    if max(ImageStat.Stat(image).stddev) < BLANK_SPREAD:
        raise UnwantedError("the image is blank: one flat colour")
    if not changed:
        return CleanImage(source if isinstance(source, bytes) else source.read_bytes(), pixels)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return CleanImage(out.getvalue(), pixels)


def _upright_square(opened: Image.Image) -> tuple[Image.Image, bool]:
    """Decode, turn, crop, convert and shrink; say whether anything of this was needed, or the format is not JPEG."""
    if opened.width * opened.height > MOST_DECODED_PIXELS:
        raise InputError(f"the image has {opened.width} × {opened.height} pixels, more than are unpacked")
    side = min(opened.size)
    if side < LEAST_PIXELS:
        raise UnwantedError(f"the image is too small: {opened.width} × {opened.height} pixels")
    if opened.format == "JPEG":
        opened.draft(None, (MOST_PIXELS, MOST_PIXELS))  # lets the decoder halve what would be halved anyway
    before = (opened.format, opened.mode, opened.size)
    upright = ImageOps.exif_transpose(opened)
    turned = opened.getexif().get(0x0112, 1) != 1
    image = _centre(upright)
    image, converted = _to_srgb(image, opened.info.get("icc_profile"))
    if image.width > MOST_PIXELS:
        image = image.resize((MOST_PIXELS, MOST_PIXELS), Image.Resampling.LANCZOS)
    return image, turned or converted or before != ("JPEG", "RGB", image.size)


def _centre(image: Image.Image) -> Image.Image:
    """Cut out the square centre, at whole pixels, so that nothing is blurred."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, bool]:
    """Convert any mode to RGB, by the colour profile where a usable one says more than sRGB."""
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    elif image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode not in {"RGB", "L", "CMYK"}:
        image = image.convert("RGB")
    converted = _by_profile(image, profile) if profile else None
    return converted or image.convert("RGB"), converted is not None


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    """Convert to sRGB; ``None`` where the profile is sRGB itself, is damaged, or is for another kind of image."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return None
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
