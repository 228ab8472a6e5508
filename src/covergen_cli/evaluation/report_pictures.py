"""The pictures of the report: what was drawn, and what it was trained on that comes nearest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from covergen_cli.evaluation.near_copies import HASH_COPY, LATENT_COPY
from covergen_cli.evaluation.page import number, picture, section, table, text

if TYPE_CHECKING:
    from covergen_cli.evaluation.results import Judged

    Run = Mapping[str, Any]

_SHOWN_COVERS = 24
_SHOWN_NEAREST = 8


def covers_section(run: Run, judged: Judged) -> str:
    """Drawn covers beside the true ones."""
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


def memory_section(run: Run, judged: Judged) -> str:
    """The drawn covers that come nearest to training covers, beside these."""
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
