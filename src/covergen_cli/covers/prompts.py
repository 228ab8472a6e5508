"""The prompts of one cover: what the base and the refiner draw it by, beside or in place of the audio."""

from __future__ import annotations

from dataclasses import dataclass

AUTO = "auto"
"""Value of ``--refine-prompt`` that makes the prompt from the music."""


@dataclass(frozen=True)
class Prompts:
    """The prompts of one cover that are made from the music.

    Args:
        base: of the base, with the user's prompt; ``None`` if the base draws without words.
        refiner: of the refiner; ``None`` if there is none, or if its prompt is given.
    """

    base: str | None = None
    refiner: str | None = None

    @property
    def shown(self) -> str | None:
        """The prompt that displays and records name."""
        return self.base or self.refiner

    def as_provenance(self) -> dict[str, str]:
        """Return what a cover records of them."""
        found = {"prompt_drawn": self.base, "refine_prompt_drawn": self.refiner}
        return {name: text for name, text in found.items() if text is not None}


NO_PROMPTS = Prompts()
"""No prompt is made from the music."""
