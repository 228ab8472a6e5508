"""A server on this machine that serves songs and covers, and misbehaves in every way that its paths ask for.

``/audio/FAULT/N.wav`` and ``/image/FAULT/N.jpg``: file number N, with FAULT on the way. Faults that end in ``-once``
happen at the first request of a path only.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import re
import socket
import struct
import threading
import wave
import zlib
from collections import Counter
from email.utils import format_datetime
from functools import cache

import numpy as np
from PIL import Image

RATE_HZ = 8000
PNG_BOMB_SIDE = 30_000


@cache
def song(number, seconds=6.0, level=0.6):
    """A tone of its own for every number, as a wav file of 8 bits."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    samples = 128 + 127 * level * np.sin(2 * np.pi * (110 + 3 * number) * time) * np.exp(-3 * (time % 1))
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 1, RATE_HZ, 0, "NONE", ""))
        writer.writeframes(samples.round().astype(np.uint8).tobytes())
    return file.getvalue()


@cache
def cover(number):
    """A picture of its own for every number, as a JPEG of 300 by 240 pixels."""
    blocks = np.random.default_rng(number).integers(0, 255, (6, 7, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(blocks).resize((300, 240), Image.Resampling.NEAREST).save(file, "JPEG", quality=95)
    return file.getvalue()


def png_bomb():
    """A PNG of 900 megapixels in a few bytes."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", PNG_BOMB_SIDE, PNG_BOMB_SIDE, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@cache
def gzip_bomb():
    """50 MB in a few bytes."""
    return gzip.compress(bytes(50_000_000), 1)


class FaultServer:
    """The server; a context manager.

    Attributes:
        url: where it is, without a final slash.
        requests: every request: path, and the value of its Range header or None.
        now: the time that dates are counted from.
    """

    def __init__(self, port=0):
        self.requests = []
        self.headers = []
        self.times = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._port = port

    def __enter__(self):
        gzip_bomb()  # takes too long to make while a client waits
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        self._port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self):
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                if not await self._answer(head, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, head, writer):
        path = head.split()[1]
        asked = re.search(r"(?im)^range: bytes=(\d+)-", head)
        self.requests.append((path, int(asked[1]) if asked else None))
        self.headers.append(head)
        self.times[path] += 1
        _, kind, fault, name = path.split("/")
        number = int(name.partition(".")[0])
        answer = _Answer(self, writer, path, song(number) if kind == "audio" else cover(number), asked)
        await answer.give(fault.removesuffix("-once"), once=fault.endswith("-once"), first=self.times[path] == 1)
        return answer.keep


class _Answer:
    def __init__(self, server, writer, path, body, asked):
        self.server, self.writer, self.path, self.body = server, writer, path, body
        self.begin = int(asked[1]) if asked else 0
        self.keep = True
        self.tag = f'"{zlib.crc32(body):x}"'

    async def give(self, fault, *, once, first):
        if once and not first:
            await self.whole()
        elif fault.isdecimal():
            await self.status(int(fault))
        else:
            await getattr(self, fault.replace("-", "_"))()

    async def send(self, status, body, *headers, length=None):
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body) if length is None else length}", *headers]
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        await self.writer.drain()

    async def whole(self):
        if self.begin:
            span = f"bytes {self.begin}-{len(self.body) - 1}/{len(self.body)}"
            await self.send(206, self.body[self.begin :], f"ETag: {self.tag}", f"Content-Range: {span}")
        else:
            await self.send(200, self.body, f"ETag: {self.tag}")

    ok = whole

    async def status(self, status):
        await self.send(status, b"no")

    async def half(self):
        half = self.body[: len(self.body) * 3 // 4]
        await self.send(200, half, f"ETag: {self.tag}", length=len(self.body))

    async def truncate(self):
        await self.half()
        self.keep = False

    async def reset(self):
        await self.half()
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.keep = False

    async def stall(self):
        await self.half()
        await asyncio.sleep(60)

    async def silence(self):
        await asyncio.sleep(60)

    async def short_length(self):
        self.keep = False
        await self.send(200, self.body, length=len(self.body) * 3 // 5)

    async def long_length(self):
        self.keep = False
        await self.send(200, self.body, length=len(self.body) + 1000)

    async def no_length(self):
        self.writer.write(b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n" + self.body)
        await self.writer.drain()
        self.keep = False

    async def ignore_range(self):
        await (self.send(200, self.body, f"ETag: {self.tag}") if self.begin else self.truncate())

    async def refuse_range(self):
        await self._when_continued(416, b"", "Content-Range: bytes */1")

    async def wrong_range(self):
        span = f"bytes 0-{len(self.body) - 1}/{len(self.body)}"
        await self._when_continued(206, self.body, f"Content-Range: {span}")

    async def no_range(self):
        await self._when_continued(206, self.body[self.begin :])

    async def other_tag(self):
        span = f"bytes {self.begin}-{len(self.body) - 1}/{len(self.body)}"
        await self._when_continued(206, self.body[self.begin :], 'ETag: "other"', f"Content-Range: {span}")

    async def lying_range(self):
        rest = len(self.body) - self.begin
        span = f"bytes {self.begin}-{len(self.body) - 1}/{len(self.body)}"
        await self._when_continued(206, self.body[100 : 100 + rest], f"Content-Range: {span}")

    async def _when_continued(self, status, body, *headers):
        """Break off at first; the given answer to whoever wants the rest; then behave."""
        if self.begin:
            await self.send(status, body, *headers)
        elif self.server.times[self.path] == 1:
            await self.truncate()
        else:
            await self.whole()

    async def wait_seconds(self):
        await self.send(429, b"", "Retry-After: 1")

    async def wait_date(self):
        from datetime import datetime, timedelta, timezone

        when = datetime.now(timezone.utc) + timedelta(seconds=1.5)
        await self.send(503, b"", f"Retry-After: {format_datetime(when, usegmt=True)}")

    async def wait_long(self):
        await self.send(429, b"", "Retry-After: 3600")

    async def to_metadata(self):
        await self.send(302, b"", "Location: http://169.254.169.254/latest/meta-data/")

    async def to_file(self):
        await self.send(302, b"", "Location: file:///etc/hostname")

    async def circle(self):
        await self.send(302, b"", f"Location: {self.path}")

    async def moved(self):
        await self.send(301, b"", f"Location: {self.path.replace('/moved/', '/ok/')}")

    async def html(self):
        await self.send(200, b"<!doctype html><title>Gone</title>" * 300, "Content-Type: image/jpeg")

    async def noai(self):
        await self.send(200, self.body, "X-Robots-Tag: noai, noimageai")

    async def noai_others(self):
        await self.send(200, self.body, "X-Robots-Tag: otherbot: noai", "X-Robots-Tag: noindex")

    async def endless(self):
        self.writer.write(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            self.writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
            await self.writer.drain()

    async def gzipped(self):
        await self.send(200, gzip.compress(self.body), "Content-Encoding: gzip")

    async def gzip_bomb(self):
        await self.send(200, gzip_bomb(), "Content-Encoding: gzip")

    async def png_bomb(self):
        await self.send(200, png_bomb())

    async def short(self):
        await self.send(200, song(1, 2.0))

    async def silent(self):
        await self.send(200, song(1, 6.0, 0.0))

    async def odd_label(self):
        """A plain file with an encoding that is none."""
        await self.send(200, self.body, "Content-Encoding: UTF-8, aws-chunked")

    async def unasked_range(self):
        await self.send(206, self.body, f"Content-Range: bytes 0-{len(self.body) - 1}/{len(self.body)}")

    async def unasked_range_unsaid(self):
        await self.send(206, self.body)

    async def raw_deflate(self):
        encoder = zlib.compressobj(wbits=-15)
        await self.send(200, encoder.compress(self.body) + encoder.flush(), "Content-Encoding: deflate")

    async def two_codings(self):
        await self.send(200, gzip.compress(zlib.compress(self.body)), "Content-Encoding: deflate, GZIP")

    async def gzip_in_name_only(self):
        await self.send(200, self.body, "Content-Encoding: gzip")

    async def brotli_in_gzip(self):
        await self.send(200, gzip.compress(self.body), "Content-Encoding: br, gzip")

    async def unasked_part(self):
        await self.send(206, self.body[:100], f"Content-Range: bytes 0-99/{len(self.body)}")

    async def brotli(self):
        await self.send(200, self.body, "Content-Encoding: br")
