"""The words of a model card: ``card.md``, filled in with what was measured."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from covergen_cli.starter.card_pictures import SWEEPS
from covergen_cli.starter.card_robustness import CHANGES

_STAGES = {
    "autoencoder": "encoder and decoder together, from paintings",
    "unet": "U-Net and condition encoder, from the paintings' latents and descriptors",
    "decoder": "the decoder alone",
    "upscaler": "the upscaler, from paintings at two sizes",
    "adapter-tokens": "the adapter, to give from audio what the condition encoder gives from descriptors",
    "adapter-noise": "the adapter, through the frozen U-Net, from paintings of its clips",
}
_COUNTS = {
    "paintings": "paintings",
    "songs": "songs of the synthesiser",
    "recordings": "recordings",
    "clips": "clips of 30 s heard",
}
_SETS = {"recorded": "recordings", "synthetic": "synthesised songs"}


def card_text(facts: Mapping[str, Any]) -> str:
    """Write the card, Markdown.

    Args:
        facts: what ``metrics.json`` holds; see :func:`covergen_cli.starter.card.make_card`.
    """
    template = Template(Path(__file__).with_name("card.md").read_text(encoding="utf-8"))
    shown, seconds, settings = facts["pictures"], facts["seconds"], facts["settings"]
    text = template.substitute(
        {"upscaler": "none"} | {name: f"{count:,}" for name, count in facts["parameters"].items()},
        base_fingerprint=facts["bundle"]["base"][:16],
        adapter_fingerprint=facts["bundle"]["adapter"][:16],
        seeds_per_song=facts["seeds_per_song"],
        steps=settings["steps"],
        guidance=f"{settings['guidance']:g}",
        size=settings["size"],
        recorded_songs=facts["recorded"]["songs"],
        recorded_agreement=_agreement(facts["recorded"]["agreement"]),
        synthetic_songs=facts["synthetic"]["songs"],
        synthetic_agreement=_agreement(facts["synthetic"]["agreement"]),
        near_copy=f"{facts['near_copy']:g}",
        diversity=_diversity(facts),
        draw_seconds=f"{seconds['draw']:.2f}",
        hear_seconds=f"{seconds['hear']:.2f}",
        measured_on=facts["measured_on"],
        grid=", ".join(shown["grid"]),
        variations=", ".join(shown["variations"]),
        sweep=_sweep(drawn=facts["swept"]),
        memory=_memory(facts["memory"]),
        robustness=_robustness(facts["robustness"]),
        covers=facts["seeds_per_song"] * (facts["recorded"]["songs"] + facts["synthetic"]["songs"]),
        machine=facts["machine"],
        training=_training(facts),
        as_listed=" (listed below)" if facts["sources"] else "",
        sources=_sources(facts["sources"]),
        songs_asked=facts["songs_asked"],
        seed=settings["seed"],
    )
    return re.sub(r"\n{3,}", "\n\n", text)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[int] = ()) -> str:
    """Lay out a Markdown table; the columns in ``numbers`` are set to the right."""
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
    return _table(("heard", "seen", "covers", "painter", "shuffled"), rows)


def _number(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")


def _interval(found: Mapping[str, float]) -> str:
    return f"({_number(found['low'])} to {_number(found['high'])})"


def _diversity(facts: Mapping[str, Any]) -> str:
    rows = []
    for key, title in _SETS.items():
        for who, found in ((title, facts[key]["diversity"]), (f"{title}, painter", facts[key]["painter"])):
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
        for who, key in (("covers", "drawn"), ("fresh paintings for the same songs", "fresh"))
    ]
    table = _table(("nearest training painting to", "median", "smallest", "copies"), rows, (1, 2, 3))
    return (
        f"Is anything copied from training? Distance to the nearest of all {found['paintings']:,} training paintings, "
        "beside that of paintings which the painter made for the same songs and no model has seen:\n\n" + table
    )


def _robustness(found: Mapping[str, Any]) -> str:
    if not found:
        return "Not measured: it takes two recordings."
    rows = [
        (name, f"{found[name]['share']:.2f}", f"{found[name]['recognised']} of {found['songs']}") for name in CHANGES
    ]
    return _table(("change", "distance", "nearest to itself"), rows, (1, 2))


def _sweep(*, drawn: bool) -> str:
    if not drawn:
        return ""
    rows = "\n".join(f"{number}. {name}: {low} → {high}" for number, (name, low, high) in enumerate(SWEEPS, 1))
    return (
        "![One descriptor at a time](sweep.png)\n\n"
        "Along a row one descriptor goes from end to end while the others stay in "
        f"the middle and the noise stays as it is. Drawn by the base alone, from its own condition encoder.\n\n{rows}"
    )


def _training(facts: Mapping[str, Any]) -> str:
    counts = {**facts["training"], "paintings": facts["paintings"]}
    heard = [f"{counts[key]:,} {words}" for key, words in _COUNTS.items() if counts.get(key)]
    lines = [f"In numbers: {', '.join(heard)}."] if heard else []
    if facts["stages"]:
        rows = [
            (name, _STAGES[name], f"{stage['steps']:,}", f"{stage['minutes']:.0f}")
            for name, stage in facts["stages"].items()
        ]
        lines += ["", _table(("stage", "what learns", "steps", "minutes"), rows, (2, 3))]
    return "\n".join(lines)


def _sources(sources: Sequence[Mapping[str, Any]]) -> str:
    if not sources:
        return ""
    rows = [
        (f"{row['package']} {row['version']}", row["used"], row["held_out"], row["licence"], row["authors"])
        for row in sources
    ]
    return _table(("package", "files heard in training", "files held out", "licence", "authors"), rows, (1, 2))


def source_rows(sources: Sequence[Mapping[str, Any]], held_out: frozenset[str]) -> list[dict[str, Any]]:
    """Turn a list of sources into rows of the table of recordings.

    Args:
        sources: each with ``package``, ``version``, ``files``, ``licence``, ``authors``, ``artist_tags``.
        held_out: those of the files that were not trained on.

    Returns:
        rows with ``package``, ``version``, ``used`` and ``held_out`` (numbers of files), ``licence``, and ``authors``
        without their mail addresses.
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
    """Leave out mail addresses, and what would break a table."""
    without = re.sub(r"\s*[<(][^<>()]*@[^<>()]*[>)]", "", name)
    return re.sub(r"\s+", " ", without).replace("|", "/").strip()
