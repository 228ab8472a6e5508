"""Download one file over HTTP, with a size limit; an interrupted download is resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from covergen_cli.errors import ModelError, OutputError
from covergen_cli.events import Progress

if TYPE_CHECKING:
    import httpx

_BLOCK_BYTES = 1 << 18
_ATTEMPTS = 3
_TIMEOUT_SECONDS = 30.0

OnProgress = Callable[[Progress], None]


def download(url: str, partial: Path, *, max_bytes: int, on_progress: OnProgress = lambda _: None) -> None:
    """Download a file to ``partial``, resuming after the bytes that are already there.

    The caller has to verify the content before the file gets its final name. When the connection fails, the bytes
    received so far are kept for the next call.

    Args:
        url: address of the file; redirects are followed.
        partial: a path that nothing else reads.
        max_bytes: a larger file is refused and removed.
        on_progress: called after every block with the bytes so far, and the total if the server reports it.

    Raises:
        ModelError: the server cannot be reached, does not have the file, fails three times, or sends too much.
        OutputError: ``partial`` cannot be written.
    """
    import httpx

    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        with httpx.Client(follow_redirects=True, timeout=_TIMEOUT_SECONDS) as client:
            for attempt in range(_ATTEMPTS):
                try:
                    return _receive(client, url, partial, max_bytes, on_progress)
                except httpx.TransportError:  # noqa: PERF203 — three attempts at most
                    if attempt == _ATTEMPTS - 1:
                        raise
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{url} cannot be downloaded: {reason}", hint="Check the network and try again.") from error
    except OSError as error:
        raise OutputError(f"cannot write {partial}: {error.strerror or error}") from error


def _receive(client: httpx.Client, url: str, partial: Path, max_bytes: int, on_progress: OnProgress) -> None:
    """Request the missing bytes and append them; httpx raises when the connection closes before the end."""
    import httpx

    done = partial.stat().st_size if partial.exists() else 0
    # Without compression, sizes and offsets count the bytes of the file itself.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with client.stream("GET", url, headers=headers) as response:
        if done and response.status_code != httpx.codes.PARTIAL_CONTENT:
            partial.unlink()
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise httpx.TransportError("the partial file does not match the file on the server")
            done = 0
        response.raise_for_status()
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdecimal() else None
        with partial.open("ab") as file:
            for block in response.iter_raw(_BLOCK_BYTES):
                done += len(block)
                if max(done, total or 0) > max_bytes:
                    file.close()
                    partial.unlink()
                    raise ModelError(f"{url} is larger than the expected {max_bytes >> 20} MiB")
                file.write(block)
                on_progress(Progress("download", done, total, partial.stem))
