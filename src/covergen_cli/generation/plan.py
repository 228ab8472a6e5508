"""Which covers shall be made, and what they are called: everything that can be settled before a model is loaded."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from covergen_cli.audio.io import AUDIO_SUFFIXES
from covergen_cli.errors import ConfigError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from covergen_cli.config import GenerateConfig

__all__ = ["Job", "plan"]

_FORMATS: dict[str, Literal["png", "jpg"]] = {".png": "png", ".jpg": "jpg", ".jpeg": "jpg"}
_OTHER_IMAGES = frozenset({".avif", ".bmp", ".gif", ".heic", ".svg", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True)
class Job:
    """One cover that shall be made.

    Args:
        input: the music file.
        output: the cover.
        seed: the seed that draws it.
        format: of the file.
        segment_output: where the part that was listened to goes; ``None`` when it is not kept.
    """

    input: Path
    output: Path
    seed: int
    format: Literal["png", "jpg"] = "png"
    segment_output: Path | None = None


@dataclass(frozen=True)
class _Song:
    """A music file and the folder that its covers go to."""

    input: Path
    folder: Path


def plan(inputs: Sequence[Path], out: Path | None, config: GenerateConfig, *, format_given: bool = False) -> list[Job]:
    """Settle which covers to make.

    A named file is always tried; a folder is searched for music, hidden files left out, and its tree is kept. Covers
    are called ``STEM.png``, or ``STEM-1.png`` … ``STEM-N.png`` for N variations; songs of one folder that share a
    stem (``song.mp3``, ``song.flac``) give ``song.mp3.png`` and ``song.flac.png``.

    Args:
        inputs: music files and folders.
        out: the folder for the covers, or, for a single cover, the file itself, told by its suffix (which decides the
            format). ``None``: the current folder for named files, ``covers`` for what was found in folders.
        config: variations, seed, format and whether segments are kept count here.
        format_given: the format was asked for, so a suffix of ``out`` that says otherwise is an error.

    Returns:
        the jobs, sorted by input, the variations of one song in a row.

    Raises:
        InputError: a folder holds no music.
        ConfigError: two covers would have the same name, a cover would replace a song, or ``out`` makes no sense.
    """
    file_out = _is_file_name(out)
    folder_out = out.parent if out is not None and file_out else out
    songs = _songs(inputs, folder_out)
    stems = _stems(songs)
    jobs = [
        job for song, stem in sorted(zip(songs, stems, strict=True), key=_order) for job in _jobs(song, stem, config)
    ]
    if out is not None and file_out:
        jobs = [_named(jobs, out, config, format_given=format_given)]
    _check_names(jobs)
    _check_folders(jobs)
    return jobs


def _check_folders(jobs: Sequence[Job]) -> None:
    """Find out before anything is drawn that a cover's folder cannot be made, because a file is in its way.

    Raises:
        ConfigError: there is such a file.
    """
    for folder in {job.output.parent for job in jobs}:
        for place in (folder, *folder.parents):
            if os.path.isfile(place):  # noqa: PTH113
                raise ConfigError(f"{folder} cannot be a folder: {place} is a file", hint="Name another with -o.")


def _order(pair: tuple[_Song, str]) -> tuple[str, ...]:
    return pair[0].input.parts


def _songs(inputs: Sequence[Path], out: Path | None) -> list[_Song]:
    """Every song once, by the first input that names it."""
    found: dict[str, _Song] = {}
    for path in inputs:
        if os.path.isdir(path):  # noqa: PTH112 — Path.is_dir raises for a name that is too long
            songs = list(_search(path, out if out is not None else Path("covers")))
            if not songs:
                raise InputError(f"no music in {path}", hint=f"Known are {', '.join(sorted(AUDIO_SUFFIXES))}.")
        else:
            songs = [_Song(path, out if out is not None else Path())]
        for song in songs:
            found.setdefault(os.path.realpath(song.input), song)
    return list(found.values())


def _search(top: Path, out: Path) -> Iterator[_Song]:
    """Find the music below a folder; links to folders are not followed, as they may lead in circles."""
    for folder, subfolders, names in os.walk(top):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            # What --save-segment wrote is no song, or a second run would draw covers for it.
            if name.startswith(".") or name.endswith(".segment.mp3") or Path(name).suffix.lower() not in AUDIO_SUFFIXES:
                continue
            yield _Song(Path(folder, name), out / Path(folder).relative_to(top))


def _stems(songs: Sequence[_Song]) -> list[str]:
    def key(song: _Song) -> tuple[str, str, str]:
        return os.path.normcase(song.input.parent), os.path.normcase(song.folder), os.path.normcase(song.input.stem)

    count = Counter(key(song) for song in songs)
    return [song.input.name if count[key(song)] > 1 else song.input.stem for song in songs]


def _jobs(song: _Song, stem: str, config: GenerateConfig) -> Iterator[Job]:
    segment = song.folder / f"{stem}.segment.mp3" if config.save_segment else None
    for index in range(config.variations):
        number = f"-{index + 1}" if config.variations > 1 else ""
        output = song.folder / f"{stem}{number}.{config.format}"
        yield Job(song.input, output, config.seed + index, config.format, segment)


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
    if suffix not in _FORMATS and out.exists():
        raise ConfigError(f"{out} is a file, not a folder", hint="Name a folder, or a .png or .jpg file.")
    return suffix in _FORMATS


def _named(jobs: Sequence[Job], out: Path, config: GenerateConfig, *, format_given: bool) -> Job:
    """Give the only job the very name that was asked for."""
    if len(jobs) != 1:
        raise ConfigError(f"{out} names one file, but there are {len(jobs)} covers", hint="Give a folder with -o.")
    kind = _FORMATS[out.suffix.lower()]
    if format_given and kind != config.format:
        raise ConfigError(f"{out} is no {config.format} file", hint="Leave out --format, or change the suffix.")
    segment = out.with_suffix(".segment.mp3") if config.save_segment else None
    return replace(jobs[0], output=out, format=kind, segment_output=segment)


def _check_names(jobs: Sequence[Job]) -> None:
    """Refuse names that would lose a file.

    Raises:
        ConfigError: see :func:`plan`.
    """
    songs = {_place(job.input) for job in jobs}
    makers: dict[str, Job] = {}
    for job in jobs:
        place = _place(job.output)
        if place in songs:
            raise ConfigError(f"the cover {job.output} would replace a song", hint="Give another folder with -o.")
        other = makers.setdefault(place, job)
        if other is not job:
            raise ConfigError(
                f"{other.input} and {job.input} would both be drawn to {job.output}",
                hint="Draw them one after the other, to different folders.",
            )


def _place(path: Path) -> str:
    return os.path.normcase(os.path.realpath(path))
