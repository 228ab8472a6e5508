"""When to ask a server again, and how long to wait before; private to this package."""

from __future__ import annotations

import random
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

PASSING_STATUS = frozenset({408, 421, 425, 429, 500, 502, 503, 504})
"""Answers after which the same request may well succeed."""


def pause_seconds(attempt: int, backoff_seconds: float) -> float:
    """How long to wait after try number ``attempt`` (from 1): doubling, give or take half, so that clients disperse."""
    return float(backoff_seconds * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311 — no secret


def retry_after_seconds(value: str | None, now: datetime | None = None) -> float | None:
    """Read a ``Retry-After`` header (RFC 9110, 10.2.3): a number of seconds, or a date.

    Args:
        value: the header, or ``None``.
        now: the present; for tests.

    Returns:
        seconds from now, never negative; ``None`` where the header says nothing that makes sense.
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
