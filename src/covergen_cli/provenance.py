"""Provenance of covers: how a cover was made, stored in the image file.

A JSON object is stored in the PNG text chunk ``covergen``, the comment of JPEG, GIF and MP4, the EXIF description of
WebP or the SVG element ``covergen``, and in XMP, which GIF lacks, the IPTC digital source type
*trainedAlgorithmicMedia*, which marks pictures made by a model.
"""

from __future__ import annotations

import html
import io
import json
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO, Literal

from PIL import Image, PngImagePlugin

from covergen_cli.errors import OutputError
from covergen_cli.files import atomic_path, write_bytes

DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's digital source type of pictures made by a trained model."""

_ALGORITHMIC = DIGITAL_SOURCE_TYPE.replace("trainedAlgorithmicMedia", "algorithmicMedia")
"""The term for pictures of the painter, which no model draws."""
_GENERATOR = "covergen"
IMAGE_DESCRIPTION = 0x010E
"""EXIF tag in which an animated WebP has its provenance."""
_PNG, _TEXT_CHUNKS = b"\x89PNG\r\n\x1a\n", (b"tEXt", b"zTXt", b"iTXt")
_RDF = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 {source}xmp:CreatorTool="{tool}"/>
</rdf:RDF>"""
_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">{rdf}</x:xmpmeta>
<?xpacket end="r"?>"""
_SVG_START, _SVG_TEXT = b"<svg ", re.compile(rb"<covergen[^>]*>([^<]*)</covergen>")
SVG_MAX_BYTES = 2_000_000
"""Maximum size of a vector cover."""


def save_cover(
    path: Path,
    image: Image.Image,
    provenance: dict[str, Any],
    format: Literal["png", "jpg"],  # noqa: A002
    max_bytes: int | None = None,
) -> None:
    """Write a cover atomically, with its provenance.

    Args:
        path: the final file.
        image: any mode; written as RGB, without alpha.
        provenance: JSON-able; :func:`read_provenance` returns it, with the key ``generator`` added.
        format: ``png``, or ``jpg`` (quality 95, or less for ``max_bytes``; 4:4:4 chroma).
        max_bytes: maximum size of the file; ``None`` for no limit.

    Raises:
        OutputError: ``path`` cannot be written to, the disk is full, or the file would be too large.
    """
    if format == "jpg":
        try:
            data = encode_jpeg(image, provenance, max_bytes)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
        write_bytes(path, data)
        return
    text, xmp = texts(provenance)
    with atomic_path(path) as temporary:
        try:
            image.convert("RGB").save(temporary, format="PNG", pnginfo=_png_chunks(text, xmp))
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
        if max_bytes is not None and temporary.stat().st_size > max_bytes:
            raise OutputError(
                f"{path} would weigh {temporary.stat().st_size / 1e6:.1f} MB; {max_bytes / 1e6:g} MB are allowed",
                hint="Use --format jpg.",
            )


def encode_jpeg(image: Image.Image, provenance: dict[str, Any], max_bytes: int | None = None) -> bytes:
    """Return a picture as JPEG with its provenance.

    Args:
        image: any mode; encoded as RGB.
        provenance: as for :func:`save_cover`.
        max_bytes: maximum size; quality is lowered from 95 to 30 in steps of 5 until the JPEG fits.

    Raises:
        OutputError: it does not fit at quality 30.
    """
    text, xmp = texts(provenance)
    image = image.convert("RGB")
    for quality in range(95, 29, -5):
        buffer = io.BytesIO()
        image.save(buffer, format="JPEG", quality=quality, subsampling=0, comment=text.encode(), xmp=xmp.encode())
        if max_bytes is None or buffer.tell() <= max_bytes:
            return buffer.getvalue()
    raise OutputError(f"the picture cannot be made to weigh less than {max_bytes} bytes", hint="Use a smaller --size.")


def save_svg(path: Path, svg: str, provenance: dict[str, Any]) -> None:
    """Write a vector cover atomically, with its provenance in an element ``metadata``.

    Args:
        path: the final file.
        svg: a document that starts with the element ``svg``.
        provenance: as for :func:`save_cover`.

    Raises:
        OutputError: ``path`` cannot be written to, or the file would be larger than 2 MB.
    """
    text, xmp = texts(provenance)
    rdf = xmp[xmp.index("<rdf:RDF") : xmp.index("</x:xmpmeta>")]
    metadata = f'<metadata><covergen xmlns="urn:covergen">{html.escape(text, quote=False)}</covergen>\n{rdf}</metadata>'
    start, bracket, rest = svg.partition(">")
    data = f"{start}{bracket}\n{metadata}{rest}".encode()
    if len(data) > SVG_MAX_BYTES:
        raise OutputError(
            f"{path} would weigh {len(data) / 1e6:.1f} MB; {SVG_MAX_BYTES / 1e6:g} MB are allowed",
            hint="Use --format png, or another look.",
        )
    write_bytes(path, data)


def texts(provenance: dict[str, Any]) -> tuple[str, str]:
    """Return the JSON object and the XMP packet; pictures that the user brought have no digital source type."""
    text = json.dumps({"generator": _GENERATOR, **provenance}, sort_keys=True, ensure_ascii=True)
    tool = f"covergen {provenance.get('version', '')}".strip()
    base = provenance.get("base")
    engine = base.get("name") if isinstance(base, dict) else None
    kind = _ALGORITHMIC if engine == "painter" else DIGITAL_SOURCE_TYPE
    source = "" if provenance.get("picture") else f'Iptc4xmpExt:DigitalSourceType="{kind}" '
    return text, _XMP.format(rdf=_RDF.format(source=source, tool=tool))


def _png_chunks(text: str, xmp: str) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"sRGB", b"\x00")
    chunks.add_itxt(_GENERATOR, text)
    chunks.add_itxt("XML:com.adobe.xmp", xmp)
    return chunks


def without_png_text(data: bytes) -> bytes:
    """Return a PNG without its text chunks, since Pillow refuses images with much text; other bytes as they are."""
    if not data.startswith(_PNG):
        return data
    kept, position = [_PNG], len(_PNG)
    while position < len(data):
        length, name = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        end = position + length + 12
        if name not in _TEXT_CHUNKS:
            kept.append(data[position:end])
        position = end
    return b"".join(kept)


def read_provenance(path: Path | BinaryIO) -> dict[str, Any] | None:
    """Return the provenance of a cover, or ``None`` for any file without: foreign, damaged, too large, or missing."""
    try:
        with path.open("rb") if isinstance(path, Path) else nullcontext(path) as file:
            if file.read(len(_SVG_START)) == _SVG_START:
                found = _SVG_TEXT.search(file.read(SVG_MAX_BYTES))
                text: Any = html.unescape(found[1].decode()) if found else None
            else:
                file.seek(0)
                video = isinstance(path, Path) and path.suffix.lower() == ".mp4"
                text = _video_comment(path) if video else _text_of(file)
        made = json.loads(text)
    except Exception:  # noqa: BLE001 — foreign files make Pillow raise all kinds of errors
        return None
    return made if isinstance(made, dict) and made.get("generator") == _GENERATOR else None


def _text_of(file: BinaryIO) -> Any:
    """Return the text of a picture in which provenance may be."""
    with Image.open(file, formats=("PNG", "JPEG", "WEBP", "GIF")) as image:
        comment = image.info.get(_GENERATOR, image.info.get("comment"))
        return comment if comment is not None or image.format != "WEBP" else image.getexif().get(IMAGE_DESCRIPTION)


def _video_comment(path: Path | BinaryIO) -> str | None:
    import av  # noqa: PLC0415 — only videos need it

    with av.open(str(path)) as container:
        comment: str | None = container.metadata.get("comment")
        return comment
