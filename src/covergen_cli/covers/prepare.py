"""Prepares songs for drawing in background threads: decides which covers are drawn, finds segments, embeds them."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.config import SegmentConfig
from covergen_cli.covers.albums import pool, thin
from covergen_cli.covers.decide import Decisions, HashedSong, decide_covers, no_usable_song, skipped_song
from covergen_cli.covers.explain import Explanation, explain_song, explanation_path
from covergen_cli.covers.fingerprint import DESCRIPTORS
from covergen_cli.covers.heard import Heard, hear, mean_heard
from covergen_cli.covers.styling import must_hear
from covergen_cli.errors import InputError, reason_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from covergen_cli.audio.encoders import Encoder
    from covergen_cli.audio.segment import Segment
    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.fingerprint import Models
    from covergen_cli.covers.plan import Job

_SEGMENT_RATE_HZ = 44_100


@dataclass(frozen=True)
class EmbeddedMusic:
    """The embedding of a song or an album.

    Args:
        embedding: float32 ``(T, E)``.
        parts: the embedded songs, each with start and end of its segment in seconds.
        warnings: warnings about the files.
        search: the search for the segment; ``None`` for an album, or when the segment was given.
        heard: what looks and words are chosen by; ``None`` when there is neither to choose.
    """

    embedding: npt.NDArray[np.float32]
    parts: tuple[tuple[HashedSong, tuple[float, float]], ...]
    warnings: tuple[str, ...]
    search: Segment | None = None
    heard: Heard | None = None

    @property
    def segment(self) -> tuple[float, float]:
        """Start and end, in seconds, of the segment of the first song."""
        return self.parts[0][1]

    def provenance(self, job: Job) -> dict[str, Any]:
        """Return names and segments of the songs, as a cover records them."""
        if not job.songs:
            return {"input": job.input.name, "segment": list(self.segment)}
        rows = [
            {"input": song.path.name, "input_sha256": song.sha256, "segment": list(segment)}
            for song, segment in self.parts
        ]
        return {"songs": rows}


@dataclass(frozen=True)
class PreparedSong:
    """A song or an album, ready to be drawn.

    Args:
        decisions: what happens to each of its covers.
        warnings: warnings about its files and text.
        seconds: wall-clock time of the preparation.
        music: its embedding; ``None`` when it is not needed.
        condition: the music that its covers are drawn from: its own, or a donor's.
        explanation: what ``--explain`` shows; ``None`` when it is not needed.
    """

    decisions: Decisions
    warnings: tuple[str, ...]
    seconds: float
    music: EmbeddedMusic | None = None
    condition: EmbeddedMusic | None = None
    explanation: Explanation | None = None


class Preparer:
    """Prepares songs in threads, at most half as many at a time as there are cores, to leave cores for drawing.

    Args:
        config: the settings.
        models: for fingerprints, and for the encoder that the adapter was trained with.
        check_stop: called between the stages of a song; raises to stop.
        before_embedding: called when a song needs to be embedded, to start loading the models.
        donor_of: by a job's ``input``, the job whose audio is used instead; empty unless songs are shuffled.

    Attributes:
        embedded: number of embedded songs by the job's ``input``.
    """

    def __init__(
        self,
        config: GenerateConfig,
        models: Models,
        check_stop: Callable[[], None],
        before_embedding: Callable[[], object],
        donor_of: Mapping[Path, Job],
    ) -> None:
        self._config = config
        self._models = models
        self._check_stop = check_stop
        self._before_embedding = before_embedding
        self._donor_of = donor_of
        self.embedded: Counter[Path] = Counter()
        self._encoder: Encoder | None = None
        self._encoder_lock = threading.Lock()
        self._slots = threading.Semaphore(max(1, (os.cpu_count() or 1) // 2))

    def prepare(self, jobs: Sequence[Job]) -> PreparedSong:
        """Prepare the song or album of these jobs.

        Raises:
            InputError: the music cannot be used.
            ModelError: the encoder cannot be loaded.
        """
        with self._slots:
            self._check_stop()
            started = time.monotonic()
            first = jobs[0]
            donor = self._donor_of.get(first.input)
            decisions = decide_covers(jobs, self._config, self._models, donor)
            drawn = any(decision.action == "draw" for decision in decisions.decisions)
            explained = self._config.explain and (drawn or not os.path.lexists(explanation_path(first.output)))
            music = condition = explanation = None
            if drawn or explained:
                self._before_embedding()
                music = self._embed(first, decisions.songs)
                condition = music
                if donor is not None:
                    condition = self._embed(replace(donor, segment_output=None), decisions.donor_songs)
                if explained:
                    explanation = explain_song(first.input, music.segment, music.search)
            warnings = (*decisions.skipped_songs, *(music.warnings if music else ()), *decisions.text_warnings)
            return PreparedSong(decisions, warnings, time.monotonic() - started, music, condition, explanation)

    def _embed(self, job: Job, songs: Sequence[HashedSong]) -> EmbeddedMusic:
        return self._embed_album(job, songs) if job.songs else self._embed_song(songs[0], job.segment_output)

    def _embed_album(self, job: Job, songs: Sequence[HashedSong]) -> EmbeddedMusic:
        """Embed the songs of an album one after the other, without those that cannot be used."""
        embeddings: list[npt.NDArray[np.float32]] = []
        parts: list[tuple[HashedSong, tuple[float, float]]] = []
        warnings: list[str] = []
        heard: list[Heard] = []
        for song in songs:
            try:
                music = self._embed_song(song, None, album=True)
            except InputError as error:
                warnings.append(skipped_song(error.message))
            except (OSError, ValueError, RuntimeError) as error:  # from this file; the other songs can be used
                warnings.append(skipped_song(f"{song.path} cannot be used: {reason_of(error)}"))
            else:
                embeddings.append(thin(music.embedding, len(songs)))
                parts += music.parts
                warnings += music.warnings
                heard += [music.heard] if music.heard else []
            self.embedded[job.input] += 1
        if not embeddings:
            raise no_usable_song(job, warnings)
        return EmbeddedMusic(
            pool(embeddings), tuple(parts), tuple(warnings), heard=mean_heard(heard) if heard else None
        )

    def _embed_song(self, song: HashedSong, segment_output: Path | None, *, album: bool = False) -> EmbeddedMusic:
        """Embed a song, and listen to it when a look or words have to be chosen."""
        from covergen_cli.audio import io

        search = None
        if self._config.segment is not None:
            start, end = self._config.segment
        else:
            from covergen_cli.audio.segment import find_segment

            search = find_segment(song.path, SegmentConfig())
            start, end = search.start_seconds, search.end_seconds
        self._check_stop()
        encoder = self._get_encoder()
        clip = io.load(song.path, encoder.sample_rate_hz, start, end, encoder.resample)
        segment = (start, min(end, start + len(clip.samples) / clip.sample_rate_hz))
        warnings = tuple(dict.fromkeys((*(search.warnings if search else ()), *clip.warnings)))
        self._check_stop()
        embedding = encoder.embed(clip.samples, clip.sample_rate_hz)
        heard, labels = None, self._models.takes_words
        if labels or must_hear(self._config):
            words = self._config.words if labels else None
            heard = hear(song.path, clip.samples, clip.sample_rate_hz, labels=labels, words=words, album=album)
        if segment_output is not None:
            kept = io.load(song.path, _SEGMENT_RATE_HZ, start, end)
            io.save_mp3(segment_output, kept.samples, kept.sample_rate_hz)
        return EmbeddedMusic(embedding, ((song, segment),), warnings, search, heard)

    def _get_encoder(self) -> Encoder:
        with self._encoder_lock:
            if self._encoder is None:
                self._encoder = self._make_encoder()
            return self._encoder

    def _make_encoder(self) -> Encoder:
        if self._models.encoder_spec == DESCRIPTORS:
            from covergen_cli.covers.painter import DescriptorEncoder

            return DescriptorEncoder()
        from covergen_cli.audio.encoders import get_encoder

        return get_encoder(self._models.encoder_spec)
