"""Plans covers that are saved beside the songs of an album, under a name that players look for (``--in-place``)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from covergen_cli.covers.albums import groups
from covergen_cli.covers.inputs import find_songs
from covergen_cli.covers.naming import FORMATS
from covergen_cli.covers.plan import Job, check_names, check_settings, read_tags
from covergen_cli.covers.present_art import DISC_FOLDER
from covergen_cli.errors import ConfigError
from covergen_cli.events import CoverFailed, Progress

if TYPE_CHECKING:
    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.albums import Album

NAME = "cover.jpg"
"""The usual name of a cover beside its songs."""


def plan_in_place(
    inputs: Sequence[str | os.PathLike[str]],
    name: str,
    config: GenerateConfig,
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[list[Job], list[CoverFailed]]:
    """Return the covers of albums or folders, each beside its songs, and failures for those that would share one file.

    The cover of an album with a folder for each disc is saved above them. Of an album in unrelated folders, it is saved
    in that of the first song.

    Args:
        inputs: music files, folders and playlists.
        name: of every cover, such as ``cover.jpg``; its suffix decides the format.
        config: ``per`` is ``album`` or ``folder``.
        on_progress: called while tags are read.

    Raises:
        InputError: a folder or a playlist contains no music.
        ConfigError: the name is not that of a picture, or settings exclude each other.
    """
    kind = FORMATS.get(Path(name).suffix.lower())
    if kind is None or Path(name).name != name:
        raise ConfigError(f"{name} cannot be the name of covers beside songs", hint=f"Use -o {NAME} or -o folder.jpg.")
    if config.per not in {"album", "folder"}:
        raise ConfigError("--in-place saves one cover beside several songs", hint="Add --per album or --per folder.")
    if config.variations > 1:
        raise ConfigError("--in-place saves one cover, and there are several variations", hint="Leave out -n.")
    check_settings(config)
    songs = find_songs([Path(path) for path in inputs])
    tagged = read_tags(songs, on_progress) if config.per == "album" else ((song, None) for song in songs)
    found: dict[Path, list[Album]] = {}
    for album in groups(tagged, "album" if config.per == "album" else "folder"):
        found.setdefault(_place(album) / name, []).append(album)
    jobs: list[Job] = []
    failures: list[CoverFailed] = []
    for output, sharing in found.items():
        planned = [_job(album, output, config) for album in sharing]
        if len(planned) == 1:
            jobs += [replace(planned[0], format=kind)]
        else:
            failures += [_shared(job, sharing) for job in planned]
    check_names(jobs, None)
    return sorted(jobs, key=lambda job: job.input.parts), failures


def _place(album: Album) -> Path:
    """Return the folder for an album's cover."""
    folders = dict.fromkeys(song.path.parent for song in album.songs)
    above = {folder.parent for folder in folders}
    discs = all(DISC_FOLDER.fullmatch(folder.name) for folder in folders)
    return above.pop() if len(folders) > 1 and len(above) == 1 and discs else next(iter(folders))


def _job(album: Album, output: Path, config: GenerateConfig) -> Job:
    group = None if config.per == "album" else album.name
    return Job(album.songs[0].path, output, config.seed, songs=tuple(song.path for song in album.songs), group=group)


def _shared(job: Job, albums: Sequence[Album]) -> CoverFailed:
    names = ", ".join(sorted(album.name for album in albums)[:3])
    text = f"{job.output.parent} holds songs of {len(albums)} albums ({names}), which would share {job.output.name}"
    return CoverFailed(job.input, job.output, job.seed, text, "Use --per folder, or -o with a template.", job.songs)
