"""Covers of the test songs, drawn as ``covergen generate`` draws, and what can be seen on them and on the true ones.

What people are known to match (see :mod:`covergen_cli.measures.qualities`) is measured on the pictures and correlated
with the songs, beside two controls: the true covers of the same songs, and the drawn covers dealt out to other songs.
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
from covergen_cli.covers.pipeline import song_seed
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
    from covergen_cli.evaluation.test_data import Subject
    from covergen_cli.measures.colour import Array

MEASURED_PIXELS = 256
"""Side at which every picture is measured, so that a large one and a small one of the same thing give the same."""

COLLAPSED = 0.5
"""Covers whose mean distance is less than this share of the true covers' are called collapsed."""

_RATE_HZ = 22_050
_FEWEST = 8


@dataclass(frozen=True)
class Seen:
    """What was measured on ``N`` pictures.

    Args:
        qualities: float32 ``(N, 5)``, in the order of :data:`covergen_cli.measures.qualities.FIELDS`.
        thumbnails: float32 ``(N, 32, 32, 3)``.
        hashes: bool ``(N, 64)``, perceptual hashes (DCT).
    """

    qualities: npt.NDArray[np.float32]
    thumbnails: Array
    hashes: npt.NDArray[np.bool_]

    def some(self, rows: Sequence[int]) -> Seen:
        """The pictures in some places."""
        return Seen(self.qualities[rows], self.thumbnails[rows], self.hashes[rows])


def draw_covers(
    subject: Subject, pairs: Sequence[Pair], folder: Path
) -> Generator[Progress | Warned, None, list[Path]]:
    """Draw a cover for every song into a folder; one that is there already and would be the same is kept.

    Args:
        subject: draws with its settings and seed.
        pairs: whose songs.
        folder: where ``ID.png`` go.

    Yields:
        ``Progress`` of the task ``drawing covers``.

    Raises:
        OutputError: the folder cannot be written to, or holds a foreign file under such a name.
    """
    paths = []
    for number, pair in enumerate(pairs):
        path = folder / f"{pair.id}.png"
        facts = _provenance(subject, pair)
        decision = decide(path, facts["fingerprint"], "changed")
        if decision.action == "refuse":
            raise OutputError(decision.reason, hint="Choose another folder with -o.")
        if decision.action == "draw":
            embedding = read_embedding(pair)
            seed = song_seed(subject.drawing.seed, embedding)
            picture = subject.pipeline.draw_cover(subject.pipeline.audio_tokens(embedding), seed, subject.drawing)
            save_cover(path, picture, facts, "png")
        paths.append(path)
        yield Progress("drawing covers", number + 1, len(pairs))
    return paths


def _provenance(subject: Subject, pair: Pair) -> dict[str, Any]:
    drawing = subject.drawing
    facts = {
        "version": __version__,
        "embedding_sha256": sha256_file(pair.embedding),
        "adapter": subject.models.adapter_fingerprint,
        "base": subject.models.base_fingerprint,
        **{
            key: getattr(drawing, key)
            for key in ("seed", "steps", "guidance", "scheduler", "size", "grain", "tone", "raw")
        },
    }
    return {**facts, "fingerprint": sha256_bytes(json.dumps(facts, sort_keys=True).encode())}


def look(path: Path) -> npt.NDArray[np.uint8]:
    """Read a picture as it is measured: cut square around its middle, sRGB bytes ``(256, 256, 3)``.

    Raises:
        InputError: it cannot be read.
    """
    values = (load_cover(path, MEASURED_PIXELS).permute(1, 2, 0).numpy() + 1) * 127.5
    return np.rint(values).astype(np.uint8)


def perceptual_hash(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Hash a picture by its coarse light and dark, bool ``(64,)``: pictures that look alike differ in few bits."""
    return np.asarray(imagehash.phash(Image.fromarray(picture)).hash.reshape(-1))


def look_at(paths: Sequence[Path]) -> Generator[Progress, None, Seen]:
    """Measure pictures; see :func:`look`."""
    qualities, thumbnails, hashes = [], [], []
    for number, path in enumerate(paths):
        picture = look(path)
        qualities.append(measure(picture).as_array())
        thumbnails.append(thumbnail(picture))
        hashes.append(perceptual_hash(picture))
        yield Progress("looking at covers", number + 1, len(paths))
    return Seen(np.stack(qualities), np.stack(thumbnails), np.stack(hashes))


def hear_songs(
    pairs: Sequence[Pair], audio: Mapping[str, Path]
) -> Generator[Progress | Warned, None, dict[str, npt.NDArray[np.float32]]]:
    """Describe the music of test songs: id → descriptors ``(7,)``; what cannot be used is left out with a warning."""
    found = {}
    for number, pair in enumerate(pairs):
        if pair.id in audio:
            try:
                heard = load_excerpt(audio[pair.id], _RATE_HZ)
                found[pair.id] = describe(heard.samples, heard.sample_rate_hz).as_array()
            except InputError as error:
                yield Warned(error.message, audio[pair.id])
        yield Progress("listening to songs", number + 1, len(pairs))
    return found


def correspondence(
    heard: Mapping[str, npt.NDArray[np.float32]], pairs: Sequence[Pair], drawn: Seen, true: Seen, *, seed: int
) -> list[dict[str, Any]] | None:
    """Correlate what is heard with what is seen.

    Args:
        heard: id → descriptors ``(7,)``.
        pairs: in the order of the pictures.
        drawn: the drawn covers.
        true: the true ones.
        seed: of the resampling.

    Returns:
        see :func:`covergen_cli.measures.correlation.agreement_table`, with the keys ``covers``, ``true`` and
        ``shuffled``; ``None`` when the music of fewer than eight songs is there.
    """
    rows = [row for row, pair in enumerate(pairs) if pair.id in heard]
    if len(rows) < _FEWEST:
        return None
    sounds = np.stack([heard[pairs[row].id] for row in rows])
    return agreement_table(sounds, {"covers": drawn.qualities[rows], "true": true.qualities[rows]}, seed=seed)


def diversity(drawn: Seen, true: Seen) -> dict[str, Any]:
    """Say how unlike each other the covers of different songs are, beside the true covers.

    Returns:
        ``covers`` and ``true`` (see :func:`covergen_cli.measures.diversity.spread_of`), ``ratio`` of their mean
        distances, and whether that says ``collapsed``.
    """
    ours, theirs = spread_of(drawn.thumbnails), spread_of(true.thumbnails)
    ratio = ours["between_songs"] / theirs["between_songs"] if theirs["between_songs"] > 0 else None
    return {"covers": ours, "true": theirs, "ratio": ratio, "collapsed": ratio is not None and ratio < COLLAPSED}
