"""The precision suits the device: what a card only emulates is not chosen."""

import pytest
import torch

from covergen_cli.errors import ConfigError
from covergen_cli.weights.device import choose_dtype, choose_training_dtype

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(params=[True, False], ids=["ampere", "turing"])
def native_bf16(request, monkeypatch):
    def supported(*, including_emulation=True):
        return request.param or including_emulation  # as torch answers for cards that are too old

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    return request.param


def test_training_takes_bf16_only_where_the_card_computes_it(native_bf16):
    assert choose_training_dtype("auto", CUDA) == (torch.bfloat16 if native_bf16 else torch.float16)
    assert choose_training_dtype("fp32", CUDA) == torch.float32
    if native_bf16:
        assert choose_training_dtype("bf16", CUDA) == torch.bfloat16
    else:
        with pytest.raises(ConfigError, match="does not support bf16") as caught:
            choose_training_dtype("bf16", CUDA)
        assert "--precision fp16" in caught.value.hint


def test_training_on_the_cpu():
    assert choose_training_dtype("auto", CPU) == torch.float32
    assert choose_training_dtype("bf16", CPU) == torch.bfloat16


def test_drawing_takes_fp16_on_a_card_and_bf16_only_where_it_is_computed(native_bf16):
    assert choose_dtype("auto", CUDA) == torch.float16
    assert choose_dtype("auto", CPU) == torch.float32
    if native_bf16:
        assert choose_dtype("bf16", CUDA) == torch.bfloat16
    else:
        with pytest.raises(ConfigError, match="does not support bf16"):
            choose_dtype("bf16", CUDA)
