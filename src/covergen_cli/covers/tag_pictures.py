"""Read and write the front cover in the tags of a music file, for every format that mutagen writes.

Pictures of other kinds (back, artist, leaflet) are kept. ``other`` (type 0) counts as a front cover, because many
programs write front covers as such.
"""

from __future__ import annotations

import base64
import io
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from covergen_cli.errors import ConfigError, InputError
from covergen_cli.provenance import read_provenance

_FRONT = 3
_FRONT_TYPES = {_FRONT, 0}
_KINDS = "mp3, m4a, flac, ogg and opus"
_MAX_FLAC_BLOCK = 2**24 - 1


class PictureTags(ABC):
    """The front covers in the tags of one file."""

    def __init__(self, path: Path, file: Any) -> None:
        self._path = path
        self._file = file

    def pictures(self) -> list[bytes]:
        """Return the front covers.

        Raises:
            InputError: a picture is damaged.
        """
        import mutagen

        try:
            return self._read()
        except (mutagen.MutagenError, ValueError) as error:
            raise InputError(f"the picture in {self._path} is damaged: {error}") from error

    def put(self, jpeg: bytes, size: tuple[int, int]) -> None:
        """Make a JPEG of ``size`` pixels the only front cover and save the file.

        Raises:
            InputError: the tags cannot be written.
        """
        import mutagen

        try:
            self._write(jpeg, size)
            self._save()
        except (mutagen.MutagenError, ValueError) as error:
            raise InputError(f"the tags of {self._path} cannot be written: {error}") from error

    @abstractmethod
    def _read(self) -> list[bytes]: ...

    @abstractmethod
    def _write(self, jpeg: bytes, size: tuple[int, int]) -> None: ...

    def _save(self) -> None:
        self._file.save(self._path)


def open_tags(path: str | os.PathLike[str]) -> PictureTags:
    """Open the tags of a music file.

    Raises:
        InputError: it is damaged, or of a format that cannot hold art.
        ConfigError: mutagen is not installed.
    """
    path = Path(path)
    try:
        import mutagen
        from mutagen.flac import FLAC
        from mutagen.mp3 import MP3
        from mutagen.mp4 import MP4
        from mutagen.ogg import OggFileType
    except ImportError as error:
        raise ConfigError("tags need the package mutagen", hint="Install it: pip install mutagen.") from error
    try:
        file = mutagen.File(path)
    except (mutagen.MutagenError, OSError, ValueError) as error:
        raise InputError(f"the tags of {path} cannot be read: {error}") from error
    for kind, tags in ((MP3, _Id3), (MP4, _Mp4), (FLAC, _Flac), (OggFileType, _Ogg)):
        if isinstance(file, kind):
            return tags(path, file)
    raise InputError(f"art cannot be written into {path}", hint=f"Supported are {_KINDS}.")


def has_foreign_art(tags: PictureTags) -> bool:
    """Return whether there is a front cover that covergen did not make."""
    return any(read_provenance(io.BytesIO(picture)) is None for picture in tags.pictures())


class _Id3(PictureTags):
    """MP3: ``APIC`` frames. The tag keeps its version; a file without one gets ID3v2.3, which everything reads."""

    def __init__(self, path: Path, file: Any) -> None:
        from mutagen.id3 import ID3, ID3NoHeaderError

        super().__init__(path, file)
        self._version = 3
        try:
            self._tags = ID3(path, translate=False)
            self._version = 4 if self._tags.version[1] == 4 else 3
            if self._tags.version[1] == 2:
                self._tags = ID3(path)
                self._tags.update_to_v23()
        except ID3NoHeaderError:
            self._tags = ID3()

    def _read(self) -> list[bytes]:
        return [frame.data for frame in self._tags.getall("APIC") if frame.type in _FRONT_TYPES]

    def _write(self, jpeg: bytes, size: tuple[int, int]) -> None:  # noqa: ARG002
        from mutagen.id3 import APIC

        kept = [frame for frame in self._tags.getall("APIC") if frame.type not in _FRONT_TYPES]
        # Latin-1: version 2.3 does not support UTF-8, and an empty description needs none.
        front = APIC(encoding=0, mime="image/jpeg", type=_FRONT, desc="", data=jpeg)
        self._tags.setall("APIC", [front, *kept])

    def _save(self) -> None:
        self._tags.save(self._path, v2_version=self._version)


class _Mp4(PictureTags):
    """M4A: the atom ``covr``, which has no picture types."""

    def _read(self) -> list[bytes]:
        return [bytes(picture) for picture in (self._file.tags or {}).get("covr", [])]

    def _write(self, jpeg: bytes, size: tuple[int, int]) -> None:  # noqa: ARG002
        from mutagen.mp4 import MP4Cover

        if self._file.tags is None:
            self._file.add_tags()
        self._file.tags["covr"] = [MP4Cover(jpeg, imageformat=MP4Cover.FORMAT_JPEG)]


def _with_front(blocks: list[Any], jpeg: bytes, size: tuple[int, int]) -> list[Any]:
    """Return FLAC picture blocks with the front covers replaced by one."""
    from mutagen.flac import Picture

    if len(jpeg) > _MAX_FLAC_BLOCK - 1024:
        raise ValueError("the picture is larger than 16 MiB")
    front = Picture()
    front.type, front.mime, front.data = _FRONT, "image/jpeg", jpeg
    front.width, front.height, front.depth = *size, 24
    return [front, *(block for block in blocks if block.type not in _FRONT_TYPES)]


class _Flac(PictureTags):
    """FLAC: picture blocks."""

    def _read(self) -> list[bytes]:
        return [block.data for block in self._file.pictures if block.type in _FRONT_TYPES]

    def _write(self, jpeg: bytes, size: tuple[int, int]) -> None:
        blocks = _with_front(self._file.pictures, jpeg, size)
        self._file.clear_pictures()
        for block in blocks:
            self._file.add_picture(block)


class _Ogg(PictureTags):
    """Ogg Vorbis, Opus and FLAC: FLAC picture blocks as base64 in comments, and the older ``coverart``."""

    def _blocks(self) -> list[Any]:
        from mutagen.flac import Picture

        texts = (self._file.tags or {}).get("metadata_block_picture", [])
        return [Picture(base64.b64decode(text)) for text in texts]

    def _read(self) -> list[bytes]:
        old = [base64.b64decode(text) for text in (self._file.tags or {}).get("coverart", [])]
        return [block.data for block in self._blocks() if block.type in _FRONT_TYPES] + old

    def _write(self, jpeg: bytes, size: tuple[int, int]) -> None:
        blocks = _with_front(self._blocks(), jpeg, size)
        if self._file.tags is None:
            self._file.add_tags()
        for name in ("coverart", "coverartmime"):
            if name in self._file.tags:
                del self._file.tags[name]
        texts = [base64.b64encode(block.write()).decode("ascii") for block in blocks]
        self._file.tags["metadata_block_picture"] = texts
