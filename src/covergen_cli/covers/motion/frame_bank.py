"""The frames of a long video on disk: each is drawn once, and an interrupted video goes on where it was."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import platformdirs
from PIL import Image

from covergen_cli.covers.motion.frames import MovingCover, draw_frames
from covergen_cli.files import atomic_path, sha256_bytes

if TYPE_CHECKING:
    from covergen_cli.covers.motion.drift import Moment
    from covergen_cli.covers.motion.frames import Frame

_PROCESSES = 2
_QUALITY = 96
"""JPEG quality without chroma subsampling: the video's own compression loses more."""
_KEPT_DAYS = 7


class FrameBank:
    """The frames of one video in the user's cache, as JPEG files.

    Args:
        key: names the video; another one has other frames.
    """

    def __init__(self, key: str) -> None:
        self.folder = _banks() / sha256_bytes(key.encode())[:32]
        self.folder.mkdir(parents=True, exist_ok=True)
        _remove_old(self.folder)

    def frames(self, cover: MovingCover, moments: Sequence[Moment]) -> Iterator[Frame]:
        """Yield the frame of every moment in order; only those that are not on disk are drawn."""
        missing = [moment for moment in dict.fromkeys(moments) if not self._path(moment).exists()]
        drawn = draw_frames(cover, missing, processes=_PROCESSES)
        for moment in moments:
            path = self._path(moment)
            if path.exists():
                with Image.open(path, formats=("JPEG",)) as image:
                    yield np.asarray(image.convert("RGB"))
                continue
            frame = next(drawn)
            with atomic_path(path, flush=False) as temporary:
                Image.fromarray(frame).save(temporary, format="JPEG", quality=_QUALITY, subsampling=0)
            yield frame

    def remove(self) -> None:
        """Remove the frames from the disk."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, moment: Moment) -> Path:
        return self.folder / f"{sha256_bytes(repr(moment).encode())[:16]}.jpg"


def _banks() -> Path:
    return Path(platformdirs.user_cache_dir("covergen", appauthor=False)) / "motion"


def _remove_old(kept: Path) -> None:
    """Remove the frames of videos that were not finished for a week."""
    for folder in _banks().iterdir():
        with contextlib.suppress(OSError):
            if folder != kept and time.time() - folder.stat().st_mtime > 86_400 * _KEPT_DAYS:
                shutil.rmtree(folder)
