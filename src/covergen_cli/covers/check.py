"""Does a picture meet a store's rules? Any picture, whoever made it; nothing is changed."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image, ImageCms

from covergen_cli.errors import InputError
from covergen_cli.provenance import DIGITAL_SOURCE_TYPE, read_provenance

if TYPE_CHECKING:
    from covergen_cli.covers.stores import Store

_FORMATS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif"}
_SUFFIXES = {".jpeg": "jpg", ".jpe": "jpg"}
_ORIENTATION = 0x0112
_MIN_DETAIL = 0.7
"""Root mean square, in grey levels of 255, of the finest detail of a sharp picture. Rounding alone gives 0.5."""
_MIN_SHARE = 0.4
"""What it has at least of the half's finest detail. A sharp photograph had 0.65; enlarged to twice its size, 0.29."""
_TILES = 8
_MOST_BYTES = 200_000_000
"""Heavier files are not read: no store takes a tenth of it."""


@dataclass(frozen=True)
class Finding:
    """One rule and how the picture stands to it.

    Args:
        rule: ``square``, ``size``, ``format``, ``colour``, ``alpha``, ``rotation``, ``weight``, ``sharpness`` or
            ``declaration``.
        level: ``ok``; ``advice`` for what a store may dislike; ``refused`` for what it does not take.
        text: a short clause for people.
    """

    rule: str
    level: Literal["ok", "advice", "refused"]
    text: str


@dataclass(frozen=True)
class Checked:
    """A picture held against one store.

    Args:
        picture: what was looked at.
        store: the store's name.
        findings: one per rule.
    """

    picture: Picture
    store: str
    findings: tuple[Finding, ...]

    @property
    def passes(self) -> bool:
        """Whether nothing is refused."""
        return all(finding.level != "refused" for finding in self.findings)


@dataclass(frozen=True)
class Picture:
    """What can be measured of a picture file.

    Args:
        path: the file.
        width: in pixels, as stored, before any EXIF rotation.
        height: likewise.
        format: ``jpg``, ``png``, ``webp`` or ``gif``, by content.
        mode: Pillow's name of the colour mode, e.g. ``RGB`` or ``CMYK``.
        alpha: whether there is transparency.
        orientation: EXIF orientation; 1 for upright.
        profile: name of the embedded colour profile; ``None`` without one.
        bytes: weight of the file.
        detail: see :func:`detail_size`.
        drawn: pixels per side that the model drew, for covers that say so.
        declared: whether the file says, in IPTC's term, that a trained model made it.
    """

    path: Path
    width: int
    height: int
    format: str
    mode: str
    alpha: bool
    orientation: int
    profile: str | None
    bytes: int
    detail: int
    drawn: int | None
    declared: bool


def open_picture(path: Path) -> Picture:
    """Measure a picture file.

    Raises:
        InputError: it is missing, damaged, too large to open safely, or neither JPEG, PNG, WebP nor GIF.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path} is heavier than {_MOST_BYTES // 1_000_000} MB; no store takes that")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}", hint="Check the name.") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=tuple(_FORMATS)) as image:
                image.load()
                return _measured(path, data, image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{path} has more pixels than can be opened safely") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(
            f"{path} is no picture, or is damaged", hint="JPEG, PNG, WebP and GIF can be checked."
        ) from error


def _measured(path: Path, data: bytes, image: Image.Image) -> Picture:
    made = read_provenance(io.BytesIO(data)) or {}
    drawn = made.get("native_size")
    return Picture(
        path=path,
        width=image.width,
        height=image.height,
        format=_FORMATS.get(image.format or "", "jpg"),  # MPO, from phones, is JPEG with more behind it
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
    """Estimate the fewest pixels per side that would hold the picture.

    What shrinking the picture to seven tenths loses is its finest detail. If that holds, in the tile at the upper
    quartile, next to nothing, or little of what the finest detail of the half holds, the picture was enlarged or is as
    smooth as if it had been, and the half is looked at. Mist looks enlarged too, which is why this is advice and no
    rule.

    Returns:
        pixels of the shorter side, or a half, quarter … of them; never below 32.
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
    """Return the root mean square of what shrinking to seven tenths loses, in the tile at the upper quartile."""
    less = (max(1, round(grey.width * 0.7)), max(1, round(grey.height * 0.7)))
    back = grey.resize(less, Image.Resampling.LANCZOS).resize(grey.size, Image.Resampling.LANCZOS)
    lost = np.asarray(grey, np.float32) - np.asarray(back, np.float32)
    tiles = [tile for row in np.array_split(lost, _TILES, axis=0) for tile in np.array_split(row, _TILES, axis=1)]
    energies = [float(np.mean(tile**2)) for tile in tiles if tile.size]
    return float(np.sqrt(np.quantile(energies, 0.75)))


def check(picture: Picture, store: Store) -> Checked:
    """Hold a picture against the rules of a store."""
    return Checked(picture, store.name, tuple(_findings(picture, store)))


def _findings(picture: Picture, store: Store) -> Iterator[Finding]:
    square = picture.width == picture.height
    shape = f"{picture.width} × {picture.height} pixels"
    yield Finding("square", "ok" if square else "refused", "square" if square else f"{shape}, not square")
    yield _size(picture, store)
    yield _format(picture, store)
    yield _colour(picture)
    yield Finding(
        "alpha",
        "refused" if picture.alpha else "ok",
        "has transparency; save it without" if picture.alpha else "no transparency",
    )
    upright = picture.orientation == 1
    turned = f"turned by EXIF (orientation {picture.orientation}); turn the pixels instead"
    yield Finding("rotation", "ok" if upright else "refused", "upright" if upright else turned)
    yield _weight(picture, store)
    yield _sharpness(picture, store)
    yield _declaration(picture, store)


def _size(picture: Picture, store: Store) -> Finding:
    side = min(picture.width, picture.height)
    if side < store.min_size:
        return Finding("size", "refused", f"{side} pixels; at least {store.min_size} are needed")
    if store.max_size is not None and max(picture.width, picture.height) > store.max_size:
        return Finding("size", "refused", f"{side} pixels; at most {store.max_size} are taken")
    if side < store.size:
        return Finding("size", "advice", f"{side} pixels are enough; {store.size} are better")
    return Finding("size", "ok", f"{side} pixels")


def _format(picture: Picture, store: Store) -> Finding:
    if picture.format not in store.formats:
        return Finding("format", "refused", f"{picture.format}; {' or '.join(store.formats)} is taken")
    suffix = picture.path.suffix.lower()
    if suffix and _SUFFIXES.get(suffix, suffix[1:]) != picture.format:
        return Finding("format", "advice", f"{picture.format}, but the name ends in {suffix}")
    return Finding("format", "ok", picture.format)


def _colour(picture: Picture) -> Finding:
    if picture.mode not in {"RGB", "RGBA"}:
        names = {"CMYK": "CMYK", "L": "grey", "LA": "grey", "1": "black and white", "P": "a palette"}
        return Finding(
            "colour", "refused", f"{names.get(picture.mode, picture.mode)}; save it as RGB, 8 bits a channel"
        )
    if picture.profile is not None and "srgb" not in picture.profile.lower():
        return Finding("colour", "advice", f"colour profile {picture.profile}; convert it to sRGB")
    return Finding("colour", "ok", "RGB")


def _weight(picture: Picture, store: Store) -> Finding:
    weight = f"{picture.bytes / 1e6:.2f} MB"
    if store.max_bytes is not None and picture.bytes > store.max_bytes:
        return Finding("weight", "refused", f"{weight}; at most {store.max_bytes / 1e6:g} MB are taken")
    return Finding("weight", "ok", weight)


def _sharpness(picture: Picture, store: Store) -> Finding:
    side = min(picture.width, picture.height)
    if picture.drawn is not None and picture.drawn < side:
        text = f"drawn at {picture.drawn} pixels and enlarged; some stores refuse pictures that look enlarged"
        return Finding("sharpness", "advice", text)
    if picture.detail < min(side, store.size):
        return Finding("sharpness", "advice", f"looks enlarged or blurry: {picture.detail} pixels would hold it")
    return Finding("sharpness", "ok", "sharp at its size")


def _declaration(picture: Picture, store: Store) -> Finding:
    if picture.declared:
        declared = "declares that a model made it"
        return Finding("declaration", "advice" if store.declare else "ok", f"{declared}. {store.declare}".rstrip(". "))
    return Finding("declaration", "advice", "does not say whether a model made it; if one did, it should")
