"""Fills in the template of the model card, ``card.md``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from covergen_cli.starter.card_pictures import SWEEPS
from covergen_cli.starter.card_robustness import CHANGES

_STAGES = {
    "autoencoder": "encoder and decoder, on paintings",
    "unet": "U-Net and condition encoder, on latents and descriptors of the paintings",
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
_SETS = {"recorded": "recordings", "synthetic": "synthesised songs"}


def card_text(metrics: Mapping[str, Any]) -> str:
    """Return the model card as Markdown, given the content of ``metrics.json``."""
    template = Template(Path(__file__).with_name("card.md").read_text(encoding="utf-8"))
    shown, seconds, settings = metrics["pictures"], metrics["seconds"], metrics["settings"]
    text = template.substitute(
        {"upscaler": "none"} | {name: f"{count:,}" for name, count in metrics["parameters"].items()},
        base_fingerprint=metrics["bundle"]["base"][:16],
        adapter_fingerprint=metrics["bundle"]["adapter"][:16],
        seeds_per_song=metrics["seeds_per_song"],
        steps=settings["steps"],
        guidance=f"{settings['guidance']:g}",
        size=settings["size"],
        recorded_songs=metrics["recorded"]["songs"],
        recorded_agreement=_agreement(metrics["recorded"]["agreement"]),
        synthetic_songs=metrics["synthetic"]["songs"],
        synthetic_agreement=_agreement(metrics["synthetic"]["agreement"]),
        near_copy=f"{metrics['near_copy']:g}",
        diversity=_diversity(metrics),
        draw_seconds=f"{seconds['draw']:.2f}",
        hear_seconds=f"{seconds['hear']:.2f}",
        measured_on=metrics["measured_on"],
        grid=", ".join(shown["grid"]),
        variations=", ".join(shown["variations"]),
        sweep=_sweep(drawn=metrics["swept"]),
        memory=_memory(metrics["memory"]),
        robustness=_robustness(metrics["robustness"]),
        covers=metrics["seeds_per_song"] * (metrics["recorded"]["songs"] + metrics["synthetic"]["songs"]),
        machine=metrics["machine"],
        training=_training(metrics),
        as_listed=" (listed below)" if metrics["sources"] else "",
        sources=_sources(metrics["sources"]),
        songs_asked=metrics["songs_asked"],
        seed=settings["seed"],
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[int] = ()) -> str:
    """Return a Markdown table; the columns in ``numbers`` are aligned to the right."""
    ruler = ["---:" if column in numbers else "---" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in (head, ruler, *rows))


def _agreement(pairs: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            pair["heard"],
            pair["seen"].replace("_", " "),
            f"**{_number(pair['covers']['rho'])}** {_interval(pair['covers'])}",
            f"{_number(pair['painter']['rho'])} {_interval(pair['painter'])}",
            f"{_number(pair['shuffled']['rho'])} {_interval(pair['shuffled'])}",
        )
        for pair in pairs
    ]
    return _table(("music", "cover", "covers", "painter", "shuffled"), rows)


def _number(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def _interval(found: Mapping[str, float]) -> str:
    return f"({_number(found['low'])} to {_number(found['high'])})"


def _diversity(metrics: Mapping[str, Any]) -> str:
    rows = []
    for key, title in _SETS.items():
        for who, found in ((title, metrics[key]["diversity"]), (f"{title}, painter", metrics[key]["painter"])):
            distances = [f"{found[name]:.3f}" for name in ("between_songs", "between_variations", "smallest")]
            rows.append((who, *distances, f"{found['near_copies']} of {found['pairs']:,}"))
    head = (
        "covers of",
        "between songs",
        "between two variations of a song",
        "smallest between songs",
        "copies, of pairs",
    )
    return _table(head, rows, range(1, 5))


def _memory(found: Mapping[str, Any]) -> str:
    if not found:
        return ""
    rows = [
        (
            who,
            f"{found[key]['median']:.3f}",
            f"{found[key]['smallest']:.3f}",
            f"{found[key]['copies']} of {found['covers']:,}",
        )
        for who, key in (("covers", "drawn"), ("new paintings for the same songs", "fresh"))
    ]
    table = _table(("distance to the nearest training painting", "median", "smallest", "copies"), rows, (1, 2, 3))
    return (
        f"Copies of training pictures: distance to the nearest of all {found['paintings']:,} training paintings, "
        "compared with that of new paintings for the same songs, which were not used in training:\n\n" + table
    )


def _robustness(found: Mapping[str, Any]) -> str:
    if not found:
        return "Not measured: this needs at least two recordings."
    rows = [
        (name, f"{found[name]['share']:.2f}", f"{found[name]['recognised']} of {found['songs']}") for name in CHANGES
    ]
    return _table(("change", "distance", "nearest to the same song"), rows, (1, 2))


def _sweep(*, drawn: bool) -> str:
    if not drawn:
        return ""
    rows = "\n".join(f"{number}. {name}: {low} → {high}" for number, (name, low, high) in enumerate(SWEEPS, 1))
    return (
        "![One descriptor at a time](sweep.png)\n\n"
        "Each row varies one descriptor; the others stay in the middle, and the noise stays the same. Drawn by the "
        f"base with its condition encoder, without the adapter.\n\n{rows}"
    )


def _training(metrics: Mapping[str, Any]) -> str:
    counts = {**metrics["training"], "paintings": metrics["paintings"]}
    numbers = [f"{counts[key]:,} {words}" for key, words in _COUNTS.items() if counts.get(key)]
    lines = [f"Training data: {', '.join(numbers)}."] if numbers else []
    if metrics["stages"]:
        rows = [
            (name, _STAGES[name], f"{stage['steps']:,}", f"{stage['minutes']:.0f}")
            for name, stage in metrics["stages"].items()
        ]
        lines += ["", _table(("stage", "what is trained", "steps", "minutes"), rows, (2, 3))]
    return "\n".join(lines)


def _sources(sources: Sequence[Mapping[str, Any]]) -> str:
    if not sources:
        return ""
    rows = [
        (f"{row['package']} {row['version']}", row["used"], row["held_out"], row["licence"], row["authors"])
        for row in sources
    ]
    return _table(("package", "files in training", "files held out", "licence", "authors"), rows, (1, 2))


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
