"""How fast a long job goes, and how long it will take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Pace", "clock"]


def clock(seconds: float) -> str:
    """``83.5`` → ``1:23``, ``3723`` → ``1:02:03``; the fraction is dropped."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Pace:
    """Says at most every few seconds how fast things go, over the last minutes rather than since the beginning.

    Args:
        every_seconds: least time between two lines.
        now: a clock in seconds.
    """

    def __init__(self, every_seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._every, self._now = every_seconds, now
        self._seen: list[tuple[float, int]] = []

    def start(self, done: int) -> None:
        """Begin to count; ``done`` things were there already."""
        self._seen = [(self._now(), done)]

    def line(self, done: int, total: int) -> str | None:
        """``3.2 clips/s, 1:07 left``, or ``None`` when it was said a moment ago, or nothing has been done yet."""
        now = self._now()
        if not self._seen or now - self._seen[-1][0] < self._every or done <= self._seen[0][1]:
            return None
        self._seen = [*self._seen, (now, done)][-30:]
        began, first = self._seen[0]
        rate = (done - first) / (now - began)
        left = clock((total - done) / rate) if rate else "?"
        return f"{rate:.{1 if rate < 100 else 0}f} clips/s, {left} left"
