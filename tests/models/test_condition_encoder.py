"""Tokens from numbers: what each of them depends on, and reading them from a folder."""

import pytest
import torch
from safetensors.torch import save_file

from covergen_cli.errors import ModelError
from covergen_cli.files import write_json
from covergen_cli.models.condition_encoder import ConditionEncoder, load_condition_encoder
from covergen_cli.models.fingerprint import CONDITION_CONFIG, CONDITION_WEIGHTS


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return ConditionEncoder(3, (2, 4), 16).eval()


def moved(encoder, place):
    conditions = torch.full((1, 9), 0.3)
    changed = conditions.clone()
    changed[0, place] = 0.8
    with torch.inference_mode():
        return ((encoder(conditions) - encoder(changed)).abs().amax(dim=-1)[0] > 1e-4).tolist()


def test_every_token_depends_on_its_own_numbers_and_the_last_on_all(encoder):
    assert encoder(torch.rand(5, 9)).shape == (5, 6, 16) == (5, encoder.tokens, 16)
    assert moved(encoder, 1) == [False, True, False, False, False, True]
    assert moved(encoder, 4) == [False, False, False, True, False, True]
    assert moved(encoder, 5) == [False, False, False, False, True, True]


def test_tokens_do_not_depend_on_the_batch(encoder):
    conditions = torch.rand(4, 9)
    assert torch.allclose(encoder(conditions)[1:2], encoder(conditions[1:2]), atol=1e-6)


def test_it_is_read_again_from_a_folder(encoder, tmp_path):
    assert load_condition_encoder(tmp_path) is None
    write_json(tmp_path / CONDITION_CONFIG, encoder.config)
    save_file({name: value.half() for name, value in encoder.state_dict().items()}, tmp_path / CONDITION_WEIGHTS)
    loaded = load_condition_encoder(tmp_path)
    conditions = torch.rand(2, 9)
    assert torch.allclose(loaded(conditions), encoder(conditions), atol=5e-3)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_damaged_weights_are_an_error_of_the_model(encoder, tmp_path):
    write_json(tmp_path / CONDITION_CONFIG, encoder.config | {"width": 8})
    save_file(encoder.state_dict(), tmp_path / CONDITION_WEIGHTS)
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_condition_encoder(tmp_path)
