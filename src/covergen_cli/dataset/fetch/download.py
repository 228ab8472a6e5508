"""Download the files of a table: many at once, bounded, resumed, from public addresses only.

One thread runs an event loop. Every active pair has its own connection pool, taken from a stack, so that connections
are kept alive and the cost of a request does not grow with the number of concurrent ones.
"""

from __future__ import annotations

import asyncio
import threading
import time
import zlib
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import httpcore
import httpx

from covergen_cli import __version__
from covergen_cli.dataset.fetch.hosts import CheckedBackend, ForbiddenAddressError, Host
from covergen_cli.dataset.fetch.http import (
    AGENT,
    PASSING_STATUS,
    FailedError,
    authorization,
    drain,
    forbids_ai,
    header_fields,
    parse_url,
    pause_seconds,
    retry_after_seconds,
)
from covergen_cli.dataset.fetch.partial import Decoder, Partial, UnfitError, decoded
from covergen_cli.dataset.sources.base import (
    DISK_FULL,
    FREE_SPACE,
    Missed,
    download_path,
    is_local,
    unexpected,
    without_credentials,
)
from covergen_cli.errors import OutputError, reason_of
from covergen_cli.weights.hub_cache import offline

if TYPE_CHECKING:
    from covergen_cli.config import FetchConfig
    from covergen_cli.dataset.sources.base import Item

_REDIRECT_STATUS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_CONNECTIONS = 4
_LONGEST_URL = 500
_UNREADABLE = frozenset({"br", "zstd", "compress", "x-compress", "dcb", "dcz"})


class Downloader:
    """Downloads the files of items into an existing folder; a context manager, which stops all downloads at its end."""

    def __init__(self, workspace: Path, config: FetchConfig) -> None:
        self._workspace = workspace
        self._config = config
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="downloads", daemon=True)
        self._slots = asyncio.Semaphore(config.concurrency)
        self._pools: list[httpcore.AsyncConnectionPool] = []
        self._idle: list[httpcore.AsyncConnectionPool] = []
        self._hosts: dict[tuple[bytes, bytes, int | None], Host] = {}
        self._backend = CheckedBackend(allow_private=config.allow_private_hosts)
        self._offline = offline()
        self._tls = httpx.create_ssl_context()

    def __enter__(self) -> Downloader:  # noqa: PYI034 — typing.Self is newer than the oldest Python served
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for pool in self._pools:
            with suppress(Exception):
                await pool.aclose()
        await self._loop.shutdown_default_executor()

    def start(self, item: Item) -> Future[Missed | None]:
        """Start the download of both files of an item.

        Returns:
            a future: ``None`` if both are in the workspace, else why not. Its exception can be an ``OutputError``: the
            disk is full.
        """
        return asyncio.run_coroutine_threadsafe(self._pair(item), self._loop)

    async def _pair(self, item: Item) -> Missed | None:
        async with self._slots:
            pool = self._idle.pop() if self._idle else self._new_pool()
            try:
                # The image first: it is smaller, and without it the music is useless.
                await self._download(pool, item.image, "image", item)
                await self._download(pool, item.audio, "audio", item)
            except FailedError as error:
                return Missed(item, error.reason, error.cause, passing=error.passing, unwanted=error.unwanted)
            except Exception as error:
                # Errors of sockets have no file name.
                if isinstance(error, OSError) and (error.errno in DISK_FULL or error.filename is not None):
                    why = f"cannot write {self._workspace}: {reason_of(error)}"
                    raise OutputError(why, hint=FREE_SPACE) from error
                return Missed(item, unexpected(error), "unexpected answer", passing=True)
            finally:
                self._idle.append(pool)
        return None

    def _new_pool(self) -> httpcore.AsyncConnectionPool:
        pool = httpcore.AsyncConnectionPool(
            ssl_context=self._tls,
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_CONNECTIONS,
            keepalive_expiry=30.0,
            http2=True,
            network_backend=self._backend,
        )
        self._pools.append(pool)
        return pool

    async def _download(
        self, pool: httpcore.AsyncConnectionPool, url: str, kind: Literal["audio", "image"], item: Item
    ) -> None:
        if not url:
            raise FailedError(f"the row has no URL of {'music' if kind == 'audio' else 'an image'}", "no URL")
        if is_local(url):
            return
        if self._offline:
            raise FailedError("the network is off", "offline", passing=True)
        place = download_path(self._workspace, item, kind)
        if place.exists():
            return
        partial = Partial(place)
        for attempt in range(1, self._config.tries + 1):
            try:
                await self._follow(pool, parse_url(url), partial)
            except FailedError as error:
                if not error.again or attempt == self._config.tries:
                    error.reason = f"{kind} {without_credentials(url)[:_LONGEST_URL]}: {error.reason}"
                    raise
            else:
                return
            await asyncio.sleep(pause_seconds(attempt, self._config.backoff_seconds))

    async def _follow(self, pool: httpcore.AsyncConnectionPool, url: httpx.URL, partial: Partial) -> None:
        """Request a file and follow redirects, each host within its own limits."""
        for _ in range(_MOST_REDIRECTS + 1):
            host = self._host(url)
            async with host.slots:
                await self._wait_for(host)
                target = await self._ask(pool, url, partial, host)
            if target is None:
                return
            url = parse_url(target, url)
        raise FailedError("it redirects too often", "redirects")

    def _host(self, url: httpx.URL) -> Host:
        key = (url.raw_scheme, url.raw_host, url.port)
        if key not in self._hosts:
            self._hosts[key] = Host(asyncio.Semaphore(self._config.per_host))
        return self._hosts[key]

    async def _wait_for(self, host: Host) -> None:
        """Wait as long as a host asks for, or give up."""
        if host.dead:
            why = "the host has not answered for long and is skipped"
            raise FailedError(why, "unreachable", passing=True, again=False)
        if host.pause > self._config.wait_seconds:
            why = f"the host asks to wait for {host.pause:.0f} s"
            raise FailedError(why, "told to wait", passing=True, again=False)
        await host.wait()

    async def _ask(
        self, pool: httpcore.AsyncConnectionPool, url: httpx.URL, partial: Partial, host: Host
    ) -> str | None:
        """Send one request; return the target of a redirect, or ``None`` when the file is complete."""
        try:
            return await self._exchange(pool, url, partial, host)
        except ForbiddenAddressError as error:
            raise FailedError(f"{error}", "forbidden address") from error
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            host.add_silence(self._config.wait_seconds)
            raise FailedError(f"the host cannot be reached: {reason_of(error)}", "unreachable", passing=True) from error
        except httpcore.TimeoutException as error:
            host.add_silence(self._config.wait_seconds)
            raise FailedError(f"no answer in {self._config.timeout_seconds:g} s", "timeout", passing=True) from error
        except (httpcore.NetworkError, httpcore.RemoteProtocolError) as error:
            raise FailedError(f"the connection was lost: {reason_of(error)}", "broken off", passing=True) from error
        except (httpcore.LocalProtocolError, httpcore.UnsupportedProtocol) as error:
            raise FailedError(f"it cannot be requested: {reason_of(error)}", "not a URL") from error
        except UnfitError as error:
            raise FailedError(
                "the server sent another file than the part on disk", "broken off", passing=True
            ) from error
        except zlib.error as error:
            raise FailedError(f"its encoding is damaged: {error}", "broken off", passing=True) from error

    async def _exchange(
        self, pool: httpcore.AsyncConnectionPool, url: httpx.URL, partial: Partial, host: Host
    ) -> str | None:
        seconds = self._config.timeout_seconds
        wanted = partial.request()
        # With compression, sizes and offsets would not be those of the file.
        headers = [("Host", url.netloc.decode("ascii")), ("User-Agent", f"{AGENT}/{__version__}"), ("Accept", "*/*")]
        headers += [("Accept-Encoding", "identity"), *wanted, *authorization(url)]
        core_url = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), seconds)
        async with pool.stream("GET", core_url, headers=headers, extensions={"timeout": timeouts}) as response:
            host.silent = 0
            answer = header_fields(response)
            if response.status in {200, 206}:
                self._check_robots(response)
                partial.begin(response.status, answer, continued=bool(wanted))
                await self._receive(response, partial, answer.get("content-encoding", "").strip().lower())
                return None
            await drain(response, answer)
            if response.status in _REDIRECT_STATUS and answer.get("location"):
                return answer["location"]
            if response.status == 416:
                partial.discard()
                raise UnfitError
            passing = response.status in PASSING_STATUS
            if passing and (asked_seconds := retry_after_seconds(answer.get("retry-after"))):
                host.pause_for(asked_seconds)
            raise FailedError(f"the server answered {response.status}", str(response.status), passing=passing)

    def _check_robots(self, response: httpcore.Response) -> None:
        if self._config.ignore_noai:
            return
        for name, value in response.headers:
            if name.lower() == b"x-robots-tag" and forbids_ai(value.decode("latin-1")):
                raise FailedError("its host forbids its use for AI (X-Robots-Tag: noai)", "noai", unwanted=True)

    async def _receive(self, response: httpcore.Response, partial: Partial, encoding: str) -> None:
        codings = [coding.strip() for coding in encoding.split(",")]
        if unknown := _UNREADABLE.intersection(codings):
            raise FailedError(f"it has the encoding {min(unknown)}, which was not requested", "encoding")
        # Other values, such as UTF-8 or aws-chunked, label files that are not encoded.
        decoders = [Decoder(coding) for coding in reversed(codings) if coding in Decoder.CODINGS]
        until = time.monotonic() + self._config.file_seconds
        try:
            self._check_size(partial.missing())
            async for block in response.aiter_stream():
                for piece in decoded(block, decoders):
                    partial.add(piece)
                    self._check_size(partial.size)
                self._check_time(until)
        except BaseException:
            partial.store()
            raise
        if missing := partial.missing():
            raise FailedError(f"the connection ended {missing} bytes too early", "broken off", passing=True)
        if not all(decoder.complete for decoder in decoders):
            raise FailedError("its encoding ends too early", "broken off", passing=True)
        # Creating a file can block for a millisecond.
        await asyncio.to_thread(partial.finish)

    def _check_size(self, size: int) -> None:
        if size > self._config.largest_mb * 1e6:
            raise FailedError(f"it has more than {self._config.largest_mb:g} MB", "too large")

    def _check_time(self, until: float) -> None:
        if time.monotonic() > until:
            raise FailedError(f"it took more than {self._config.file_seconds:g} s", "timeout", passing=True)
