"""Plans a run: which covers are made from which songs, and their names, before any model is loaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from covergen_cli.audio.io import probe
from covergen_cli.audio.tags import Tags
from covergen_cli.covers.albums import Album, albums
from covergen_cli.covers.inputs import find_songs, real_path
from covergen_cli.covers.naming import (
    FORMATS,
    Template,
    cover_name,
    fields,
    file_name,
    is_template,
    safe_name,
    song_stems,
)
from covergen_cli.errors import ConfigError, CovergenError, InputError
from covergen_cli.events import Progress
from covergen_cli.files import require_writable

if TYPE_CHECKING:
    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.inputs import Song

_OTHER_IMAGES = frozenset({".avif", ".bmp", ".gif", ".heic", ".svg", ".tif", ".tiff", ".webp"})
_LAST_SEED = 2**32 - 1
SEGMENT_SUFFIX = ".segment.mp3"
"""End of the names of segments that ``--save-segment`` writes."""


@dataclass(frozen=True)
class Job:
    """One cover to make.

    Args:
        input: the music file; of an album, its first.
        output: the cover's file.
        seed: the cover's seed.
        format: format of the file.
        segment_output: file for the segment; ``None`` if it is not kept.
        songs: all songs of the album; empty for the cover of a single song.
    """

    input: Path
    output: Path
    seed: int
    format: Literal["png", "jpg"] = "png"
    segment_output: Path | None = None
    songs: tuple[Path, ...] = ()

    @property
    def label(self) -> str:
        """A short name for displays."""
        return str(self.output) if self.songs else self.input.name

    @property
    def all_songs(self) -> tuple[Path, ...]:
        """The music files that the cover is made from, at least one."""
        return self.songs or (self.input,)


def plan(
    inputs: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None,
    config: GenerateConfig,
    *,
    format_given: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> list[Job]:
    """Return the covers to make, sorted by input, the variations of one song in a row.

    A named file is always tried; a folder is searched for music, without hidden files, and its tree is kept; a playlist
    stands for the files that it names. Covers are called ``STEM.png``, or ``STEM-1.png`` … ``STEM-N.png`` for N
    variations; songs of one folder that share a stem (``song.mp3``, ``song.flac``) give ``song.mp3.png`` and
    ``song.flac.png``, unless one of them already has a cover under another of these names. The cover of an album is
    called after the album.

    Args:
        inputs: music files, folders and playlists.
        out: the folder for the covers; or a template (see :class:`~covergen_cli.covers.naming.Template`); or, for a
            single cover, its file, whose suffix decides the format. ``None``: the current folder for named files,
            ``covers`` for songs that were found in folders.
        config: ``variations``, ``seed``, ``format``, ``save_segment``, ``explain`` and ``per`` are used here.
        format_given: the user chose the format, so that another suffix of ``out`` is an error.
        on_progress: called while tags are read, if they are needed.

    Raises:
        InputError: a folder or a playlist contains no music.
        ConfigError: two covers would have the same name, a cover would replace a song, a seed is too large, or ``out``
            is invalid.
    """
    out = None if out is None else Path(out)
    _check_settings(config)
    template = Template(str(out)) if out is not None and is_template(out) else None
    file_out = template is None and _is_file_name(out)
    folder = None if file_out else out
    songs = find_songs([Path(path) for path in inputs])
    jobs = _all_jobs(songs, folder, template, config, on_progress)
    jobs.sort(key=lambda job: job.input.parts)  # stable, so variations stay in a row
    if out is not None and file_out:
        jobs = [_named(jobs, out)]
    if out is not None and (file_out or template is not None):
        jobs = _in_format(jobs, FORMATS.get(out.suffix.lower()), out, config, format_given=format_given)
    _check_names(jobs, template)
    _check_folders(jobs)
    return jobs


def _all_jobs(
    songs: Sequence[Song],
    folder: Path | None,
    template: Template | None,
    config: GenerateConfig,
    on_progress: Callable[[Progress], None] | None,
) -> list[Job]:
    if config.per == "album":
        grouped = albums(_tagged(songs, on_progress))
        return [job for album in grouped for job in _album_jobs(album, folder, template, config)]
    if template is None:
        return list(_song_jobs(songs, folder, config))
    tagged = _tagged(songs, on_progress) if template.needs_tags else ((song, None) for song in songs)
    return [
        job
        for song, tags in tagged
        for job in _template_jobs(
            Job(song.path, Path(), 0), template, fields(tags or Tags(), song.path, song.folder), config
        )
    ]


def _fields(song: Song, tags: Tags | None) -> dict[str, str | int]:
    return fields(tags or Tags(), song.path, song.folder)


def _tagged(
    songs: Sequence[Song], on_progress: Callable[[Progress], None] | None
) -> Iterator[tuple[Song, Tags | None]]:
    """Yield songs with their tags; ``None`` for a file that cannot be read, which fails when it is prepared."""
    for done, song in enumerate(songs, start=1):
        try:
            tags = probe(song.path).tags
        except InputError:
            tags = None
        if on_progress is not None:
            on_progress(Progress("tags", done, len(songs), song.path.name))
        yield song, tags


def _song_jobs(songs: Sequence[Song], out: Path | None, config: GenerateConfig) -> Iterator[Job]:
    """Yield the covers of songs, named after their files."""
    folders = [(song.home if out is None else out) / song.folder for song in songs]
    for song, folder, stem in zip(songs, folders, song_stems(songs, folders, config), strict=True):
        segment = folder / file_name(stem, SEGMENT_SUFFIX) if config.save_segment else None
        for index in range(config.variations):
            output = folder / cover_name(stem, index, config)
            yield Job(song.path, output, config.seed + index, config.format, segment)


def _album_jobs(album: Album, out: Path | None, template: Template | None, config: GenerateConfig) -> Iterator[Job]:
    """Yield the covers of an album, named by the template or after the album."""
    first = album.songs[0]
    values = fields(album.tags, first.path, album.folder)
    values["album"] = safe_name(album.name) or values["album"]
    job = Job(first.path, Path(), 0, songs=tuple(song.path for song in album.songs))
    if template is not None:
        yield from _template_jobs(job, template, values, config)
        return
    folder = first.home if out is None else out
    for named in _template_jobs(job, Template("{folder}/{album}.{ext}"), values, config):
        yield replace(named, output=folder / named.output)


def _template_jobs(job: Job, template: Template, values: dict[str, str | int], config: GenerateConfig) -> Iterator[Job]:
    """Yield the variations of one job, named by a template."""
    for index in range(config.variations):
        seed = config.seed + index
        output = template.fill(values, seed=seed, number=index + 1, numbers=config.variations, ext=config.format)
        segment = output.with_name(file_name(output.stem, SEGMENT_SUFFIX)) if config.save_segment else None
        yield replace(job, output=output, seed=seed, format=config.format, segment_output=segment)


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
    """Return whether ``-o`` is the file of a cover rather than a folder.

    Raises:
        ConfigError: it is a file that cannot be a cover.
    """
    if out is None or os.path.isdir(out):  # noqa: PTH112
        return False
    suffix = out.suffix.lower()
    if suffix in _OTHER_IMAGES:
        raise ConfigError(f"covers are written as png or jpg, not {suffix[1:]}", hint=f"Use {out.with_suffix('.png')}.")
    if suffix not in FORMATS and os.path.exists(out):  # noqa: PTH110
        raise ConfigError(f"{out} is a file, not a folder", hint="Name a folder, or a .png or .jpg file.")
    return suffix in FORMATS


def _named(jobs: Sequence[Job], out: Path) -> Job:
    """Return the only job with the given file name."""
    if len(jobs) != 1:
        raise ConfigError(f"{out} names one file, but there are {len(jobs)} covers", hint="Give a folder with -o.")
    segment = out.with_name(file_name(out.stem, SEGMENT_SUFFIX)) if jobs[0].segment_output else None
    return replace(jobs[0], output=out, segment_output=segment)


def _in_format(
    jobs: list[Job], kind: Literal["png", "jpg"] | None, out: Path, config: GenerateConfig, *, format_given: bool
) -> list[Job]:
    """Return the jobs in the format of the suffix of ``-o``, if it has one."""
    if kind is None:
        return jobs
    if format_given and kind != config.format:
        raise ConfigError(f"{out} is no {config.format} file", hint="Leave out --format, or change the suffix.")
    return [replace(job, format=kind) for job in jobs]


def _check_names(jobs: Sequence[Job], template: Template | None) -> None:
    """Raise :class:`ConfigError` if a cover would replace a song or another cover."""
    songs = {_real(song) for job in jobs for song in job.all_songs}
    makers: dict[str, Job] = {}
    for job in jobs:
        output = _real(job.output)
        if output in songs:
            raise ConfigError(f"the cover {job.output} would replace a song", hint="Give another folder with -o.")
        other = makers.setdefault(output, job)
        if other is not job:
            raise ConfigError(
                f"{other.input} and {job.input} would both be drawn to {job.output}",
                hint="Give the folder that holds them, or a template such as -o 'art/{artist} - {title}.{ext}'."
                if template is None
                else "Add a field that tells them apart, such as {stem}, {track} or {folder}.",
            )


def _real(path: Path) -> str:
    return os.path.normcase(real_path(path))


def _check_folders(jobs: Sequence[Job]) -> None:
    """Raise the error of a folder that covers cannot be written to, if that is so for every cover."""
    errors = [folder_error(folder) for folder in sorted({job.output.parent for job in jobs})]
    if errors and errors[0] is not None and all(errors):
        raise errors[0]


def folder_error(folder: Path) -> CovergenError | None:
    """Return why covers cannot be written to a folder, which need not exist yet, or ``None``.

    A file has its name (``ConfigError``), or it is read-only (``OutputError``).
    """
    for place in (folder, *folder.parents):
        if os.path.isfile(place):  # noqa: PTH113
            return ConfigError(f"{folder} cannot be a folder: {place} is a file", hint="Name another with -o.")
    try:
        require_writable(folder)
    except CovergenError as error:
        return error
    return None
