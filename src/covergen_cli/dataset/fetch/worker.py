"""One pair: raw files → checked music and a clean image in their places; private to this package."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from covergen_cli.audio.io import AUDIO_SUFFIXES
from covergen_cli.audio.validate import validate
from covergen_cli.dataset.fetch.database import Outcome
from covergen_cli.dataset.images.clean import clean_image
from covergen_cli.dataset.images.duplicates import fingerprint
from covergen_cli.dataset.images.text_area import lettering
from covergen_cli.dataset.sources.base import FREE_SPACE, NO_ROOM, UnwantedError, unexpected
from covergen_cli.errors import CovergenError, InputError, OutputError
from covergen_cli.files import sha256_bytes, sha256_file, write_bytes

if TYPE_CHECKING:
    from covergen_cli.audio.validate import ValidationResult
    from covergen_cli.dataset.images.clean import CleanImage
    from covergen_cli.dataset.sources.base import Item, Obtained, Source

LEAST_SECONDS = 5.0
"""Music shorter than this is filtered."""

_MOST_SECONDS = 3600.0
_HASH_LENGTH = 16
_SUFFIX_OF_CODEC = {"mp3": ".mp3", "aac": ".m4a", "alac": ".m4a", "flac": ".flac", "opus": ".opus", "vorbis": ".ogg"}


@dataclass(frozen=True)
class Places:
    """Where things lie.

    Args:
        data: the dataset folder.
        workspace: the folder for raw files; their names begin with the id of their item and a dot.
    """

    data: Path
    workspace: Path

    def clear(self, item: Item) -> None:
        """Remove the raw files of an item."""
        with suppress(OSError), os.scandir(self.workspace) as entries:
            for entry in entries:
                if entry.name.startswith(f"{item.id}."):
                    os.unlink(entry.path)  # noqa: PTH108 — there is no Path of it yet


def keep(source: Source, item: Item, places: Places, measure_lettering: bool) -> Outcome:
    """Obtain the files of an item, check and clean them, and put them into their places.

    Args:
        source: where it comes from.
        item: the item.
        places: where its files go.
        measure_lettering: also measure how much of the cover is lettering.

    Returns:
        what became of it.

    Raises:
        OutputError: the dataset folder cannot be written to.
    """
    stage = "source"
    try:
        obtained = source.obtain(item, places.workspace)
        stage = "image"
        image = clean_image(obtained.image)
        stage = "music"
        heard = _heard(obtained.audio, item)
        return _kept(obtained, item, places, image, heard, measure_lettering)
    except OutputError:
        raise
    except UnwantedError as error:
        return Outcome("filtered", error.message, error.cause or f"unwanted {stage}")
    except CovergenError as error:
        return Outcome("failed", error.message, f"unusable {stage}")
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise OutputError(f"cannot write {places.data}: {error.strerror}", hint=FREE_SPACE) from error
        return Outcome("failed", unexpected(error), f"unexpected {stage}", passing=True)
    finally:
        places.clear(item)


def _kept(
    obtained: Obtained, item: Item, places: Places, image: CleanImage, heard: ValidationResult, measure_lettering: bool
) -> Outcome:
    """Put image and music into their places."""
    prints = fingerprint(image.pixels)
    image_path = f"images/{item.id}.jpg"
    audio, audio_path = obtained.audio, str(obtained.audio)
    size, music = audio.stat().st_size, sha256_file(audio)[:_HASH_LENGTH]
    write_bytes(places.data / image_path, image.jpeg, flush=False)
    # The music last: whatever happens before, the raw files are there to begin again with.
    if audio.is_relative_to(places.workspace):
        audio_path = f"audio/{item.id}{_suffix(item.audio, audio, heard.codec)}"
        try:
            audio.replace(places.data / audio_path)
        except OSError as error:
            raise OutputError(f"cannot write {places.data / audio_path}: {error.strerror or error}") from error
    return Outcome(
        "ok",
        audio_path=audio_path,
        image_path=image_path,
        audio_bytes=size,
        image_bytes=len(image.jpeg),
        seconds=round(heard.seconds, 3),
        music=music,
        cover=sha256_bytes(image.jpeg)[:_HASH_LENGTH],
        looks=prints,
        lettering=lettering(image.pixels) if measure_lettering else None,
        learnt=json.dumps(dict(obtained.metadata), ensure_ascii=False),
    )


def _heard(path: Path, item: Item) -> ValidationResult:
    """Decode music, at most an hour of it.

    Raises:
        InputError: it cannot be decoded to its end.
        UnwantedError: it is too short, or silent.
    """
    called = f"the music of {item.id}"
    try:
        heard = validate(path, _MOST_SECONDS)
    except InputError as error:
        raise InputError(error.message.replace(str(path), called)) from error
    if heard.warnings:
        raise InputError(heard.warnings[0].replace(str(path), called))
    if heard.seconds < LEAST_SECONDS:
        raise UnwantedError(f"{called} has only {heard.seconds:.1f} s")
    if heard.silent:
        raise UnwantedError(f"{called} is silent")
    return heard


def _suffix(locator: str, path: Path, codec: str) -> str:
    """Ending of the music's name: that of its file or URL if it is one of music, else the codec's."""
    for name in (path.name, locator.partition("?")[0].partition("#")[0]):
        suffix = "." + name.rpartition(".")[2].lower()
        if suffix in AUDIO_SUFFIXES:
            return suffix
    return _SUFFIX_OF_CODEC.get(codec, ".wav" if codec.startswith("pcm_") else ".audio")
