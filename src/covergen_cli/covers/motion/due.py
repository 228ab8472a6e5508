"""Which covers are due a loop, and where it goes; light to import, since every run asks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.covers.naming import file_name
from covergen_cli.errors import ConfigError
from covergen_cli.provenance import read_provenance

if TYPE_CHECKING:
    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.looks import Look
    from covergen_cli.covers.picture_cache import RawPicture
    from covergen_cli.covers.plan import Job
    from covergen_cli.covers.styling import Finish


@dataclass(frozen=True)
class DrawnCover:
    """A finished cover and what it was made of."""

    job: Job
    picture: RawPicture  # as it was drawn
    look: Look | None  # ``None`` for a cover without a look
    finish: Finish | None  # makes the cover where there is no look
    provenance: dict[str, Any]
    song: Path  # the music file; of an album, its first
    segment: tuple[float, float] | None  # start and end, in seconds, of what was listened to


def motion_path(cover: Path, config: GenerateConfig) -> Path:
    """Return where the loop of a cover goes: ``song.png`` → ``song.mp4``."""
    return cover.with_name(file_name(cover.stem, f".{config.motion}"))


def check_motion(config: GenerateConfig) -> None:
    """Check that the settings can give a loop.

    Raises:
        ConfigError: they cannot.
    """
    if config.motion_for == "youtube" and config.motion not in {None, "mp4"}:
        raise ConfigError("--motion-for youtube makes a video with sound", hint="Use --motion mp4.")
    if config.motion and config.format == "svg":
        raise ConfigError("a vector cover has no loop", hint="Leave out --motion, or use --format png.")


def needs_motion(cover: Path, fingerprint: str, config: GenerateConfig) -> bool:
    """Return whether the loop of a cover that is there already is to be written.

    It is if the cover has this fingerprint, and the loop is missing or was made of another cover or for another target.
    """
    if config.motion is None or (read_provenance(cover) or {}).get("fingerprint") != fingerprint:
        return False
    path = motion_path(cover, config)
    if not os.path.lexists(path):
        return True
    if config.overwrite == "skip":
        return False
    made = read_provenance(path) or {}
    return config.overwrite == "force" or (made.get("fingerprint"), made.get("motion_for")) != (
        fingerprint,
        config.motion_for,
    )
