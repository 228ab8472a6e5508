"""Every error that CoverGen raises on purpose.

::

    CovergenError            message + hint, shown to the user as one or two lines
    ├── InputError           a file that is missing, unreadable, not audio, empty, silent …
    ├── ConfigError          an option, preset, config file or environment value that makes no sense
    ├── ModelError           weights that are missing, damaged, or do not fit each other
    └── OutputError          a place that cannot be written to

Anything else that escapes the library is a bug, not a user's mistake.
"""

from __future__ import annotations


class CovergenError(Exception):
    """An error with a message for the user and, where there is one, the way out.

    Args:
        message: what is wrong and with which file, one sentence, no final full stop.
        hint: what to do next, one sentence; ``None`` when nothing can be advised.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(CovergenError):
    """A file given by the user that cannot be used."""


class ConfigError(CovergenError):
    """An option, preset, config file or environment value that makes no sense."""


class ModelError(CovergenError):
    """Weights that are missing, damaged, or do not fit each other."""


class OutputError(CovergenError):
    """A place that cannot be written to."""
