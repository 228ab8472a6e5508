import numpy as np
import pytest
from PIL import Image

from covergen_cli.covers.motion.rhythm import RATE_HZ


def clicks(bpm, seconds, rate=RATE_HZ, first=0.0):
    """A click track: a short burst on every beat."""
    samples = np.zeros(round(seconds * rate), np.float32)
    burst = np.sin(2 * np.pi * 880 * np.arange(rate // 20) / rate) * np.exp(-np.arange(rate // 20) / (rate / 100))
    for beat in np.arange(first, seconds - 0.1, 60 / bpm):
        start = round(beat * rate)
        samples[start : start + len(burst)] += 0.6 * burst.astype(np.float32)
    return samples


@pytest.fixture(scope="session")
def hills():
    """A soft picture with hills and a disc, as a model draws them."""
    y, x = np.mgrid[0:128, 0:128] / 128
    tone = 0.55 + 0.2 * np.sin(5 * x + 7 * y) + 0.3 * (np.hypot(x - 0.6, y - 0.3) < 0.15) - 0.3 * (y > 0.7)
    rgb = np.stack([tone, 0.6 * tone + 0.1, 0.9 - 0.6 * tone], axis=-1)
    return Image.fromarray((255 * np.clip(rgb, 0, 1)).astype(np.uint8))
