"""A plugin of beets (https://beets.io): covers for albums without art, while they are imported or by ``beet covergen``.

::

    plugins: fetchart covergen
    covergen:
        auto: yes           # generate covers while albums are imported, after fetchart has looked for one
        generate:           # settings of covergen generate, with underscores
            size: 1000
"""

from __future__ import annotations

import os
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beets import ui
from beets.plugins import BeetsPlugin

from covergen_cli.config import GenerateConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.errors import ConfigError, CovergenError

if TYPE_CHECKING:
    from beets.library import Album, Library


class CovergenPlugin(BeetsPlugin):  # type: ignore[misc]
    """Adds the command ``beet covergen`` and a hook of the import."""

    def __init__(self) -> None:
        super().__init__()
        self.config.add({"auto": True, "generate": {}})
        if self.config["auto"].get(bool):
            self.register_listener("album_imported", self.album_imported)

    def commands(self) -> list[ui.Subcommand]:
        """Return the command ``covergen``."""
        command = ui.Subcommand("covergen", help="generate covers from the music of albums without art")
        command.parser.add_option("-f", "--force", action="store_true", help="also replace the art of other albums")
        command.func = self.fill
        return [command]

    def fill(self, lib: Library, options: Namespace, query: Sequence[str]) -> None:
        """Generate covers for the albums that a query finds."""
        albums = [album for album in lib.albums(query) if options.force or not _has_art(album)]
        try:
            done = sum(self._generate(album) for album in albums)
        except ConfigError as error:
            raise ui.UserError(_text(error)) from error
        ui.print_(f"{done} of {len(albums)} albums {'got covers' if options.force else 'without art got one'}")

    def album_imported(self, lib: Library, album: Album) -> None:  # noqa: ARG002 — as beets calls it
        """Generate the cover of an album that was just imported and has no art."""
        if _has_art(album):
            return
        try:
            self._generate(album)
        except ConfigError as error:
            raise ui.UserError(_text(error)) from error

    def _generate(self, album: Album) -> bool:
        """Generate and set the cover of one album; return whether there is one."""
        from covergen_cli.covers.generate import generate
        from covergen_cli.covers.plan import Job
        from covergen_cli.covers.styling import resolve_look
        from covergen_cli.events import CoverFailed, CoverFinished, Warned

        config = resolve_look(resolve(GenerateConfig, overrides={"format": "jpg", **self._settings()}))
        songs = tuple(Path(os.fsdecode(item.path)) for item in album.items())
        if not songs:
            return False
        with tempfile.TemporaryDirectory(prefix="covergen-") as folder:
            job = Job(songs[0], Path(folder, f"cover.{config.format}"), config.seed, config.format, songs=songs)
            try:
                for event in generate([job], config):
                    if isinstance(event, Warned):
                        self._log.warning("{}: {}", album, event.message)
                    elif isinstance(event, CoverFailed):
                        self._log.warning("{}: {}", album, event.error)
                    elif isinstance(event, CoverFinished):
                        album.set_art(os.fsencode(job.output))
                        album.store()
                        self._log.info("generated the cover of {}", album)
                        return True
            except ConfigError:
                raise
            except CovergenError as error:
                self._log.warning("{}: {}", album, _text(error))
        return False

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = self.config["generate"].get(dict)
        return settings


def _has_art(album: Album) -> bool:
    """Return whether an album has art that beets knows, or that lies beside its songs or in the tags of all."""
    from covergen_cli.covers.present_art import find_art

    if album.artpath and os.path.isfile(album.artpath):  # noqa: PTH113 — bytes
        return True
    return all(find_art(Path(os.fsdecode(item.path))) for item in album.items())


def _text(error: CovergenError) -> str:
    return f"covergen: {error.message}" + (f"; {error.hint}" if error.hint else "")
