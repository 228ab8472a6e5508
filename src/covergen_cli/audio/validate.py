"""Whether a file is sound music: decoded to its end, nothing of it kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from covergen_cli.audio.decode import Damage, decoded_frames
from covergen_cli.audio.io import SILENCE_PEAK, damage_warnings, declared_seconds, open_audio
from covergen_cli.errors import InputError


@dataclass(frozen=True)
class ValidationResult:
    """What decoding a file showed.

    Args:
        codec: ffmpeg's name of its codec, e.g. ``"mp3"``.
        seconds: length of what was decoded.
        silent: whether no sample of it rises above −80 dB of full scale.
        warnings: sentences about what was wrong with the file, empty when nothing was.
    """

    codec: str
    seconds: float
    silent: bool
    warnings: tuple[str, ...]


def validate(path: Path, most_seconds: float) -> ValidationResult:
    """Decode a file, faster than :func:`covergen_cli.audio.io.stream`, which has to hand the sound over.

    Args:
        path: a local file.
        most_seconds: how much of it to decode at most, so that a small file that unpacks to days does no harm.

    Raises:
        InputError: the file is missing, not a file, unreadable, empty, not audio, has no audio stream, or not one
            sample could be decoded.
    """
    damage = Damage()
    with open_audio(path) as (container, audio):
        samples: Counter[int] = Counter()
        silent, whole = True, True
        for frame in decoded_frames(container, audio, damage):
            silent = silent and _is_silent(frame)
            samples[frame.sample_rate] += frame.samples
            if samples[frame.sample_rate] > most_seconds * frame.sample_rate:
                whole = False
                break
        seconds = sum(count / rate_hz for rate_hz, count in samples.items())
        if not seconds:
            raise InputError(f"{path} has no sound that can be decoded", hint="Download or copy it again.")
        declared = declared_seconds(container, audio) if whole else None
        return ValidationResult(audio.codec_context.name, seconds, silent, damage_warnings(path, seconds, declared, damage))


def _is_silent(frame: Any) -> bool:
    samples = frame.to_ndarray()
    peak, middle = SILENCE_PEAK, 0.0
    if samples.dtype.kind in "iu":
        peak *= float(2 ** (8 * samples.dtype.itemsize - 1))
        middle = float(2 ** (8 * samples.dtype.itemsize - 1)) if samples.dtype.kind == "u" else 0.0
    return float(np.abs(samples.astype(np.float64) - middle).max(initial=0.0)) <= peak
