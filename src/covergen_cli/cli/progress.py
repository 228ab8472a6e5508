"""Rates, remaining time and the throttle of progress output."""

from __future__ import annotations

import time
from collections.abc import Callable


def clock(seconds: float) -> str:
    """Return ``1:23`` for ``83.5``, ``1:02:03`` for ``3723``; the fraction is dropped."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def size_text(size: int) -> str:
    """Return ``19.2 MB`` for ``19234567`` (powers of ten), and ``–`` for 0."""
    if not size:
        return "–"
    amount, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit in {"B", "kB"} else f"{amount:.1f} {unit}"


class Throttle:
    """Limits how often something is done: at most once every ``seconds``."""

    def __init__(self, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._now = seconds, now
        self._last = float("-inf")

    def ready(self) -> bool:
        """Return whether it is time again; if so, the next interval starts."""
        if self._now() - self._last < self._seconds:
            return False
        self.restart()
        return True

    def restart(self) -> None:
        """Start a new interval."""
        self._last = self._now()


class RateMeter:
    """Measures the rate of a long job over its last 30 readings, rather than since its beginning."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._readings: list[tuple[float, int, int]] = []

    def start(self, done: int) -> None:
        """Start the measurement; ``done`` items were finished before."""
        self._readings = [(self._now(), done, 0)]

    def read(self, done: int, total: int, noun: str = "clip", size: int = 0, *, left: bool = True) -> str | None:
        """Return the rate, such as ``3.2 pairs/s, 1.4 MB/s, 1:07 left``, or ``None`` if nothing was done.

        ``size`` is the number of bytes received since the start; 0 leaves them out. Without ``left``, the time does not
        appear.
        """
        if not self._readings or done <= self._readings[0][1]:
            return None
        self._readings = [*self._readings, (self._now(), done, size)][-30:]
        (began, first, first_size), (now, _, _) = self._readings[0], self._readings[-1]
        seconds = max(now - began, 1e-9)
        rate = (done - first) / seconds
        parts = [f"{rate:.{1 if rate < 100 else 0}f} {noun}s/s"]
        parts += [f"{(size - first_size) / seconds / 1e6:.1f} MB/s"] * bool(size)
        parts += [f"{clock((total - done) / rate) if rate else '?'} left"] * left
        return ", ".join(parts)
