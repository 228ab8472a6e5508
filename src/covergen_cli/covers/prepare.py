"""The first half of the way: read a song, find the part to listen to, embed it; in threads, ahead of the drawing."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from covergen_cli.audio.audio_hash import audio_sha256
from covergen_cli.config import SegmentConfig
from covergen_cli.covers.albums import pool, thin
from covergen_cli.covers.explain import Heard, explanation_path, hear
from covergen_cli.covers.fingerprint import Models, Verdict, cover_facts, judge
from covergen_cli.covers.jobs import songs_of
from covergen_cli.covers.text.wording import wanted_lettering
from covergen_cli.errors import InputError
from covergen_cli.files import sha256_bytes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from covergen_cli.audio.encoders import Encoder
    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.jobs import Job

_SEGMENT_RATE_HZ = 44_100
_T = TypeVar("_T")
Song: TypeAlias = "tuple[Path, str]"
"""A music file and the hash of its sound."""


class Stopped(Exception):  # noqa: N818 — not an error: someone asked
    """The run was asked to end."""


@dataclass
class Listened:
    """What is known about a song, or an album, before its covers are drawn.

    Args:
        verdicts: one per job, in their order.
        facts: one per job: what its cover will say about itself.
        embedding: float32 ``(T, E)``; ``None`` when nothing has to be drawn.
        condition: what its covers follow: the same, or another embedding when sounds are shuffled.
        segment: start and end in seconds; of a song.
        parts: the songs of an album that were listened to, each with start and end.
        warnings: about the files.
        seconds: wall-clock time that it took.
        explanation: what an explanation shows, where one shall be drawn.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    facts: list[dict[str, Any]] = field(default_factory=list)
    embedding: npt.NDArray[np.float32] | None = None
    condition: npt.NDArray[np.float32] | None = None
    segment: tuple[float, float] = (0.0, 0.0)
    parts: tuple[tuple[Song, tuple[float, float]], ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    explanation: Heard | None = None

    def sources(self, job: Job) -> dict[str, Any]:
        """What a cover says about where it comes from, besides the facts: names and parts of songs, no places."""
        if not job.songs:
            return {"input": job.input.name, "segment": list(self.segment)}
        rows = [
            {"input": path.name, "input_sha256": digest, "segment": list(segment)}
            for (path, digest), segment in self.parts
        ]
        return {"songs": rows}

    def heard(self, job: Job) -> tuple[tuple[float, float] | None, tuple[Path, ...]]:
        """What is told of a finished cover: the part of the one song, or else the songs of the album."""
        return (None, tuple(path for (path, _), _ in self.parts)) if job.songs else (self.segment, ())


def look_at_songs(job: Job) -> tuple[list[Song], tuple[str, ...]]:
    """Hash the sound of a job's songs; what cannot be read is left out of an album.

    Returns:
        the usable songs with their hashes, and warnings about the others.

    Raises:
        InputError: the song, or every song of the album, is missing, a folder, empty, or unreadable.
    """
    usable, warnings = [], []
    for path in songs_of(job):
        try:
            usable.append((path, _hash_input(path)))
        except InputError as error:  # noqa: PERF203 — one bad song of an album must not stop the others
            if not job.songs:
                raise
            warnings.append(left_out(error))
    if not usable:
        raise _no_song(job, warnings)
    return usable, tuple(warnings)


def input_hash(job: Job, songs: Sequence[Song]) -> str:
    """Name what a cover is made from: the one song by its sound, an album by the sounds of its songs in any order."""
    if not job.songs:
        return songs[0][1]
    return sha256_bytes("".join(sorted(digest for _, digest in songs)).encode())


def left_out(error: InputError) -> str:
    """The warning about a song that an album goes without."""
    return f"{error.message}; the album's cover is made without it"


def _no_song(job: Job, warnings: Sequence[str]) -> InputError:
    first = warnings[0].partition(";")[0]
    return InputError(f"no song for {job.output} can be used: {first}", hint="Check the files of this album.")


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
        donors: by a job's ``input``, the job whose sound it gets; empty when all keep their own.

    Attributes:
        heard: how many songs of a job were listened to so far, by the job's ``input``.
    """

    def __init__(
        self,
        config: GenerateConfig,
        models: Models,
        check_stop: Callable[[], None],
        before_embedding: Callable[[], None],
        donors: Mapping[Path, Job],
    ) -> None:
        self._config = config
        self._models = models
        self._check_stop = check_stop
        self._before_embedding = before_embedding
        self._donors = donors
        self.heard: Counter[Path] = Counter()
        self._encoder: Encoder | None = None
        self._encoder_lock = threading.Lock()
        self._seats = threading.Semaphore(max(1, (os.cpu_count() or 1) // 2))

    def start(self, jobs: Sequence[Job]) -> Future[Listened]:
        """Listen to the song, or the album, of these jobs in a thread.

        The future raises :class:`InputError` for music that cannot be used, :class:`ModelError` when the encoder
        cannot be loaded, and :class:`Stopped`.
        """
        return in_thread(self._listen, jobs)

    def _listen(self, jobs: Sequence[Job]) -> Listened:
        with self._seats:
            self._check_stop()
            started = time.monotonic()
            songs, warnings = look_at_songs(jobs[0])
            digest = input_hash(jobs[0], songs)
            donor = self._donors.get(jobs[0].input)
            others = [] if donor is None else look_at_songs(donor)[0]
            heard = None if donor is None else input_hash(donor, others)
            words, notes = wanted_lettering(self._config, songs[0][0], album=bool(jobs[0].songs))
            song = Listened()
            for job in jobs:
                facts = cover_facts(job, digest, self._config, self._models, lettering=words, heard_sha256=heard)
                song.facts.append(facts)
            for job, facts in zip(jobs, song.facts, strict=True):
                song.verdicts.append(judge(job.output, facts["fingerprint"], self._config.overwrite, songs))
            draws = any(verdict.action == "draw" for verdict in song.verdicts)
            explains = self._config.explain and (draws or not explanation_path(jobs[0].output).exists())
            if draws or explains:
                self._before_embedding()
                self._hear(jobs[0], songs, song)
                song.condition = song.embedding
                if donor is not None:
                    other = Listened()
                    self._hear(replace(donor, segment_output=None), others, other)
                    song.condition = other.embedding
            if explains:
                song.explanation = hear(jobs[0].input, song.segment)
            song.warnings = (*warnings, *song.warnings, *notes)
            song.seconds = time.monotonic() - started
            return song

    def _hear(self, job: Job, songs: Sequence[Song], listened: Listened) -> None:
        if job.songs:
            self._embed_album(job, songs, listened)
        else:
            self._embed(job.input, job.segment_output, listened)

    def _embed_album(self, job: Job, songs: Sequence[Song], album: Listened) -> None:
        """Listen to the songs of an album, one after the other; those that cannot be used are left out."""
        embeddings: list[npt.NDArray[np.float32]] = []
        for song in songs:
            one = Listened()
            try:
                self._embed(song[0], None, one)
            except InputError as error:
                one.warnings = (left_out(error),)
            self.heard[job.input] += 1
            album.warnings += one.warnings
            if one.embedding is not None:
                embeddings.append(thin(one.embedding, len(songs)))
                album.parts += ((song, one.segment),)
        if not embeddings:
            raise _no_song(job, album.warnings)
        album.embedding = pool(embeddings)

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
    """Hash a song's sound, which also tells early whether it can be read at all.

    Raises:
        InputError: it is missing, a folder, empty, or unreadable.
    """
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty")
        return audio_sha256(path)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist", hint="Check the name.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
