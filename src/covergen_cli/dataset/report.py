"""Write an overview of a dataset folder as one HTML page.

The page is self-contained, runs no script, and escapes every text of the tables.
"""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from PIL import Image

from covergen_cli.dataset.images.clean import FORMATS, MOST_DECODED_PIXELS
from covergen_cli.dataset.images.text_area import MUCH_TEXT
from covergen_cli.dataset.layout import MANIFEST, Dataset, locate
from covergen_cli.dataset.pairs import SPLIT_JSON
from covergen_cli.dataset.split import COVER_ID
from covergen_cli.dataset.tables import read_frame
from covergen_cli.files import read_json, sha256_bytes, write_text

REPORT = "report.html"
"""Name of the page in a dataset folder."""

_STATUS = "status.csv"
_STATUSES = ("ok", "failed", "duplicate", "filtered")
_SAMPLE = 120
_GROUPS_SHOWN = 12
_MEMBERS_SHOWN = 8
_THUMBNAIL = 112
_LONGEST_TEXT = 160
_BARS = 30
_LENGTHS = (0, 5, 10, 15, 20, 25, 29, 31, 35, 60, 120, 180, 240, 300, 420, 600, 1200)
_SIZES = (1, 2, 3, 4, 6, 11, 21, 51, 101)
_SHARES = (0.0, 0.01, 0.02, MUCH_TEXT, 0.08, 0.16, 0.32)

Counts = list[tuple[str, int]]


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a dataset folder.

    Args:
        folder: a folder with ``manifest.csv``; ``status.csv`` and ``splits/`` are used if they exist.

    Returns:
        the path of the page: at most about 200 thumbnails of some 3 kB, however many pairs there are.

    Raises:
        InputError: there is no manifest, or it cannot be read.
        OutputError: the page cannot be written.
    """
    next(Dataset(folder).rows(), None)  # raises if it cannot be used
    columns = ["id", "image_path", "title", "artist", "genre", "seconds", "lettering", COVER_ID]
    pairs = read_frame(folder / MANIFEST, columns)
    status = pd.DataFrame(columns=["status", "cause", "reason"])
    if (folder / _STATUS).is_file():
        status = read_frame(folder / _STATUS, ["status", "cause", "reason"])
    seconds, shares = (pd.to_numeric(pairs[name], errors="coerce").dropna() for name in ("seconds", "lettering"))
    sizes = pairs[COVER_ID][pairs[COVER_ID] != ""].value_counts(sort=False).sort_values(ascending=False, kind="stable")
    shown = sizes[sizes > 1].head(_GROUPS_SHOWN)
    page = folder / REPORT
    template = _environment(folder).get_template("report.html")
    text = template.render(
        name=folder.absolute().name,
        source=_source(folder),
        facts=_facts(folder, pairs, status, seconds, sizes),
        causes=_causes(status),
        histograms={
            "Genres": _most_frequent(pairs["genre"]) if pairs["genre"].any() else [],
            "Length of the music": _histogram(seconds, _LENGTHS, " s"),
            "Text on the cover, share of its area": _histogram(100 * shares, [100 * share for share in _SHARES], " %"),
            "Pairs that share a cover or a recording": _group_sizes(sizes),
        },
        groups=[
            (group, count, pairs[pairs[COVER_ID] == group].head(_MEMBERS_SHOWN).to_dict("records"))
            for group, count in shown.items()
        ],
        sample=_sample(pairs).to_dict("records"),
        pairs=len(pairs),
    )
    write_text(page, text.encode("utf-8", "replace").decode())
    return page


def _environment(folder: Path) -> jinja2.Environment:
    root = folder.resolve()

    def thumbnail(pair: Mapping[str, str]) -> tuple[str | None, str | None]:
        path, fault = locate(pair["image_path"], "image_path", folder, root)
        return (None if path is None else _thumbnail(path)), fault or "no picture"

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {"short": _short, "thumbnail": thumbnail}
    return environment


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"


def _source(folder: Path) -> str:
    """Return ``table songs.csv``, or nothing if the folder does not name its source."""
    with suppress(OSError, ValueError, AttributeError):
        source = read_json(folder / "dataset.json").get("source", {})
        return " ".join(str(source[key]) for key in ("kind", "name") if key in source)
    return ""


def _facts(folder: Path, pairs: Any, status: Any, seconds: Any, sizes: Any) -> dict[str, str]:
    facts = {"pairs": f"{len(pairs):,}"}
    if len(status):
        facts["rows of the source"] = f"{len(status):,}"
        facts.update((name, f"{(status['status'] == name).sum():,}") for name in _STATUSES)
    if len(seconds):
        facts["hours of music"] = f"{seconds.sum() / 3600:.1f}"
    if len(sizes):
        facts["covers"] = f"{len(sizes):,}"
    with suppress(OSError, ValueError, AttributeError, TypeError, KeyError):
        counts = read_json(folder / "splits" / SPLIT_JSON)["counts"]
        facts.update((f"in {part}", f"{int(counts[part]['rows']):,}") for part in counts)
    return facts


def _causes(status: Any) -> list[tuple[str, str, int, str]]:
    """Return status, cause, number of rows and one reason, the most frequent first."""
    missed = status[status["status"] != "ok"]
    cause = missed["cause"].where(missed["cause"] != "", missed["reason"])
    groups = missed.groupby(["status", cause.rename("key")], sort=False)["reason"].agg(["size", "first"])
    ordered = groups.sort_values("size", ascending=False, kind="stable")
    return [(name, key, int(size), first) for (name, key), size, first in ordered.itertuples()]


def _most_frequent(values: Any) -> Counts:
    counts = values.replace("", "unknown").value_counts()
    ranked = sorted(((str(name), int(count)) for name, count in counts.items()), key=lambda one: (-one[1], one[0]))
    rest = ranked[_BARS:]
    return ranked[:_BARS] + [(f"{len(rest)} others", sum(count for _, count in rest))] * bool(rest)


def _histogram(values: Any, edges: Sequence[float], unit: str) -> Counts:
    """Count values between edges; empty bins at both ends are left out."""
    names = [f"{low:g}–{high:g}{unit}" for low, high in pairwise(edges)] + [f"{edges[-1]:g}{unit} or more"]
    counts = np.histogram(values, [*edges, np.inf])[0]
    filled = np.flatnonzero(counts)
    span = slice(filled[0], filled[-1] + 1) if filled.size else slice(0)
    return list(zip(names, counts.tolist(), strict=True))[span]


def _group_sizes(sizes: Any) -> Counts:
    """Count pairs by the size of their group."""
    names = [f"{low}–{high - 1}" if high - low > 1 else f"{low}" for low, high in pairwise(_SIZES)]
    labels = ["alone", *(f"{name} together" for name in [*names[1:], f"{_SIZES[-1]} or more"])]
    counts = np.histogram(sizes, [*_SIZES, np.inf], weights=sizes)[0]
    return [(label, int(count)) for label, count in zip(labels, counts, strict=True) if count]


def _sample(pairs: Any) -> Any:
    """Return some pairs in their order, chosen by a hash of their ids, so that a longer table changes few."""
    ranks = pairs["id"].map(lambda id_: sha256_bytes(id_.encode("utf-8", "surrogatepass")))
    return pairs.loc[ranks.sort_values(kind="stable").index[:_SAMPLE]].sort_index()


def _thumbnail(path: Path) -> str | None:
    """Return a small JPEG of a cover in base64; ``None`` if it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MOST_DECODED_PIXELS:
                    return None
                image.draft("RGB", (_THUMBNAIL, _THUMBNAIL))
                small = image.convert("RGB")
                small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    out = io.BytesIO()
    small.save(out, "JPEG", quality=80)
    return base64.b64encode(out.getvalue()).decode()
