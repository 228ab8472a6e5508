"""Files that are either whole or not there, and the hashes that name them.

Every file of the project is written through this module: the bytes go to a temporary file in the same folder, are
flushed to the disk, and take their final name in one step (``os.replace``). A killed command leaves no half file
under a final name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from covergen_cli.errors import OutputError

SCHEMA = 1
"""Version of every JSON file that CoverGen writes (key ``"schema"``)."""

_BLOCK_BYTES = 1 << 20


@contextlib.contextmanager
def atomic_path(final: Path, *, flush: bool = True, mode: int | None = None) -> Iterator[Path]:
    """Give a temporary path beside ``final``; it takes the final name when the block ends well.

    The parent folder is made when it is missing. The temporary file keeps the suffix of ``final``, because some writers
    choose their format by it, and starts with a dot. It is removed when the block raises or writes nothing.

    Args:
        final: where the file shall end up; an existing file is replaced.
        flush: wait until the disk has it, so that it outlives a power cut; without it, whoever writes thousands of
            files has to see by other means that they are whole.
        mode: permissions of the file; ``None`` for those that new files get.

    Yields:
        The temporary path (an empty file that exists already).

    Raises:
        OutputError: the folder cannot be made or written to, or the file cannot take its name.
    """
    temporary = _reserve(final)
    try:
        yield temporary
        _publish(temporary, final, flush=flush, mode=mode)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _reserve(final: Path) -> Path:
    if final.is_dir():
        raise OutputError(f"cannot write {final}: a folder has this name", hint="Choose another name.")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        # 40 characters of the name keep "NAME.RANDOM.SUFFIX" below the 255 bytes that file systems allow.
        handle, name = tempfile.mkstemp(prefix=f".{final.stem[:40]}.", suffix=f".tmp{final.suffix}", dir=final.parent)
    except OSError as error:
        raise OutputError(f"cannot write {final}: {error.strerror or error}", hint="Choose another folder.") from error
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
    """Read the umask without a moment in which another thread sees it changed, where the system allows that."""
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
    """Make the new name survive a power cut; systems that cannot open a folder (Windows) do without."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_bytes(path: Path, data: bytes, *, flush: bool = True) -> None:
    """Write ``data`` to ``path`` atomically; ``flush`` as in :func:`atomic_path`.

    Raises:
        OutputError: the place cannot be written to, or the disk is full.
    """
    with atomic_path(path, flush=flush) as temporary:
        try:
            temporary.write_bytes(data)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically, UTF-8, line ends untouched.

    Raises:
        OutputError: as :func:`write_bytes`.
    """
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, data: object, *, sort_keys: bool = False) -> None:
    """Write ``data`` as indented UTF-8 JSON with a final newline, atomically.

    Args:
        path: the final file.
        data: anything ``json`` can write; NaN and infinities are refused (``ValueError``), as JSON has none.
        sort_keys: write the keys in sorted order, for files that are compared or hashed.

    Raises:
        OutputError: as :func:`write_bytes`.
    """
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False, sort_keys=sort_keys) + "\n")


def read_json(path: Path) -> Any:
    """Read a UTF-8 JSON file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not JSON (``json.JSONDecodeError``) or not UTF-8 (``UnicodeDecodeError``).
    """
    return json.loads(path.read_text(encoding="utf-8"))


def require_writable(folder: Path) -> None:
    """See that files can be made in a folder, or that it can be made, before anything is computed for it.

    Raises:
        OutputError: they cannot.
    """
    place = next((path for path in (folder, *folder.absolute().parents) if path.is_dir()), None)
    if place is not None and not os.access(place, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write to {folder}: {place} is read-only", hint="Choose another folder.")


def require_space(folder: Path, count: int, purpose: str) -> None:
    """See that a disk has room, before hours are spent on what will not fit.

    Args:
        folder: where it shall go; need not be there yet.
        count: bytes.
        purpose: what it is for, as in "the latents of 500 covers".

    Raises:
        OutputError: it has not.
    """
    place = next((path for path in (folder, *folder.absolute().parents) if path.is_dir()), None)
    free = count if place is None else shutil.disk_usage(place).free
    if free < count:
        raise OutputError(
            f"{purpose} need {count / 1e6:.0f} MB, but {folder} has {free / 1e6:.0f} MB left",
            hint="Make room, or choose another disk.",
        )


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits, reading 1 MiB at a time.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
