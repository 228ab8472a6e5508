"""The demo song that the repository carries."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np

from covergen_cli.audio import io
from covergen_cli.synthetic import demo
from covergen_cli.synthetic.synth import render

SHIPPED = Path(__file__).parents[2] / "docs" / "demo" / "demo-song.mp3"
RATE = 16000


def test_the_plan_makes_the_shipped_song():
    spec = demo.demo_song()
    shipped = io.load(SHIPPED, RATE).samples
    assert abs(shipped.size / RATE - spec.bars * spec.bar_seconds) < 0.1
    made = render(spec, 20, RATE)
    assert np.corrcoef(made[: 19 * RATE], shipped[: 19 * RATE])[0, 1] > 0.95


def test_a_song_is_written_with_its_tags(tmp_path, monkeypatch):
    spec = demo.demo_song()
    monkeypatch.setattr(demo, "demo_song", lambda: replace(spec, sections=spec.sections[:1], pump=False))
    path = tmp_path / "song.mp3"
    demo.write_demo(path)
    with av.open(str(path)) as container:
        assert container.metadata["title"] == demo.TITLE
        assert container.metadata["artist"] == demo.ARTIST
    samples = io.load(path, RATE).samples
    assert abs(samples.size / RATE - 4 * spec.bar_seconds) < 0.1
    assert np.abs(samples).max() > 0.1
    assert np.abs(samples[-RATE // 10 :]).max() < 0.01, "it fades out"


def test_the_shipped_song_is_small():
    assert 200_000 < SHIPPED.stat().st_size < 900_000
