"""Check the music and clean the image of one pair, and save both."""

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
from covergen_cli.dataset.images.text_area import text_area
from covergen_cli.dataset.sources.base import DIGEST_LENGTH, DISK_FULL, FREE_SPACE, UnwantedError, unexpected
from covergen_cli.errors import CovergenError, InputError, OutputError
from covergen_cli.files import sha256_bytes, sha256_file, write_bytes

if TYPE_CHECKING:
    from covergen_cli.audio.validate import ValidationResult
    from covergen_cli.dataset.images.clean import CleanImage
    from covergen_cli.dataset.sources.base import Item, Obtained, Source

LEAST_SECONDS = 5.0
"""Length of music below which a row is filtered."""

_MOST_SECONDS = 3600.0
_SUFFIX_OF_CODEC = {"mp3": ".mp3", "aac": ".m4a", "alac": ".m4a", "flac": ".flac", "opus": ".opus", "vorbis": ".ogg"}


@dataclass(frozen=True)
class Folders:
    """The dataset folder, and the folder of raw files, whose names begin with the id of their item and a dot."""

    data: Path
    workspace: Path

    def clear(self, item: Item) -> None:
        """Remove the raw files of an item."""
        with suppress(OSError), os.scandir(self.workspace) as entries:
            for entry in entries:
                if entry.name.startswith(f"{item.id}."):
                    Path(entry.path).unlink()


def process(source: Source, item: Item, folders: Folders, measure_text: bool) -> Outcome:
    """Obtain the files of an item, check and clean them, and save them in the dataset folder.

    Raises:
        OutputError: the dataset folder cannot be written to.
    """
    stage = "source"
    try:
        obtained = source.obtain(item, folders.workspace)
        stage = "image"
        image = clean_image(obtained.image)
        stage = "music"
        music = _check_music(obtained.audio, item)
        return _save(obtained, item, folders, image, music, measure_text)
    except OutputError:
        raise
    except UnwantedError as error:
        return Outcome("filtered", error.message, error.cause or f"unwanted {stage}")
    except CovergenError as error:
        return Outcome("failed", error.message, f"unusable {stage}")
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise OutputError(f"cannot write {folders.data}: {error.strerror}", hint=FREE_SPACE) from error
        return Outcome("failed", unexpected(error), f"unexpected {stage}", passing=True)
    finally:
        folders.clear(item)


def _save(
    obtained: Obtained, item: Item, folders: Folders, image: CleanImage, music: ValidationResult, measure_text: bool
) -> Outcome:
    looks = fingerprint(image.pixels)
    image_path = f"images/{item.id}.jpg"
    audio, audio_path = obtained.audio, str(obtained.audio)
    size, music_hash = audio.stat().st_size, sha256_file(audio)[:DIGEST_LENGTH]
    write_bytes(folders.data / image_path, image.jpeg, flush=False)
    # The music is moved last, so that after any error the raw files are still there.
    if audio.is_relative_to(folders.workspace):
        audio_path = f"audio/{item.id}{_suffix(item.audio, audio, music.codec)}"
        try:
            audio.replace(folders.data / audio_path)
        except OSError as error:
            raise OutputError(f"cannot write {folders.data / audio_path}: {error.strerror or error}") from error
    return Outcome(
        "ok",
        audio_path=audio_path,
        image_path=image_path,
        audio_bytes=size,
        image_bytes=len(image.jpeg),
        seconds=round(music.seconds, 3),
        music=music_hash,
        cover=sha256_bytes(image.jpeg)[:DIGEST_LENGTH],
        looks=looks,
        lettering=text_area(image.pixels) if measure_text else None,
        learnt=json.dumps(dict(obtained.metadata), ensure_ascii=False),
    )


def _check_music(path: Path, item: Item) -> ValidationResult:
    """Decode music, at most an hour of it.

    Raises:
        InputError: it cannot be decoded to its end.
        UnwantedError: it is too short, or silent.
    """
    name = f"the music of {item.id}"
    try:
        music = validate(path, _MOST_SECONDS)
    except InputError as error:
        raise InputError(error.message.replace(str(path), name)) from error
    if music.warnings:
        raise InputError(music.warnings[0].replace(str(path), name))
    if music.seconds < LEAST_SECONDS:
        raise UnwantedError(f"{name} has only {music.seconds:.1f} s")
    if music.silent:
        raise UnwantedError(f"{name} is silent")
    return music


def _suffix(locator: str, path: Path, codec: str) -> str:
    """Return the suffix of the file or URL if it is one of music, else that of the codec."""
    for name in (path.name, locator.partition("?")[0].partition("#")[0]):
        suffix = "." + name.rpartition(".")[2].lower()
        if suffix in AUDIO_SUFFIXES:
            return suffix
    return _SUFFIX_OF_CODEC.get(codec, ".wav" if codec.startswith("pcm_") else ".audio")
