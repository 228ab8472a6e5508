"""Stage 4 of the starter: music to listen to, synthesised and recorded, as embeddings with what was heard in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from covergen_cli.audio.descriptors import NAMES, describe
from covergen_cli.audio.encoders import get_encoder
from covergen_cli.audio.io import ANALYSIS_RATE_HZ, load, probe
from covergen_cli.errors import InputError
from covergen_cli.events import Progress, Warned
from covergen_cli.files import atomic_path
from covergen_cli.starter.workers import mapping
from covergen_cli.synthetic.synth import compose, render

CLIP_SECONDS = 30.0
_CHUNK = 16

Job = tuple[str, float]
"""A recording's path and a start in seconds, or ``("synthetic:SEED", 0.0)``."""


@dataclass(frozen=True)
class Clips:
    """Clips that were listened to.

    Args:
        names: where each came from, ``N`` of them.
        embeddings: float16 ``(N, T, 512)``, padded at the end with zeros.
        lengths: int64 ``(N,)``, real frames.
        descriptors: float32 ``(N, 7)``.
    """

    names: list[str]
    embeddings: npt.NDArray[np.float16]
    lengths: npt.NDArray[np.int64]
    descriptors: npt.NDArray[np.float32]


def synthetic_jobs(count: int, seed: int) -> list[Job]:
    """List ``count`` songs of the synthesiser, the first of them composed from ``seed``."""
    return [(f"synthetic:{seed + i}", 0.0) for i in range(count)]


def recording_jobs(files: Sequence[Path], per_file: int, seed: int) -> list[Job]:
    """List up to ``per_file`` excerpts of each recording, spread over it; what cannot be probed is left out."""
    jobs: list[Job] = []
    for number, path in enumerate(sorted(files)):
        try:
            duration = probe(path).duration_seconds or 0.0
        except InputError:
            continue
        room = max(duration - CLIP_SECONDS, 0.0)
        count = min(per_file, 1 + int(room // (CLIP_SECONDS / 2)))
        offsets = np.random.default_rng([seed, number]).uniform(0, 1, count)
        jobs += [(str(path), float(room * (i + offset) / count)) for i, offset in enumerate(offsets)]
    return jobs


def _hear(job: Job) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.float32]] | None:
    name, start = job
    try:
        if name.startswith("synthetic:"):
            samples = render(compose(int(name.partition(":")[2])), CLIP_SECONDS, ANALYSIS_RATE_HZ)
        else:
            samples = load(Path(name), ANALYSIS_RATE_HZ, start, start + CLIP_SECONDS).samples
    except InputError:
        return None
    if len(samples) < 5 * ANALYSIS_RATE_HZ or float(np.abs(samples).max()) < 1e-3:
        return None
    embedding = get_encoder("mel").embed(samples, ANALYSIS_RATE_HZ)
    return embedding.astype(np.float16), describe(samples, ANALYSIS_RATE_HZ).as_array()


def hear_all(folder: Path, jobs: Sequence[Job], *, workers: int) -> Iterator[Progress | Warned]:
    """Listen to every job and keep the result in ``folder/NNNNN.npz``, sixteen a file; goes on where it was stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    with mapping(workers) as each:
        for start in range(0, len(jobs), _CHUNK):
            path = folder / f"{start:05d}.npz"
            chunk = jobs[start : start + _CHUNK]
            if not path.exists():
                heard = list(zip(chunk, each(_hear, chunk), strict=True))
                good = [(name, *result) for (name, _), result in heard if result is not None]
                for (name, at), result in heard:
                    if result is None:
                        yield Warned(f"{name} at {at:.0f} s cannot be used")
                _write(path, good)
            yield Progress("listen", min(start + _CHUNK, len(jobs)), len(jobs))


def _write(path: Path, good: list[tuple[str, npt.NDArray[np.float16], npt.NDArray[np.float32]]]) -> None:
    arrays = {f"embedding_{i}": embedding for i, (_, embedding, _) in enumerate(good)}
    with atomic_path(path) as temporary:
        np.savez(
            temporary,
            allow_pickle=False,
            names=np.array([name for name, _, _ in good], dtype=np.str_),
            descriptors=np.array([row for _, _, row in good], dtype=np.float32).reshape(-1, len(NAMES)),
            **arrays,
        )


def open_clips(*folders: Path) -> Clips:
    """Open what :func:`hear_all` kept in one or more folders."""
    names: list[str] = []
    embeddings: list[npt.NDArray[np.float16]] = []
    descriptors: list[npt.NDArray[np.float32]] = []
    for path in (path for folder in folders for path in sorted(folder.glob("*.npz"))):
        with np.load(path, allow_pickle=False) as kept:
            names += kept["names"].tolist()
            descriptors.append(kept["descriptors"])
            embeddings += [kept[f"embedding_{i}"] for i in range(len(kept["names"]))]
    lengths = np.array([len(embedding) for embedding in embeddings], dtype=np.int64)
    padded = np.zeros((len(embeddings), int(lengths.max()), embeddings[0].shape[1]), dtype=np.float16)
    for row, embedding in zip(padded, embeddings, strict=True):
        row[: len(embedding)] = embedding
    return Clips(names, padded, lengths, np.concatenate(descriptors))
