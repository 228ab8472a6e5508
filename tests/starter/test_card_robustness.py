"""What is done to a song to see whether it is still heard as the same."""

import av
import numpy as np
import pytest

from covergen_cli.starter.card_robustness import AS_IT_IS, CHANGES, changed

RATE_HZ = 22050


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """A file of eight seconds: 330 Hz on the left, 880 Hz on the right, and everything that is made of it."""
    path = tmp_path_factory.mktemp("song") / "song.flac"
    time = np.arange(8 * RATE_HZ) / RATE_HZ
    sides = np.stack([0.4 * np.sin(2 * np.pi * hz * time) for hz in (330, 880)]).astype(np.float32)
    with av.open(str(path), "w") as container:
        track = container.add_stream("flac", rate=RATE_HZ, layout="stereo")
        frame = av.AudioFrame.from_ndarray((sides * 32767).astype(np.int16).T.reshape(1, -1), "s16", "stereo")
        frame.sample_rate = RATE_HZ
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return dict(changed(path, RATE_HZ))


def strength(samples, hz):
    spectrum = np.abs(np.fft.rfft(samples[: 4 * RATE_HZ]))
    return spectrum[round(4 * hz)] / spectrum.max()


def test_every_change_keeps_the_length(heard):
    assert list(heard) == [AS_IT_IS, *CHANGES]
    assert all(abs(samples.size - heard[AS_IT_IS].size) < 0.1 * RATE_HZ for samples in heard.values())
    assert {samples.dtype for samples in heard.values()} == {np.dtype(np.float32)}


def test_each_change_is_what_its_name_says(heard):
    assert np.allclose(heard["12 dB quieter"] / 0.2512, heard[AS_IT_IS], atol=1e-3)
    assert strength(heard[AS_IT_IS], 880) > 0.9
    assert strength(heard["one channel only"], 880) < 0.01 < strength(heard["one channel only"], 330)
    squeezed = heard["mp3 at 64 kbit/s"]
    assert strength(squeezed, 330) > 0.9
    assert not np.array_equal(squeezed[:RATE_HZ], heard[AS_IT_IS][:RATE_HZ])
