"""The class of all looks: parameters with bounds, their text form, and the drawing in stripes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from covergen_cli.covers.looks.arrays import Array
    from covergen_cli.covers.looks.sketch import Sketch

    Stripe = Callable[[int, int], Array]
    """Draws rows ``top`` to ``bottom`` of the picture: float32 sRGB ``(3, bottom − top, size)`` in [0, 1]."""


@dataclass(frozen=True)
class Look:
    """A finish and its parameters; ``str()`` gives the form that :func:`parse_look` reads.

    Subclasses add fields, whose bounds stand in their annotations, and :meth:`stripe`.
    """

    name: ClassVar[str]
    vector: ClassVar[bool] = False
    """Whether :meth:`svg` is there."""
    colours: ClassVar[int] = 6
    """How many colours the palette of this look has; a field of this name replaces it."""

    def __str__(self) -> str:
        """Return ``name:key=value,…`` with every parameter, so that later defaults change no earlier cover."""
        settings = ",".join(f"{field.name}={_text(getattr(self, field.name))}" for field in fields(self))
        return f"{self.name}:{settings}" if settings else self.name

    def stripe(self, sketch: Sketch, size: int, rng: np.random.Generator) -> Stripe:
        """Return the function that draws rows of the picture; whatever all stripes share is computed here.

        Args:
            sketch: what to draw.
            size: pixels per side.
            rng: the only source of chance; draws from it must not depend on ``size``.
        """
        raise NotImplementedError

    def svg(self, sketch: Sketch, rng: np.random.Generator) -> str:
        """Return the elements of an SVG whose view box is 1000 × 1000."""
        raise NotImplementedError


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
