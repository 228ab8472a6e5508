"""One pair: raw files → checked music and a clean image in their places; private to this package."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from covergen_cli.artifacts import sha256_bytes, sha256_file, write_bytes
from covergen_cli.audio.io import AUDIO_SUFFIXES, is_silent, probe, stream
from covergen_cli.data._ledger import Outcome
from covergen_cli.data.dedupe import fingerprint
from covergen_cli.data.images import clean_image
from covergen_cli.data.sources import UnwantedError
from covergen_cli.errors import CovergenError, InputError, OutputError

if TYPE_CHECKING:
    from pathlib import Path

    from covergen_cli.data.sources import Item, Obtained, Source

__all__ = ["LEAST_SECONDS", "Places", "keep"]

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
        workspace: the folder in which items have their own folders for raw files.
    """

    data: Path
    workspace: Path


def keep(source: Source, item: Item, places: Places) -> Outcome:
    """Obtain the files of an item, check and clean them, and put them into their places.

    Returns:
        what became of it.

    Raises:
        OutputError: the dataset folder cannot be written to.
    """
    folder = places.workspace / item.id
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
    try:
        obtained = source.obtain(item, folder)
        return _kept(obtained, item, places)
    except OutputError:
        raise
    except UnwantedError as error:
        return Outcome("filtered", error.message, "unwanted")
    except CovergenError as error:
        return Outcome("failed", error.message, "unusable file")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _kept(obtained: Obtained, item: Item, places: Places) -> Outcome:
    image = clean_image(obtained.image)
    prints = fingerprint(image.pixels)
    codec, seconds = _heard(obtained.audio, item)
    image_path = f"images/{item.id}.jpg"
    audio, audio_path = obtained.audio, str(obtained.audio)
    size, music = audio.stat().st_size, sha256_file(audio)[:_HASH_LENGTH]
    write_bytes(places.data / image_path, image.jpeg, flush=False)
    # The music last: whatever happens before, the raw files are there to begin again with.
    if audio.is_relative_to(places.workspace):
        audio_path = f"audio/{item.id}{_suffix(item.audio, audio, codec)}"
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
        seconds=round(seconds, 3),
        music=music,
        cover=sha256_bytes(image.jpeg)[:_HASH_LENGTH],
        looks=prints,
        learnt=json.dumps(dict(obtained.metadata), ensure_ascii=False),
    )


def _heard(path: Path, item: Item) -> tuple[str, float]:
    """Decode music, at most an hour of it, and return its codec and length in seconds.

    Raises:
        InputError: it cannot be decoded to its end.
        UnwantedError: it is too short, or silent.
    """
    try:
        info = probe(path)
        blocks = stream(path, info.sample_rate_hz)
        silent = True
        for block in blocks:
            silent = silent and is_silent(block)
            if blocks.samples > _MOST_SECONDS * info.sample_rate_hz:
                break
    except InputError as error:
        raise InputError(error.message.replace(str(path), f"the music of {item.id}")) from error
    seconds = blocks.samples / info.sample_rate_hz
    blocks.close()
    if blocks.warnings:
        raise InputError(blocks.warnings[0].replace(str(path), f"the music of {item.id}"))
    if seconds < LEAST_SECONDS:
        raise UnwantedError(f"the music has only {seconds:.1f} s")
    if silent:
        raise UnwantedError("the music is silent")
    return info.codec, seconds


def _suffix(locator: str, path: Path, codec: str) -> str:
    """Ending of the music's name: that of its file or URL if it is one of music, else the codec's."""
    for name in (path.name, locator.partition("?")[0].partition("#")[0]):
        suffix = "." + name.rpartition(".")[2].lower()
        if suffix in AUDIO_SUFFIXES:
            return suffix
    return _SUFFIX_OF_CODEC.get(codec, ".wav" if codec.startswith("pcm_") else ".audio")
