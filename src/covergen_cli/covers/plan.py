"""Which covers shall be made, and what they are called: everything that can be settled before a model is loaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from covergen_cli.covers.inputs import find_songs
from covergen_cli.covers.jobs import Job, album_jobs, song_jobs, template_jobs
from covergen_cli.covers.templates import FORMATS, Template, is_template
from covergen_cli.errors import ConfigError
from covergen_cli.files import require_writable

if TYPE_CHECKING:
    from covergen_cli.config import GenerateConfig
    from covergen_cli.events import Progress

_OTHER_IMAGES = frozenset({".avif", ".bmp", ".gif", ".heic", ".svg", ".tif", ".tiff", ".webp"})
_LAST_SEED = 2**32 - 1


def plan(
    inputs: Sequence[Path],
    out: Path | None,
    config: GenerateConfig,
    *,
    format_given: bool = False,
    tell: Callable[[Progress], None] | None = None,
) -> list[Job]:
    """Settle which covers to make.

    A named file is always tried; a folder is searched for music, hidden files left out, and its tree is kept; a
    playlist gives the files that it names. Covers are called ``STEM.png``, or ``STEM-1.png`` … ``STEM-N.png`` for N
    variations; songs of one folder that share a stem (``song.mp3``, ``song.flac``) give ``song.mp3.png`` and
    ``song.flac.png``, unless one of them has a cover already under another of these names. The cover of an album is
    called after the album.

    Args:
        inputs: music files, folders and playlists.
        out: the folder for the covers; or a template (see :class:`~covergen_cli.covers.templates.Template`); or,
            for a single cover, the file itself, told by its suffix (which decides the format). ``None``: the current
            folder for named files, ``covers`` for what was found in folders.
        config: variations, seed, format, whether segments are kept, and whether songs or albums get covers count here.
        format_given: the format was asked for, so a suffix of ``out`` that says otherwise is an error.
        tell: is told how far the reading of tags has come, where tags have to be read.

    Returns:
        the jobs, sorted by input, the variations of one song in a row.

    Raises:
        InputError: a folder or a playlist holds no music.
        ConfigError: two covers would have the same name, a cover would replace a song, the seeds go too far, or ``out``
            makes no sense.
    """
    _check_settings(config)
    template = Template(str(out)) if out is not None and is_template(out) else None
    file_out = template is None and _is_file_name(out)
    songs = find_songs(inputs)
    if config.per == "album":
        jobs = album_jobs(songs, None if file_out else out, template, config, tell)
    elif template is not None:
        jobs = template_jobs(songs, template, config, tell)
    else:
        jobs = song_jobs(songs, None if file_out else out, config)
    jobs.sort(key=lambda job: job.input.parts)  # stable, so variations stay in a row
    if out is not None and file_out:
        jobs = [_named(jobs, out)]
    if out is not None and (file_out or template is not None):
        jobs = _in_format(jobs, FORMATS.get(out.suffix.lower()), out, config, format_given=format_given)
    _check_names(jobs, template)
    _check_folders(jobs)
    return jobs


def _check_settings(config: GenerateConfig) -> None:
    if config.seed + config.variations - 1 > _LAST_SEED:
        raise ConfigError(
            f"{config.variations} variations from seed {config.seed} on go past the last seed, {_LAST_SEED}",
            hint=f"Use --seed {_LAST_SEED - config.variations + 1} or less.",
        )
    for field in ("save_segment", "explain"):
        if config.per == "album" and getattr(config, field):
            flag = f"--{field.replace('_', '-')}"
            raise ConfigError(f"{flag} is for songs, not for albums", hint="Leave out one of the two.")


def _is_file_name(out: Path | None) -> bool:
    """Tell whether ``-o`` names a cover rather than a folder.

    Raises:
        ConfigError: it names a file that cannot be a cover.
    """
    if out is None or os.path.isdir(out):  # noqa: PTH112
        return False
    suffix = out.suffix.lower()
    if suffix in _OTHER_IMAGES:
        raise ConfigError(f"covers are written as png or jpg, not {suffix[1:]}", hint=f"Use {out.with_suffix('.png')}.")
    if suffix not in FORMATS and out.exists():
        raise ConfigError(f"{out} is a file, not a folder", hint="Name a folder, or a .png or .jpg file.")
    return suffix in FORMATS


def _named(jobs: Sequence[Job], out: Path) -> Job:
    """Give the only job the very name that was asked for."""
    if len(jobs) != 1:
        raise ConfigError(f"{out} names one file, but there are {len(jobs)} covers", hint="Give a folder with -o.")
    segment = out.with_suffix(".segment.mp3") if jobs[0].segment_output else None
    return replace(jobs[0], output=out, segment_output=segment)


def _in_format(
    jobs: list[Job], kind: Literal["png", "jpg"] | None, out: Path, config: GenerateConfig, *, format_given: bool
) -> list[Job]:
    """Let the suffix of ``-o`` decide the format, where it names one."""
    if kind is None:
        return jobs
    if format_given and kind != config.format:
        raise ConfigError(f"{out} is no {config.format} file", hint="Leave out --format, or change the suffix.")
    return [replace(job, format=kind) for job in jobs]


def _check_names(jobs: Sequence[Job], template: Template | None) -> None:
    """Refuse names that would lose a file.

    Raises:
        ConfigError: see :func:`plan`.
    """
    songs = {_place(song) for job in jobs for song in job.songs or (job.input,)}
    makers: dict[str, Job] = {}
    for job in jobs:
        place = _place(job.output)
        if place in songs:
            raise ConfigError(f"the cover {job.output} would replace a song", hint="Give another folder with -o.")
        other = makers.setdefault(place, job)
        if other is not job:
            raise ConfigError(
                f"{other.input} and {job.input} would both be drawn to {job.output}",
                hint="Give the folder that holds them, or a template such as -o 'art/{artist} - {title}.{ext}'."
                if template is None
                else "Add a field that tells them apart, such as {stem}, {track} or {folder}.",
            )


def _place(path: Path) -> str:
    return os.path.normcase(os.path.realpath(path))


def _check_folders(jobs: Sequence[Job]) -> None:
    """Find out before anything is drawn that a cover's folder cannot be made, because a file is in its way.

    Raises:
        ConfigError: there is such a file.
        OutputError: the folder is read-only.
    """
    for folder in sorted({job.output.parent for job in jobs}):
        for place in (folder, *folder.parents):
            if os.path.isfile(place):  # noqa: PTH113
                raise ConfigError(f"{folder} cannot be a folder: {place} is a file", hint="Name another with -o.")
        require_writable(folder)
