"""What is seen on covers: collapse is called collapse, and pictures of any shape are measured alike."""

import numpy as np
import pytest
from PIL import Image

from covergen_cli.evaluation.covers import correspondence, diversity, measure_covers
from covergen_cli.measures.qualities import FIELDS
from training_data import drain


def look(folder, pictures):
    paths = []
    for number, picture in enumerate(pictures):
        paths.append(folder / f"{number}.png")
        picture.save(paths[-1])
    return drain(measure_covers(paths))[0]


def plain(colour, size=(64, 64)):
    return Image.new("RGB", size, colour)


def test_covers_that_are_all_alike_have_collapsed(tmp_path):
    (tmp_path / "true").mkdir()
    true = look(tmp_path / "true", [plain(c) for c in ("#ff0000", "#00ff00", "#0000ff", "#ffffff")])
    drawn = look(tmp_path, [plain(c) for c in ("#808080", "#828080", "#808280", "#848484")])
    found = diversity(drawn, true)
    assert found["collapsed"]
    assert found["covers"]["near_copies"] == 6
    assert not diversity(true, true)["collapsed"]
    assert diversity(true, true)["ratio"] == 1


def test_size_and_shape_do_not_matter(tmp_path):
    gradient = Image.linear_gradient("L").convert("RGB")
    seen = look(
        tmp_path, [gradient, gradient.resize((900, 900)), gradient.resize((256, 256)).crop((-128, 0, 384, 256))]
    )
    lightness = seen.qualities[:, FIELDS.index("lightness")]
    assert lightness == pytest.approx(lightness[0], abs=0.01)


def test_what_follows_is_told_from_what_does_not(tmp_path):
    class Song:
        def __init__(self, id_):
            self.id = id_

    songs = [Song(str(number)) for number in range(12)]
    rng = np.random.default_rng(0)
    heard = {song.id: rng.random(7).astype(np.float32) for song in songs}
    brightness = [heard[song.id][3] for song in songs]
    seen = look(tmp_path, [plain((int(255 * b),) * 3) for b in brightness])
    table = correspondence(heard, songs, seen, seen.select(rng.permutation(12)), seed=0)
    entry = next(row for row in table if (row["heard"], row["seen"]) == ("brightness", "lightness"))
    assert entry["covers"]["rho"] > 0.99
    assert entry["true"]["rho"] < 0.9
    assert abs(entry["shuffled"]["rho"]) < 0.1
    del heard["0"], heard["1"], heard["2"], heard["3"], heard["4"]
    assert correspondence(heard, songs, seen, seen, seed=0) is None
