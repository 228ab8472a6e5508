"""How much of the correspondence between sound and picture survives each look.

Paintings of random descriptors are drawn in every look and measured as the model card measures covers. The table shows
Spearman's rank correlation without a look, and for each look the share of it that remains.
"""

from __future__ import annotations

import argparse

import machine
import numpy as np
from PIL import Image

from covergen_cli.audio.descriptors import NAMES
from covergen_cli.covers.looks import LOOKS, apply_look
from covergen_cli.measures.correlation import spearman
from covergen_cli.measures.qualities import EXPECTED, FIELDS, measure
from covergen_cli.synthetic.painter import paint

LEAST = 2 / 3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paintings", type=int, default=100)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--looks", default=",".join(LOOKS), help="names, separated by commas")
    arguments = parser.parse_args()
    print("\n".join(machine.facts()))
    rng = np.random.default_rng(77)
    heard = rng.beta(0.9, 0.9, (arguments.paintings, len(NAMES))).astype(np.float32)
    paintings = [Image.fromarray(paint(values, 70_000 + i, 256)) for i, values in enumerate(heard)]
    print(f"\n| look | {' | '.join('–'.join(pair) for pair in EXPECTED)} |\n|---|{'---:|' * len(EXPECTED)}")
    bare = np.ones(len(EXPECTED))
    for name in ["paint", *(name for name in arguments.looks.split(",") if name != "paint")]:
        drawn = [apply_look(one, LOOKS[name](), arguments.size, seed=i) for i, one in enumerate(paintings)]
        seen = np.stack([measure(np.asarray(one)).as_array() for one in drawn])
        rho = np.array([spearman(heard[:, NAMES.index(one)], seen[:, FIELDS.index(two)]) for one, two in EXPECTED])
        if name == "paint":
            bare, cells = rho, [f"{value:.2f}" for value in rho]
        else:
            cells = [f"{100 * share:.0f} %{'' if share >= LEAST else ' *'}" for share in rho / bare]
        print(f"| `{name}` | {' | '.join(cells)} |", flush=True)
    print("\n`paint`: rank correlation; the others: share of it that remains; * less than two thirds")


if __name__ == "__main__":
    main()
