"""Atomic writes, JSON files, and hashes.

Every file of the project is written through this module: to a temporary file in the same folder, flushed to the disk,
then renamed (``os.replace``). A killed command leaves no incomplete file under a final name.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from covergen_cli.errors import OutputError

SCHEMA = 1
"""Version of every JSON file that CoverGen writes (key ``"schema"``)."""

_BLOCK_BYTES = 1 << 20
_SAMPLE_BYTES = 1 << 14
_SETTLED_NS = 10 * 10**9
_hashes: dict[tuple[str, int, int, int], str] = {}
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})


@contextlib.contextmanager
def atomic_path(final: Path, *, flush: bool = True, mode: int | None = None) -> Iterator[Path]:
    """Yield the path of an empty temporary file beside ``final``, and rename it to ``final`` when the block succeeds.

    The parent folder is created if it is missing. The temporary name begins with a dot and keeps the suffix of
    ``final``, from which some writers choose their format. The file is removed when the block raises.

    Args:
        final: the final file; an existing one is replaced.
        flush: wait until the disk has the bytes, so that they survive a power cut; without it, a caller that writes
            thousands of files has to check by other means that they are complete.
        mode: permissions of the file; ``None`` for those of any new file.

    Raises:
        OutputError: the folder cannot be created or written to, the disk is full, or the file cannot be renamed.
    """
    temporary = _reserve(final)
    try:
        yield temporary
        _publish(temporary, final, flush=flush, mode=mode)
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        raise OutputError(f"cannot write {final}: {error.strerror or error}", hint="Make room on the disk.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _reserve(final: Path) -> Path:
    if os.path.isdir(final):  # noqa: PTH112 — Path.is_dir raises for a name that is too long
        raise OutputError(f"cannot write {final}: a folder has this name", hint="Choose another name.")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        # 40 characters of the name keep "NAME.RANDOM.SUFFIX" below the 255 bytes that file systems allow.
        handle, name = tempfile.mkstemp(prefix=f".{final.stem[:40]}.", suffix=f".tmp{final.suffix}", dir=final.parent)
    except (OSError, ValueError) as error:  # ValueError for a NUL
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"cannot write {final}: {reason}", hint="Choose another folder.") from error
    os.close(handle)
    return Path(name)


def _publish(temporary: Path, final: Path, *, flush: bool, mode: int | None) -> None:
    try:
        if flush:
            _sync_file(temporary)
        # mkstemp makes files that only their owner may read; what users get follows their umask instead.
        temporary.chmod(0o666 & ~_umask() if mode is None else mode)
        temporary.replace(final)
    except OSError as error:
        raise OutputError(f"cannot write {final}: {error.strerror or error}") from error
    if flush:
        _sync_folder(final.parent)


def _umask() -> int:
    """Return the umask, on Linux without changing it for a moment, which other threads would notice."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return int(next(line for line in lines if line.startswith("Umask:")).split()[1], 8)
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _sync_file(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Flush a new name to the disk; does nothing on systems that cannot open a folder (Windows)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_bytes(path: Path, data: bytes, *, flush: bool = True) -> None:
    """Write ``data`` to ``path`` atomically; ``flush`` as for :func:`atomic_path`.

    Raises:
        OutputError: ``path`` cannot be written to, or the disk is full.
    """
    with atomic_path(path, flush=flush) as temporary:
        try:
            temporary.write_bytes(data)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically, as UTF-8 with its line ends unchanged; raise as :func:`write_bytes`.

    File names that are not UTF-8, which Python decodes with surrogates, are written as the bytes they are on the disk.
    """
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def write_json(path: Path, data: object, *, sort_keys: bool = False) -> None:
    """Write ``data`` atomically as indented UTF-8 JSON with a final newline.

    Args:
        path: the final file.
        data: JSON-able; NaN and infinities raise ``ValueError``.
        sort_keys: sort the keys, for files that are compared or hashed.

    Raises:
        OutputError: as :func:`write_bytes`.
    """
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False, sort_keys=sort_keys) + "\n"
    # Surrogates, in names that are not UTF-8, become the escapes of JSON.
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def read_json(path: Path) -> Any:
    """Return the content of a UTF-8 JSON file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not JSON, or not UTF-8.
    """
    return json.loads(path.read_text(encoding="utf-8"))


def require_writable(folder: Path) -> None:
    """Raise :class:`OutputError` if no files can be created in a folder, which need not exist yet."""
    place = _existing(folder)
    if place is not None and not os.access(place, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write to {folder}: {place} is read-only", hint="Choose another folder.")


def require_space(folder: Path, count: int, purpose: str) -> None:
    """Raise :class:`OutputError` if a disk has less than ``count`` bytes left.

    Args:
        folder: on the disk; need not exist yet.
        count: bytes.
        purpose: what needs them, for the message, as in "the latents of 500 covers".
    """
    place = _existing(folder)
    free = count if place is None else shutil.disk_usage(place).free
    if free < count:
        raise OutputError(
            f"{purpose} need {count / 1e6:.0f} MB, but {folder} has {free / 1e6:.0f} MB left",
            hint="Make room, or choose another disk.",
        )


def _existing(folder: Path) -> Path | None:
    """Return the folder, or its nearest parent that exists."""
    return next((path for path in (folder, *folder.absolute().parents) if os.path.isdir(path)), None)  # noqa: PTH112


def seed_from(text: str) -> int:
    """Return a seed, 0 to 2^63 − 1, that depends on ``text`` alone."""
    return int(sha256_bytes(text.encode())[:16], 16) >> 1


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_chunks(chunks: Iterable[bytes]) -> str:
    """Return the SHA-256 of the concatenated ``chunks`` as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    return _hash_file(path, hashlib.sha256())


def sha256_file_once(path: Path) -> str:
    """Return the SHA-256 of a file, from memory if it was computed in this process and the file has not changed since.

    Size, time of change and inode tell. A file that changed in the last seconds is always read, as it may change again
    within the resolution of the clock.

    Raises:
        OSError: the file cannot be read.
    """
    state = path.stat()
    key = (os.path.abspath(path), state.st_size, state.st_mtime_ns, state.st_ino)  # noqa: PTH100 — links stay
    if key not in _hashes:
        digest = sha256_file(path)
        if time.time_ns() - state.st_mtime_ns < _SETTLED_NS:
            return digest
        _hashes[key] = digest
    return _hashes[key]


def sample_sha256(path: Path) -> str:
    """Return a SHA-256 over the size of a file and 16 KiB of its beginning, middle and end.

    It tells other content apart about as well as the hash of a compressed file or an embedding, and reads little.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256(b"%d " % size)
        for start in sorted({0, max(0, (size - _SAMPLE_BYTES) // 2), max(0, size - _SAMPLE_BYTES)}):
            file.seek(start)
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def git_blob_id(path: Path) -> str:
    """Return the id that git gives the content of a file: 40 hexadecimal digits.

    It is the SHA-1 of ``blob SIZE NUL`` and the bytes.

    Raises:
        OSError: the file cannot be read.
    """
    return _hash_file(path, hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False))


def _hash_file(path: Path, digest: hashlib._Hash) -> str:
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
