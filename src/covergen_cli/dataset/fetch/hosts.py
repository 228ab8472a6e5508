"""Connect to public addresses only, and track the state of each host.

An address is looked up, checked and connected to in one place, so that a name cannot resolve to one address for the
check and to another for the connection. Every connection goes through here, those of redirects included.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpcore

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_PAUSE_EVERY = 20
_DEAD_AFTER = 80


class ForbiddenAddressError(Exception):
    """A host has no public address."""


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the public internet.

    Private, loopback, link-local, shared, reserved, multicast and unspecified addresses are not. An IPv6 address that
    wraps an IPv4 address (mapped, 6to4, Teredo, NAT64) is what the wrapped one is.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    wrapped = [] if isinstance(ip, ipaddress.IPv4Address) else _wrapped(ip)
    if wrapped:
        return all(is_public(str(inner)) for inner in wrapped)
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _wrapped(ip: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    if ip in _NAT64:
        return [ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)]
    return [inner for inner in (ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())) if inner is not None]


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to public addresses only, unless ``allow_private``."""

    def __init__(self, *, allow_private: bool) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._allow_private = allow_private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Look up a host, refuse addresses that are not public, and connect to the first that answers.

        Raises:
            ForbiddenAddressError: the host has no public address.
            httpcore.ConnectError: it has no address, or none answers.
            httpcore.ConnectTimeout: it takes too long.
        """
        addresses = await self._resolve(host, port, timeout)
        allowed = [address for address in addresses if self._allow_private or is_public(address)]
        if not allowed:
            raise ForbiddenAddressError(f"{host} has the address {addresses[0]}, which is not public")
        for address in allowed[:-1]:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
        return await self._inner.connect_tcp(allowed[-1], port, timeout, local_address, socket_options)

    async def connect_unix_socket(self, *_args: Any, **_kwargs: Any) -> httpcore.AsyncNetworkStream:
        """Refuse, since no URL names a socket of this machine."""
        raise ForbiddenAddressError("a socket of this machine is not a host")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def _resolve(self, host: str, port: int, seconds: float | None) -> list[str]:
        lookup = asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        try:
            found = await asyncio.wait_for(lookup, seconds)
        except asyncio.TimeoutError as error:
            raise httpcore.ConnectTimeout(f"looking up {host} takes too long") from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} has no address") from error
        return [str(address[0]) for *_, address in found]


@dataclass
class Host:
    """The state of one host.

    Args:
        slots: limits simultaneous downloads.
        not_before: monotonic time before which no request is sent.
        silent: number of consecutive requests without a response.
    """

    slots: asyncio.Semaphore
    not_before: float = 0.0
    silent: int = field(default=0)

    @property
    def dead(self) -> bool:
        """Return whether it has not answered for so long that it is skipped."""
        return self.silent >= _DEAD_AFTER

    def add_silence(self, pause_seconds: float) -> None:
        """Count a request without a response; every twentieth starts a pause, since the network may be down."""
        self.silent += 1
        if self.silent % _PAUSE_EVERY == 0:
            self.pause_for(pause_seconds)

    def pause_for(self, seconds: float) -> None:
        """Send no request for some seconds."""
        self.not_before = max(self.not_before, time.monotonic() + seconds)

    @property
    def pause(self) -> float:
        """Return the rest of the pause in seconds; negative afterwards."""
        return self.not_before - time.monotonic()

    async def wait(self) -> None:
        """Wait until the pause is over."""
        while (left := self.pause) > 0:  # noqa: ASYNC110 — others may prolong it
            await asyncio.sleep(left)
