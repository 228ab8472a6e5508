"""Fills in the template of the model card, ``card.md``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from covergen_cli.starter.card_pictures import SWEEPS
from covergen_cli.starter.card_robustness import CHANGES

STAGES = {
    "autoencoder": "encoder and decoder, on paintings",
    "unet": "U-Net and condition encoder, on latents and conditions of the paintings",
    "decoder": "only the decoder",
    "upscaler": "the upscaler, on paintings of two sizes",
    "adapter-tokens": "the adapter, on the tokens of the condition encoder",
    "adapter-noise": "the adapter, through the frozen U-Net, on paintings of its clips",
}
_COUNTS = {
    "paintings": "paintings",
    "songs": "songs of the synthesiser",
    "recordings": "recordings",
    "clips": "clips of 30 s",
}


def card_text(metrics: Mapping[str, Any]) -> str:
    """Return the model card as Markdown, given the content of ``metrics.json``."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # noqa: S701 — Markdown, from the project's own figures
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"decimals": _decimals, "thousands": "{:,}".format}
    numbers = {**metrics["training"], "paintings": metrics["paintings"]}
    counts = [f"{numbers[key]:,} {title}" for key, title in _COUNTS.items() if numbers.get(key)]
    text = environment.get_template("card.md").render(
        metrics, counts=counts, trained=STAGES, sweeps=SWEEPS, changes=CHANGES
    )
    return re.sub(r"\n{3,}", "\n\n", text).lstrip()


def _decimals(value: float, digits: int = 2) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def source_rows(sources: Sequence[Mapping[str, Any]], held_out: frozenset[str]) -> list[dict[str, Any]]:
    """Return the rows of the table of recordings.

    Args:
        sources: each with ``package``, ``version``, ``files``, ``licence``, ``authors``, ``artist_tags``.
        held_out: the files that were not used in training.

    Returns:
        rows with ``package``, ``version``, ``used`` and ``held_out`` (numbers of files), ``licence``, and ``authors``
        without mail addresses.
    """
    rows = []
    for source in sources:
        held = sum(name in held_out for name in source["files"])
        names = [source["authors"], *source.get("artist_tags", [])]
        authors = "; ".join(dict.fromkeys(_plain(name) for name in names))
        rows.append(
            {
                "package": source["package"],
                "version": source["version"],
                "used": len(source["files"]) - held,
                "held_out": held,
                "licence": source["licence"],
                "authors": authors,
            }
        )
    return rows


def _plain(name: str) -> str:
    """Return a name without mail addresses and characters that would break a table."""
    without = re.sub(r"\s*[<(][^<>()]*@[^<>()]*[>)]", "", name)
    return re.sub(r"\s+", " ", without).replace("|", "/").strip()
