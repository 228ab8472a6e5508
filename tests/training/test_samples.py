"""Sample covers are generated with the settings that ``covergen generate`` would use."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from covergen_cli.models.base import load_base
from covergen_cli.models.checkpoint import load_adapter
from covergen_cli.training.embedding_cache import prepare_embeddings
from covergen_cli.training.samples import draw_samples
from tiny import tiny_adapter, tiny_sd_base
from training_data import drain


@pytest.fixture
def sheet(data, pairs, base_folder, tmp_path, monkeypatch):
    """Return the generated row of a sheet of two pairs, drawn with some settings."""
    embeddings = drain(prepare_embeddings(pairs))[0]

    def draw(base=base_folder, **settings):
        for name, value in {"steps": 2, **settings}.items():
            monkeypatch.setenv(f"COVERGEN_GENERATE_{name.upper()}", str(value))
        adapter = load_adapter(tiny_adapter(tmp_path / "adapter", base)).adapter
        draw_samples(tmp_path / "sheet.jpg", load_base(str(base)), adapter, pairs[:2], embeddings)
        with Image.open(tmp_path / "sheet.jpg") as image:
            return np.asarray(image)[16:].astype(int)

    return draw


def test_the_same_settings_give_the_same_covers_and_songs_differ(sheet):
    first = sheet()
    assert np.array_equal(sheet(), first)
    assert np.abs(first[:, :16] - first[:, 16:]).max() > 20


@pytest.mark.parametrize("settings", [{"guidance": 1}, {"guidance": 9}, {"steps": 3}, {"seed": 5}])
def test_every_setting_counts(sheet, settings):
    assert np.abs(sheet(**settings) - sheet(guidance=4, steps=2, seed=0)).max() > 2


def test_the_negative_prompt_counts_for_a_base_with_a_text_encoder(sheet, tmp_path):
    base = tiny_sd_base(tmp_path / "base")
    assert np.abs(sheet(base) - sheet(base, negative="")).max() > 2
