"""What URLs and answers mean to the downloader; private to this package."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    import httpcore

AGENT = "covergen"
"""What the downloader calls itself, and what robots are called that mean it."""

_DRAIN_BYTES = 1 << 16
_NO_AI = frozenset({"noai", "noimageai"})


class FailedError(Exception):
    """A file cannot be had.

    Args:
        reason: why, after the URL.
        cause: the same in a word or two.
        passing: whether it may be had at another time.
        again: whether to try again at once; without it, as ``passing``.
        unwanted: whether the row counts as filtered.
    """

    def __init__(
        self, reason: str, cause: str, *, passing: bool = False, again: bool | None = None, unwanted: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason, self.cause, self.passing, self.unwanted = reason, cause, passing, unwanted
        self.again = passing if again is None else again


def parsed_url(url: str, base: httpx.URL | None = None) -> httpx.URL:
    """Read a URL, relative to ``base`` if there is one; only http and https are followed."""
    try:
        parsed = base.join(url) if base else httpx.URL(url)
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise FailedError(f"that is not a URL: {error}", "not a URL") from error
    if parsed.scheme not in {"http", "https"} or not parsed.raw_host:
        raise FailedError("that is no http:, https: or file: URL", "not a URL")
    return parsed


def header_fields(response: httpcore.Response) -> dict[str, str]:
    """Headers of an answer, their names in lower case; of several with one name, the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}


def forbids_ai(robots: str) -> bool:
    """Read one ``X-Robots-Tag``: a list of directives, perhaps behind the name of the robot that is meant."""
    robot, colon, rest = robots.lower().partition(":")
    if colon and robot.strip() not in {AGENT, "*"}:
        return False
    return bool(_NO_AI & {word.strip() for word in (rest if colon else robots.lower()).split(",")})


async def drain(response: httpcore.Response, headers: dict[str, str]) -> None:
    """Read a short answer to its end, so that the connection can be used again."""
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) <= _DRAIN_BYTES:
        async for _ in response.aiter_stream():
            pass


def said(error: Exception) -> str:
    """What an exception says, on one line of bounded length."""
    return " ".join(str(error).split())[:200] or type(error).__name__
