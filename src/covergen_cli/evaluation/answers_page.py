"""``survey.html``: what a survey found, for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from covergen_cli.evaluation.page import number, page, picture, plus_minus, section, table, text


def answers_page(facts: Mapping[str, Any], images: Path) -> str:
    """Write the page.

    Args:
        facts: from :func:`covergen_cli.evaluation.answers.summarise`.
        images: folder of the survey's pictures; those that are not there are left out.
    """
    rows = [
        [
            f"ratings of at least {bound}",
            *(plus_minus(facts["agreement"][f"at_least_{bound}"][name]) for name in ("own", "controls")),
        ]
        for bound in (4, 3)
    ]
    rows.append(["mean rating", *(plus_minus(facts["mean"][name]) for name in ("own", "controls"))])
    words = facts["summary"][0].upper() + facts["summary"][1:]
    kind = "verdict heard" if facts["preferred"] else "verdict"
    counts = f"{facts['raters']} raters, {facts['ratings']} ratings, run {facts['run']}"
    alpha = facts["alpha"]
    agreed = (
        f"Agreement among raters, Krippendorff's α: {number(alpha['ordinal'], 2)} (ordinal), "
        f"{number(alpha['interval'], 2)} (interval); 1 is perfect, 0 is chance."
    )
    difference = f"{plus_minus(facts['difference'])}, p = {number(facts['p_value'], 2)}"
    parts = [
        "<h1>Do the covers fit the songs?</h1>",
        f'<div class="{kind}"><strong>{text(words)}.</strong><span>{text(counts)}</span></div>',
        table(["", "own cover", "control (another song's cover)"], rows, "Beside each figure, its 95 % interval."),
        f"<p>Difference of the means: {difference}. {agreed}</p>",
    ]
    if facts["groups"]:
        rows = [[text(name), str(v["songs"]), plus_minus(v["mean"])] for name, v in facts["groups"].items()]
        parts.append(section("By group", table(["", "songs", "mean rating"], rows)))
    parts += [section("Songs", _song_grid(facts, images)), section("How it was measured", f"<p>{text(_METHOD)}</p>")]
    return page("CoverGen: survey", *parts)


_METHOD = (
    "Every rater heard the songs in an order of their own and saw a picture with each, without knowing that some "
    "pictures belong to other songs. The paper counts agreement, which is taken here as the share of ratings of at "
    "least 4; its own bound is not told, so the share of at least 3 stands beside it. Intervals resample raters and "
    "songs at the same time, so that few raters, or few songs, make them wide. The p-value draws anew, at random, "
    "which songs were controls. A difference to the controls is what speaks for the music: a picture that people like "
    "is rated well with any song."
)


def _song_grid(facts: Mapping[str, Any], images: Path) -> str:
    cells = []
    for song in sorted(facts["songs"], key=lambda song: (song["control"], -(song["mean"] or 0))):
        image = images / f"{song['item']}.jpg"
        shown = picture(image, f"picture {song['item']}") if image.is_file() else ""
        called = " – ".join(filter(None, (song.get("artist"), song.get("title")))) or song["song"]
        mark = " (control)" if song["control"] else ""
        says = f"{called}{mark}: {number(song['mean'], 2)}, {song['ratings']} ratings"
        cells.append(f"<figure>{shown}<figcaption>{text(says)}</figcaption></figure>")
    return f'<div class="grid">{"".join(cells)}</div>'
