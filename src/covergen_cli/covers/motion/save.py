"""Writes the loop or the video of a finished cover beside it."""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from covergen_cli.audio import io
from covergen_cli.covers.looks import palette_from
from covergen_cli.covers.motion.drift import STILL
from covergen_cli.covers.motion.due import DrawnCover, motion_path
from covergen_cli.covers.motion.frame_bank import FrameBank
from covergen_cli.covers.motion.frames import FrameDrawer, MovingCover, draw_frames
from covergen_cli.covers.motion.loop import Loop, make_loop
from covergen_cli.covers.motion.rhythm import RATE_HZ, analyse_rhythm
from covergen_cli.covers.motion.targets import FPS, PREVIEW_FPS, PREVIEW_SCALE, Target, load_targets
from covergen_cli.covers.motion.video import H264, save_video, video_encoder
from covergen_cli.covers.motion.whole_song import song_moments
from covergen_cli.covers.styling import add_text
from covergen_cli.errors import CovergenError
from covergen_cli.events import FileSaved, Progress, Warned
from covergen_cli.provenance import read_provenance

if TYPE_CHECKING:
    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.motion.drift import Moment
    from covergen_cli.events import Event

_PROCESSES = 2
_REPEATED_SECONDS = (3.0, 8.0)
"""Length of the loop that a video of a whole song repeats."""


def save_motion(cover: DrawnCover, config: GenerateConfig) -> Generator[Event, None, None]:
    """Write the loop of a cover, and yield progress and what was saved, or a warning, so that the cover is not lost."""
    path = motion_path(cover.job.output, config)
    if os.path.lexists(path) and read_provenance(path) is None:
        yield Warned(f"{path} exists and was not made by covergen; the loop is not written", cover.job.input)
        return
    try:
        yield from _save(path, cover, config)
    except (CovergenError, OSError) as error:
        reason = error.message if isinstance(error, CovergenError) else str(error)
        yield Warned(f"the loop could not be written: {reason}", cover.job.input)


def _save(path: Path, cover: DrawnCover, config: GenerateConfig) -> Generator[Event, None, None]:
    kind, target, label = config.motion or "mp4", load_targets()[config.motion_for], cover.job.label
    if kind == "mp4" and (encoder := video_encoder()) != H264:
        yield Warned(
            f"PyAV has no {H264} here; {encoder} encodes the video, which stores may not take", cover.job.input
        )
    yield Progress("motion", 0, None, label)
    whole = target.seconds is None
    fps, scale = (FPS, 1.0) if kind == "mp4" else (PREVIEW_FPS, PREVIEW_SCALE)
    loop, moments = _moments(cover, target, fps)
    moving = _moving_cover(cover, config, target, scale)
    provenance = {**cover.provenance, "motion": kind, "motion_for": target.name, "motion_beats": loop.beats}
    bank = FrameBank(f"{cover.provenance['fingerprint']}:{target.name}:{cover.song.name}") if whole else None
    frames = draw_frames(moving, moments, processes=_PROCESSES) if bank is None else bank.frames(moving, moments)
    for done in save_video(path, frames, fps, provenance, kind, song=cover.song if whole else None):
        yield Progress("motion", done, len(moments), label)
    if bank is not None:
        bank.remove()
    yield FileSaved(path, "the video" if whole else "the loop")


def _moments(cover: DrawnCover, target: Target, fps: int) -> tuple[Loop, list[Moment]]:
    """Return the loop of a cover, and the moment of every frame of the file."""
    if target.seconds is not None:
        clip = io.load(cover.song, RATE_HZ, *(cover.segment or (0.0, None)))
        loop = make_loop(analyse_rhythm(clip.samples), fps, *target.seconds)
        return loop, [loop.moment(frame) for frame in range(loop.frames)]
    clip = io.load(cover.song, RATE_HZ)
    rhythm = analyse_rhythm(clip.samples)
    loop = make_loop(rhythm, fps, *_REPEATED_SECONDS)
    return loop, song_moments(rhythm, loop, len(clip.samples) / RATE_HZ)


def _moving_cover(cover: DrawnCover, config: GenerateConfig, target: Target, scale: float) -> MovingCover:
    """Return what frames are drawn from; the first frame is the cover, or its middle."""
    width, height = target.scaled(scale)
    picture, side = cover.picture.image, max(width, height)
    if cover.look is None and cover.finish is not None:
        picture = cover.finish(picture, cover.picture.seed, replace(config, size=side))
    palette = None if config.palette is None else palette_from(config.palette)
    moving = MovingCover(picture, cover.look, palette, cover.picture.seed, width, height)
    text = cover.provenance.get("lettering")
    return replace(moving, overlay=_overlay(moving, cover, text, config)) if text and target.text else moving


def _overlay(moving: MovingCover, cover: DrawnCover, text: dict[str, Any], config: GenerateConfig) -> Image.Image:
    """Return the text of a cover as it stands on the first frame, transparent elsewhere."""
    plain = Image.fromarray(FrameDrawer(moving).draw(STILL))
    lettered = add_text(plain, text, cover.provenance, cover.job.seed, config.font)[0].convert("RGB")
    changed = (np.asarray(lettered) != np.asarray(plain)).any(axis=2)
    lettered.putalpha(Image.fromarray(changed.astype(np.uint8) * 255))
    return lettered
