"""How fast a long job goes, and how long it will take."""

from __future__ import annotations

import time
from collections.abc import Callable


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
        self._seen: list[tuple[float, int, int]] = []

    def start(self, done: int) -> None:
        """Begin to count; ``done`` things were there already."""
        self._seen = [(self._now(), done, 0)]

    def line(self, done: int, total: int, noun: str = "clip", size: int = 0) -> str | None:
        """Tell the pace now and then.

        Args:
            done: things done so far.
            total: things in all.
            noun: what one of them is called.
            size: bytes that came since the beginning; 0 where that says nothing.

        Returns:
            ``3.2 clips/s, 1:07 left`` or ``3.2 pairs/s, 1.4 MB/s, 1:07 left``; ``None`` when it was said a moment ago,
            or nothing has been done yet.
        """
        now = self._now()
        if not self._seen or now - self._seen[-1][0] < self._every or done <= self._seen[0][1]:
            return None
        self._seen = [*self._seen, (now, done, size)][-30:]
        began, first, size_then = self._seen[0]
        rate = (done - first) / (now - began)
        left = clock((total - done) / rate) if rate else "?"
        megabytes = f"{(size - size_then) / (now - began) / 1e6:.1f} MB/s, " if size else ""
        return f"{rate:.{1 if rate < 100 else 0}f} {noun}s/s, {megabytes}{left} left"
