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

from covergen_cli.audio.io import probe
from covergen_cli.covers.albums import interleave, subsample_frames
from covergen_cli.covers.decide import decide_covers, no_usable_song, skipped_song
from covergen_cli.covers.explain import Explanation, explain_song, explanation_path
from covergen_cli.covers.fingerprint import PAINTER
from covergen_cli.covers.heard import Heard, lrc_text, mean_heard
from covergen_cli.covers.listen import Listened, Request, find_part, listen, listen_alone, load_encoder
from covergen_cli.covers.own_picture import PICTURE, open_own_picture
from covergen_cli.covers.picture_cache import RawPicture, load_picture, picture_key, save_picture
from covergen_cli.covers.processes import ProcessEndedError
from covergen_cli.covers.styling import must_hear
from covergen_cli.errors import InputError, reason_of
from covergen_cli.files import seed_from

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from covergen_cli.audio.encoders import Encoder
    from covergen_cli.audio.segment import Segment
    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.decide import DecidedCover, Decision, Decisions, HashedSong
    from covergen_cli.covers.fingerprint import Models
    from covergen_cli.covers.plan import Job
    from covergen_cli.covers.processes import Processes

_SEGMENT_RATE_HZ = 44_100
_DAMAGED = "The file may be damaged; play it, or convert it again."


@dataclass(frozen=True)
class EmbeddedMusic:
    """The embedding of a song or an album."""

    embedding: npt.NDArray[np.float32] | None  # float32 ``(T, E)``; ``None`` when nothing is drawn
    parts: tuple[tuple[HashedSong, tuple[float, float] | None], ...]  # with their segments in seconds
    warnings: tuple[str, ...] = ()  # warnings about the files
    search: Segment | None = None  # the search for the segment; ``None`` for an album, or when the segment was given
    heard: Heard | None = None  # what looks and words are chosen by; ``None`` when there is neither to choose

    @property
    def segment(self) -> tuple[float, float] | None:
        """Start and end, in seconds, of the segment of the first song."""
        return self.parts[0][1]

    def provenance(self, job: Job) -> dict[str, Any]:
        """Return names and segments of the songs, as a cover records them."""
        rows = [
            {"input": song.path.name, "input_sha256": song.sha256, "segment": segment and list(segment)}
            for song, segment in self.parts
        ]
        return {"songs": rows} if job.songs else {"input": job.input.name, "segment": rows[0]["segment"]}


@dataclass(frozen=True)
class PreparedCover:
    """One cover of a song or an album."""

    decision: Decision
    provenance: dict[str, Any]  # without names and segments of songs
    key: str | None  # name of its picture in the cache; ``None`` if it is not kept
    picture: RawPicture | None  # ``None`` if it has to be drawn


@dataclass(frozen=True)
class PreparedSong:
    """A song or an album, ready to be drawn."""

    covers: tuple[PreparedCover, ...]
    warnings: tuple[str, ...]  # warnings about its files and text
    seconds: float  # wall-clock time of the preparation
    music: EmbeddedMusic | None  # its embedding; ``None`` when it is not needed
    audio_source: EmbeddedMusic | None  # the music that its covers are drawn from: its own, or a donor's
    explanation: Explanation | None  # what ``--explain`` shows; ``None`` when it is not needed
    saved_segment: Path | None  # the file of the segment, if it was written


class Preparer:
    """Prepares songs in threads, at most half as many at a time as there are cores, to leave cores for drawing.

    Args:
        config: the settings.
        models: for fingerprints, and for the encoder that the adapter was trained with.
        check_stop: called between the stages of a song; raises to stop.
        before_embedding: called when a song needs to be embedded, to start loading the models.
        donor_of: by a job's ``input``, the job whose audio is used instead; empty unless songs are shuffled.
        processes: listen to the songs, if there are any.

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
        processes: Processes,
    ) -> None:
        self._config = config
        self._models = models
        self._check_stop = check_stop
        self._before_embedding = before_embedding
        self._donor_of = donor_of
        self.embedded: Counter[Path] = Counter()
        self._processes = processes
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
            first, donor = jobs[0], self._donor_of.get(jobs[0].input)
            decisions = decide_covers(jobs, self._config, self._models, donor)
            covers = [self._prepare_cover(*pair, decisions) for pair in zip(jobs, decisions.covers, strict=True)]
            must_draw = any(cover.decision.action == "draw" for cover in covers)
            must_explain = self._config.explain and (must_draw or not os.path.lexists(explanation_path(first.output)))
            music, audio_source = self._prepare_music(first, donor, decisions, covers, must_embed=must_explain)
            explanation = None
            if must_explain and music is not None and music.segment is not None:
                explanation = explain_song(first.input, music.segment, music.search)
            return PreparedSong(
                covers=tuple(covers),
                warnings=(*decisions.skipped_songs, *(music.warnings if music else ()), *decisions.text_warnings),
                seconds=time.monotonic() - started,
                music=music,
                audio_source=audio_source,
                explanation=explanation,
                saved_segment=self._save_segment(first, decisions.songs[0], music),
            )

    def _prepare_cover(self, job: Job, cover: DecidedCover, decisions: Decisions) -> PreparedCover:
        """Return a cover with its picture, if that is known already."""
        key = self._key(cover.provenance, decisions)
        picture = self._known_picture(job, key) if cover.decision.needs_picture else None
        return PreparedCover(cover.decision, cover.provenance, key, picture)

    def _prepare_music(
        self, first: Job, donor: Job | None, decisions: Decisions, covers: Sequence[PreparedCover], *, must_embed: bool
    ) -> tuple[EmbeddedMusic | None, EmbeddedMusic | None]:
        """Return the music of the covers, and the music to draw from; ``None`` for what is not needed."""
        known = [(cover.key, cover.picture) for cover in covers if cover.picture is not None]
        if must_embed or len(known) < sum(cover.decision.needs_picture for cover in covers):
            if self._models.own_picture is None:
                self._before_embedding()
            music = self._embed(first, decisions.songs)
            return music, music if donor is None else self._embed(donor, decisions.donor_songs)
        if not known:
            return None, None
        if not must_hear(self._config) or known[0][1].heard is not None:
            return self._remember(known[0][1], decisions.songs), None
        music = self._embed(first, decisions.songs)
        for key, picture in known:
            if key:
                save_picture(key, replace(picture, heard=music.heard))
        return music, None

    def _key(self, provenance: dict[str, Any], decisions: Decisions) -> str | None:
        """Return the name of a cover's picture in the cache, ``None`` if it is quicker to paint it anew."""
        if self._models.base_reference in {PAINTER, PICTURE}:
            return None
        songs = (*decisions.songs, *decisions.donor_songs)
        # Words are chosen by tags too, which are not part of the audio's hash.
        tags = [(probe(path).tags, lrc_text(path)) for path, _ in songs] if self._models.takes_words else []
        return picture_key(provenance, self._config.device, tags)

    def _known_picture(self, job: Job, key: str | None) -> RawPicture | None:
        """Return the picture that the user brings, or the one in the cache; ``None`` if it has to be drawn."""
        if self._models.own_picture is not None:
            image = open_own_picture(Path(self._config.picture or "").expanduser())
            return RawPicture(image, seed_from(f"{job.seed}:{self._models.base_fingerprint}"), {})
        return load_picture(key) if key else None

    def _remember(self, picture: RawPicture, songs: Sequence[HashedSong]) -> EmbeddedMusic:
        """Return the music of a known picture; genres are read from the tags again, which may have changed."""
        parts = tuple((song, picture.segments.get(song.sha256)) for song in songs)
        parts = tuple(part for part in parts if part[1] is not None or not picture.segments)
        heard = picture.heard
        if heard is not None:
            genres = (probe(song.path).tags.genre for song, _ in parts)
            heard = replace(heard, genres=tuple(dict.fromkeys(genre for genre in genres if genre)))
        return EmbeddedMusic(None, parts, heard=heard)

    def _save_segment(self, job: Job, song: HashedSong, music: EmbeddedMusic | None) -> Path | None:
        """Write the segment of a song if it is asked for, and is new or missing; return its file."""
        from covergen_cli.audio import io

        path = job.segment_output
        if path is None or (music is None and os.path.lexists(path)):
            return None
        start, end = (music and music.segment) or find_part(song.path, self._config.segment)[0]
        kept = io.load(song.path, _SEGMENT_RATE_HZ, start, end)
        io.save_mp3(path, kept.samples, kept.sample_rate_hz)
        return path

    def _embed(self, job: Job, songs: Sequence[HashedSong]) -> EmbeddedMusic:
        return self._embed_album(job, songs) if job.songs else self._embed_song(songs[0])

    def _embed_album(self, job: Job, songs: Sequence[HashedSong]) -> EmbeddedMusic:
        """Embed the songs of an album one after the other, without those that cannot be used."""
        embeddings: list[npt.NDArray[np.float32]] = []
        parts: list[tuple[HashedSong, tuple[float, float] | None]] = []
        warnings: list[str] = []
        heard: list[Heard] = []
        for song in songs:
            try:
                music = self._embed_song(song, album=True)
            except InputError as error:
                warnings.append(skipped_song(error.message))
            except (OSError, ValueError, RuntimeError) as error:  # from this file; the other songs can be used
                warnings.append(skipped_song(f"{song.path} cannot be used: {reason_of(error)}"))
            else:
                embeddings += [] if music.embedding is None else [subsample_frames(music.embedding, len(songs))]
                parts += music.parts
                warnings += music.warnings
                heard += [music.heard] if music.heard else []
            self.embedded[job.input] += 1
        if not embeddings:
            raise no_usable_song(job, warnings)
        return EmbeddedMusic(
            interleave(embeddings), tuple(parts), tuple(warnings), heard=mean_heard(heard) if heard else None
        )

    def _embed_song(self, song: HashedSong, *, album: bool = False) -> EmbeddedMusic:
        """Embed a song, and analyse it if a look or a prompt is made from it."""
        labels = self._models.takes_words
        request = Request(
            song.path,
            self._models.encoder_spec,
            self._config.segment,
            describe=must_hear(self._config),
            labels=labels,
            words=self._config.words if labels else None,
            album=album,
        )
        found = self._listen(request)
        return EmbeddedMusic(found.embedding, ((song, found.segment),), found.warnings, found.search, found.heard)

    def _listen(self, request: Request) -> Listened:
        if not self._processes.count:
            return listen(request, self._get_encoder(), self._check_stop)
        try:
            found: Listened = self._processes.run(listen_alone, request, check_stop=self._check_stop)
        except ProcessEndedError as error:
            raise InputError(f"{request.path}: the process that decoded it ended", hint=_DAMAGED) from error
        return found

    def _get_encoder(self) -> Encoder:
        with self._encoder_lock:
            if self._encoder is None:
                self._encoder = load_encoder(self._models.encoder_spec, self._config.device)
            return self._encoder
