"""Batches are halved until they fit; the results are those of all items, in order."""

import pytest
import torch

from covergen_cli.errors import ModelError
from covergen_cli.weights.memory import in_batches


class Device:
    """Computes up to ``fits`` items at once, and runs out of memory with more."""

    def __init__(self, fits):
        self.fits, self.sizes = fits, []

    def __call__(self, batch):
        self.sizes.append(len(batch))
        if len(batch) > self.fits:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [item * 10 for item in batch]


@pytest.mark.parametrize(
    ("fits", "sizes"), [(8, [8, 3]), (4, [8, 4, 4, 3]), (3, [8, 4, 2, 2, 2, 2, 2, 1]), (1, [8, 4, 2, *[1] * 11])]
)
def test_batches_are_halved_until_they_fit(fits, sizes):
    device = Device(fits)
    results = [item for result in in_batches(device, range(11), 8) for item in result]
    assert results == [item * 10 for item in range(11)]
    assert device.sizes == sizes


def test_an_item_that_does_not_fit_alone_is_an_error_with_a_hint():
    with pytest.raises(ModelError, match="the GPU has too little memory") as caught:
        list(in_batches(Device(0), range(3), 2, hint="Use --device cpu."))
    assert caught.value.hint == "Use --device cpu."


def test_nothing_is_computed_for_no_items():
    device = Device(8)
    assert list(in_batches(device, [], 8)) == []
    assert device.sizes == []
