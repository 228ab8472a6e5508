"""Validate music files by decoding them to the end."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from covergen_cli.audio.container import open_audio
from covergen_cli.audio.decode import Damage, decoded_frames
from covergen_cli.audio.io import SILENCE_PEAK
from covergen_cli.errors import InputError


@dataclass(frozen=True)
class ValidationResult:
    """What decoding a file showed.

    Args:
        codec: ffmpeg's name of its codec, e.g. ``"mp3"``.
        seconds: duration of what was decoded.
        silent: whether no sample exceeds −80 dB of full scale.
        warnings: sentences about what is wrong with the file; empty when nothing is.
    """

    codec: str
    seconds: float
    silent: bool
    warnings: tuple[str, ...]


def validate(path: str | os.PathLike[str], max_seconds: float) -> ValidationResult:
    """Decode a file without keeping the samples, which is faster than :func:`covergen_cli.audio.io.stream`.

    Args:
        path: a local file.
        max_seconds: how much to decode at most, because a small file may unpack to days.

    Raises:
        InputError: the file is missing, not a file, unreadable, empty, not audio, has no audio stream, or not one
            sample could be decoded.
    """
    path = Path(path)
    damage = Damage()
    with open_audio(path) as (container, audio):
        samples: Counter[int] = Counter()
        silent, at_end = True, True
        for frame in decoded_frames(container, audio, damage):
            silent = silent and _is_silent(frame)
            samples[frame.sample_rate] += frame.samples
            if samples[frame.sample_rate] > max_seconds * frame.sample_rate:
                at_end = False
                break
        seconds = sum(count / rate_hz for rate_hz, count in samples.items())
        if not seconds:
            raise InputError(f"{path} has no sound that can be decoded", hint="Download or copy it again.")
        warnings = damage.warnings(path, container, audio, seconds, at_end=at_end)
        return ValidationResult(audio.codec_context.name, seconds, silent, warnings)


def _is_silent(frame: Any) -> bool:
    samples = frame.to_ndarray()
    peak, middle = SILENCE_PEAK, 0.0
    if samples.dtype.kind in "iu":
        full_scale = float(2 ** (8 * samples.dtype.itemsize - 1))
        peak *= full_scale
        middle = full_scale if samples.dtype.kind == "u" else 0.0
    return float(np.abs(samples.astype(np.float64) - middle).max(initial=0.0)) <= peak
