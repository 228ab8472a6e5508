"""Paintings for the base: the same from one seed, however often the painting was stopped."""

import numpy as np

from covergen_cli.audio.descriptors import NAMES
from covergen_cli.measures.colour import srgb_to_oklab
from covergen_cli.measures.correlation import spearman
from covergen_cli.starter.paintings import draw_music, open_paintings, paint_all

SETTINGS = {"count": 12, "size": 8, "seed": 5, "workers": 1, "chunk": 4}


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_painting_that_was_stopped_goes_on_to_the_same_bytes(tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert [event.done for event in paint_all(whole, **SETTINGS)] == [4, 8, 12]
    painting = paint_all(stopped, **SETTINGS)
    next(painting)
    painting.close()
    assert files(stopped) != files(whole)
    assert [event.done for event in paint_all(stopped, **SETTINGS)] == [8, 12]
    assert files(stopped) == files(whole)
    assert list(paint_all(stopped, **SETTINGS)) == []


def test_paintings_differ_and_another_seed_paints_others(tmp_path):
    for seed in (1, 2):
        list(paint_all(tmp_path / str(seed), **{**SETTINGS, "seed": seed}))
    (one, heard), (two, _) = (open_paintings(tmp_path / str(seed)) for seed in (1, 2))
    assert one.shape == (12, 8, 8, 3)
    assert one.dtype == np.uint8
    assert heard.shape == (12, 24)
    assert len({picture.tobytes() for picture in (*one, *two)}) == 24


def test_two_processes_paint_what_one_paints(tmp_path):
    for workers in (1, 2):
        list(paint_all(tmp_path / str(workers), **{**SETTINGS, "workers": workers, "chunk": 6}))
    assert files(tmp_path / "1") == files(tmp_path / "2")


def test_descriptors_and_kinds_are_independent_and_reach_both_ends():
    drawn, kinds = draw_music(4000, seed=0)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert (np.quantile(drawn, 0.1, axis=0) < 0.12).all()
    assert (np.quantile(drawn, 0.9, axis=0) > 0.88).all()
    assert np.abs(np.corrcoef(drawn.T) - np.eye(7)).max() < 0.06
    np.testing.assert_allclose(kinds.sum(axis=1), 1, rtol=1e-5)
    assert (np.bincount(kinds.argmax(axis=1)) > 400).all()  # eight families, about 500 each
    assert np.abs(np.corrcoef(drawn.T, kinds.T)[:7, 7:]).max() < 0.06


def test_the_conditions_are_those_of_the_painting(tmp_path):
    list(paint_all(tmp_path, **{**SETTINGS, "size": 64}))
    pictures, conditions = open_paintings(tmp_path)
    lightness = [srgb_to_oklab(picture)[..., 0].mean() for picture in pictures]
    brightness = conditions[:, NAMES.index("brightness")]
    assert spearman(brightness, np.array(lightness)) > 0.9
