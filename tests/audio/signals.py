"""Constructed signals and files whose sound is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

RATE_HZ = 22050


def tone(hertz, seconds, rate_hz=RATE_HZ, amplitude=0.3):
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def noise(seconds, rate_hz=RATE_HZ, amplitude=0.1, seed=0):
    return (amplitude * np.random.default_rng(seed).standard_normal(round(seconds * rate_hz))).astype(np.float32)


def clicks(bpm, seconds=30.0, amplitude=0.8):
    """Short bursts of noise on every beat, over a faint hum."""
    out = tone(110, seconds, amplitude=0.01)
    burst = noise(0.05, amplitude=amplitude / 3, seed=1) * np.exp(-np.linspace(0, 6, round(0.05 * RATE_HZ)))
    for beat in np.arange(0, seconds - 0.1, 60 / bpm):
        begin = round(beat * RATE_HZ)
        out[begin : begin + burst.size] += burst
    return np.clip(out, -1, 1).astype(np.float32)


def chords(progression, tonic=60, seconds_each=1.0, repeats=8):
    """Chords, each given by (semitones above the tonic, third in semitones), with four harmonics."""
    parts = []
    for root, third in progression * repeats:
        chord = np.zeros(round(seconds_each * RATE_HZ), np.float32)
        for semitones in (root - 12, root, root + third, root + 7):
            hertz = 440 * 2 ** ((tonic + semitones - 69) / 12)
            for harmonic in range(1, 5):
                chord += tone(hertz * harmonic, seconds_each, amplitude=0.06 / harmonic)
        parts.append(chord * np.exp(-np.linspace(0, 2, chord.size)))
    return np.concatenate(parts).astype(np.float32)


def low_passed(samples, hertz, rate_hz=RATE_HZ):
    spectrum = np.fft.rfft(samples)
    spectrum[np.fft.rfftfreq(samples.size, 1 / rate_hz) > hertz] = 0
    return np.fft.irfft(spectrum, samples.size).astype(np.float32)


def write_audio(path: Path, samples, rate_hz, codec, layout="mono", *, tags=None, picture=None):
    """Write samples ``(n,)``, alike in all channels, or ``(channels, n)``; ``picture`` adds a video stream."""
    channels = len(av.AudioLayout(layout).channels)
    planes = np.ascontiguousarray(np.broadcast_to(np.atleast_2d(samples), (channels, np.shape(samples)[-1])))
    with av.open(str(path), "w") as container:
        container.metadata.update(tags or {})
        if picture is not None:
            video = container.add_stream(picture, rate=1)
            video.width, video.height, video.pix_fmt = 64, 64, "yuvj420p" if picture == "mjpeg" else "yuv420p"
        track = container.add_stream(codec, rate=rate_hz, layout=layout, options={"strict": "-2"})
        if picture is not None:
            for _ in range(2):
                frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="rgb24")
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        for begin in range(0, planes.shape[1], 4096):
            part = np.ascontiguousarray(planes[:, begin : begin + 4096].astype(np.float32))
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate_hz, begin
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return path
