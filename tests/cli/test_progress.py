import pytest

from covergen_cli.cli.progress import RateMeter, Throttle, clock, size_text


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (83.9, "1:23"), (3600, "1:00:00"), (3723.9, "1:02:03")])
def test_clock(seconds, text):
    assert clock(seconds) == text


@pytest.mark.parametrize(("size", "text"), [(0, "–"), (999, "999 B"), (19234567, "19.2 MB"), (4.3e12, "4300.0 GB")])
def test_sizes(size, text):
    assert size_text(size) == text


def test_a_throttle_is_ready_once_per_interval():
    now = Clock()
    throttle = Throttle(10.0, now)
    assert throttle.ready(), "the first time at once"
    now.seconds = 9.9
    assert not throttle.ready()
    now.seconds = 10.0
    assert throttle.ready()
    now.seconds = 15.0
    throttle.restart()
    now.seconds = 24.9
    assert not throttle.ready()
    now.seconds = 25.0
    assert throttle.ready()


def test_a_rate_is_that_of_the_last_readings():
    now = Clock()
    meter = RateMeter(now)
    assert meter.read(51, 100) is None
    meter.start(50)
    assert meter.read(50, 100) is None
    now.seconds = 11.0
    assert meter.read(72, 100) == "2.0 clips/s, 0:14 left"
    for _ in range(30):
        now.seconds += 1.0
        text = meter.read(73, 100, "pair", 60_000_000)
    assert text == "0.0 pairs/s, 0.0 MB/s, ? left", "the fast beginning is forgotten"
