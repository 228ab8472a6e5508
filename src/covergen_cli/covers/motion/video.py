"""Writes frames as a video (MP4), an animated WebP or a GIF, with provenance, in one atomic step."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from covergen_cli.covers.motion.sound import Sound
from covergen_cli.errors import CovergenError, OutputError
from covergen_cli.files import atomic_path
from covergen_cli.provenance import IMAGE_DESCRIPTION, texts

if TYPE_CHECKING:
    import numpy.typing as npt

    Frame = npt.NDArray[np.uint8]

Format = Literal["mp4", "webp", "gif"]
FORMATS: tuple[Format, ...] = ("mp4", "webp", "gif")

H264 = "libx264"
_ENCODERS: dict[str, dict[str, str]] = {
    H264: {"crf": "18", "preset": "medium"},
    "h264": {"b": "12000000"},
    "mpeg4": {"qscale": "3"},
}
"""Encoders of MP4 in order of preference, with their options. Stores and players take H.264."""
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
"""The box of MP4 that holds XMP (ISO 16684-1)."""
_WEBP_QUALITY = 60


def video_encoder() -> str:
    """Return the best encoder for MP4 that PyAV has on this machine.

    Raises:
        CovergenError: it has none.
    """
    import av

    for name in _ENCODERS:
        try:
            av.Codec(name, "w")
        except (av.error.FFmpegError, ValueError):
            continue
        return name
    raise CovergenError("PyAV has no encoder for MP4 on this machine", hint="Use --motion webp, or reinstall av.")


def save_video(
    path: Path,
    frames: Iterable[Frame],
    fps: int,
    provenance: dict[str, Any],
    format: Format,  # noqa: A002
    *,
    song: Path | None = None,
) -> Iterator[int]:
    """Write a loop or a video atomically, and yield the number of frames that are done.

    Args:
        path: the final file, which is there when the iterator ends.
        frames: sRGB ``(height, width, 3)`` each, all of the same size.
        fps: frames per second; a GIF takes whole hundredths of a second.
        provenance: JSON-able; :func:`covergen_cli.provenance.read_provenance` returns it.
        format: ``mp4`` (yuv420p, BT.709, index first), ``webp`` or ``gif``, which repeat for ever.
        song: for ``mp4``: the music file whose sound goes beside the frames.

    Raises:
        OutputError: the file cannot be written.
    """
    import av

    text, xmp = texts(provenance)
    with atomic_path(path) as temporary:
        try:
            if format == "mp4":
                yield from _save_mp4(temporary, frames, fps, text, xmp, song)
            else:
                yield from _save_animation(temporary, frames, fps, text, xmp, format)
        except (OSError, ValueError, av.error.FFmpegError) as error:
            reason = getattr(error, "strerror", None) or error
            raise OutputError(f"cannot write {path}: {reason}") from error


def _save_mp4(path: Path, frames: Iterable[Frame], fps: int, text: str, xmp: str, song: Path | None) -> Iterator[int]:
    import av

    name, count = video_encoder(), 0
    with av.open(os.fspath(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        container.metadata["comment"] = text
        stream: Any = container.add_stream(name, rate=fps, options=_ENCODERS[name])
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, fps)
        stream.codec_context.color_range, stream.codec_context.colorspace = 1, 1  # limited range, BT.709
        sound = None if song is None else Sound(song, container)
        for frame in frames:
            if count == 0:
                stream.height, stream.width = frame.shape[:2]
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture = picture.reformat(format="yuv420p", src_colorspace="ITU709", dst_colorspace="ITU709")
            picture.pts, picture.time_base = count, Fraction(1, fps)
            container.mux(stream.encode(picture))
            count += 1
            if sound is not None:
                sound.write_until(count / fps)
            yield count
        container.mux(stream.encode())
        if sound is not None:
            sound.finish(count / fps)
    with path.open("ab") as file:
        packet = xmp.encode()
        file.write(struct.pack(">I", len(packet) + 24) + b"uuid" + _XMP_UUID + packet)


def _save_animation(
    path: Path,
    frames: Iterable[Frame],
    fps: int,
    text: str,
    xmp: str,
    format: str,  # noqa: A002
) -> Iterator[int]:
    pictures: list[Image.Image] = []
    palette: Image.Image | None = None
    for frame in frames:
        picture = Image.fromarray(frame)
        if format == "gif":  # one palette, so that colours do not flicker
            palette = palette or picture.quantize(255, Image.Quantize.MEDIANCUT)
            picture = picture.quantize(palette=palette, dither=Image.Dither.NONE)
        pictures.append(picture)
        yield len(pictures)
    options: dict[str, Any] = (
        {"comment": text.encode(), "optimize": False, "duration": 10 * round(100 / fps)}
        if format == "gif"
        else {"quality": _WEBP_QUALITY, "method": 4, "xmp": xmp.encode(), "exif": _exif(text), "duration": 1000 / fps}
    )
    pictures[0].save(path, format=format.upper(), save_all=True, append_images=pictures[1:], loop=0, **options)


def _exif(text: str) -> bytes:
    """Return EXIF data with a text as image description."""
    data = Image.Exif()
    data[IMAGE_DESCRIPTION] = text
    return data.tobytes()
