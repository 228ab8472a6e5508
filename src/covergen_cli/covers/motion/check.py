"""Check any video against the rules of a target; nothing is changed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from covergen_cli.covers.check import Finding, Level
from covergen_cli.errors import InputError

if TYPE_CHECKING:
    from covergen_cli.covers.motion.targets import Target

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".webm", ".mkv"})
"""Suffixes of files that are checked as videos."""
_RATIO_TOLERANCE = 0.01
_LEAST_SIDE = 720
_FPS = (24, 60)
_HEAD_BYTES = 1 << 20


@dataclass(frozen=True)
class Video:
    """The measured properties of a video file."""

    path: Path
    width: int  # in pixels; the height likewise
    height: int
    seconds: float
    fps: float
    codec: str  # such as ``h264``
    pixel_format: str  # such as ``yuv420p``
    container: str  # ``mp4``, or ffmpeg's name of another format
    sound: str  # codec and rate, such as ``aac, 48000 Hz``; empty without sound
    index_first: bool  # whether players can start before all of the file is there
    bytes: int


@dataclass(frozen=True)
class VideoCheck:
    """The findings on a video for one target."""

    video: Video
    target: str
    findings: tuple[Finding, ...]

    @property
    def passes(self) -> bool:
        """Whether nothing is refused."""
        return all(finding.level != "refused" for finding in self.findings)

    @property
    def path(self) -> Path:
        """The file."""
        return self.video.path

    @property
    def place(self) -> str:
        """The target."""
        return self.target

    def properties(self) -> dict[str, object]:
        """Return what was measured; JSON-able."""
        video = self.video
        measured = {name: getattr(video, name) for name in ("seconds", "fps", "codec", "sound", "bytes")}
        return {"video": str(video.path), "target": self.target, "size": [video.width, video.height], **measured}


def open_video(path: Path) -> Video:
    """Measure a video.

    Raises:
        InputError: it is missing, is no video, or cannot be read.
    """
    import av

    try:
        with av.open(os.fspath(path), metadata_errors="replace") as container:
            if not container.streams.video:
                raise InputError(f"{path} has no picture", hint="Name a video.")
            stream = container.streams.video[0]
            duration = container.duration / av.time_base if container.duration else 0.0
            sound = container.streams.audio[0].codec_context if container.streams.audio else None
            names = container.format.name.split(",")
            return Video(
                path=path,
                width=stream.width,
                height=stream.height,
                seconds=float(stream.duration * stream.time_base) if stream.duration else duration,
                fps=float(stream.average_rate or 0),
                codec=stream.codec_context.name,
                pixel_format=stream.pix_fmt or "",
                container="mp4" if "mp4" in names else names[0],
                sound="" if sound is None else f"{sound.name}, {sound.sample_rate} Hz",
                index_first=_index_first(path),
                bytes=path.stat().st_size,
            )
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist", hint="Check the name.") from error
    except (OSError, ValueError, av.error.FFmpegError) as error:
        raise InputError(f"{path} cannot be read as a video: {getattr(error, 'strerror', None) or error}") from error


def _index_first(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return b"moov" in head and (b"mdat" not in head or head.index(b"moov") < head.index(b"mdat"))


def check_video(video: Video, target: Target) -> VideoCheck:
    """Check a video against the rules of one target."""
    shape = video.width / video.height / (target.width / target.height)
    shortest, longest = target.seconds or (0.0, float("inf"))
    rules: list[tuple[str, bool, Level, str]] = [
        ("shape", abs(shape - 1) < _RATIO_TOLERANCE, "refused", f"{video.width} × {video.height} pixels"),
        ("size", min(video.width, video.height) >= _LEAST_SIDE, "advice", f"{_LEAST_SIDE} pixels or more are better"),
        (
            "duration",
            shortest - 0.05 <= video.seconds <= longest + 0.05,
            "refused",
            f"{video.seconds:.1f} s; {shortest:g} to {longest:g} s are allowed",
        ),
        ("container", video.container == "mp4", "refused", f"{video.container}; MP4 is needed"),
        ("codec", video.codec == "h264", "advice", f"{video.codec}; H.264 is taken everywhere"),
        ("colours", video.pixel_format == "yuv420p", "advice", f"{video.pixel_format}; yuv420p plays everywhere"),
        ("speed", _FPS[0] - 0.5 <= video.fps <= _FPS[1], "advice", f"{video.fps:g} frames per second"),
        ("index", video.index_first, "advice", "the index is not at the start of the file"),
    ]
    if target.seconds is None:
        rules.append(("sound", video.sound.startswith("aac"), "advice", f"{video.sound or 'none'}; AAC is best"))
    else:
        rules.append(("sound", not video.sound, "advice", f"{video.sound}; loops are played without sound"))
    findings = tuple(Finding(rule, "ok" if good else level, text) for rule, good, level, text in rules)
    return VideoCheck(video, target.name, findings)
