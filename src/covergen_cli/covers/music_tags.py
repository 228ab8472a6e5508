"""Write covers into the tags of music files: mp3 (ID3), m4a (MP4), flac, ogg and opus.

A copy with the cover replaces the file only if its audio packets are identical. All other tags, owner, group,
permissions and extended attributes stay; the modification time changes, so that players and backup programs notice. The
original is kept beside it as a backup unless that is disabled.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import stat
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from covergen_cli.audio.audio_hash import audio_sha256
from covergen_cli.covers.stores import load_stores
from covergen_cli.covers.tag_pictures import is_foreign, open_tags
from covergen_cli.errors import ConfigError, CovergenError, InputError, OutputError
from covergen_cli.events import ArtWritten, CoverFailed, CoverFinished, CoverSkipped, Warned
from covergen_cli.files import atomic_path, sha256_file
from covergen_cli.provenance import encode_jpeg, read_provenance

if TYPE_CHECKING:
    from covergen_cli.covers.plan import Job
    from covergen_cli.covers.tag_file import PictureTags
    from covergen_cli.events import Event

BACKUP_SUFFIX = ".orig"
"""Suffix of backups; no suffix of music, so that searches for music do not find them.

If it names the original of another file, the backup is called ``.orig.2``, and so on.
"""


@dataclass(frozen=True)
class TagSettings:
    """How covers are written into music files."""

    replace: bool = False  # replace art that covergen did not write
    backup: bool = True  # keep the original beside the new file
    only_missing: bool = False  # leave songs alone that have art, whoever wrote it


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
    """Separate the jobs that have a song that can take a cover from those that have none, with a failure for each.

    Raises:
        ConfigError: there is more than one cover for a song, or covers are vector files.
    """
    if svg := next((job for job in jobs if job.format == "svg"), None):
        raise ConfigError(f"music files cannot hold the vector file {svg.output}", hint="Use --format png or jpg.")
    songs = [song for job in jobs for song in job.all_songs]
    if len(set(songs)) < len(songs):
        raise ConfigError("--write-tags puts one cover into a song, and there are several", hint="Leave out -n.")
    verdicts = [(job, _refusal(job, settings)) for job in jobs]
    return [job for job, refusal in verdicts if refusal is None], [refusal for _, refusal in verdicts if refusal]


def _refusal(job: Job, settings: TagSettings) -> CoverFailed | None:
    """Return a failure if no song of a job can take a cover."""
    first: CovergenError | None = None
    for song in job.all_songs:
        if not os.path.isfile(song):  # noqa: PTH113 — Path.is_file raises for some names
            return None  # reported when the song is decoded
        try:
            _open_song(song, settings)
        except (InputError, OutputError) as error:
            first = first or error
        else:
            return None
    return None if first is None else CoverFailed(job.input, None, job.seed, first.message, first.hint, job.songs)


def _open_song(song: Path, settings: TagSettings) -> PictureTags:
    """Open the tags of a song.

    Raises:
        InputError: the file cannot be read, or is of a format that cannot hold art.
        OutputError: it cannot be replaced, its owner would change, or its art is not ours to replace.
    """
    target = Path(os.path.realpath(song))
    if not os.access(target.parent, os.W_OK):
        raise OutputError(f"cannot write {song}: {target.parent} is read-only", hint="Leave out --write-tags.")
    tags = open_tags(target)
    pictures = tags.pictures()
    if settings.replace:
        return tags
    if None in pictures:
        raise InputError(f"the picture in {song} is damaged", hint="--replace-art replaces it.")
    if any(map(is_foreign, pictures)):
        raise OutputError(f"{song} holds art that covergen did not write", hint="--replace-art replaces it.")
    return tags


def with_art(
    events: Generator[Event, None, None], settings: TagSettings, refused: Sequence[CoverFailed] = ()
) -> Generator[Event, None, None]:
    """Yield ``refused``, then pass events on and write every cover, new or existing, into its songs.

    If none of its songs can be written, the cover becomes a ``CoverFailed`` that names it, as it exists; a song of an
    album that cannot be written while others can becomes a warning.
    """
    yield from refused
    with closing(events):
        for event in events:
            if isinstance(event, (CoverFinished, CoverSkipped)):
                yield from _write_all(event, settings)
            else:
                yield event


def _write_all(event: CoverFinished | CoverSkipped, settings: TagSettings) -> Iterator[Event]:
    """Write a cover into its songs; yield the event, or a failure instead, and what was written."""
    reports: list[Event] = []
    errors: list[CovergenError] = []
    songs = event.songs or (event.input,)
    try:
        jpeg = art_jpeg(event.output)
    except InputError as error:
        yield CoverFailed(event.input, event.output, event.seed, error.message, error.hint, event.songs)
        return
    for song in songs:
        linked = os.path.exists(song) and os.stat(song).st_nlink > 1  # noqa: PTH110, PTH116 — as in _refusal
        try:
            written = write_art(song, jpeg, settings)
        except CovergenError as error:
            errors.append(error)
            reports.append(Warned(f"no cover was written into it: {error.message}", song))
            continue
        if written:
            reports.append(written)
        if written and linked:
            reports.append(Warned("it was a hard link, whose other names keep the file without the cover", song))
    if len(errors) == len(songs):
        first = errors[0]
        yield CoverFailed(event.input, event.output, event.seed, first.message, first.hint, event.songs)
    else:
        yield event
        yield from reports


def write_art(song: Path, jpeg: bytes, settings: TagSettings) -> ArtWritten | None:
    """Write a JPEG into a song as its front cover; return ``None`` when the song already holds it.

    With ``only_missing`` also when it holds other art.

    Links are followed. Other names of the file (hard links) keep the file as it was. A backup that exists is only used
    if it is the original of this file; otherwise there is a further one.

    Raises:
        InputError: the file is damaged or of a format that cannot hold art.
        OutputError: it holds foreign art and ``settings.replace`` is false, it cannot be written, its owner cannot be
            kept, or its audio would have changed.
    """
    target = Path(os.path.realpath(song))
    if settings.only_missing and open_tags(target).pictures():
        return None
    tags = _open_song(song, settings)
    if tags.pictures() == [jpeg]:
        return None
    if not os.access(target, os.W_OK):
        raise OutputError(f"{song} is read-only", hint="Make it writable first.")
    backup = None
    try:
        with atomic_path(target, mode=stat.S_IMODE(target.stat().st_mode)) as temporary:
            _write_copy(tags, temporary, jpeg, song)
            if settings.backup:
                backup = _back_up(tags, (target if song.is_symlink() else song).with_name(target.name + BACKUP_SUFFIX))
    except OSError as error:
        raise OutputError(f"cannot write {song}: {error.strerror or error}") from error
    return ArtWritten(song, backup, len(jpeg))


def _write_copy(tags: PictureTags, copy: Path, jpeg: bytes, song: Path) -> None:
    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
        tags.write(copy, jpeg, image.size)
    if open_tags(copy).pictures() != [jpeg]:
        raise OutputError(f"{song} was not changed: the art could not be read back")
    if audio_sha256(copy) != audio_sha256(tags.path):
        raise OutputError(f"{song} was not changed: its audio would have changed")
    _copy_attributes(tags.path, copy, song)


def _copy_attributes(original: Path, copy: Path, song: Path) -> None:
    """Give a copy the owner, group, permissions and extended attributes of the original, but not its times."""
    status = original.stat()
    if hasattr(os, "chown") and (status.st_uid, status.st_gid) != (copy.stat().st_uid, copy.stat().st_gid):
        try:
            os.chown(copy, status.st_uid, status.st_gid)
        except OSError as error:
            raise OutputError(
                f"{song} was not changed: its owner or group would have changed", hint="Run covergen as its owner."
            ) from error
    shutil.copystat(original, copy)
    os.utime(copy)


def _back_up(tags: PictureTags, backup: Path) -> Path:
    """Keep the original as ``backup``, or under the next free number, and return the name.

    Nothing is written if there is a backup already that holds the same bytes, or differs only in a cover of ours.
    """
    ours = not any(map(is_foreign, tags.pictures()))
    for number in count(1):
        path = backup if number == 1 else backup.with_name(f"{backup.name}.{number}")
        if not os.path.lexists(path):
            _copy_original(tags.path, path)
            return path
        if _is_original(path, tags, ours=ours):
            return path
    raise AssertionError  # count does not end


def _is_original(backup: Path, tags: PictureTags, *, ours: bool) -> bool:
    if not backup.is_file() or backup.is_symlink():
        return False
    if sha256_file(backup) == sha256_file(tags.path):
        return True
    if not ours:
        return False
    try:
        return open_tags(backup).sha256_without_art() == tags.sha256_without_art()
    except InputError:
        return False


def _copy_original(original: Path, backup: Path) -> None:
    """Link the original under a second name; copy it if it has other names already, or links are not supported."""
    if original.stat().st_nlink == 1:
        with contextlib.suppress(OSError):
            os.link(original, backup)
            return
    with atomic_path(backup) as temporary:
        shutil.copyfile(original, temporary)
        with contextlib.suppress(OSError, OutputError):
            _copy_attributes(original, temporary, original)
    with contextlib.suppress(OSError):
        shutil.copystat(original, backup)
