import numpy as np

from covergen_cli.covers.motion.rhythm import RATE_HZ


def clicks(bpm, seconds, rate=RATE_HZ, first=0.0):
    """A click track: a short burst on every beat."""
    samples = np.zeros(round(seconds * rate), np.float32)
    burst = np.sin(2 * np.pi * 880 * np.arange(rate // 20) / rate) * np.exp(-np.arange(rate // 20) / (rate / 100))
    for beat in np.arange(first, seconds - 0.1, 60 / bpm):
        start = round(beat * rate)
        samples[start : start + len(burst)] += 0.6 * burst.astype(np.float32)
    return samples
