"""Draws the covers of test songs as ``covergen generate`` does, and measures them and the true covers.

Properties that should go together (see :mod:`covergen_cli.measures.qualities`) are correlated with the songs,
with two controls: the true covers of the same songs, and the drawn covers assigned to other songs.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagehash
import numpy as np
from PIL import Image

from covergen_cli import __version__
from covergen_cli.audio.descriptors import describe
from covergen_cli.audio.excerpt import load_excerpt
from covergen_cli.covers.decide import decide
from covergen_cli.covers.fingerprint import song_seed
from covergen_cli.errors import InputError, OutputError
from covergen_cli.evaluation.test_data import read_embedding
from covergen_cli.events import Progress, Warned
from covergen_cli.files import sha256_bytes, sha256_file
from covergen_cli.measures.correlation import agreement_table
from covergen_cli.measures.diversity import spread_of, thumbnail
from covergen_cli.measures.qualities import measure
from covergen_cli.provenance import save_cover
from covergen_cli.training.latent_cache import load_cover

if TYPE_CHECKING:
    import numpy.typing as npt

    from covergen_cli.dataset.pairs import Pair
    from covergen_cli.evaluation.test_data import LoadedRun
    from covergen_cli.measures.colour import Array

MEASURED_PIXELS = 256
"""Pixels per side to which every picture is resized before it is measured, so that sizes do not matter."""

COLLAPSED = 0.5
"""Covers whose mean distance is less than this share of the true covers' have collapsed."""

_RATE_HZ = 22_050
_MIN_SONGS = 8


@dataclass(frozen=True)
class Measurements:
    """Measurements of ``N`` pictures.

    Args:
        qualities: float32 ``(N, 7)``, in the order of :data:`covergen_cli.measures.qualities.FIELDS`.
        thumbnails: float32 ``(N, 32, 32, 3)``, OKLab.
        hashes: bool ``(N, 64)``, perceptual hashes.
    """

    qualities: npt.NDArray[np.float32]
    thumbnails: Array
    hashes: npt.NDArray[np.bool_]

    def select(self, rows: Sequence[int]) -> Measurements:
        """Return the measurements of some of the pictures."""
        return Measurements(self.qualities[rows], self.thumbnails[rows], self.hashes[rows])


def draw_covers(run: LoadedRun, pairs: Sequence[Pair], folder: Path) -> Generator[Progress, None, list[Path]]:
    """Draw a cover for every song; existing covers that would not change are kept.

    Args:
        run: the models, settings and seed.
        pairs: the songs.
        folder: where the covers are written, as ``ID.png``.

    Yields:
        ``Progress`` of the task ``drawing covers``.

    Returns:
        the paths of the covers.

    Raises:
        OutputError: the folder cannot be written to, or contains a file of that name that covergen did not make.
    """
    paths = []
    for number, pair in enumerate(pairs):
        path = folder / f"{pair.id}.png"
        provenance = _provenance(run, pair)
        decision = decide(path, provenance["fingerprint"], "changed")
        if decision.action == "refuse":
            raise OutputError(decision.reason, hint="Choose another folder with -o.")
        if decision.action == "draw":
            embedding = read_embedding(pair)
            seed = song_seed(run.drawing.seed, embedding)
            picture = run.pipeline.draw_cover(run.pipeline.audio_tokens(embedding), seed, run.drawing)
            save_cover(path, picture, provenance, "png")
        paths.append(path)
        yield Progress("drawing covers", number + 1, len(pairs))
    return paths


def _provenance(run: LoadedRun, pair: Pair) -> dict[str, Any]:
    settings = ("seed", "steps", "guidance", "scheduler", "size", "grain", "tone", "raw")
    provenance = {
        "version": __version__,
        "embedding_sha256": sha256_file(pair.embedding),
        "adapter": run.models.adapter_fingerprint,
        "base": run.models.base_fingerprint,
        **{key: getattr(run.drawing, key) for key in settings},
    }
    return {**provenance, "fingerprint": sha256_bytes(json.dumps(provenance, sort_keys=True).encode())}


def load_picture(path: Path) -> npt.NDArray[np.uint8]:
    """Return a picture as it is measured: cropped to a centred square and resized, sRGB uint8 ``(256, 256, 3)``.

    Raises:
        InputError: the picture cannot be read.
    """
    values = (load_cover(path, MEASURED_PIXELS).permute(1, 2, 0).numpy() + 1) * 127.5
    return np.rint(values).astype(np.uint8)


def perceptual_hash(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return the perceptual hash (DCT) of a picture, bool ``(64,)``; similar pictures differ in few bits."""
    return np.asarray(imagehash.phash(Image.fromarray(picture)).hash.reshape(-1))


def measure_covers(paths: Sequence[Path]) -> Generator[Progress, None, Measurements]:
    """Load pictures and measure them.

    Raises:
        InputError: a picture cannot be read.
    """
    qualities, thumbnails, hashes = [], [], []
    for number, path in enumerate(paths):
        picture = load_picture(path)
        qualities.append(measure(picture).as_array())
        thumbnails.append(thumbnail(picture))
        hashes.append(perceptual_hash(picture))
        yield Progress("measuring covers", number + 1, len(paths))
    return Measurements(np.stack(qualities), np.stack(thumbnails), np.stack(hashes))


def describe_songs(
    pairs: Sequence[Pair], audio: Mapping[str, Path]
) -> Generator[Progress | Warned, None, dict[str, npt.NDArray[np.float32]]]:
    """Return id → descriptors ``(7,)`` of the songs; those without a usable music file are left out."""
    found = {}
    for number, pair in enumerate(pairs):
        if pair.id in audio:
            try:
                clip = load_excerpt(audio[pair.id], _RATE_HZ)
                found[pair.id] = describe(clip.samples, clip.sample_rate_hz).as_array()
            except InputError as error:
                yield Warned(error.message, audio[pair.id])
        yield Progress("analysing songs", number + 1, len(pairs))
    return found


def correspondence(
    descriptors: Mapping[str, npt.NDArray[np.float32]],
    pairs: Sequence[Pair],
    drawn: Measurements,
    true: Measurements,
    *,
    seed: int,
) -> list[dict[str, Any]] | None:
    """Correlate properties of the songs with properties of their covers.

    Args:
        descriptors: id → descriptors ``(7,)``.
        pairs: the songs, in the order of the pictures.
        drawn: the drawn covers.
        true: the true covers.
        seed: seed of the resampling.

    Returns:
        the table of :func:`covergen_cli.measures.correlation.agreement_table` with the keys ``covers``, ``true`` and
        ``shuffled``; ``None`` if there are descriptors of fewer than eight songs.
    """
    rows = [row for row, pair in enumerate(pairs) if pair.id in descriptors]
    if len(rows) < _MIN_SONGS:
        return None
    sounds = np.stack([descriptors[pairs[row].id] for row in rows])
    return agreement_table(sounds, {"covers": drawn.qualities[rows], "true": true.qualities[rows]}, seed=seed)


def diversity(drawn: Measurements, true: Measurements) -> dict[str, Any]:
    """Compare how different the covers of different songs are with how different the true covers are.

    Returns:
        ``covers`` and ``true`` (see :func:`covergen_cli.measures.diversity.spread_of`), ``ratio`` of their mean
        distances, and whether the covers have ``collapsed``.
    """
    ours, theirs = spread_of(drawn.thumbnails), spread_of(true.thumbnails)
    ratio = ours["between_songs"] / theirs["between_songs"] if theirs["between_songs"] > 0 else None
    return {"covers": ours, "true": theirs, "ratio": ratio, "collapsed": ratio is not None and ratio < COLLAPSED}
