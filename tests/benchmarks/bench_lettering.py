"""How well the measure of lettering tells paintings with text from paintings without.

Paintings have no text, so that whatever is found on them is wrong; the same paintings with lines of Pillow's own font,
in several sizes, should be found. Photographs are not among them.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import machine
import numpy as np

from covergen_cli.dataset.images.text_area import MUCH_TEXT, text_area
from covergen_cli.synthetic.painter import paint

sys.path.append(str(Path(__file__).parents[1]))
import lettered

TEXTS = ((0.03, 8), (0.04, 6), (0.05, 5), (0.07, 4), (0.1, 3), (0.14, 2), (0.2, 2), (0.05, 1), (0.1, 1), (0.2, 1))
HEAVY = 7  # the first so many of them are heavy


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--covers", type=int, default=600)
    parser.add_argument("--size", type=int, default=512)
    arguments = parser.parse_args()
    print("\n".join(machine.facts()))
    rng = np.random.default_rng(77)
    covers = [paint(rng.beta(0.9, 0.9, 7), 70_000 + i, arguments.size) for i in range(arguments.covers)]
    started = time.process_time()
    bare = np.array([text_area(cover) for cover in covers])
    spent = (time.process_time() - started) / len(covers)
    wrong = int((bare >= MUCH_TEXT).sum())
    print(
        f"{len(covers)} paintings of {arguments.size} pixels, {1000 * spent:.1f} ms each: {wrong} taken for lettered\n"
    )
    print("| text | share of the cover, median | found |\n|---|---:|---:|")
    found = []
    for index, (height, lines) in enumerate(TEXTS):
        some = covers[index % 2 :: 2]
        shares = np.array([text_area(lettered.write_on(cover, rng, height, lines)) for cover in some])
        found.append(float((shares >= MUCH_TEXT).mean()))
        print(f"| {lines} × {100 * height:.0f} % | {np.median(shares):.3f} | {100 * found[-1]:.0f} % |")
    recall = float(np.mean(found[:HEAVY]))
    precision = recall / (recall + wrong / len(covers))
    print(
        f"\nmuch text (all but the last three): recall {recall:.3f}, precision {precision:.3f} at one in two lettered"
    )


if __name__ == "__main__":
    main()
