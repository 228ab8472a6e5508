"""The first half of the way: read a song, find the part to listen to, embed it; in threads, ahead of the drawing."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from covergen_cli.artifacts import sha256_file
from covergen_cli.config import SegmentConfig
from covergen_cli.errors import InputError
from covergen_cli.generation.identity import Models, Verdict, cover_facts, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from covergen_cli.audio.encoders import Encoder
    from covergen_cli.config import GenerateConfig
    from covergen_cli.generation.plan import Job

__all__ = ["Listened", "Listener", "Stopped", "in_thread"]

_SEGMENT_RATE_HZ = 44_100
_T = TypeVar("_T")


class Stopped(Exception):  # noqa: N818 — not an error: someone asked
    """The run was asked to end."""


@dataclass
class Listened:
    """What is known about a song before its covers are drawn.

    Args:
        verdicts: one per job, in their order.
        facts: one per job: what its cover will say about itself.
        embedding: float32 ``(T, E)``; ``None`` when nothing has to be drawn.
        condition: what its covers follow: the same, or the embedding of another song when sounds are shuffled.
        segment: start and end in seconds.
        warnings: about the file.
        seconds: wall-clock time that it took.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    facts: list[dict[str, Any]] = field(default_factory=list)
    embedding: npt.NDArray[np.float32] | None = None
    condition: npt.NDArray[np.float32] | None = None
    segment: tuple[float, float] = (0.0, 0.0)
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0


def in_thread(work: Callable[..., _T], *arguments: Any) -> Future[_T]:
    """Start work in a daemon thread: unlike a pool's, it cannot hold up the end of the program after Ctrl-C."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(work(*arguments))
        except BaseException as error:  # noqa: BLE001 — raised again by whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, daemon=True, name=f"covergen-{work.__name__.strip('_')}").start()
    return future


class Listener:
    """Listens to songs, half as many at a time as there are cores, so that drawing has cores too.

    Args:
        config: settings of the run.
        models: for fingerprints, and for the encoder that the adapter was trained with.
        check_stop: called between the stages of a song; raises :class:`Stopped` to end.
        before_embedding: called when the first song turns out to need a cover, to start loading the model.
        donors: song → the song whose sound it gets; empty when every song keeps its own.
    """

    def __init__(
        self,
        config: GenerateConfig,
        models: Models,
        check_stop: Callable[[], None],
        before_embedding: Callable[[], None],
        donors: Mapping[Path, Path],
    ) -> None:
        self._config = config
        self._models = models
        self._check_stop = check_stop
        self._before_embedding = before_embedding
        self._donors = donors
        self._encoder: Encoder | None = None
        self._encoder_lock = threading.Lock()
        self._seats = threading.Semaphore(max(1, (os.cpu_count() or 1) // 2))

    def start(self, jobs: Sequence[Job]) -> Future[Listened]:
        """Listen to the song of these jobs in a thread.

        The future raises :class:`InputError` for a song that cannot be used, :class:`ModelError` when the encoder
        cannot be loaded, and :class:`Stopped`.
        """
        return in_thread(self._listen, jobs)

    def _listen(self, jobs: Sequence[Job]) -> Listened:
        with self._seats:
            self._check_stop()
            started = time.monotonic()
            path = jobs[0].input
            digest = _hash_input(path)
            donor = self._donors.get(path)
            heard = None if donor is None else _hash_input(donor)
            song = Listened(facts=[cover_facts(job, digest, self._config, self._models, heard) for job in jobs])
            for job, facts in zip(jobs, song.facts, strict=True):
                song.verdicts.append(judge(job.output, facts["fingerprint"], self._config.overwrite))
            if any(verdict.action == "draw" for verdict in song.verdicts):
                self._before_embedding()
                self._embed(path, jobs[0].segment_output, song)
                song.condition = song.embedding
                if donor is not None:
                    other = Listened()
                    self._embed(donor, None, other)
                    song.condition = other.embedding
            song.seconds = time.monotonic() - started
            return song

    def _embed(self, path: Path, segment_output: Path | None, song: Listened) -> None:
        from covergen_cli.audio import io

        start, end, notes = self._choose(path)
        self._check_stop()
        encoder = self._get_encoder()
        clip = io.load(path, encoder.sample_rate_hz, start, end, encoder.resample)
        song.segment = (start, min(end, start + len(clip.samples) / clip.sample_rate_hz))
        song.warnings = tuple(dict.fromkeys((*notes, *clip.warnings)))
        self._check_stop()
        song.embedding = encoder.embed(clip.samples, clip.sample_rate_hz)
        if segment_output is not None:
            kept = io.load(path, _SEGMENT_RATE_HZ, start, end)
            io.save_mp3(segment_output, kept.samples, kept.sample_rate_hz)

    def _choose(self, path: Path) -> tuple[float, float, tuple[str, ...]]:
        """Return start and end of the part to listen to, in seconds, and warnings."""
        if self._config.segment is not None:
            return (*self._config.segment, ())
        from covergen_cli.audio.segment import find_segment

        found = find_segment(path, SegmentConfig())
        return found.start_seconds, found.end_seconds, tuple(found.warnings)

    def _get_encoder(self) -> Encoder:
        from covergen_cli.audio.encoders import get_encoder

        with self._encoder_lock:
            if self._encoder is None:
                self._encoder = get_encoder(self._models.encoder_spec)
            return self._encoder


def _hash_input(path: Path) -> str:
    """Hash a song, which also tells early whether it can be read at all.

    Raises:
        InputError: it is missing, a folder, empty, or unreadable.
    """
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty")
        return sha256_file(path)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist", hint="Check the name.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
