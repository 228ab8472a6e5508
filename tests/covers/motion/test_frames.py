"""The frames of a loop: the first is the cover, the last leads back to it, and nothing jumps or flashes."""

import numpy as np
import pytest
from PIL import Image

from covergen_cli.covers.looks import LOOKS, apply_look, parse_look
from covergen_cli.covers.motion.drift import STILL, Moment
from covergen_cli.covers.motion.frames import FrameDrawer, MovingCover, draw_frames
from covergen_cli.covers.motion.loop import make_loop
from covergen_cli.covers.motion.rhythm import analyse_rhythm
from covers.motion.conftest import clicks

SIDE = 128
MOVING = sorted(LOOKS.keys() - {"paint"})


def cover(picture, look, width=SIDE, height=SIDE, **more):
    if look is None:
        picture = picture.resize((max(width, height),) * 2)
    return MovingCover(picture, look and parse_look(look), None, 3, width, height, **more)


def at(phase, strength=1.0):
    return Moment((phase,) * 3, strength)


def change(first, second):
    return float(np.abs(first.astype(float) - second.astype(float)).mean())


@pytest.mark.parametrize("look", MOVING)
def test_the_first_frame_is_the_cover_and_every_look_moves_and_comes_back(hills, look):
    drawer = FrameDrawer(cover(hills, look))
    still = drawer.draw(STILL)
    assert (still == np.asarray(apply_look(hills, parse_look(look), SIDE, seed=3))).all()
    moved, nearly_back = drawer.draw(at(0.4)), drawer.draw(at(0.999))
    assert change(still, moved) > 0.5
    assert change(still, nearly_back) < 0.35 * change(still, moved) + 0.2


def test_without_a_look_the_picture_itself_moves(hills):
    drawer = FrameDrawer(cover(hills, None))
    still = drawer.draw(STILL)
    assert (still == np.asarray(hills.resize((SIDE, SIDE)))).all()
    assert change(still, drawer.draw(at(0.4))) > 0.5
    assert change(still, drawer.draw(at(1 - 1e-4))) < 0.1


@pytest.mark.parametrize("look", ["halftone", None])
@pytest.mark.parametrize(("width", "height"), [(72, 128), (128, 72)])
def test_a_frame_that_is_not_square_shows_the_middle(hills, look, width, height):
    square = FrameDrawer(cover(hills, look)).draw(at(0.3))
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    frame = FrameDrawer(cover(hills, look, width, height)).draw(at(0.3))
    assert frame.shape == (height, width, 3)
    assert (frame == square[top : top + height, left : left + width]).all()


def test_less_strength_moves_less(hills):
    drawer = FrameDrawer(cover(hills, None))
    still = drawer.draw(STILL)
    assert change(still, drawer.draw(at(0.5, 0.4))) < 0.8 * change(still, drawer.draw(at(0.5)))


def test_an_overlay_stays_where_it_is(hills):
    overlay = Image.new("RGBA", (SIDE, SIDE))
    overlay.paste((255, 0, 0, 255), (20, 30, 60, 50))
    for phase in (0.0, 0.5):
        frame = FrameDrawer(cover(hills, "cutout", overlay=overlay)).draw(at(phase))
        assert (frame[30:50, 20:60] == (255, 0, 0)).all()
        assert (frame[60:, 70:] != (255, 0, 0)).any()


def test_other_seeds_move_in_other_directions(hills):
    first = FrameDrawer(MovingCover(hills.resize((SIDE, SIDE)), None, None, 1, SIDE, SIDE)).draw(at(0.4))
    second = FrameDrawer(MovingCover(hills.resize((SIDE, SIDE)), None, None, 2, SIDE, SIDE)).draw(at(0.4))
    assert change(first, second) > 0.3


def test_processes_draw_the_same_frames_in_order(hills):
    moments = [at(phase) for phase in np.linspace(0, 0.9, 7)]
    alone = list(draw_frames(cover(hills, "cutout"), moments, processes=1))
    together = list(draw_frames(cover(hills, "cutout"), moments, processes=2))
    assert all((a == b).all() for a, b in zip(alone, together, strict=True))


@pytest.fixture(scope="module")
def click_loop():
    return make_loop(analyse_rhythm(clicks(100, 24)), 24, 3, 8)


@pytest.mark.parametrize("look", ["dither", None])
def test_the_picture_changes_with_the_onsets_of_a_click_track(hills, click_loop, look):
    drawer = FrameDrawer(cover(hills, look))
    frames = [drawer.draw(click_loop.moment(i)) for i in range(click_loop.frames)]
    changes = np.array([change(a, b) for a, b in zip(frames, [*frames[1:], frames[0]], strict=True)])
    times = (np.arange(len(frames)) + 0.99) / click_loop.fps  # a change ends with the next frame
    onset = np.exp(-(times % 0.6) / 0.12)  # of a click at 100 beats a minute
    assert np.corrcoef(changes, onset)[0, 1] >= 0.5


def luminance(frame):
    linear = np.where(frame <= 10, frame / 255 / 12.92, ((frame / 255 + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("look", ["contour", "dither", "poster", None])
def test_nothing_flashes_more_than_three_times_a_second(hills, click_loop, look):
    """WCAG 2.3.1: opposite changes of a tenth of the luminance, the darker below 0.8, over a quarter of the area."""
    drawer = FrameDrawer(cover(hills, look, 64, 64))
    seen = np.stack([luminance(drawer.draw(click_loop.moment(i))) for i in range(24)])
    blocks = seen.reshape(len(seen), 8, 8, 8, 8).mean(axis=(2, 4))
    steps = np.diff(blocks, axis=0)
    opposite = (np.sign(steps[1:]) != np.sign(steps[:-1])) & (np.minimum(abs(steps[1:]), abs(steps[:-1])) >= 0.1)
    flashing = opposite & (np.minimum(blocks[1:-1], blocks[2:]) < 0.8)
    assert (flashing.mean(axis=(1, 2)) > 0.25).sum() <= 6  # two opposite changes are one flash
