"""Covers from anywhere → clean square JPEGs."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

from covergen_cli.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MOST_PIXELS", "clean_image"]

MOST_PIXELS = 1024
"""Greatest side of a cleaned image."""

_JPEG_QUALITY = 92


def clean_image(source: Path | bytes) -> bytes:
    """Make an RGB JPEG of a JPEG, PNG or WebP: upright, its square centre, at most 1024 pixels per side.

    Args:
        source: a file, or its bytes.

    Returns:
        the bytes of the JPEG; the same for the same input.

    Raises:
        UnwantedError: the picture is sound but no good (too small, blank).
        InputError: it is no JPEG, PNG or WebP, is damaged, or is a decompression bomb.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=("JPEG", "PNG", "WEBP")) as opened:
                image = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"the image cannot be used: {error}") from error
    side = min(image.size)
    image = ImageOps.fit(image, (min(side, MOST_PIXELS),) * 2, Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return out.getvalue()
