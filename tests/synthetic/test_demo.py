"""The demo song that the repository carries."""

from pathlib import Path

import av
import numpy as np

from covergen_cli.audio import io
from covergen_cli.synthetic import demo

SHIPPED = Path(__file__).parents[2] / "docs" / "demo" / "demo-song.mp3"


def test_the_plan_makes_the_shipped_song(tmp_path):
    path = tmp_path / "song.mp3"
    demo.write_demo(path)
    with av.open(str(path)) as container:
        assert container.metadata["title"] == demo.TITLE
        assert container.metadata["artist"] == demo.ARTIST
    made, shipped = (io.load(p, 22050).samples for p in (path, SHIPPED))
    assert made.size == shipped.size
    assert np.corrcoef(made, shipped)[0, 1] > 0.99
    assert 75 < made.size / 22050 < 90


def test_the_shipped_song_is_small():
    assert 200_000 < SHIPPED.stat().st_size < 900_000
