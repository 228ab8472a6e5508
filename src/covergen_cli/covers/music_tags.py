"""Write covers into the tags of music files: mp3 (ID3), m4a (MP4), flac, ogg and opus.

A copy of the file is edited and replaces the original only if its audio packets are identical. The original is kept
beside it as a backup unless that is disabled.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from covergen_cli.audio.audio_hash import audio_sha256
from covergen_cli.covers.stores import load_stores
from covergen_cli.covers.tag_pictures import has_foreign_art, open_tags
from covergen_cli.errors import ConfigError, CovergenError, InputError, OutputError
from covergen_cli.events import ArtWritten, CoverFailed, CoverFinished, CoverSkipped
from covergen_cli.files import atomic_path
from covergen_cli.provenance import encode_jpeg, read_provenance

if TYPE_CHECKING:
    from covergen_cli.covers.plan import Job
    from covergen_cli.events import Event

BACKUP_SUFFIX = ".orig"
"""Suffix of backups; no suffix of music, so that searches for music do not find them."""


@dataclass(frozen=True)
class TagSettings:
    """Whether to replace art that covergen did not write, and to keep the original beside the new file."""

    replace: bool = False
    backup: bool = True


def art_jpeg(cover: Path) -> bytes:
    """Return a cover as the JPEG for tags: at most 1400 pixels and 2 MB, with its provenance.

    Raises:
        InputError: the cover cannot be read.
    """
    rules = load_stores()["file"]
    try:
        with Image.open(cover, formats=("PNG", "JPEG")) as image:
            picture = image.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{cover} cannot be read as an image") from error
    if max(picture.size) > rules.size:
        picture.thumbnail((rules.size, rules.size), Image.Resampling.LANCZOS)
    provenance = {key: value for key, value in (read_provenance(cover) or {}).items() if key != "generator"}
    return encode_jpeg(picture, provenance, rules.max_bytes)


def refusals(jobs: Sequence[Job], settings: TagSettings) -> tuple[list[Job], list[CoverFailed]]:
    """Separate the jobs whose songs can take a cover from those whose songs cannot, with a failure for each.

    Raises:
        ConfigError: there is more than one cover for a song, or mutagen is missing.
    """
    songs = [song for job in jobs for song in job.all_songs]
    if len(set(songs)) < len(songs):
        raise ConfigError("--write-tags puts one cover into a song, and there are several", hint="Leave out -n.")
    verdicts = [(job, _refusal(job, settings)) for job in jobs]
    return [job for job, refusal in verdicts if refusal is None], [refusal for _, refusal in verdicts if refusal]


def _refusal(job: Job, settings: TagSettings) -> CoverFailed | None:
    try:
        for song in job.all_songs:
            _check_song(song, settings)
    except (InputError, OutputError) as error:
        return CoverFailed(job.input, None, job.seed, error.message, error.hint, job.songs)
    return None


def _check_song(song: Path, settings: TagSettings) -> None:
    if not song.is_file():
        return  # reported when the song is decoded
    folder = Path(os.path.realpath(song)).parent
    if not os.access(folder, os.W_OK):
        raise OutputError(f"cannot write {song}: {folder} is read-only", hint="Leave out --write-tags.")
    tags = open_tags(song)
    if has_foreign_art(tags) and not settings.replace:
        raise OutputError(f"{song} holds art that covergen did not write", hint="--replace-art replaces it.")


def with_art(
    events: Generator[Event, None, None], settings: TagSettings, refused: Sequence[CoverFailed] = ()
) -> Generator[Event, None, None]:
    """Yield ``refused``, then pass events on and write every cover, new or existing, into its song.

    A cover whose song cannot be written becomes a ``CoverFailed`` that names the cover, which exists.
    """
    yield from refused
    with closing(events):
        for event in events:
            if not isinstance(event, (CoverFinished, CoverSkipped)):
                yield event
                continue
            try:
                jpeg = art_jpeg(event.output)
                written = [write_art(song, jpeg, settings) for song in event.songs or (event.input,)]
            except CovergenError as error:
                yield CoverFailed(event.input, event.output, event.seed, error.message, error.hint, event.songs)
                continue
            yield event
            yield from filter(None, written)


def write_art(song: Path, jpeg: bytes, settings: TagSettings) -> ArtWritten | None:
    """Write a JPEG into a song as its front cover; return ``None`` when the song already holds it.

    The file keeps its permissions; its modification time changes, so that players and backups notice. Links are
    followed. An existing backup is never replaced: it is the oldest original.

    Raises:
        InputError: the file is damaged or of a format that cannot hold art.
        OutputError: it holds foreign art and ``settings.replace`` is false, it cannot be written, or its audio would
            have changed.
        ConfigError: mutagen is missing.
    """
    target = Path(os.path.realpath(song))
    _check_song(target, settings)
    if open_tags(target).pictures() == [jpeg]:
        return None
    backup = (target if song.is_symlink() else song).with_name(target.name + BACKUP_SUFFIX)
    if not os.access(target, os.W_OK):
        raise OutputError(f"{song} is read-only", hint="Make it writable first.")
    try:
        mode = target.stat().st_mode & 0o7777
        with atomic_path(target, mode=mode) as temporary:
            shutil.copyfile(target, temporary)
            _edit(temporary, jpeg, song)
            if audio_sha256(temporary) != audio_sha256(target):
                raise OutputError(f"{song} was not changed: its audio would have changed")
            if settings.backup and not backup.exists():
                _back_up(target, backup)
    except OSError as error:
        raise OutputError(f"cannot write {song}: {error.strerror or error}") from error
    return ArtWritten(song, backup if settings.backup else None, len(jpeg))


def _edit(copy: Path, jpeg: bytes, song: Path) -> None:
    try:
        with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
            size = image.size
        open_tags(copy).put(jpeg, size)
        if open_tags(copy).pictures() != [jpeg]:
            raise OutputError(f"{song} was not changed: the art could not be read back")
    except CovergenError as error:
        raise type(error)(error.message.replace(str(copy), str(song)), hint=error.hint) from error


def _back_up(original: Path, backup: Path) -> None:
    """Link the original under a second name, or copy it where links are not supported."""
    try:
        os.link(original, backup)
    except OSError:
        with atomic_path(backup) as temporary:
            shutil.copyfile(original, temporary)
        with contextlib.suppress(OSError):
            shutil.copystat(original, backup)
