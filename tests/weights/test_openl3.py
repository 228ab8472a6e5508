"""OpenL3's weights are fetched once, and nothing but the published ones is taken for them."""

import numpy as np
import pytest

from covergen_cli.errors import ModelError, OutputError
from covergen_cli.weights import openl3
from covergen_cli.weights.openl3 import OPENL3, cache_folder, load_openl3, openl3_path, openl3_weights
from openl3_files import cache_recipe, keras_bytes, recipe_arrays, recipe_layers


def kept():
    return sorted(path.name for path in cache_folder().iterdir()) if cache_folder().exists() else []


def flipped(content, place=1_000_000):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_the_four_files_are_pinned():
    assert {name: file.file_name for name, file in OPENL3.items()} == {
        "openl3": "openl3_audio_mel256_music-v0_4_0.h5.gz",
        "openl3-mel256-env": "openl3_audio_mel256_env-v0_4_0.h5.gz",
        "openl3-mel128-music": "openl3_audio_mel128_music-v0_4_0.h5.gz",
        "openl3-mel128-env": "openl3_audio_mel128_env-v0_4_0.h5.gz",
    }
    assert len({file.blob_id for file in OPENL3.values()}) == 4
    assert openl3.URL == "https://github.com/marl/openl3/raw/models/"


def test_they_are_fetched_once(published):
    path = openl3_weights("openl3")
    assert path == openl3_path("openl3")
    assert kept() == [path.name]
    stored = load_openl3(path)
    assert stored.input_repr == "mel256"
    assert all(np.array_equal(stored.arrays[name], array) for name, array in recipe_arrays().items())
    assert openl3_weights("openl3") == path
    assert published.begins == [0]


@pytest.mark.parametrize("damage", [flipped, lambda content: content[:-5000]], ids=["tampered", "truncated"])
def test_what_is_not_the_published_file_is_refused_and_not_left_behind(published, damage):
    published.content = damage(published.content)
    with pytest.raises(ModelError, match="did not return the published file"):
        openl3_weights("openl3")
    assert kept() == []


def test_a_resumed_download_that_does_not_fit_starts_anew(published):
    cache_folder().mkdir(parents=True)
    (cache_folder() / f"{OPENL3['openl3'].file_name}.part").write_bytes(b"something else")
    openl3_weights("openl3")
    assert published.begins == [14, 0]
    assert kept() == ["mel256-music.safetensors"]


def test_offline_the_error_says_how_to_mend_it(server):
    with pytest.raises(ModelError) as caught:
        openl3_weights("openl3")
    assert "openl3_audio_mel256_music-v0_4_0.h5.gz" in caught.value.message
    assert "https://github.com/marl/openl3/raw/models/" in caught.value.message
    assert "covergen models pull openl3" in caught.value.hint
    assert "--openl3-weights FILE" in caught.value.hint
    assert server.begins == []


def test_an_unreachable_server_says_how_to_mend_it(monkeypatch):
    monkeypatch.setattr(openl3, "URL", "http://127.0.0.1:1/")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with pytest.raises(ModelError) as caught:
        openl3_weights("openl3")
    assert "openl3_audio_mel256_music-v0_4_0.h5.gz" in caught.value.message
    assert "--openl3-weights FILE" in caught.value.hint


def test_damaged_weights_in_the_cache_are_refused(monkeypatch):
    path = cache_recipe()
    path.write_bytes(flipped(path.read_bytes()))
    with pytest.raises(ModelError, match="damaged"):
        openl3_weights("openl3")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match="damaged"):
        openl3_weights("openl3")


def test_damaged_weights_are_fetched_anew_where_there_is_a_network(published):
    path = cache_recipe()
    path.write_bytes(flipped(path.read_bytes()))
    load_openl3(openl3_weights("openl3"))


def test_the_published_file_of_a_user_fills_the_cache(published, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    file = tmp_path / OPENL3["openl3"].file_name
    file.write_bytes(published.content)
    assert openl3_weights("openl3", file) == openl3_path("openl3")
    file.unlink()
    assert openl3_weights("openl3") == openl3_path("openl3")


def test_a_damaged_file_under_a_published_name_is_refused(tmp_path):
    file = tmp_path / OPENL3["openl3"].file_name
    file.write_bytes(keras_bytes(packed=True))
    with pytest.raises(ModelError, match="not the published file"):
        openl3_weights("openl3", file)
    other = tmp_path / OPENL3["openl3-mel128-env"].file_name
    file.rename(other)
    with pytest.raises(ModelError, match="not what openl3 needs"):
        openl3_weights("openl3", other)
    assert kept() == []


def test_other_weights_are_never_taken_for_the_published_ones(tmp_path):
    layers = recipe_layers()
    layers[1][1]["bias"] += 1
    file = tmp_path / "mine.h5"
    file.write_bytes(keras_bytes(layers))
    path = openl3_weights("openl3", file)
    assert path != openl3_path("openl3")
    stored = load_openl3(path)
    assert openl3.custom_openl3("mel256", stored.sha256) == path
    assert openl3_weights("openl3", path) == path
    with pytest.raises(ModelError, match="network is off"):
        openl3_weights("openl3")


def test_weights_for_another_spectrogram_are_refused():
    with pytest.raises(ModelError, match="mel128"):
        openl3_weights("openl3", cache_recipe("openl3-mel128-music"))


def test_a_file_that_is_not_there(tmp_path):
    for name in ("no.h5", "no.safetensors"):
        with pytest.raises(ModelError, match="does not exist"):
            openl3_weights("openl3", tmp_path / name)


def test_weights_that_do_not_exist():
    with pytest.raises(ModelError, match="no OpenL3 weights"):
        openl3_weights("openl4")


def test_a_cache_that_cannot_be_written_to(tmp_path):
    cache_folder().parent.mkdir(parents=True)
    cache_folder().write_bytes(b"a file where the folder should be")
    file = tmp_path / "mine.h5"
    file.write_bytes(keras_bytes())
    with pytest.raises(OutputError, match="cannot write"):
        openl3_weights("openl3", file)


def test_offline_nothing_is_fetched_even_when_asked_to(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="network is off"):
        openl3.download_openl3("openl3")
