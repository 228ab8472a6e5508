"""The maximum of a convolution by Fourier transform is that of the convolution itself."""

import pytest
import torch
from torch.nn import functional

from covergen_cli.audio.max_convolution import MaxConvolution


@pytest.mark.parametrize(("frames", "width"), [(7, 38), (7, 67), (1, 2), (3, 96)])
def test_as_the_convolution(frames, width):
    generator = torch.Generator().manual_seed(0)
    kernel = torch.randn(5, 1, frames, width, generator=generator)
    x = torch.randn(2, 1, 200, 96, generator=generator)  # longer than what is computed at once
    expected = functional.conv2d(x, kernel).amax(dim=3).transpose(1, 2)
    torch.testing.assert_close(MaxConvolution(kernel, 96)(x), expected, atol=1e-4, rtol=1e-4)
