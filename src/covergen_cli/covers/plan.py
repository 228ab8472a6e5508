"""Plans a run: which covers are made from which songs, and their names, before any model is loaded."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from covergen_cli.audio.io import probe
from covergen_cli.audio.tags import Tags
from covergen_cli.covers.albums import groups
from covergen_cli.covers.inputs import SEGMENT_SUFFIX, find_songs, real_path
from covergen_cli.covers.naming import FORMATS, Template, fields, file_name, is_template, safe_name
from covergen_cli.errors import ConfigError, CovergenError, InputError
from covergen_cli.events import Progress
from covergen_cli.files import require_writable
from covergen_cli.provenance import read_provenance

if TYPE_CHECKING:
    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.inputs import Song

_OTHER_IMAGES = frozenset({".avif", ".bmp", ".gif", ".heic", ".tif", ".tiff", ".webp"})
_LAST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Job:
    """One cover to make."""

    input: Path  # the music file; of an album, its first
    output: Path
    seed: int
    format: Literal["png", "jpg", "svg"] = "png"
    segment_output: Path | None = None  # file for the segment; ``None`` if it is not kept
    songs: tuple[Path, ...] = ()  # all songs of the album; empty for the cover of a single song
    group: str | None = None  # name of the artist, folder or playlist in place of an album

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
    called after the album, or the artist, folder or playlist.

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
    check_settings(config)
    out = None if out is None else Path(out)
    template = Template(str(out)) if out is not None and is_template(out) else None
    file = out if template is None and _is_file_name(out) else None
    if out is not None and (file or template) and (kind := FORMATS.get(out.suffix.lower())):
        if format_given and kind != config.format:
            raise ConfigError(f"{out} is no {config.format} file", hint="Leave out --format, or change the suffix.")
        config = replace(config, format=kind)
    songs = find_songs([Path(path) for path in inputs], keep_playlists=config.per == "playlist")
    folder = None if file or template else out
    if config.per == "song" and template is None:
        jobs = list(_name_after_songs(songs, folder, config))
    else:
        jobs = list(_name_after_tags(songs, folder, template, config, on_progress))
    jobs.sort(key=lambda job: job.input.parts)  # stable, so variations stay in a row
    if file is not None:
        if len(jobs) != 1:
            raise ConfigError(f"{file} names one file, but there are {len(jobs)} covers", hint="Give a folder with -o.")
        segment = file.with_name(file_name(file.stem, SEGMENT_SUFFIX)) if config.save_segment else None
        jobs = [replace(jobs[0], output=file, segment_output=segment)]
    check_names(jobs, template)
    return jobs


def check_settings(config: GenerateConfig) -> None:
    """Check that settings of the plan go together; raise ``ConfigError`` otherwise."""
    if config.seed + config.variations - 1 > _LAST_SEED:
        raise ConfigError(
            f"{config.variations} variations from seed {config.seed} on go past the last seed, {_LAST_SEED}",
            hint=f"Use --seed {_LAST_SEED - config.variations + 1} or less.",
        )
    for field in ("save_segment", "explain"):
        if config.per != "song" and getattr(config, field):
            flag = f"--{field.replace('_', '-')}"
            raise ConfigError(f"{flag} is for songs, not for --per {config.per}", hint="Leave out one of the two.")
    if config.explain and config.shuffle:
        raise ConfigError(
            "--explain cannot be used with --shuffle, which draws a cover from another song than the one it is for",
            hint="Leave out one of the two.",
        )


def _is_file_name(out: Path | None) -> bool:
    """Return whether ``-o`` is the file of a cover rather than a folder.

    Raises:
        ConfigError: it is a file that cannot be a cover.
    """
    if out is None or os.path.isdir(out):  # noqa: PTH112
        return False
    suffix = out.suffix.lower()
    if suffix in _OTHER_IMAGES:
        raise ConfigError(
            f"covers are written as png, jpg or svg, not {suffix[1:]}", hint=f"Use {out.with_suffix('.png')}."
        )
    if suffix not in FORMATS and os.path.exists(out):  # noqa: PTH110
        raise ConfigError(f"{out} is a file, not a folder", hint="Name a folder, or a .png, .jpg or .svg file.")
    return suffix in FORMATS


def _name_after_songs(songs: Sequence[Song], out: Path | None, config: GenerateConfig) -> Iterator[Job]:
    """Yield the covers of songs, named after the song's stem, or its full name if another song shares the stem.

    An existing cover that was made from the song keeps its name, even if songs were added or removed since.
    """
    folders = [(song.home if out is None else out) / song.folder for song in songs]
    keys = [
        tuple(os.path.normcase(str(part)) for part in (song.path.parent, folder, song.path.stem))
        for song, folder in zip(songs, folders, strict=True)
    ]
    count = Counter(keys)
    numbers = [f"-{index + 1}" if config.variations > 1 else "" for index in range(config.variations)]
    for song, folder, key in zip(songs, folders, keys, strict=True):
        stem, other = (song.path.stem, song.path.name) if count[key] == 1 else (song.path.name, song.path.stem)
        usual, unusual = (folder / file_name(name, f"{numbers[0]}.{config.format}") for name in (stem, other))
        if not os.path.lexists(usual) and (read_provenance(unusual) or {}).get("input") == song.path.name:
            stem = other
        segment = folder / file_name(stem, SEGMENT_SUFFIX) if config.save_segment else None
        for index, number in enumerate(numbers):
            output = folder / file_name(stem, f"{number}.{config.format}")
            yield Job(song.path, output, config.seed + index, config.format, segment)


def _name_after_tags(
    songs: Sequence[Song],
    out: Path | None,
    template: Template | None,
    config: GenerateConfig,
    on_progress: Callable[[Progress], None] | None,
) -> Iterator[Job]:
    """Yield the covers of songs or albums, named by a template; without one, albums are named after themselves."""
    needs_tags = (template and template.needs_tags) or config.per in {"album", "artist"}
    tagged = read_tags(songs, on_progress) if needs_tags else ((song, None) for song in songs)
    if config.per == "song":
        named_by = template or Template("{folder}/{stem}.{ext}")
        for song, tags in tagged:
            values = fields(tags or Tags(), song.path, song.folder)
            yield from _fill(Job(song.path, Path(), 0), named_by, values, config)
        return
    for album in groups(tagged, config.per):
        first = album.songs[0]
        values = fields(album.tags, first.path, album.folder)
        values["album"] = safe_name(album.name) or values["album"]
        group = None if config.per == "album" else album.name
        job = Job(first.path, Path(), 0, songs=tuple(song.path for song in album.songs), group=group)
        home = Path() if template else first.home if out is None else out
        if template is None and config.per != "album":  # only a folder lies in another
            values["folder"] = "/".join(album.folder.parts[:-1]) if config.per == "folder" else ""
        for named in _fill(job, template or Template("{folder}/{album}.{ext}"), values, config):
            yield replace(named, output=home / named.output)


def read_tags(
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


def _fill(job: Job, template: Template, values: Mapping[str, str | int], config: GenerateConfig) -> Iterator[Job]:
    """Yield the variations of one job, named by a template."""
    for index in range(config.variations):
        seed = config.seed + index
        output = template.fill(values, seed=seed, number=index + 1, numbers=config.variations, ext=config.format)
        segment = output.with_name(file_name(output.stem, SEGMENT_SUFFIX)) if config.save_segment else None
        yield replace(job, output=output, seed=seed, format=config.format, segment_output=segment)


def check_names(jobs: Sequence[Job], template: Template | None) -> None:
    """Check that every cover has a name of its own, and that some can be written.

    Raises:
        ConfigError: a cover would replace a song or another cover.
        CovergenError: no cover can be written to its folder; the error of the first.
    """
    songs = {os.path.normcase(real_path(song)) for job in jobs for song in job.all_songs}
    makers: dict[str, Job] = {}
    for job in jobs:
        output = os.path.normcase(real_path(job.output))
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


def donors(jobs: Sequence[Job], config: GenerateConfig) -> dict[Path, Job]:
    """Return, by the ``input`` of a job, the job whose audio is used instead (``--shuffle``); empty without it.

    The songs or albums form one cycle, by Sattolo's algorithm (1986).

    Args:
        jobs: all jobs of the run, so that the result does not depend on which covers exist.
        config: ``shuffle`` and ``seed`` are used here.

    Raises:
        ConfigError: there is only one song.
    """
    if not config.shuffle:
        return {}
    order = {job.input: job for job in jobs}
    if len(order) < 2:
        raise ConfigError("the audio of a single song cannot be shuffled", hint="Give several songs.")
    generator = random.Random(config.seed)  # noqa: S311 — not for cryptography
    shuffled = list(order.values())
    for last in range(len(shuffled) - 1, 0, -1):
        other = generator.randrange(last)
        shuffled[last], shuffled[other] = shuffled[other], shuffled[last]
    return dict(zip(order, shuffled, strict=True))
