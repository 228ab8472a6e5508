"""Decide when to send a request again."""

from __future__ import annotations

import random
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

PASSING_STATUS = frozenset({408, 421, 425, 429, 500, 502, 503, 504})
"""HTTP status codes after which the same request may succeed."""


def pause_seconds(attempt: int, backoff_seconds: float) -> float:
    """Return the wait after attempt number ``attempt`` (from 1): doubling, with up to half of random jitter."""
    return float(backoff_seconds * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311 — no secret


def retry_after_seconds(value: str | None, now: datetime | None = None) -> float | None:
    """Parse a ``Retry-After`` header (RFC 9110, 10.2.3): a number of seconds, or a date.

    Returns:
        seconds after ``now``, at least 0; ``None`` if there is no valid header.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        when = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=timezone.utc)
    return max(0.0, (when - (now or datetime.now(timezone.utc))).total_seconds())
