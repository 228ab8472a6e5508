"""Forms with crisp edges, shaded inside by grain, as with an airbrush and a stencil."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np

from covergen_cli.config.fields import Between
from covergen_cli.covers.looks.base import Look
from covergen_cli.covers.looks.cutout import sheets
from covergen_cli.covers.looks.raster import blur, edge, enlarge, filled, mix
from covergen_cli.covers.looks.screens import grain, grains

if TYPE_CHECKING:
    from covergen_cli.covers.looks.arrays import Array
    from covergen_cli.covers.looks.base import Stripe
    from covergen_cli.covers.looks.sketch import Sketch


@dataclass(frozen=True)
class Grain(Look):
    """Stencilled forms, sprayed.

    Args:
        colours: Number of colours.
        shade: Share of a form that is shaded.
        round: Radius to which corners are rounded, in hundredths of the side.
    """

    name: ClassVar[str] = "grain"

    colours: Annotated[int, Between(3, 8)] = 5  # type: ignore[misc]
    shade: Annotated[float, Between(0, 1)] = 0.6
    round: Annotated[float, Between(0.4, 3)] = 1.3

    def stripe(self, sketch: Sketch, size: int, rng: np.random.Generator) -> Stripe:
        """Return the function that draws rows of the picture."""
        colours, layers = sheets(sketch, self.round / 100)
        blobs = grains(rng)
        # Spray falls on what lies below the stencil, near its edge, and fades with the distance.
        sprays = [np.clip(blur(np.clip(layer * 12 + 0.5, 0, 1), 0.05) * 1.7, 0, 1) for layer in layers]

        rising = colours[0].sum() < colours[-1].sum()
        darker = np.concatenate([colours[:1] * np.float32(0.5), colours[:-2]]) if rising else colours[1:]

        def draw(top: int, bottom: int) -> Array:
            values = filled(colours[0], bottom - top, size)
            for index, (layer, spray) in enumerate(zip(layers, sprays, strict=True), start=1):
                fall = grain(np.float32(self.shade) * enlarge(spray, size, top, bottom), blobs, size, top, bottom)
                mix(values, darker[index - 1], fall)
                mix(values, colours[index], edge(layer, size, top, bottom))
            return values

        return draw
