"""What every source of pairs has in common.

A source lists its items, one per row, and turns one item into the raw files of a pair. What follows is the same for
all of them and lies in :mod:`covergen_cli.dataset.fetch.run`: check the music, clean the image, give both their names, write
down what became of the row::

    items()  →  downloads()     →  obtain()  →  check, clean, keep
    list        network, if any    raw files    (in worker processes, as is obtain)
"""

from __future__ import annotations

import errno
import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from covergen_cli.errors import InputError

FREE_SPACE = "Free space, and run the same command again."
"""What to do about a full disk."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""Errors of the system after which nothing more can be written."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ID_LENGTH = 64
_DIGEST_LENGTH = 12


class UnwantedError(InputError):
    """A file is sound, and yet no good for a dataset: too short, silent, blank … Its row is ``filtered``.

    Args:
        message: as in any error.
        cause: the same in a word or two, for counting; without it, whether music or image is to blame is said.
    """

    def __init__(self, message: str, *, cause: str | None = None) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True)
class Item:
    """One row of a source.

    Args:
        row: its number, from 1.
        id: what the pair shall be called, in the form of an id (see :func:`safe_id`), as files are named by it.
        audio: where the music is, as the source writes it: a URL, a path, a seed.
        image: where the cover is, likewise.
        metadata: what else is known of it, name → text.
    """

    row: int
    id: str
    audio: str
    image: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError(f"{self.id!r} has not the form of an id")


@dataclass(frozen=True)
class Obtained:
    """The raw files of a pair.

    Args:
        audio: the music. In the workspace it will be moved to its place in the dataset folder, or deleted; anywhere
            else it stays where it is, is not changed, and the manifest refers to it.
        image: the picture as it came: a file, treated as the music is, or its bytes.
        metadata: what was learnt on the way, joined to that of the item.
    """

    audio: Path
    image: Path | bytes
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Missed:
    """An item whose files cannot be had.

    Args:
        item: the item.
        reason: why, one sentence.
        cause: the same in a word or two, for counting: ``"404"``, ``"timeout"`` …
        passing: whether it may be otherwise at another time; such rows are tried again by the next run.
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
        """What ``dataset.json`` says of it: at least ``kind``; JSON values only."""

    @abstractmethod
    def items(self) -> Iterator[Item]:
        """List every row in a fixed order, one at a time, never all at once in memory.

        An id that occurs twice is no error here: the later row is a duplicate. A row that cannot be used for a reason
        that the source can see is listed all the same; :meth:`obtain` says why.

        Raises:
            InputError: the source cannot be read.
            ConfigError: it needs a package that is not installed, or has no such column.
        """

    @contextmanager
    def downloads(self, workspace: Path) -> Iterator[Callable[[Item], Future[Missed | None]] | None]:  # noqa: ARG002
        """While the body runs, bring what :meth:`obtain` will need to this machine.

        Args:
            workspace: folder for files on their way, whose names must begin with the item's id and a dot; what a killed
                run left there may be used.

        Yields:
            a function that starts on one item and returns what will become of it: ``None``, it is all here, or why
            not. Sources whose files are on this machine anyway have no such function.
        """
        yield None

    @abstractmethod
    def obtain(self, item: Item, workspace: Path) -> Obtained:
        """Make the raw files of one item. Runs in a worker process, several at once.

        Args:
            item: the item.
            workspace: an existing folder for files, whose names must begin with the item's id and a dot; they are
                removed when the item is settled.

        Raises:
            UnwantedError: the row is no good; it counts as ``filtered``.
            CovergenError: the files cannot be had; the row counts as ``failed``. An ``OutputError`` ends the run.
        """


def unexpected(error: Exception) -> str:
    """Say on one line what nobody thought of, for the reason of a row."""
    return f"unexpected {type(error).__name__}: {' '.join(str(error).split())[:200]}"


def safe_id(text: str) -> str:
    """Make an id of any text: 1 to 64 letters, digits, ``-`` and ``_``.

    What has this form already stays as it is. All else loses what does not fit and gets twelve digits of its SHA-256,
    so that two texts do not become one id.
    """
    if _ID.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_LENGTH]
    kept = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[: _ID_LENGTH - _DIGEST_LENGTH - 1]
    return f"{kept}-{digest}" if kept else digest
