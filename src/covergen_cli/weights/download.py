"""One file from the network: bounded, resumed where it broke off, never taken for whole before it is checked."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from covergen_cli.errors import ModelError, OutputError
from covergen_cli.events import Progress

if TYPE_CHECKING:
    import httpx

_BLOCK_BYTES = 1 << 18
_TRIES = 3
_TIMEOUT_SECONDS = 30.0


class _BrokenOffError(Exception):
    """The connection ended before the file did."""


def git_blob_id(path: Path) -> str:
    """Name a file's content as git does: SHA-1 over ``blob SIZE NUL`` and its bytes, 40 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    return _digest(path, hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False))


def sha256(path: Path) -> str:
    """Name a file's content by its SHA-256, 64 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    return _digest(path, hashlib.sha256())


def _digest(path: Path, digest: hashlib._Hash) -> str:
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def download(url: str, partial: Path, *, most_bytes: int, task: str = "fetch") -> Iterator[Progress]:
    """Fetch a file to ``partial``, going on after what is already there.

    When this ends well the server has said that the file is complete; whether it is the right one is for the caller to
    check, before it gets its final name. After a connection that broke off what came is kept, for the next time.

    Args:
        url: where the file is; redirections are followed.
        partial: a name that nothing else reads.
        most_bytes: a file that turns out larger is refused and removed.
        task: what the events are about.

    Yields:
        bytes so far, of how many in all where the server says.

    Raises:
        ModelError: the server cannot be reached, does not have the file, breaks off each time, or sends too much.
        OutputError: the place cannot be written to.
    """
    import httpx

    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        with httpx.Client(follow_redirects=True, timeout=_TIMEOUT_SECONDS) as client:
            whole, tries = False, 0
            while not whole:
                tries += 1
                whole = yield from _attempt(client, url, partial, most_bytes, task, last=tries == _TRIES)
    except (httpx.HTTPError, httpx.InvalidURL, _BrokenOffError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{url} cannot be fetched: {reason}", hint="Check the network, and try again.") from error
    except OSError as error:
        raise OutputError(f"cannot write {partial}: {error.strerror or error}") from error


def _attempt(
    client: httpx.Client, url: str, partial: Path, most_bytes: int, task: str, *, last: bool
) -> Generator[Progress, None, bool]:
    """Fetch what is missing; return whether the file is complete. A broken connection is an error in the last try."""
    import httpx

    try:
        yield from _receive(client, url, partial, most_bytes, task)
    except (_BrokenOffError, httpx.TransportError):
        if last:
            raise
        return False
    return True


def _receive(client: httpx.Client, url: str, partial: Path, most_bytes: int, task: str) -> Iterator[Progress]:
    begin = partial.stat().st_size if partial.exists() else 0
    # Compression on the way would make sizes and offsets speak of other bytes than those of the file.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={begin}-"} if begin else {})
    with client.stream("GET", url, headers=headers) as response:
        if begin and response.status_code != 206:
            partial.unlink()
            if response.status_code == 416:
                raise _BrokenOffError("the server and the part that is here do not fit")
            begin = 0
        response.raise_for_status()
        length = response.headers.get("Content-Length", "")
        total = begin + int(length) if length.isdecimal() else None
        done = begin
        with partial.open("ab") as file:
            for block in response.iter_raw(_BLOCK_BYTES):
                done += len(block)
                if done > most_bytes or (total or 0) > most_bytes:
                    file.close()
                    partial.unlink()
                    raise ModelError(f"{url} is larger than the {most_bytes >> 20} MiB that are expected of it")
                file.write(block)
                yield Progress(task, done, total, partial.stem)
        if total is not None and done < total:
            raise _BrokenOffError(f"the connection ended after {done} of {total} bytes")
