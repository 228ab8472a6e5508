"""Stage 4 of the starter: computes embeddings and conditions of synthesised and recorded music."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from covergen_cli.audio.descriptors import describe
from covergen_cli.audio.encoders import get_encoder
from covergen_cli.audio.io import ANALYSIS_RATE_HZ, load, probe
from covergen_cli.audio.musicnn import ranked_tags
from covergen_cli.errors import InputError
from covergen_cli.events import Progress, Warned
from covergen_cli.files import atomic_path
from covergen_cli.starter.augment import augment
from covergen_cli.starter.workers import mapping
from covergen_cli.synthetic.conditions import SIZE, Conditions
from covergen_cli.synthetic.kinds import genre_tags
from covergen_cli.synthetic.synth import compose, render

CLIP_SECONDS = 30.0
VERSIONS = 3
"""Clips made of each excerpt: the unchanged one, and changed ones."""

_CHUNK = 16

Job = tuple[str, float]
"""Path of a recording and start in seconds, or ``("synthetic:SEED", 0.0)``."""


@dataclass(frozen=True)
class Clips:
    """Embeddings and conditions of ``N`` clips.

    Args:
        names: source of each clip.
        embeddings: float16 ``(N, T, 512)``, padded with zeros.
        lengths: int64 ``(N,)``, number of frames without padding.
        conditions: float32 ``(N, 24)``, what a painting of each is made from; see
            :class:`covergen_cli.synthetic.conditions.Conditions`.
    """

    names: list[str]
    embeddings: npt.NDArray[np.float16]
    lengths: npt.NDArray[np.int64]
    conditions: npt.NDArray[np.float32]


Analysed = tuple[npt.NDArray[np.float16], npt.NDArray[np.float32]]
"""Embedding ``(T, 512)`` and conditions ``(24,)`` of a clip."""


def synthetic_jobs(count: int, seed: int) -> list[Job]:
    """Return ``count`` songs of the synthesiser, with seeds from ``seed`` on."""
    return [(f"synthetic:{seed + i}", 0.0) for i in range(count)]


def recording_jobs(files: Sequence[Path], per_file: int, seed: int) -> list[Job]:
    """Return up to ``per_file`` excerpts of each recording, spread over it; unreadable files are left out."""
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


def _analyse(job: Job) -> list[Analysed]:
    """Return the clips of one excerpt; none if it cannot be used.

    Descriptors are those of each changed clip; the tags are those of the unchanged one, since its kind stays.
    """
    name, start = job
    try:
        if name.startswith("synthetic:"):
            song = compose(int(name.partition(":")[2]))
            samples = render(song, CLIP_SECONDS, ANALYSIS_RATE_HZ)
            tags = genre_tags(song.genre)
        else:
            samples = load(Path(name), ANALYSIS_RATE_HZ, start, start + CLIP_SECONDS).samples
            tags = ranked_tags(samples, ANALYSIS_RATE_HZ) if len(samples) else ()
    except InputError:
        return []
    if len(samples) < 5 * ANALYSIS_RATE_HZ or float(np.abs(samples).max()) < 1e-3:
        return []
    seed = zlib.crc32(f"{name} {start:.3f}".encode())
    changed = (augment(samples, ANALYSIS_RATE_HZ, seed + version) for version in range(1, VERSIONS))
    return [_clip(clip, tags) for clip in (samples, *changed)]


def _clip(samples: npt.NDArray[np.float32], tags: tuple[tuple[str, float], ...]) -> Analysed:
    embedding = get_encoder("mel").embed(samples, ANALYSIS_RATE_HZ)
    conditions = Conditions.of(describe(samples, ANALYSIS_RATE_HZ).as_array(), tags)
    return embedding.astype(np.float16), conditions.as_array()


def analyse_clips(folder: Path, jobs: Sequence[Job], *, workers: int) -> Iterator[Progress | Warned]:
    """Analyse every job and write sixteen of them per file to ``folder/NNNNN.npz``; existing files are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    with mapping(workers) as each:
        for start in range(0, len(jobs), _CHUNK):
            path = folder / f"{start:05d}.npz"
            chunk = jobs[start : start + _CHUNK]
            if not path.exists():
                analysed = list(zip(chunk, each(_analyse, chunk), strict=True))
                good = [(name, *clip) for (name, _), found in analysed for clip in found]
                for (name, at), found in analysed:
                    if not found:
                        yield Warned(f"{name} at {at:.0f} s cannot be used")
                _write(path, good)
            yield Progress("analyse clips", min(start + _CHUNK, len(jobs)), len(jobs))


def _write(path: Path, good: list[tuple[str, npt.NDArray[np.float16], npt.NDArray[np.float32]]]) -> None:
    arrays = {f"embedding_{i}": embedding for i, (_, embedding, _) in enumerate(good)}
    with atomic_path(path) as temporary:
        np.savez(
            temporary,
            allow_pickle=False,
            names=np.array([name for name, _, _ in good], dtype=np.str_),
            conditions=np.array([row for _, _, row in good], dtype=np.float32).reshape(-1, SIZE),
            **arrays,
        )


def open_clips(*folders: Path) -> Clips:
    """Return the results of :func:`analyse_clips` in one or more folders."""
    names: list[str] = []
    embeddings: list[npt.NDArray[np.float16]] = []
    conditions: list[npt.NDArray[np.float32]] = []
    for path in (path for folder in folders for path in sorted(folder.glob("*.npz"))):
        with np.load(path, allow_pickle=False) as file:
            names += file["names"].tolist()
            conditions.append(file["conditions"])
            embeddings += [file[f"embedding_{i}"] for i in range(len(file["names"]))]
    lengths = np.array([len(embedding) for embedding in embeddings], dtype=np.int64)
    padded = np.zeros((len(embeddings), int(lengths.max()), embeddings[0].shape[1]), dtype=np.float16)
    for row, embedding in zip(padded, embeddings, strict=True):
        row[: len(embedding)] = embedding
    return Clips(names, padded, lengths, np.concatenate(conditions))
