"""What a painting is made from, as numbers: descriptors of the music, weights of the families, and the palette."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from covergen_cli.audio.descriptors import NAMES
from covergen_cli.synthetic.kinds import KINDS, family_weights, lean_of
from covergen_cli.synthetic.palette import COLOURS, choose_palette
from covergen_cli.synthetic.scene import Traits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from covergen_cli.measures.colour import Array

SIZE = len(NAMES) + len(KINDS) + 3 * COLOURS
"""Numbers in the conditions of a painting."""

KINDS_PART = slice(len(NAMES), len(NAMES) + len(KINDS))
"""Where the weights of the families are."""

_WIDEST = 0.2  # of the axes a and b of OKLab


@dataclass(frozen=True)
class Conditions:
    """What a base of this project is trained to draw from.

    Args:
        descriptors: ``(7,)`` in [0, 1].
        kinds: weights of the families, ``(8,)``, which sum to 1.
        palette: OKLab colours ``(3, 3)`` of ground, form and accent.
    """

    descriptors: Array
    kinds: Array
    palette: Array

    @classmethod
    def of(cls, descriptors: npt.NDArray[np.floating], tags: Iterable[tuple[str, float]] = ()) -> Conditions:
        """Return the conditions for music, with the palette that it suits most.

        Args:
            descriptors: ``(7,)`` in [0, 1].
            tags: labels with their scores, where 1 is usual; none if the music was not tagged.
        """
        return cls.with_kinds(descriptors, family_weights(descriptors, tags))

    @classmethod
    def with_kinds(cls, descriptors: npt.NDArray[np.floating], kinds: Array) -> Conditions:
        """Return the conditions for descriptors ``(7,)`` and weights of the families ``(8,)``."""
        palette = choose_palette(Traits.of(descriptors), lean_of(kinds), np.zeros(4, np.float32))
        return cls(np.asarray(descriptors, np.float32), kinds, palette)

    def as_array(self) -> Array:
        """Return everything as one vector, float32 ``(24,)``, about [0, 1]."""
        colours = self.palette / np.array([1, 2 * _WIDEST, 2 * _WIDEST], np.float32) + np.array(
            [0, 0.5, 0.5], np.float32
        )
        return np.concatenate([self.descriptors, self.kinds, colours.reshape(-1)]).astype(np.float32)
