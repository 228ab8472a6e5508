"""Interpret URLs and HTTP responses, and decide when to send a request again."""

from __future__ import annotations

import base64
import random
import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx

from covergen_cli.errors import reason_of

if TYPE_CHECKING:
    import httpcore

AGENT = "covergen"
"""The name of the downloader in ``User-Agent`` and ``X-Robots-Tag``."""

PASSING_STATUS = frozenset({408, 421, 425, 429, 500, 502, 503, 504})
"""HTTP status codes after which the same request may succeed."""

_DRAIN_BYTES = 1 << 16
_LONGEST_HOST = 254
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")
_NO_AI = frozenset({"noai", "noimageai"})


class FailedError(Exception):
    """A file cannot be downloaded.

    Args:
        reason: why.
        cause: the same in a word or two.
        passing: whether a later attempt may succeed.
        again: whether to try again in this run; by default as ``passing``.
        unwanted: whether the row counts as filtered.
    """

    def __init__(
        self, reason: str, cause: str, *, passing: bool = False, again: bool | None = None, unwanted: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason, self.cause, self.passing, self.unwanted = reason, cause, passing, unwanted
        self.again = passing if again is None else again


def parse_url(url: str, base: httpx.URL | None = None) -> httpx.URL:
    """Parse an http or https URL, relative to ``base`` if there is one, whose credentials stay with its origin.

    Raises:
        FailedError: it is not a URL, or has a host or port that cannot exist.
    """
    try:
        parsed = base.join(url) if base else httpx.URL(url)
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise FailedError(f"this is not a URL: {reason_of(error)}", "not a URL") from error
    if parsed.scheme not in {"http", "https"} or not parsed.raw_host:
        raise FailedError("this is not an http:, https: or file: URL", "not a URL")
    labels = parsed.raw_host.decode("ascii").removesuffix(".").split(".")
    is_name = ":" not in labels[0]  # not an IPv6 address
    if is_name and not (all(map(_LABEL.fullmatch, labels)) and sum(map(len, labels)) + len(labels) <= _LONGEST_HOST):
        raise FailedError("its host is not a valid name", "not a URL")
    if parsed.port is not None and not 0 < parsed.port < 1 << 16:
        raise FailedError(f"there is no port {parsed.port}", "not a URL")
    if base and not parsed.userinfo and _origin(base) == _origin(parsed):
        parsed = parsed.copy_with(userinfo=base.userinfo)
    return parsed


def _origin(url: httpx.URL) -> tuple[str, bytes, int | None]:
    return url.scheme, url.raw_host, url.port


def authorization(url: httpx.URL) -> list[tuple[str, str]]:
    """Return the header with the credentials of a URL (RFC 7617), if it has any."""
    if not url.userinfo:
        return []
    credentials = f"{url.username}:{url.password}".encode()
    return [("Authorization", f"Basic {base64.b64encode(credentials).decode()}")]


def header_fields(response: httpcore.Response) -> dict[str, str]:
    """Return the headers with names in lower case; of repeated ones, the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}


def forbids_ai(robots: str) -> bool:
    """Return whether one ``X-Robots-Tag`` forbids it: directives, perhaps after the name of one robot."""
    robot, colon, rest = robots.lower().partition(":")
    if colon and robot.strip() not in {AGENT, "*"}:
        return False
    return bool(_NO_AI & {word.strip() for word in (rest if colon else robots.lower()).split(",")})


async def drain(response: httpcore.Response, headers: dict[str, str]) -> None:
    """Read a short response to its end, so that the connection can be reused."""
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) <= _DRAIN_BYTES:
        async for _ in response.aiter_stream():
            pass


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
