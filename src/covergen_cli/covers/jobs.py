"""From songs to the covers that they get, each with its name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from covergen_cli.audio.io import probe
from covergen_cli.audio.tags import Tags
from covergen_cli.covers.albums import Album, albums
from covergen_cli.covers.templates import Template, fields, safe_name
from covergen_cli.errors import InputError
from covergen_cli.events import Progress

if TYPE_CHECKING:
    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.inputs import Song


@dataclass(frozen=True)
class Job:
    """One cover that shall be made.

    Args:
        input: the music file; of an album, its first.
        output: the cover.
        seed: the seed that draws it.
        format: of the file.
        segment_output: where the part that was listened to goes; ``None`` when it is not kept.
        songs: all songs of the album that the cover is for; empty when it is for the one song.
    """

    input: Path
    output: Path
    seed: int
    format: Literal["png", "jpg"] = "png"
    segment_output: Path | None = None
    songs: tuple[Path, ...] = ()

    @property
    def label(self) -> str:
        """What to call it where there is little room."""
        return str(self.output) if self.songs else self.input.name


def songs_of(job: Job) -> tuple[Path, ...]:
    """The music files that a cover is made from."""
    return job.songs or (job.input,)


def _tagged(songs: Sequence[Song], tell: Callable[[Progress], None] | None) -> Iterator[tuple[Song, Tags]]:
    """Read the tags of songs; a file that cannot be read has none, and is named when its turn comes."""
    for done, song in enumerate(songs, start=1):
        try:
            tags = probe(song.path).tags
        except InputError:
            tags = Tags()
        if tell is not None:
            tell(Progress("tags", done, len(songs), song.path.name))
        yield song, tags


def song_jobs(songs: Sequence[Song], out: Path | None, config: GenerateConfig) -> list[Job]:
    """Give every song its covers, named after its file.

    Args:
        songs: in any order.
        out: folder for the covers; ``None`` for each song's own.
        config: see :func:`covergen_cli.covers.plan.plan`.
    """
    folders = [(song.home if out is None else out) / song.folder for song in songs]
    return [
        job
        for song, folder, stem in zip(songs, folders, _stems(songs, folders, config), strict=True)
        for job in _jobs(song, folder, stem, config)
    ]


def _jobs(song: Song, folder: Path, stem: str, config: GenerateConfig) -> Iterator[Job]:
    segment = folder / f"{stem}.segment.mp3" if config.save_segment else None
    for index in range(config.variations):
        yield Job(
            song.path,
            folder / _numbered(stem, index, config),
            config.seed + index,
            config.format,
            segment_output=segment,
        )


def _numbered(stem: str, index: int, config: GenerateConfig) -> str:
    number = f"-{index + 1}" if config.variations > 1 else ""
    return f"{stem}{number}.{config.format}"


def _stems(songs: Sequence[Song], folders: Sequence[Path], config: GenerateConfig) -> list[str]:
    """Choose names without suffix: the song's stem, or its whole name where a neighbour shares the stem.

    A cover that is there already keeps the name that was right when it was made, whatever lies beside the song by now.
    """

    def key(song: Song, folder: Path) -> tuple[str, str, str]:
        return os.path.normcase(song.path.parent), os.path.normcase(folder), os.path.normcase(song.path.stem)

    count = Counter(map(key, songs, folders))
    chosen = []
    for song, folder in zip(songs, folders, strict=True):
        usual, other = song.path.stem, song.path.name
        if count[key(song, folder)] > 1:
            usual, other = other, usual
        kept = not (folder / _numbered(usual, 0, config)).exists() and _made_from(folder, other, song.path.name, config)
        chosen.append(other if kept else usual)
    return chosen


def _made_from(folder: Path, stem: str, name: str, config: GenerateConfig) -> bool:
    """Tell whether there is a cover under a stem that was made from a song of this name."""
    cover = folder / _numbered(stem, 0, config)
    if not cover.exists():
        return False
    from covergen_cli.provenance import read_provenance

    return (read_provenance(cover) or {}).get("input") == name


def template_jobs(
    songs: Sequence[Song], template: Template, config: GenerateConfig, tell: Callable[[Progress], None] | None
) -> list[Job]:
    """Give every song its covers, named by a template.

    Args:
        songs: in any order.
        template: of the names.
        config: see :func:`covergen_cli.covers.plan.plan`.
        tell: is told how far the reading of tags has come; they are read only when the template needs them.
    """
    tagged = _tagged(songs, tell) if template.needs_tags else ((song, Tags()) for song in songs)
    return [
        job
        for song, tags in tagged
        for job in _filled(template, fields(tags, song.path, song.folder), Job(song.path, Path(), 0), config)
    ]


def album_jobs(
    songs: Sequence[Song],
    out: Path | None,
    template: Template | None,
    config: GenerateConfig,
    tell: Callable[[Progress], None] | None,
) -> list[Job]:
    """Give every album its covers, named by a template or after the album.

    Args:
        songs: in any order.
        out: folder for the covers; ``None`` for each song's own.
        template: of the names, in place of ``out``.
        config: see :func:`covergen_cli.covers.plan.plan`.
        tell: is told how far the reading of tags has come.
    """
    return [job for album in albums(_tagged(songs, tell)) for job in _one_album(album, out, template, config)]


def _one_album(album: Album, out: Path | None, template: Template | None, config: GenerateConfig) -> Iterator[Job]:
    first = album.songs[0]
    values = fields(album.tags, first.path, album.folder)
    values["album"] = safe_name(album.name) or values["album"]
    job = Job(first.path, Path(), 0, songs=tuple(song.path for song in album.songs))
    if template is not None:
        yield from _filled(template, values, job, config)
        return
    home = first.home if out is None else out
    for made in _filled(Template("{folder}/{album}.{ext}"), values, job, config):
        yield replace(made, output=home / made.output)


def _filled(template: Template, values: dict[str, str | int], job: Job, config: GenerateConfig) -> Iterator[Job]:
    """Give the variations of one job their names."""
    for index in range(config.variations):
        seed = config.seed + index
        output = template.fill(values, seed=seed, number=index + 1, numbers=config.variations, ext=config.format)
        segment = output.with_suffix(".segment.mp3") if config.save_segment else None
        yield replace(job, output=output, seed=seed, format=config.format, segment_output=segment)
