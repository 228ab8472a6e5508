"""Pictures that the user brings (``--picture``): no model draws the cover, which is finished as any other."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageOps

from covergen_cli.errors import ConfigError, InputError
from covergen_cli.files import sha256_file
from covergen_cli.provenance import without_png_text

if TYPE_CHECKING:
    from covergen_cli.config import GenerateConfig

PICTURE = "picture"
"""In place of a base's name: the picture was brought by the user."""

_MAX_BYTES = 200_000_000
_OF_MODELS = ("adapter", "base", "prompt", "refine", "no_audio", "shuffle")


def picture_provenance(config: GenerateConfig) -> dict[str, Any]:
    """Return name and hash of the user's picture, as covers record them.

    Raises:
        InputError: it cannot be read.
        ConfigError: a setting needs a model.
    """
    for name in _OF_MODELS:
        if getattr(config, name):
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{flag} chooses how a picture is drawn; --picture brings one", hint=f"Leave out {flag}.")
    path = Path(config.picture or "").expanduser()
    try:
        return {"name": path.name, "sha256": sha256_file(path)}
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}", hint="Check the name.") from error


def open_own_picture(path: Path) -> Image.Image:
    """Return the upright centre square of an image file as RGB; transparent parts are white.

    Raises:
        InputError: it is missing, damaged, too large to open safely, or not JPEG, PNG or WebP.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path} is larger than {_MAX_BYTES // 1_000_000} MB", hint="Use a smaller picture.")
        data = without_png_text(path.read_bytes())
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as image:
                upright = ImageOps.exif_transpose(image)
                if upright.has_transparency_data:
                    layer = upright.convert("RGBA")
                    upright = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
                side = min(upright.size)
                return ImageOps.fit(upright.convert("RGB"), (side, side), Image.Resampling.LANCZOS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{path} has more pixels than can be opened safely", hint="Use a smaller picture.") from error
    except (OSError, ValueError, SyntaxError) as error:
        reason = getattr(error, "strerror", None) or "it is not an image, or is damaged"
        raise InputError(f"{path} cannot be opened: {reason}", hint="Use a JPEG, PNG or WebP file.") from error
