"""Reproduces a cover from its provenance: the settings, the song and the models it was made with."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from covergen_cli import __version__
from covergen_cli.audio.audio_hash import audio_sha256
from covergen_cli.audio.io import AUDIO_SUFFIXES
from covergen_cli.config import GenerateConfig
from covergen_cli.covers.fingerprint import PAINTER, find_models
from covergen_cli.errors import InputError, ModelError
from covergen_cli.files import sha256_file
from covergen_cli.provenance import read_provenance

_PLAIN = {field.name for field in fields(GenerateConfig)} - {"adapter", "base", "segment"}
"""Settings that provenance stores under their own names."""


@dataclass(frozen=True)
class CoverSettings:
    """How a cover was made."""

    cover: Path
    settings: dict[str, Any]  # fields of :class:`~covergen_cli.config.GenerateConfig`
    song_name: str  # name of the music file
    song_sha256: str  # hash of its audio (:func:`~covergen_cli.audio.audio_hash.audio_sha256`)
    adapter: str  # fingerprint of the adapter
    base: str  # fingerprint of the base, or the hash of the picture that the user brought
    refiner: str | None  # fingerprint of the refiner; ``None`` for a cover that was not refined
    version: str

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why the new cover may differ although song and models are the same."""
        if self.version == __version__:
            return ()
        return (f"{self.cover} was made by covergen {self.version}; this is {__version__}, so bytes may differ",)


def read_settings(cover: Path) -> CoverSettings:
    """Read from a cover how it was made.

    Raises:
        InputError: the file is missing or has no provenance, or the cover was not made from the audio of one song.
    """
    if not cover.is_file():
        raise InputError(f"{cover} does not exist", hint="Check the name.")
    made = read_provenance(cover) or {}
    _require_one_song(cover, made)
    try:
        plain = {name: value for name, value in made.items() if isinstance(value, (str, int, float, bool))}
        settings = {name: value for name, value in plain.items() if name in _PLAIN}
        settings.setdefault("look", "paint")  # covers without this key are older than looks
        if picture := made.get("picture"):
            settings["picture"] = picture["name"]
        else:
            settings["base"] = made["base"]["name"]
            if settings["base"] != PAINTER:  # which has no adapter
                settings["adapter"] = made["adapter"]["name"]
        if made["segment_asked"]:
            settings["segment"] = made["segment_asked"]
        if "negative" in made:  # None means that there was no negative prompt
            settings["negative"] = made["negative"]
        refiner = made.get("refiner")
        if refiner:
            settings |= {"refine": True, "refiner": refiner["name"]}
            settings |= {f"refine_{name}": refiner[name] for name in ("prompt", "strength", "steps", "guidance")}
        text = made.get("lettering") or {}
        settings |= {name: text[name] for name in ("title", "artist", "layout") if text.get(name)}
        return CoverSettings(
            cover=cover,
            settings=settings,
            song_name=made["input"],
            song_sha256=made["input_sha256"],
            adapter=made["adapter"]["fingerprint"],
            base=made["base"]["fingerprint"],
            refiner=refiner["fingerprint"] if refiner else None,
            version=made["version"],
        )
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{cover} does not say how it was made",
            hint="Only covers that covergen wrote, unedited, can be made again.",
        ) from error


def _require_one_song(cover: Path, made: dict[str, Any]) -> None:
    if "songs" in made:
        raise InputError(
            f"{cover} is the cover of an album", hint="Give the album again with the settings that the cover records."
        )
    if made.get("shuffled_sha256"):
        raise InputError(
            f"{cover} was drawn with the sound of another song (--shuffle)", hint="Give the same songs with --shuffle."
        )


def read_style(cover: Path) -> dict[str, Any]:
    """Read from a cover how it looks: the settings ``look``, ``palette`` and ``layout``, for covers of other songs.

    Raises:
        InputError: the file is missing, or no cover that covergen wrote.
    """
    if not cover.is_file():
        raise InputError(f"{cover} does not exist", hint="Check the name.")
    made = read_provenance(cover)
    if made is None:
        raise InputError(f"{cover} was not made by covergen", hint="Use --palette FILE to take only its colours.")
    found = {"look": made.get("look_drawn", "paint"), "palette": made.get("palette_drawn")}
    found["layout"] = {**(made.get("lettering") or {}), **(made.get("text_drawn") or {})}.get("layout")
    return {name: value for name, value in found.items() if isinstance(value, str)}


def find_song(made: CoverSettings, paths: Sequence[Path]) -> Path:
    """Find the song that a cover was made from by the hash of its audio.

    Args:
        made: how the cover was made.
        paths: music files, and folders to search.

    Raises:
        InputError: the song is not among them.
    """
    songs = [song for path in paths for song in _songs(path)]
    for song in sorted(songs, key=lambda path: path.name != made.song_name):
        if made.song_sha256 in _hashes(song):
            return song
    was = f"{made.cover} was made from {made.song_name}"
    if len(songs) == 1:
        raise InputError(f"{was}, which sounds different from {songs[0]}", hint="Give that song, or a folder it is in.")
    raise InputError(f"{was}, which is not among the {len(songs)} songs given", hint="Give that song.")


def _hashes(song: Path) -> Iterator[str]:
    """Yield the hash of a song's audio, then that of its file, which covers up to version 0.1.0 recorded."""
    try:
        yield audio_sha256(song)
        yield sha256_file(song)
    except OSError as error:
        raise InputError(f"{song} cannot be read: {error.strerror or error}", hint="Check the name.") from error


def _songs(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, _, names in os.walk(path):
        yield from (Path(folder, name) for name in sorted(names) if Path(name).suffix.lower() in AUDIO_SUFFIXES)


def check_models(made: CoverSettings, config: GenerateConfig, given: Collection[str]) -> None:
    """Check, before anything is loaded, that the models are those that made the cover.

    Args:
        made: how the cover was made.
        config: the settings of this run.
        given: fields of ``config`` that the user set; models among them may differ.

    Raises:
        ModelError: a model is missing, or differs.
        InputError: the picture that the user brought is missing, or differs.
    """
    picture = made.settings.get("picture")
    try:
        models = find_models(config)
    except InputError as error:
        hint = f"{made.cover} was made from the picture {picture}; give it with --picture." if picture else error.hint
        raise InputError(error.message, hint=hint) from error
    except ModelError as error:
        hint = "The cover records only the names of models; give the folder with --adapter or --base."
        raise ModelError(error.message, hint=f"{error.hint or ''} {hint}".strip()) from error
    if models.own_picture is not None:
        if picture and made.base != models.base_fingerprint:
            message = f"{made.cover} was made from another picture than {config.picture}"
            raise InputError(message, hint="Give the same one with --picture, or leave out --from.")
        return
    for kind, was, now in (
        ("adapter", made.adapter, models.adapter_fingerprint),
        ("base", made.base, models.base_fingerprint),
        ("refiner", made.refiner, models.refiner and models.refiner["fingerprint"]),
    ):
        if was and now and was != now and kind not in given:
            raise ModelError(
                f"{made.cover} was drawn with another {kind} {made.settings[kind]} "
                f"(fingerprint {was[:12]}, here {now[:12]})",
                hint=f"Give the one it was drawn with, or another on purpose, with --{kind}.",
            )
