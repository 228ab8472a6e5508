"""When a server is asked again."""

from datetime import datetime, timedelta, timezone

import pytest

from covergen_cli.dataset.fetch.http import pause_seconds, retry_after_seconds

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sunday, 01-Mar-26 12:00:30 GMT", 30.0),
        ("Sun Mar  1 12:00:30 2026", 30.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        (None, None),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
    ],
)
def test_both_forms_of_retry_after(header, seconds):
    assert retry_after_seconds(header, NOW) == seconds


def test_the_present_is_the_default():
    soon = datetime.now(timezone.utc) + timedelta(seconds=100)
    assert 90 < retry_after_seconds(soon.strftime("%a, %d %b %Y %H:%M:%S GMT")) <= 100


def test_pauses_double_and_disperse():
    for attempt, middle in ((1, 2.0), (2, 4.0), (3, 8.0)):
        pauses = {pause_seconds(attempt, 2.0) for _ in range(50)}
        assert middle / 2 <= min(pauses) < max(pauses) <= middle * 1.5
        assert len(pauses) > 40
