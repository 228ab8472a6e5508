"""The interface of all sources of pairs.

A source lists its items, one per row, and returns the raw files of an item. The rest is the same for all of them
(:mod:`covergen_cli.dataset.fetch.run`): check the music, clean the image, save both, record the outcome of the row::

    items()  →  downloads()      →  obtain()  →  check, clean, save
    list        network, if any     raw files    (in worker processes, as is obtain)
"""

from __future__ import annotations

import errno
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from covergen_cli.dataset.layout import ID_PATTERN
from covergen_cli.errors import InputError, reason_of
from covergen_cli.files import sha256_bytes

FREE_SPACE = "Free space, and run the same command again."
"""Hint for a full disk."""

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""Errors of the system after which nothing more can be written."""

DIGEST_LENGTH = 16
"""Hexadecimal digits of a SHA-256 that name a file or a row."""

_ID_LENGTH = 64
_SUFFIX_LENGTH = 12


class UnwantedError(InputError):
    """A valid file that does not suit a dataset: too short, silent, blank … Its row is ``filtered``.

    Args:
        cause: the message in a word or two, for counting; by default, whether music or image is unsuitable.
    """

    def __init__(self, message: str, *, cause: str | None = None) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True)
class Item:
    """One row of a source.

    Args:
        row: its number, from 1.
        id: id of the pair (see :func:`safe_id`), which names its files.
        audio: where the music is: a URL, a path, a seed.
        image: where the cover is, likewise.
        metadata: name → text.
    """

    row: int
    id: str
    audio: str
    image: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not ID_PATTERN.fullmatch(self.id):
            raise ValueError(f"{self.id!r} does not have the form of an id")


@dataclass(frozen=True)
class Obtained:
    """The raw files of a pair.

    Args:
        audio: the music. A file in the workspace is moved into the dataset folder, or deleted; any other file stays
            where it is, and the manifest refers to it.
        image: the picture, a file or its bytes.
        metadata: joined to that of the item.
    """

    audio: Path
    image: Path | bytes
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Missed:
    """An item whose files could not be obtained.

    Args:
        reason: why, one sentence.
        cause: the same in a word or two, for counting: ``"404"``, ``"timeout"`` …
        passing: whether a later attempt may succeed; the next run retries such rows.
        unwanted: whether the row counts as ``filtered`` rather than ``failed``.
    """

    item: Item
    reason: str
    cause: str
    passing: bool = False
    unwanted: bool = False


class Source(ABC):
    """Where pairs come from. It is sent to worker processes, so it has to be small and picklable."""

    @abstractmethod
    def describe(self) -> dict[str, object]:
        """Return the entry of ``dataset.json``: at least ``kind``; JSON values only."""

    @abstractmethod
    def items(self) -> Iterator[Item]:
        """List every row in a fixed order, without holding all of them in memory.

        A repeated id is no error here: the later row is a duplicate. A row that the source knows to be unusable is
        listed too; :meth:`obtain` raises the reason.

        Raises:
            InputError: the source cannot be read.
            ConfigError: it needs a package that is not installed, or lacks a column.
        """

    @contextmanager
    def downloads(self, workspace: Path) -> Iterator[Callable[[Item], Future[Missed | None]] | None]:  # noqa: ARG002
        """Download the files that :meth:`obtain` needs, for as long as the body runs.

        Args:
            workspace: folder for files; their names have to begin with the id of the item and a dot. Files of a killed
                run may be used.

        Yields:
            a function that starts the download of one item; the result is ``None``, or why it failed. A source without
            downloads yields ``None``.
        """
        yield None

    @abstractmethod
    def obtain(self, item: Item, workspace: Path) -> Obtained:
        """Return the raw files of one item. Runs in a worker process, several at once.

        Args:
            item: one of :meth:`items`.
            workspace: an existing folder for files, whose names have to begin with the id of the item and a dot; they
                are removed afterwards.

        Raises:
            UnwantedError: the row does not suit a dataset; it counts as ``filtered``.
            CovergenError: the files cannot be obtained; the row counts as ``failed``. An ``OutputError`` ends the run.
        """


def unexpected(error: Exception) -> str:
    """Return an unexpected exception as the reason of a row, on one line."""
    return f"unexpected {type(error).__name__}: {reason_of(error)[:200]}"


def safe_id(text: str) -> str:
    """Return an id made of any text: 1 to 64 letters, digits, ``-`` and ``_``.

    A text of this form is returned as it is. Any other text loses its other characters and gets twelve digits of its
    SHA-256, so that different texts give different ids.
    """
    if ID_PATTERN.fullmatch(text):
        return text
    digest = sha256_bytes(text.encode("utf-8", "surrogatepass"))[:_SUFFIX_LENGTH]
    kept = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[: _ID_LENGTH - _SUFFIX_LENGTH - 1]
    return f"{kept}-{digest}" if kept else digest


def without_credentials(text: str) -> str:
    """Return a text without the user names and passwords of the URLs in it."""
    return re.sub(r"(?<=://)[^/?#\s]*@", "", text)


def is_local(locator: str) -> bool:
    """Return whether a text names a file of this machine: a path, or a ``file:`` URL, but no other URL."""
    return locator[:5].lower() == "file:" or not re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", locator)


def download_path(workspace: Path, item: Item, kind: Literal["audio", "image"]) -> Path:
    """Return the path of a downloaded file; another URL in the same row gives another path."""
    url = item.audio if kind == "audio" else item.image
    return workspace / f"{item.id}.{sha256_bytes(url.encode())[:DIGEST_LENGTH]}.{kind}"
