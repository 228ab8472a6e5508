"""The option ``--tag`` of the commands that write datasets."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from covergen_cli.events import Event

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")


def tag_option(function: Decorated) -> Decorated:
    """Add ``--tag`` to a command."""
    text = "Fill empty values of the manifest's column genre with the genre that covergen describe recognises."
    return click.option("--tag", is_flag=True, help=text)(function)


def tag_genres(folder: Path) -> Generator[Event, None, None]:
    """Fill the column ``genre`` of a manifest; see :func:`covergen_cli.dataset.tagging.tag_genres`."""
    from covergen_cli.covers.describe import describe_song
    from covergen_cli.dataset import tagging

    return tagging.tag_genres(folder, lambda path: describe_song(path).genre)
