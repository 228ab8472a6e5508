"""``report.html``: what was measured, for people. The first screen says whether the model hears the music."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from covergen_cli.artifacts import write_text
from covergen_cli.evaluation.figures import band_plot, correspondence_plot, curve_plot, retrieval_plot
from covergen_cli.evaluation.memory import HASH_COPY, LATENT_COPY
from covergen_cli.evaluation.page import figure, number, page, picture, plus_minus, section, table, text
from covergen_cli.evaluation.report_text import LIMITS, METHOD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from covergen_cli.evaluation.judged import Judged

    Run = Mapping[str, Any]

__all__ = ["write_report"]

_SHOWN_COVERS = 24
_SHOWN_NEAREST = 8
_WORDS = {
    "true": "its own song",
    "shuffled": "another song",
    "null": "no audio (null condition)",
    "mean": "mean adapter (same tokens for every song)",
}


def write_report(out: Path, metrics: Mapping[str, Any], judged: Sequence[Judged]) -> Path:
    """Write the page.

    Args:
        out: folder of the report.
        metrics: what ``metrics.json`` holds.
        judged: the raw results, in the order of ``metrics["runs"]``.

    Returns:
        the page, ``out / "report.html"``; it stands alone.

    Raises:
        OutputError: it cannot be written.
    """
    runs = metrics["runs"]
    names = [run["name"] for run in runs]
    said = "".join(_verdict(run, named=len(runs) > 1) for run in runs)
    parts = [
        f"<header><h1>Does {text(' or '.join(names))} hear the music?</h1>{said}</header>",
        _headline(runs),
        _compared(metrics["comparison"], names),
        _use(runs),
        section(
            "Finding the song of a cover",
            figure(
                retrieval_plot(judged, names),
                "For every cover, the songs are ranked by the loss that the cover has under each, on the same noise. "
                "The line says how often the cover's own song is among the best k.",
            ),
        ),
        _correspondence(runs, metrics),
        _curves(runs),
        *(_covers(run, one) for run, one in zip(runs, judged, strict=True)),
        *(_memory(run, one) for run, one in zip(runs, judged, strict=True)),
        _groups(runs, metrics["settings"]["by"]),
        _notes(metrics),
    ]
    path = out / "report.html"
    write_text(path, page(f"CoverGen: {' and '.join(names)} on {metrics['data']['name']}", *parts))
    return path


def _verdict(run: Run, *, named: bool) -> str:
    words = run["verdict"]["text"]
    sentence = f"{run['name']}: {words}" if named else words[0].upper() + words[1:]
    facts = f"{run['name']}: {run['pooling']}, {run['tokens']} token{'' if run['tokens'] == 1 else 's'}, "
    facts += f"{run['trainable_parameters']:,} trained parameters, base {run['base']['name']}"
    kind = "verdict heard" if run["verdict"]["heard"] else "verdict"
    return f'<div class="{kind}"><strong>{text(sentence)}.</strong><span>{text(facts)}</span></div>'


def _headline(runs: Sequence[Run]) -> str:
    first = runs[0]
    pairs, retrieval = first["count"]["pairs"], first["retrieval"]
    rows = [
        _row("test loss", runs, lambda run: plus_minus(run["loss"]["true"]), f"{pairs} pairs"),
        _row("+ with another song", runs, lambda run: _gap(run["gap"]["shuffled"]), "0 if the audio is not used"),
        _row("+ with no audio", runs, lambda run: _gap(run["gap"]["null"]), "0 if the adapter says nothing"),
        _row("+ with mean adapter", runs, lambda run: _gap(run["gap"]["mean"]), "0 if all songs are alike to it"),
    ]
    for k, chance in retrieval["recall_chance"].items():
        rows.append(
            _row(
                f"own song among the best {k} of {retrieval['songs']}",
                runs,
                partial(_recall, k=k),
                f"{number(chance)} by chance",
            )
        )
    rows += [
        _row(
            "mean rank of the own song",
            runs,
            lambda run: f"{plus_minus(run['retrieval']['mean_rank'])} p = {number(run['retrieval']['p_value'], 2)}",
            f"{number(retrieval['mean_rank_chance'])} by chance",
        ),
        _row(
            "mean reciprocal rank",
            runs,
            lambda run: plus_minus(run["retrieval"]["reciprocal_rank"]),
            f"{number(retrieval['reciprocal_rank_chance'])} by chance",
        ),
    ]
    if first["correspondence"]:
        rows.append(_row("mean rank correlation of 7 matches", runs, _mean_rho, f"true covers {_mean_true(first)}"))
    spread = first["diversity"]
    rows.append(
        _row("distance between covers", runs, _spread, f"true covers {number(spread['true']['between_songs'])}")
    )
    if first["memory"]:
        copies = first["memory"]["true"]["near_copies"]
        rows.append(
            _row(
                "near-copies of training covers",
                runs,
                lambda run: f"{run['memory']['covers']['near_copies']} of {run['count']['covers']}",
                f"true covers {copies} of {first['count']['covers']}",
            )
        )
    head = ["measure", *(text(run["name"]) for run in runs), "control"]
    return table(head, rows, "Beside each figure, its 95 % interval.")


def _row(name: str, runs: Sequence[Run], cell: Callable[[Run], str], control: str) -> list[str]:
    return [text(name), *(cell(run) for run in runs), f'<span class="soft">{text(control)}</span>']


def _recall(run: Run, k: str) -> str:
    return plus_minus(run["retrieval"]["recall"][k])


def _gap(gap: Mapping[str, float]) -> str:
    return f"{plus_minus(gap, 'mean')} p = {number(gap['p_value'], 2)}"


def _mean_rho(run: Run) -> str:
    if not run["correspondence"]:
        return "–"
    found = [entry["covers"]["rho"] for entry in run["correspondence"]]
    clear = sum(entry["covers"]["low"] > 0 for entry in run["correspondence"])
    return f"{number(float(np.mean(found)), 2)}, {clear} of {len(found)} clearly above 0"


def _mean_true(run: Run) -> str:
    return number(float(np.mean([entry["true"]["rho"] for entry in run["correspondence"]])), 2)


def _spread(run: Run) -> str:
    warning = ' <strong style="color:var(--bad)">collapsed</strong>' if run["diversity"]["collapsed"] else ""
    return f"{number(run['diversity']['covers']['between_songs'])}{warning}"


def _compared(comparison: Mapping[str, Any] | None, names: Sequence[str]) -> str:
    if comparison is None:
        return ""
    first, second = (text(name) for name in names)
    rows = [[f"use of the audio: gap of {second} − gap of {first}", _gap(comparison["gap"])]]
    if comparison["loss"]:
        rows.insert(0, [f"test loss: {first} − {second}", _gap(comparison["loss"])])
    gap = comparison["gap"]
    words = f"There is no evidence that one of {first} and {second} uses the audio more than the other."
    if gap["p_value"] <= 0.05 and gap["low"] * gap["high"] > 0:
        more, less = (second, first) if gap["mean"] > 0 else (first, second)
        words = f"{more} uses the audio more than {less}."
    said = "The same pairs and the same noise; above 0 speaks for the second run."
    body = table(["difference, pair by pair", "mean"], rows, said)
    return section(f"{second} beside {first}", f"<p><strong>{words}</strong></p>", body)


def _use(runs: Sequence[Run]) -> str:
    tables = []
    for run in runs:
        rows = [
            [
                text(words),
                plus_minus(run["loss"][name]),
                "–" if name == "true" else plus_minus(run["gap"][name], "mean"),
                "–" if name == "true" else number(run["gap"][name]["p_value"], 2),
            ]
            for name, words in _WORDS.items()
        ]
        head = ["the model is given", "loss", "more than with its own song", "p"]
        tables.append(f"<h3>{text(run['name'])}</h3>{table(head, rows)}")
    caption = (
        "How much dearer another song is, by how much noise the picture holds; bars are 95 % intervals, not corrected "
        "for their number."
    )
    return section("Is the audio used?", *tables, figure(band_plot(runs), caption))


def _correspondence(runs: Sequence[Run], metrics: Mapping[str, Any]) -> str:
    plot = correspondence_plot(runs)
    if plot is None:
        why = f"The music of only {metrics['data']['songs_heard']} of the songs is there; this needs eight."
        return section("Does what is seen follow what is heard?", f"<p>{why}</p>")
    return section(
        "Does what is seen follow what is heard?",
        figure(
            plot,
            "Rank correlation of what is measured in the music with what is measured on the cover, for pairs that "
            "people are known to match. Bars are 95 % intervals; the grey band holds 95 % of the values that the same "
            "covers give when they are dealt out to other songs (first run).",
        ),
    )


def _curves(runs: Sequence[Run]) -> str:
    plot = curve_plot(runs)
    if plot is None:
        return section("Training", "<p>There is no log of a training beside the adapter.</p>")
    return section("Training", figure(plot, "Training and validation loss after each epoch."))


def _covers(run: Run, judged: Judged) -> str:
    cells = []
    for pair, path in list(zip(judged.shown, judged.drawn, strict=True))[:_SHOWN_COVERS]:
        both = picture(path, f"drawn cover of {pair.id}") + picture(pair.image, f"true cover of {pair.id}")
        cells.append(f'<figure><div class="pair">{both}</div><figcaption>{text(pair.id)}</figcaption></figure>')
    spread = run["diversity"]
    says = (
        f"Left the drawn cover, right the true one, in the order of the seed. Covers of different songs are "
        f"{number(spread['covers']['between_songs'])} apart in the mean, true covers "
        f"{number(spread['true']['between_songs'])} (OKLab distance of small versions); "
        f"{spread['covers']['near_copies']} of {spread['covers']['pairs']} pairs of drawn covers are near-copies of "
        f"each other, of true covers {spread['true']['near_copies']}."
    )
    if spread["collapsed"]:
        says += " The covers have collapsed: they are less than half as different as the true ones."
    grid = f'<div class="grid broad">{"".join(cells)}</div>'
    return section(f"Covers of {text(run['name'])}", f"<p>{says}</p>", grid)


def _memory(run: Run, judged: Judged) -> str:
    near, facts = judged.near, run["memory"]
    title = f"Memory of {text(run['name'])}"
    if near is None or not facts:
        return section(title, "<p>There is no table of training pairs to compare with.</p>")
    cells = []
    for row in np.lexsort((near.bits, near.distances))[:_SHOWN_NEAREST]:
        latent, hashed = judged.train[near.by_latent[row]], judged.train[near.by_hash[row]]
        three = picture(judged.drawn[row], f"drawn cover of {judged.shown[row].id}")
        three += picture(latent.image, f"training cover {latent.id}, nearest by latent")
        three += picture(hashed.image, f"training cover {hashed.id}, nearest by hash")
        says = f"{judged.shown[row].id}: {latent.id} {number(near.distances[row])}, {hashed.id} {near.bits[row]} bits"
        mark = " <strong>near-copy</strong>" if near.copies[row] else ""
        cells.append(
            f'<figure><div class="pair three">{three}</div><figcaption>{text(says)}{mark}</figcaption></figure>'
        )
    ours, theirs = facts["covers"], facts["true"]
    rows = [
        ["near-copies", f"{ours['near_copies']}", f"{theirs['near_copies']}"],
        ["nearest hash, bits of 64: median", number(ours["median_bits"]), number(theirs["median_bits"])],
        ["nearest hash: least", number(ours["least_bits"]), number(theirs["least_bits"])],
        ["nearest latent: median", number(ours["median_latent"]), number(theirs["median_latent"])],
        ["nearest latent: least", number(ours["least_latent"]), number(theirs["least_latent"])],
    ]
    says = (
        f"The nearest of {facts['compared']:,} training covers (there are {facts['train_covers']:,}). A near-copy "
        f"differs from one of them in at most {HASH_COPY} bits of the perceptual hash and by less than {LATENT_COPY} "
        "in the latent. The true covers of the test songs, which were never trained on, show how much likeness there "
        "is without memory. Below, the drawn covers that come nearest: the cover, the nearest by latent, the nearest "
        "by hash."
    )
    body = table(["", "drawn covers", "true covers"], rows)
    return section(title, f"<p>{says}</p>", body, f'<div class="grid broad">{"".join(cells)}</div>')


def _groups(runs: Sequence[Run], column: str | None) -> str:
    if column is None:
        return ""
    parts = []
    for run in runs:
        rows = []
        for value, found in run["groups"].items():
            counts = found["count"]
            rank = plus_minus(found["retrieval"]["mean_rank"]) if found["retrieval"] else "–"
            rho = _mean_rho(found)
            spread = _spread(found) if found["diversity"] else "–"
            copies = str(found["memory"]["covers"]["near_copies"]) if found["memory"] else "–"
            rows.append(
                [
                    text(value),
                    f"{counts['pairs']} / {counts['songs']} / {counts['covers']}",
                    plus_minus(found["loss"]["true"]),
                    _gap(found["gap"]["shuffled"]),
                    rank,
                    rho,
                    spread,
                    copies,
                ]
            )
        head = [text(column), "pairs / songs / covers", "test loss", "gap to another song", "mean rank"]
        parts.append(
            f"<h3>{text(run['name'])}</h3>" + table([*head, "rank correlations", "distance", "near-copies"], rows)
        )
    said = "<p>Small groups have wide intervals; with many groups, some are odd by chance.</p>"
    return section(f"By {text(column)}", said, *parts)


def _notes(metrics: Mapping[str, Any]) -> str:
    settings, data = metrics["settings"], metrics["data"]
    options = " ".join(
        f"--{key.replace('_', '-')} {settings[key]}"
        for key in ("pairs", "draws", "songs", "song_draws", "covers", "seed", "batch_size")
    )
    drawing = metrics["runs"][0]["drawing"]
    facts = (
        f"Data: {data['name']}, {data['test_pairs']:,} test and {data['train_pairs']:,} training pairs, encoder "
        f"{data['encoder']}. Covers: {drawing['steps']} steps, guidance {drawing['guidance']:g}, "
        f"{drawing['scheduler']}. CoverGen {metrics['version']}."
    )
    repeat = f"<p>The same figures again, on this machine: add <code>{text(options)}</code> to the command.</p>"
    lists = "".join(f"<p>{text(line)}</p>" for line in METHOD) + "<h3>Limits</h3><ul>"
    limits = "".join(f"<li>{text(line)}</li>" for line in LIMITS)
    return section("How it was measured", f"<p>{text(facts)}</p>", repeat, lists, limits, "</ul>")
