"""The baseline that needs no training: prompts made from the test songs, for the base's text encoder."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from covergen_cli.covers.describe import describe_song
from covergen_cli.errors import InputError
from covergen_cli.evaluation.alignment import loss_matrix, measure_conditions
from covergen_cli.evaluation.metrics import mean_estimate, paired_difference, retrieval
from covergen_cli.events import Progress, Warned

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    from covergen_cli.dataset.pairs import Pair
    from covergen_cli.events import EvalPlanned, Event
    from covergen_cli.models.base import Base


MAX_SONGS = 100
"""Maximum number of songs for which prompts are made; each takes a second or two."""


@dataclass(frozen=True)
class WordsBaseline:
    """Losses of the test pairs by words, on the same noise as those of a run.

    Args:
        losses: ``true`` and ``shuffled`` → ``(pairs, draws)``.
        matrix: ``(songs, songs)``, from :func:`covergen_cli.evaluation.alignment.loss_matrix`.
    """

    losses: Mapping[str, npt.NDArray[np.float64]]
    matrix: npt.NDArray[np.float64]

    def figures(
        self, run_loss: npt.NDArray[np.float64], pairs: Sequence[int], songs: Sequence[int], *, seed: int
    ) -> dict[str, Any]:
        """Return the figures over some of the pairs and songs.

        Args:
            run_loss: losses of the run with the true audio, ``(pairs, draws)``.
            pairs: rows of the losses; those that were not measured are left out.
            songs: rows of the matrix, likewise.
            seed: seed of the tests.

        Returns:
            ``loss``; ``increase`` over the loss of the run, above 0 if the run is better; ``gap``: the increase with
            the words of another song; ``retrieval``.
        """
        rows, songs = [[row for row in some if row < MAX_SONGS] for some in (pairs, songs)]
        own, other = (self.losses[name][rows].mean(axis=1) for name in ("true", "shuffled"))
        return {
            "loss": mean_estimate(own),
            "increase": paired_difference(own - run_loss[rows].mean(axis=1), seed=seed),
            "gap": paired_difference(other - own, seed=seed),
            "retrieval": retrieval(self.matrix, seed=seed, rows=songs) if songs else None,
        }


def measure_words(
    base: Base,
    pairs: Sequence[Pair],
    audio: Mapping[str, Path],
    latents: Tensor,
    plan: EvalPlanned,
    *,
    seed: int,
    batch_size: int,
) -> Generator[Event, None, WordsBaseline | None]:
    """Measure the baseline; ``None`` if the base has no text encoder, or if a song cannot be heard.

    Args:
        base: the frozen image model.
        pairs: the pairs of the losses and of the matrix, as many as the longer of the two has.
        audio: id → music file.
        latents: of these pairs, ``(N, C, h, w)``.
        plan: the sample sizes.
        seed: of noise, timesteps, shuffle and wording.
        batch_size: draws that the U-Net processes at once.

    Raises:
        ModelError: the text encoder is damaged.
    """
    pairs = pairs[:MAX_SONGS]
    tokens = yield from _embed_words(base, pairs, audio, seed)
    if tokens is None:
        return None
    ids = [pair.id for pair in pairs]
    options = {"seed": seed, "batch_size": batch_size}
    count, songs = min(plan.pairs, MAX_SONGS), min(plan.songs, MAX_SONGS)
    losses = yield from measure_conditions(
        base,
        ids[:count],
        latents[:count],
        tokens[:count],
        tokens[:1],
        draws=plan.draws,
        names=("true", "shuffled"),
        **options,
    )
    matrix = yield from loss_matrix(
        base, ids[:songs], latents[:songs], tokens[:songs], draws=plan.song_draws, **options
    )
    return WordsBaseline(losses, matrix)


def _embed_words(
    base: Base, pairs: Sequence[Pair], audio: Mapping[str, Path], seed: int
) -> Generator[Event, None, Tensor | None]:
    """Return the tokens of the songs' prompts, ``(N, K, D)``; ``None`` if there are none, or a song is not heard."""
    if base.text is None or any(pair.id not in audio for pair in pairs):
        return None
    found = []
    for number, pair in enumerate(pairs):
        try:
            prompt = describe_song(audio[pair.id], seed=seed, count_tokens=base.text.count_tokens).prompt
        except InputError as error:
            yield Warned(f"{error.message}; the baseline of words is left out", audio[pair.id])
            return None
        found.append(base.embed(prompt).tokens)
        yield Progress("describing songs", number + 1, len(pairs))
    return torch.cat(found)
