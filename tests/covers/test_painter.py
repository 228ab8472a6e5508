"""Covers without a model."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from covergen_cli.config import GenerateConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.covers.generate import generate, plan
from covergen_cli.covers.painter import DescriptorEncoder, PainterPipeline
from covergen_cli.errors import ConfigError
from covergen_cli.events import CoverFinished
from covergen_cli.provenance import read_provenance
from covergen_cli.synthetic.painter import paint


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    from dataset_files import write_song

    return write_song(tmp_path_factory.mktemp("songs") / "song.wav", seconds=6.0)


def test_a_cover_by_the_painter_says_so_and_is_the_painter_s(song, tmp_path):
    config = GenerateConfig(base="painter", size=256)
    (done,) = [event for event in generate(plan([song], tmp_path, config), config) if isinstance(event, CoverFinished)]
    assert (done.base, done.look) == ("painter", None)
    made = read_provenance(done.output)
    assert made["base"]["name"] == "painter"
    data = done.output.read_bytes()
    assert b"/algorithmicMedia" in data
    assert b"trainedAlgorithmicMedia" not in data


def test_the_painting_is_drawn_from_the_descriptors_at_the_size_of_the_file():
    pipeline, heard = PainterPipeline(), np.linspace(0, 1, 7, dtype=np.float32)[None]
    (picture,) = pipeline.draw(pipeline.audio_tokens(heard), [4], GenerateConfig(base="painter", size=96))
    np.testing.assert_array_equal(np.asarray(picture), paint(heard[0], 4, 96))


def test_an_album_is_painted_from_the_mean_of_its_songs():
    frames = np.array([[0.0] * 7, [1.0] * 7], np.float32)
    np.testing.assert_allclose(PainterPipeline().audio_tokens(frames), [[0.5] * 7])


def test_the_same_song_and_seed_give_the_same_bytes_and_looks_apply(song, tmp_path):
    config = resolve(GenerateConfig, overrides={"base": "painter", "size": 128})
    assert config.look == "auto"
    outputs = []
    for folder in ("a", "b"):
        list(generate(plan([song], tmp_path / folder, config), config))
        outputs.append((tmp_path / folder / "song.png").read_bytes())
    assert outputs[0] == outputs[1]
    with Image.open(tmp_path / "a" / "song.png") as image:
        assert image.size == (128, 128)
    assert read_provenance(tmp_path / "a" / "song.png")["look_drawn"]


def test_what_needs_a_model_is_refused(song, tmp_path):
    config = GenerateConfig(base="painter", prompt="a house")
    with pytest.raises(ConfigError, match="--prompt needs a model"):
        list(generate(plan([song], tmp_path, config), config))


def test_descriptors_as_an_embedding(song):
    encoder = DescriptorEncoder()
    embedding = encoder.embed(np.sin(np.arange(22050 * 5) / 20).astype(np.float32), 22050)
    assert embedding.shape == (1, encoder.embedding_dim)


def test_no_torch(song, tmp_path):
    code = (
        "import sys; from covergen_cli.cli.main import run; "
        f"assert run(['generate', {str(song)!r}, '--base', 'painter', '--size', '64', '-o', {str(tmp_path)!r}]) == 0; "
        "sys.exit(bool({'torch', 'diffusers', 'librosa', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert (tmp_path / "song.png").is_file()
