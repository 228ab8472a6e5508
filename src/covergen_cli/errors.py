"""Exceptions that the library raises on purpose.

::

    CovergenError            has a message and a hint, shown to the user in one or two lines
    ├── InputError           a file is missing, unreadable, not audio, empty, silent …
    ├── ConfigError          an option, preset, config file or environment value is invalid
    ├── ModelError           weights are missing, damaged, or do not fit each other
    └── OutputError          a file or folder cannot be written to

Any other exception that leaves the library is a bug.
"""

from __future__ import annotations


class CovergenError(Exception):
    """Base class of all errors that are reported to the user.

    Args:
        message: what is wrong and with which file; one sentence without a final full stop.
        hint: what to do about it; one sentence, or ``None``.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(CovergenError):
    """An input file cannot be used."""


class ConfigError(CovergenError):
    """An option, preset, config file or environment value is invalid."""


class ModelError(CovergenError):
    """Weights are missing, damaged, or do not fit each other."""


class OutputError(CovergenError):
    """A file or folder cannot be written to."""


def reason_of(error: BaseException) -> str:
    """Return why something failed, in one line: the system's words, else the message, else the type."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
