"""What a cover says about its making, in the file itself.

A JSON object rides in the PNG text chunk ``covergen`` or in the JPEG comment, and XMP carries the IPTC digital source
type *trainedAlgorithmicMedia*, which marks pictures made by a model.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image, PngImagePlugin

from covergen_cli.artifacts import atomic_path
from covergen_cli.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DIGITAL_SOURCE_TYPE", "read_provenance", "save_cover"]

DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's term for a picture made by a trained model."""

_GENERATOR = "covergen"
_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 Iptc4xmpExt:DigitalSourceType="{source}" xmp:CreatorTool="{tool}"/>
</rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""


def save_cover(path: Path, image: Image.Image, provenance: dict[str, Any], format: Literal["png", "jpg"]) -> None:  # noqa: A002
    """Write a cover atomically, with its provenance.

    Args:
        path: the final file.
        image: any mode; written as RGB, without alpha.
        provenance: JSON-able; what :func:`read_provenance` gives back. The key ``generator`` is added.
        format: ``png``, or ``jpg`` (quality 95, colour at full resolution).

    Raises:
        OutputError: the place cannot be written to, or the disk is full.
    """
    text = json.dumps({"generator": _GENERATOR, **provenance}, sort_keys=True, ensure_ascii=True)
    tool = f"covergen {provenance.get('version', '')}".strip()
    xmp = _XMP.format(source=DIGITAL_SOURCE_TYPE, tool=tool)
    image = image.convert("RGB")
    with atomic_path(path) as temporary:
        try:
            if format == "png":
                image.save(temporary, format="PNG", pnginfo=_png_chunks(text, xmp))
            else:
                image.save(temporary, format="JPEG", quality=95, subsampling=0, comment=text.encode(), xmp=xmp.encode())
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def _png_chunks(text: str, xmp: str) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"sRGB", b"\x00")
    chunks.add_itxt(_GENERATOR, text)
    chunks.add_itxt("XML:com.adobe.xmp", xmp)
    return chunks


def read_provenance(path: Path) -> dict[str, Any] | None:
    """Return what a cover says about its making; ``None`` for files that CoverGen did not write.

    Never raises: a foreign, damaged, huge or missing file says nothing.
    """
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            text = image.info.get(_GENERATOR, image.info.get("comment"))
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        found = json.loads(text) if isinstance(text, str) else None
    except Exception:  # noqa: BLE001 — whatever a foreign file provokes, the answer is the same
        return None
    return found if isinstance(found, dict) and found.get("generator") == _GENERATOR else None
