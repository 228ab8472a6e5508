"""The front cover in the tags of a music file, alike for every format that mutagen writes.

Pictures of other kinds (back, artist, leaflet) are left alone. ``other`` (type 0) counts as a front cover, as many
programs write it for one.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any, Protocol

from covergen_cli.errors import ConfigError, InputError
from covergen_cli.provenance import read_provenance

_FRONT, _OTHER = 3, 0
_KINDS = "mp3, m4a, flac, ogg and opus"
_MAX_FLAC_BLOCK = 2**24 - 1


class Tags(Protocol):
    """The tags of one file."""

    def pictures(self) -> list[bytes]:
        """Return the front covers."""
        ...

    def put(self, jpeg: bytes, size: tuple[int, int]) -> None:
        """Make this JPEG of ``size`` pixels the only front cover and write the file."""
        ...


def open_tags(path: Path) -> Tags:
    """Open the tags of a music file.

    Raises:
        InputError: it is damaged, or of a kind that cannot hold art.
        ConfigError: mutagen is not installed.
    """
    try:
        import mutagen
        from mutagen.flac import FLAC
        from mutagen.mp3 import MP3
        from mutagen.mp4 import MP4
        from mutagen.ogg import OggFileType
    except ImportError as error:
        raise ConfigError("tags need the package mutagen", hint="Install it: pip install mutagen.") from error
    try:
        found = mutagen.File(path)
    except (mutagen.MutagenError, OSError, ValueError) as error:
        raise InputError(f"the tags of {path} cannot be read: {error}") from error
    for kind, wrapper in ((MP3, _Id3), (MP4, _Mp4), (FLAC, _Flac), (OggFileType, _Ogg)):
        if isinstance(found, kind):
            return _Guarded(path, wrapper(path, found))
    raise InputError(f"{path} is no file that art can be put into", hint=f"Known are {_KINDS}.")


def has_foreign_art(tags: Tags) -> bool:
    """Tell whether there is a front cover that covergen did not make."""
    return any(read_provenance(io.BytesIO(picture)) is None for picture in tags.pictures())


class _Guarded:
    """Turns mutagen's errors into ours."""

    def __init__(self, path: Path, tags: Tags) -> None:
        self._path = path
        self._tags = tags

    def pictures(self) -> list[bytes]:
        import mutagen

        try:
            return self._tags.pictures()
        except (mutagen.MutagenError, ValueError) as error:
            raise InputError(f"the picture in {self._path} is damaged: {error}") from error

    def put(self, jpeg: bytes, size: tuple[int, int]) -> None:
        import mutagen

        try:
            self._tags.put(jpeg, size)
        except (mutagen.MutagenError, ValueError) as error:
            raise InputError(f"the tags of {self._path} cannot be written: {error}") from error


class _Id3:
    """MP3: ``APIC`` frames. The version of the tag stays; a file without one gets ID3v2.3, which everything reads."""

    def __init__(self, path: Path, _found: Any) -> None:
        from mutagen.id3 import ID3
        from mutagen.id3 import ID3NoHeaderError as NoTagError

        self._path = path
        self._version = 3
        try:
            self._tags = ID3(path, translate=False)
            self._version = 4 if self._tags.version[1] == 4 else 3
            if self._tags.version[1] == 2:
                self._tags = ID3(path)
                self._tags.update_to_v23()
        except NoTagError:
            self._tags = ID3()

    def pictures(self) -> list[bytes]:
        return [frame.data for frame in self._tags.getall("APIC") if frame.type in {_FRONT, _OTHER}]

    def put(self, jpeg: bytes, size: tuple[int, int]) -> None:  # noqa: ARG002
        from mutagen.id3 import APIC

        kept = [frame for frame in self._tags.getall("APIC") if frame.type not in {_FRONT, _OTHER}]
        # Latin-1: version 2.3 knows no UTF-8, and an empty description needs none.
        front = APIC(encoding=0, mime="image/jpeg", type=_FRONT, desc="", data=jpeg)
        self._tags.setall("APIC", [front, *kept])
        self._tags.save(self._path, v2_version=self._version)


class _Mp4:
    """M4A: the atom ``covr``, which knows no kinds."""

    def __init__(self, path: Path, found: Any) -> None:
        self._path = path
        self._file = found

    def pictures(self) -> list[bytes]:
        return [bytes(picture) for picture in (self._file.tags or {}).get("covr", [])]

    def put(self, jpeg: bytes, size: tuple[int, int]) -> None:  # noqa: ARG002
        from mutagen.mp4 import MP4Cover

        if self._file.tags is None:
            self._file.add_tags()
        self._file.tags["covr"] = [MP4Cover(jpeg, imageformat=MP4Cover.FORMAT_JPEG)]
        self._file.save(self._path)


def _block(jpeg: bytes, size: tuple[int, int]) -> Any:
    from mutagen.flac import Picture

    if len(jpeg) > _MAX_FLAC_BLOCK - 1024:
        raise ValueError("the picture is heavier than 16 MiB")
    block = Picture()
    block.type, block.mime, block.data = _FRONT, "image/jpeg", jpeg
    block.width, block.height, block.depth = *size, 24
    return block


class _Flac:
    """FLAC: picture blocks."""

    def __init__(self, path: Path, found: Any) -> None:
        self._path = path
        self._file = found

    def pictures(self) -> list[bytes]:
        return [block.data for block in self._file.pictures if block.type in {_FRONT, _OTHER}]

    def put(self, jpeg: bytes, size: tuple[int, int]) -> None:
        kept = [block for block in self._file.pictures if block.type not in {_FRONT, _OTHER}]
        self._file.clear_pictures()
        for block in (_block(jpeg, size), *kept):
            self._file.add_picture(block)
        self._file.save(self._path)


class _Ogg:
    """Ogg Vorbis, Opus and FLAC: FLAC's picture blocks as base64 in comments, and the older ``coverart``."""

    def __init__(self, path: Path, found: Any) -> None:
        self._path = path
        self._file = found

    def _blocks(self) -> list[Any]:
        from mutagen.flac import Picture

        texts = (self._file.tags or {}).get("metadata_block_picture", [])
        return [Picture(base64.b64decode(text)) for text in texts]

    def pictures(self) -> list[bytes]:
        old = [base64.b64decode(text) for text in (self._file.tags or {}).get("coverart", [])]
        return [block.data for block in self._blocks() if block.type in {_FRONT, _OTHER}] + old

    def put(self, jpeg: bytes, size: tuple[int, int]) -> None:
        kept = [block for block in self._blocks() if block.type not in {_FRONT, _OTHER}]
        texts = [base64.b64encode(block.write()).decode("ascii") for block in (_block(jpeg, size), *kept)]
        if self._file.tags is None:
            self._file.add_tags()
        for name in ("coverart", "coverartmime"):
            if name in self._file.tags:
                del self._file.tags[name]
        self._file.tags["metadata_block_picture"] = texts
        self._file.save(self._path)
