"""The drawn pictures of earlier covers, kept on this machine: another text, look, size or store needs no new drawing.

Each is a lossless PNG of the size that the model draws, with what a cover records of its song, and is found by the
hash of all that decides its pixels. A picture that is missing, damaged or cannot be written only costs time.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
from PIL import Image, PngImagePlugin

from covergen_cli.covers.heard import Heard
from covergen_cli.covers.prompts import NO_PROMPTS, Prompts
from covergen_cli.errors import CovergenError
from covergen_cli.files import atomic_path, sha256_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 500_000_000
"""The pictures that were not used for longest are removed above this sum of file sizes."""

_FINISHING = frozenset(
    {"fingerprint", "format", "size", "raw", "grain", "tone", "look", "palette", "lettering", "store"}
)
"""Keys of provenance that do not change the picture as the model draws it."""
_TEXT = "covergen picture"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RawPicture:
    """A picture as a model drew it, before look, text and size."""

    image: Image.Image  # RGB, of the size that was drawn
    seed: int  # that drew it, and draws paper, grain and all else that is chance
    segments: Mapping[str, tuple[float, float]]  # in seconds, by the hash of a song's audio
    heard: Heard | None = None  # analysis of the music; ``None`` if neither a look nor a prompt was made from it
    prompts: Prompts = NO_PROMPTS  # the words that it was drawn by


def cache_folder() -> Path:
    """Return the folder of the pictures, in the user's cache; it may not exist."""
    return Path(platformdirs.user_cache_dir("covergen", appauthor=False)) / "pictures"


def picture_key(provenance: Mapping[str, Any], *others: object) -> str:
    """Return the name of a picture in the cache.

    Args:
        provenance: from :func:`covergen_cli.covers.cover_provenance.cover_provenance`.
        others: what decides the pixels on this machine besides, such as the device.
    """
    drawn = {name: value for name, value in provenance.items() if name not in _FINISHING}
    return sha256_bytes(json.dumps([drawn, [repr(other) for other in others]], sort_keys=True).encode())


def load_picture(key: str) -> RawPicture | None:
    """Return a picture from the cache, and mark it as used; ``None`` if it is missing or damaged."""
    path = cache_folder() / f"{key}.png"
    try:
        with Image.open(path, formats=("PNG",)) as image:
            image.load()
            facts = json.loads(image.info[_TEXT])
            picture = image.convert("RGB")
        if facts.pop("sha256") != sha256_bytes(picture.tobytes()):
            raise ValueError("its pixels have changed")  # noqa: TRY301
        os.utime(path)
        segments = {sha256: (start, end) for sha256, (start, end) in facts["segments"].items()}
        heard = facts["heard"] and Heard(**{name: _frozen(value) for name, value in facts["heard"].items()})
        return RawPicture(picture, facts["seed"], segments, heard, Prompts(**facts["prompts"]))
    except FileNotFoundError:
        return None
    except Exception as error:  # noqa: BLE001 — a damaged file makes Pillow raise all kinds of errors
        _log.debug("the picture %s is not used: %s", path, error)
        return None


def _frozen(value: Any) -> Any:
    """Return a value from JSON with tuples instead of lists."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def save_picture(key: str, picture: RawPicture) -> None:
    """Keep a picture in the cache, and remove those that were not used for longest; errors are only logged."""
    facts = {
        "sha256": sha256_bytes(picture.image.tobytes()),
        "seed": picture.seed,
        "segments": picture.segments,
        "heard": None if picture.heard is None else asdict(picture.heard),
        "prompts": asdict(picture.prompts),
    }
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt(_TEXT, json.dumps(facts))
    try:
        with atomic_path(cache_folder() / f"{key}.png", flush=False) as temporary:
            picture.image.save(temporary, format="PNG", pnginfo=chunks)
        _remove_oldest()
    except (CovergenError, OSError) as error:
        _log.debug("the picture of a cover is not kept: %s", error)


def _remove_oldest() -> None:
    """Remove pictures until the rest fits into the cache; another process may remove the same ones."""
    states = []
    for path in cache_folder().iterdir():
        with contextlib.suppress(FileNotFoundError):
            state = path.stat()
            states.append((state.st_mtime, state.st_size, path))
    total = sum(size for _, size, _ in states)
    for _, size, path in sorted(states):
        if total <= MAX_BYTES:
            break
        path.unlink(missing_ok=True)
        total -= size
