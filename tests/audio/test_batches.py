import numpy as np
import pytest
import torch

from covergen_cli.audio.batches import in_batches

LENGTH, HOP, SIZE = 8, 3, 5


class Network:
    """Gives sums and maxima of windows, and remembers what it was given."""

    device = torch.device("cpu")

    def __init__(self):
        self.shapes = []

    def forward_windows(self, windows):
        self.shapes.append(tuple(windows.shape))
        return torch.stack([windows.sum(dim=1), windows.amax(dim=1)], dim=1)


def windows(count, seed):
    sound = np.random.default_rng(seed).standard_normal((count - 1) * HOP + LENGTH).astype(np.float32)
    return np.lib.stride_tricks.sliding_window_view(sound, LENGTH)[::HOP]


@pytest.mark.parametrize("counts", [(1,), (5,), (4, 1), (3, 9, 1, 1, 12), (6, 6, 6)])
def test_clips_get_their_own_rows_in_batches_of_one_shape(counts):
    network = Network()
    clips = [(index, windows(count, index)) for index, count in enumerate(counts)]
    got = dict(in_batches(clips, network, SIZE))
    for index, clip in clips:
        expected = np.stack([clip.sum(axis=1), clip.max(axis=1)], axis=1)
        np.testing.assert_allclose(got[index], expected, rtol=1e-5, atol=1e-5)
        assert got[index].dtype == np.float32
    assert network.shapes == [(SIZE, LENGTH)] * -(-sum(counts) // SIZE)


def test_a_clip_without_windows_is_handed_through():
    got = list(in_batches([("bad", None), ("a", windows(2, 0)), ("worse", None)], Network(), SIZE))
    assert [key for key, _ in got] == ["bad", "worse", "a"]
    assert [rows is None for _, rows in got] == [True, True, False]


def test_clips_are_given_before_the_last_was_read():
    read = []

    def clips():
        for index in range(20):
            read.append(index)
            yield index, windows(SIZE, index)

    first = next(in_batches(clips(), Network(), SIZE))
    assert first[0] == 0
    assert len(read) == 2, "one batch is computed while the one before it is fetched"


def test_a_batch_that_does_not_fit_is_computed_in_parts_from_then_on():
    class Small(Network):
        def forward_windows(self, windows):
            if len(windows) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward_windows(windows)

    network = Small()
    clips = [(index, windows(count, index)) for index, count in enumerate((4, 3, 3))]
    got = dict(in_batches(clips, network, SIZE))
    assert network.shapes == [(2, LENGTH), (2, LENGTH), (1, LENGTH)] * 2
    for index, clip in clips:
        np.testing.assert_allclose(got[index][:, 0], clip.sum(axis=1), rtol=1e-5, atol=1e-5)
