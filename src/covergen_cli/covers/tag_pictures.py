"""Open the tags of a music file of any supported format, to read or exchange its front cover.

Pictures of other kinds (back, artist, leaflet) are kept.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from covergen_cli.audio.container import open_audio
from covergen_cli.covers.tag_flac import Flac
from covergen_cli.covers.tag_id3 import Id3
from covergen_cli.covers.tag_mp4 import Mp4
from covergen_cli.covers.tag_ogg import Ogg
from covergen_cli.errors import InputError
from covergen_cli.provenance import read_provenance

if TYPE_CHECKING:
    from covergen_cli.covers.tag_file import PictureTags

_FORMATS: dict[str, type[PictureTags]] = {"mp3": Id3, "mp4": Mp4, "flac": Flac, "ogg": Ogg}
_OGG_CODECS = ("vorbis", "opus", "flac")


def open_tags(path: str | os.PathLike[str]) -> PictureTags:
    """Open the tags of a music file.

    Raises:
        InputError: it is damaged, or of a format that cannot hold art.
    """
    path = Path(path)
    with open_audio(path) as (container, audio):
        names, codec = container.format.name.split(","), audio.codec_context.name
    tags = next((_FORMATS[name] for name in names if name in _FORMATS), None)
    if tags is None or (tags is Ogg and codec not in _OGG_CODECS):
        raise InputError(f"art cannot be written into {path}", hint="Supported are mp3, m4a, flac, ogg and opus.")
    return tags(path)


def is_foreign(picture: bytes | None) -> bool:
    """Return whether a front cover was not made by covergen; a damaged one (``None``) was not."""
    return picture is None or read_provenance(io.BytesIO(picture)) is None
