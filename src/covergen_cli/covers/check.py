"""Check any image against the rules of a store; nothing is changed."""

from __future__ import annotations

import io
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image, ImageCms

from covergen_cli.errors import InputError
from covergen_cli.provenance import DIGITAL_SOURCE_TYPE, read_provenance, without_png_text

if TYPE_CHECKING:
    from covergen_cli.covers.stores import Store

_FORMATS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif"}
_SUFFIXES = {".jpeg": "jpg", ".jpe": "jpg"}
_MODES = {"CMYK": "CMYK", "L": "grey", "LA": "grey", "1": "black and white", "P": "a palette"}
_ORIENTATION = 0x0112
_MIN_DETAIL = 0.7
"""Root mean square, in grey levels of 255, of the finest detail of a sharp image. Rounding alone gives 0.5."""
_MIN_SHARE = 0.4
"""Its minimum relative to the finest detail at half the size. A sharp photograph had 0.65; enlarged twice, 0.29."""
_TILES = 8
_MAX_BYTES = 200_000_000
"""Larger files are not read: no store accepts a tenth of it."""

Level = Literal["ok", "advice", "refused"]
"""``advice`` for what a store may dislike, ``refused`` for what it does not accept."""


@dataclass(frozen=True)
class Finding:
    """The result of one rule, a key of :data:`_RULES`, with a short clause for people."""

    rule: str
    level: Level
    text: str


@dataclass(frozen=True)
class CheckResult:
    """The findings on an image for one store, one per rule."""

    picture: Picture
    store: str
    findings: tuple[Finding, ...]

    @property
    def passes(self) -> bool:
        """Whether nothing is refused."""
        return all(finding.level != "refused" for finding in self.findings)

    @property
    def path(self) -> Path:
        """The file."""
        return self.picture.path

    @property
    def place(self) -> str:
        """The store."""
        return self.store

    def properties(self) -> dict[str, object]:
        """Return what was measured; JSON-able."""
        picture = self.picture
        size = [picture.width, picture.height]
        measured = {name: getattr(picture, name) for name in ("format", "mode", "bytes", "detail")}
        return {"image": str(picture.path), "store": self.store, "size": size, **measured}


@dataclass(frozen=True)
class Picture:
    """The measured properties of an image file."""

    path: Path
    width: int  # in pixels, as stored, before any EXIF rotation; the height likewise
    height: int
    format: str  # ``jpg``, ``png``, ``webp`` or ``gif``, by content
    mode: str  # Pillow's name of the colour mode, e.g. ``RGB`` or ``CMYK``
    alpha: bool
    orientation: int  # EXIF orientation; 1 for upright
    profile: str | None  # name of the embedded colour profile; ``None`` without one
    bytes: int
    detail: int  # see :func:`detail_size`
    drawn: int | None  # pixels per side before enlarging, for covers of CoverGen
    declared: bool  # whether the file declares, in IPTC's term, that a trained model made it


def open_picture(path: str | os.PathLike[str]) -> Picture:
    """Measure an image file.

    Raises:
        InputError: it is missing, damaged, too large to open safely, or not JPEG, PNG, WebP or GIF.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path} is heavier than {_MAX_BYTES // 1_000_000} MB; no store accepts that")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}", hint="Check the name.") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(without_png_text(data)), formats=tuple(_FORMATS)) as image:
                image.load()
                return _measured(path, data, image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{path} has more pixels than can be opened safely") from error
    except (OSError, ValueError, SyntaxError) as error:
        if path.suffix.lower() == ".svg":
            hint = "Write the cover as JPEG too: covergen generate --from COVER.svg --format jpg SONG"
            raise InputError(f"{path} is a vector file, which no store accepts", hint=hint) from error
        hint = "JPEG, PNG, WebP and GIF can be checked."
        raise InputError(f"{path} is not an image or is damaged", hint=hint) from error


def _measured(path: Path, data: bytes, image: Image.Image) -> Picture:
    drawn = (read_provenance(io.BytesIO(data)) or {}).get("native_size")
    return Picture(
        path=path,
        width=image.width,
        height=image.height,
        format=_FORMATS.get(image.format or "", "jpg"),  # MPO, the format of phones, is JPEG with additional images
        mode=image.mode,
        alpha=image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info,
        orientation=int(image.getexif().get(_ORIENTATION, 1) or 1),
        profile=_profile(image.info.get("icc_profile")),
        bytes=len(data),
        detail=detail_size(image),
        drawn=drawn if isinstance(drawn, int) else None,
        declared=DIGITAL_SOURCE_TYPE.rsplit("/", 1)[1].encode() in data,
    )


def _profile(data: object) -> str | None:
    if not isinstance(data, bytes):
        return None
    try:
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(data))).strip() or "unnamed"
    except (ImageCms.PyCMSError, OSError):
        return "unreadable"


def detail_size(image: Image.Image) -> int:
    """Estimate the smallest size, in pixels of the shorter side, that would hold the detail of an image.

    The finest detail is what shrinking to seven tenths removes. If that is close to nothing, or small compared with the
    finest detail at half the size, the image was enlarged or is as smooth as if it had been, and the half is examined.
    Fog looks enlarged too, so this can only be advice.

    Returns:
        The shorter side, or a half, quarter … of it; never below 32.
    """
    grey = image.convert("L")
    side = min(grey.size)
    finest = _finest(grey)
    while side >= 64:
        grey = grey.resize((max(1, grey.width // 2), max(1, grey.height // 2)), Image.Resampling.LANCZOS)
        coarser = _finest(grey)
        if finest >= max(_MIN_DETAIL, _MIN_SHARE * coarser):
            break
        finest, side = coarser, side // 2
    return side


def _finest(grey: Image.Image) -> float:
    """Return the root mean square of what shrinking to seven tenths removes, in the tile at the upper quartile."""
    less = (max(1, round(grey.width * 0.7)), max(1, round(grey.height * 0.7)))
    back = grey.resize(less, Image.Resampling.LANCZOS).resize(grey.size, Image.Resampling.LANCZOS)
    lost = np.asarray(grey, np.float32) - np.asarray(back, np.float32)
    tiles = [tile for row in np.array_split(lost, _TILES, axis=0) for tile in np.array_split(row, _TILES, axis=1)]
    energies = [float(np.mean(tile**2)) for tile in tiles if tile.size]
    return float(np.sqrt(np.quantile(energies, 0.75)))


def check(picture: Picture, store: Store) -> CheckResult:
    """Return the findings on an image for a store."""
    return CheckResult(
        picture, store.name, tuple(Finding(rule, *find(picture, store)) for rule, find in _RULES.items())
    )


def _square(picture: Picture, _store: Store) -> tuple[Level, str]:
    if picture.width == picture.height:
        return "ok", "square"
    return "refused", f"{picture.width} × {picture.height} pixels, not square"


def _size(picture: Picture, store: Store) -> tuple[Level, str]:
    side = min(picture.width, picture.height)
    if side < store.min_size:
        return "refused", f"{side} pixels; the minimum is {store.min_size}"
    if store.max_size is not None and max(picture.width, picture.height) > store.max_size:
        return "refused", f"{side} pixels; the maximum is {store.max_size}"
    if side < store.size:
        return "advice", f"{side} pixels are accepted; {store.size} are better"
    return "ok", f"{side} pixels"


def _format(picture: Picture, store: Store) -> tuple[Level, str]:
    if picture.format not in store.formats:
        return "refused", f"{picture.format}; use {' or '.join(store.formats)}"
    suffix = picture.path.suffix.lower()
    if suffix and _SUFFIXES.get(suffix, suffix[1:]) != picture.format:
        return "advice", f"{picture.format}, but the name ends in {suffix}"
    return "ok", picture.format


def _colour(picture: Picture, _store: Store) -> tuple[Level, str]:
    if picture.mode not in {"RGB", "RGBA"}:
        return "refused", f"{_MODES.get(picture.mode, picture.mode)}; save it as RGB with 8 bits per channel"
    if picture.profile is not None and "srgb" not in picture.profile.lower():
        return "advice", f"colour profile {picture.profile}; convert it to sRGB"
    return "ok", "RGB"


def _alpha(picture: Picture, _store: Store) -> tuple[Level, str]:
    return ("refused", "has transparency; save it without") if picture.alpha else ("ok", "no transparency")


def _rotation(picture: Picture, _store: Store) -> tuple[Level, str]:
    if picture.orientation == 1:
        return "ok", "upright"
    return "refused", f"rotated by EXIF (orientation {picture.orientation}); rotate the pixels instead"


def _weight(picture: Picture, store: Store) -> tuple[Level, str]:
    weight = f"{picture.bytes / 1e6:.2f} MB"
    if store.max_bytes is not None and picture.bytes > store.max_bytes:
        return "refused", f"{weight}; the maximum is {store.max_bytes / 1e6:g} MB"
    return "ok", weight


def _sharpness(picture: Picture, store: Store) -> tuple[Level, str]:
    side = min(picture.width, picture.height)
    if picture.drawn is not None and picture.drawn < side:
        return "advice", f"drawn at {picture.drawn} pixels and enlarged; some stores refuse images that look enlarged"
    if picture.detail < min(side, store.size):
        return "advice", f"looks enlarged or blurry: {picture.detail} pixels would hold its detail"
    return "ok", "sharp at its size"


def _declaration(picture: Picture, store: Store) -> tuple[Level, str]:
    if not picture.declared:
        return "advice", "does not declare whether a model made it; if one did, it should"
    text = f"declares that a model made it. {store.declare}".rstrip(". ")
    return ("advice" if store.declare else "ok"), text


_RULES = {
    "square": _square,
    "size": _size,
    "format": _format,
    "colour": _colour,
    "alpha": _alpha,
    "rotation": _rotation,
    "weight": _weight,
    "sharpness": _sharpness,
    "declaration": _declaration,
}
