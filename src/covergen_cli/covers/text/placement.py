"""Places for title and artist on a cover, for every layout: each has several, of which the calmest is used."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from covergen_cli.covers.text.typesetting import ALIGN_SHARES, Align, Block, Face, fill, fit

MARGIN = 0.07
"""Width of the border that stays free of text, as a share of the side of the cover."""


@dataclass(frozen=True)
class PlacedBlock:
    """A block of lines with its upper left corner, in pixels, and its alignment."""

    block: Block
    x: float
    y: float
    align: Align


Placement = list[PlacedBlock]
Texts = dict[str, tuple[str, Face]]


def bounds(placement: Placement) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of the ink, in pixels."""
    return (
        min(placed.x for placed in placement),
        min(placed.y for placed in placement),
        max(placed.x + placed.block.width for placed in placement),
        max(placed.y + placed.block.height for placed in placement),
    )


_SMALL = {"artist": (0.042, 550, 2)}
"""The artist's (share of the side, weight, maximum number of lines) beside a large title."""


def _blocks(texts: Texts, sizes: dict[str, tuple[float, int, int]], width: float, side: int) -> list[Block]:
    """Fit the texts into a column; ``sizes`` holds (share of the side, weight, maximum number of lines) by name."""
    return [
        fit(*texts[name], size * texts[name][1].scale * side, weight, width, lines, smallest=0.022 * side)
        for name, (size, weight, lines) in sizes.items()
        if name in texts
    ]


def _gaps(blocks: Sequence[Block]) -> list[float]:
    """Return the space below every block but the last, in pixels."""
    return [0.2 * above.font.size + 0.45 * below.font.size for above, below in itertools.pairwise(blocks)]


def _column_height(blocks: Sequence[Block]) -> float:
    return sum(block.height for block in blocks) + sum(_gaps(blocks))


def _stack(blocks: Sequence[Block], x: float, y: float, width: float, align: Align) -> Placement:
    """Place blocks one below the other, aligned in the column from ``x`` to ``x + width``."""
    placement = []
    for block, gap in zip(blocks, [*_gaps(blocks), 0.0], strict=True):
        placement.append(PlacedBlock(block, x + (width - block.width) * ALIGN_SHARES[align], y, align))
        y += block.height + gap
    return placement


def _corner(texts: Texts, side: int) -> Iterator[Placement]:
    margin, width = MARGIN * side, 0.64 * side
    blocks = _blocks(texts, {"title": (0.075, 650, 3), "artist": (0.038, 400, 2)}, width, side)
    for y in (side - margin - _column_height(blocks), margin):
        yield _stack(blocks, margin, y, width, "left")
        yield _stack(blocks, side - margin - width, y, width, "right")


def _centre(texts: Texts, side: int) -> Iterator[Placement]:
    margin, width = MARGIN * side, 0.78 * side
    blocks = _blocks(texts, {"title": (0.095, 300, 3), "artist": (0.034, 500, 2)}, width, side)
    height = _column_height(blocks)
    for middle in (0.5, 0.22, 0.78):
        y = min(max(middle * side - height / 2, margin), side - margin - height)
        yield _stack(blocks, (side - width) / 2, y, width, "centre")


def _poster(texts: Texts, side: int) -> Iterator[Placement]:
    margin, width = MARGIN * side, (1 - 2 * MARGIN) * side
    blocks = _blocks(texts, {"title": (0.24, 800, 3), "artist": (0.042, 550, 2)}, width, side)
    for y in (margin, side - margin - _column_height(blocks)):
        yield _stack(blocks, margin, y, width, "left")


def _line(texts: Texts, side: int) -> Iterator[Placement]:
    """Place artist and title beside one another on one baseline: the first at the top, the last at the bottom."""
    margin, width = MARGIN * side * 0.75, (1 - 1.5 * MARGIN) * side
    each = (width - 0.05 * side) / max(1, len(texts))
    blocks = _blocks(texts, {"artist": (0.03, 650, 2), "title": (0.03, 400, 2)}, each, side)
    rise, fall = max(block.rise for block in blocks), max(block.fall for block in blocks)
    xs = (margin, side - margin - blocks[-1].width)
    aligns: tuple[Align, Align] = ("left", "right")
    bottom = [side - margin - fall - (block.height - block.fall) for block in blocks]
    for ys in (bottom, [margin + rise - block.rise for block in blocks]):
        yield [PlacedBlock(*placed) for placed in zip(blocks, xs, ys, aligns, strict=False)]


def _giant(texts: Texts, side: int) -> Iterator[Placement]:
    """Set every line of the title as wide as the cover, one on the other."""
    margin, width = MARGIN * side, (1 - 2 * MARGIN) * side
    blocks = _blocks({name: text for name, text in texts.items() if name != "title"}, _SMALL, width, side)
    lines = fill(*texts["title"], 900, width, 0.56 * side, gap=0.025 * side) if "title" in texts else ()
    if not lines:
        yield from _poster(texts, side)
        return
    gap = 0.025 * side
    height = sum(block.height + gap for block in lines) - gap + sum(0.05 * side + block.height for block in blocks)
    for top in (margin, side - margin - height):
        y, placement = top, []
        for block in lines:
            placement.append(PlacedBlock(block, margin, y, "left"))
            y += block.height + gap
        y += 0.05 * side - gap
        yield [*placement, *(PlacedBlock(block, margin, y, "left") for block in blocks)]


def _edge(texts: Texts, side: int) -> Iterator[Placement]:
    """Place title and artist on one baseline at the top, which is turned to become a side."""
    margin, width = 0.06 * side, 0.88 * side
    short = len(texts.get("title", ("",))[0]) <= 24
    shares = {"title": 0.66, "artist": 0.3} if len(texts) == 2 else dict.fromkeys(texts, 1.0)
    sizes = {"title": (0.085 if short else 0.05, 750, 1 if short else 2), "artist": (0.038, 500, 2)}
    blocks = [
        fit(
            *texts[name], size * texts[name][1].scale * side, weight, shares[name] * width, lines, smallest=0.022 * side
        )
        for name, (size, weight, lines) in sizes.items()
        if name in texts
    ]
    rise = max(block.rise for block in blocks)
    xs, aligns = (margin, side - margin - blocks[-1].width), ("left", "right")
    deepest = max(rise - block.rise + block.height for block in blocks)
    for top in (margin, side - margin - deepest):
        yield [
            PlacedBlock(block, x, top + rise - block.rise, "left" if align == "left" else "right")
            for block, x, align in zip(blocks, xs, aligns, strict=False)
        ]


def _band(texts: Texts, side: int) -> Iterator[Placement]:
    margin, width = MARGIN * side, (1 - 2 * MARGIN) * side
    blocks = _blocks(texts, {"title": (0.1, 750, 2), "artist": (0.038, 500, 2)}, width, side)
    height = _column_height(blocks)
    for middle in (0.8, 0.2, 0.66, 0.34):
        y = min(max(middle * side - height / 2, margin), side - margin - height)
        yield _stack(blocks, margin, y, width, "left")


def _label(texts: Texts, side: int) -> Iterator[Placement]:
    margin, width = 1.5 * MARGIN * side, 0.6 * side
    blocks = _blocks(texts, {"title": (0.068, 700, 4), "artist": (0.034, 500, 2)}, width, side)
    widest, height = max(block.width for block in blocks), _column_height(blocks)
    for y in (side - margin - height, margin):
        for x in (margin, side - margin - widest):
            yield _stack(blocks, x, y, widest, "left")


LAYOUTS: dict[str, Callable[[Texts, int], Iterator[Placement]]] = {
    "corner": _corner,
    "centre": _centre,
    "poster": _poster,
    "line": _line,
    "giant": _giant,
    "edge": _edge,
    "band": _band,
    "label": _label,
}
"""Candidates for the place of the text, by the layout's name; the text of ``edge`` runs along the top until turned."""
