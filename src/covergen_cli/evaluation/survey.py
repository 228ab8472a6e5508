"""The survey of §4.1 as a page that anyone can open: songs, covers, five buttons, and an answer file.

::

    OUT/public/index.html, audio/, images/   for raters; works from a disk and from any host
    OUT/key.json                             which song and cover stand behind each number; not for raters
    OUT/covers/ID.png                        the covers as drawn
    OUT/answers/                             where the files that raters send are put

Nothing in ``public`` tells a song's own cover from a control: files are numbered in an order of the seed, written anew,
and say nothing of where they come from.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from covergen_cli.audio.excerpt import load_excerpt
from covergen_cli.audio.io import save_mp3
from covergen_cli.diffusion.objective import derangement
from covergen_cli.errors import InputError, OutputError
from covergen_cli.evaluation.covers import draw_covers
from covergen_cli.evaluation.test_data import check_fit
from covergen_cli.events import Progress, SurveyFinished, Warned
from covergen_cli.files import SCHEMA, sha256_bytes, write_json, write_text
from covergen_cli.provenance import save_cover

if TYPE_CHECKING:
    from covergen_cli.config import EvalConfig
    from covergen_cli.dataset.pairs import Pair
    from covergen_cli.evaluation.test_data import Material, Subject
    from covergen_cli.events import Event

KEY = "key.json"
ANSWERS = "answers"
_PAGE = Path(__file__).with_name("survey.html")
_RATE_HZ = 44_100
_COVER_PIXELS = 512


def build_survey(
    subject: Subject, material: Material, out: Path, songs: int, config: EvalConfig
) -> Generator[Event, None, None]:
    """Write a survey of a run.

    Args:
        subject: draws the covers.
        material: the test pairs; their music has to be there.
        out: the folder; one that holds another survey is refused.
        songs: songs that are shown with their own cover. ``config.controls`` more are shown with another's.
        config: seed, controls, and the column whose values are reported apart.

    Yields:
        ``Progress`` of several tasks, ``Warned``, then ``SurveyFinished``.

    Raises:
        InputError: the music of too few test songs is there.
        ConfigError: the manifest has no such column.
        ModelError: embeddings and adapter do not belong together.
        OutputError: the folder cannot be written to, or holds another survey.
    """
    yield from check_fit(subject, material)
    groups = material.groups(config.by or ("genre" if _has_genre(material) else None))
    heard = [pair for pair in material.pairs if pair.id in material.audio]
    wanted = songs + config.controls
    order = np.random.default_rng([config.seed, 8]).permutation(len(heard))
    chosen = yield from _audible([heard[index] for index in order], material, wanted)
    _check_count(material, len(chosen), songs, config)
    covers = chosen[:songs] + [chosen[songs + other] for other in derangement(config.controls, config.seed)]
    numbers = np.random.default_rng([config.seed, 9]).permutation(wanted) + 1
    key = {f"{number:02d}": (song, cover) for number, song, cover in zip(numbers, chosen, covers, strict=True)}
    facts = _key(subject, material, dict(sorted(key.items())), groups, config)
    _claim(out / KEY, facts)
    drawn = yield from draw_covers(subject, chosen, out / "covers")
    picture_of = {pair.id: path for pair, path in zip(chosen, drawn, strict=True)}
    # In the order of their numbers: the files' times must not tell controls apart.
    for name, (song, cover) in sorted(key.items()):
        clip = load_excerpt(material.audio[song.id], _RATE_HZ)
        save_mp3(out / "public" / "audio" / f"{name}.mp3", clip.samples, clip.sample_rate_hz)
        with Image.open(picture_of[cover.id], formats=("PNG",)) as opened:
            picture = opened.convert("RGB").resize((_COVER_PIXELS,) * 2, Image.Resampling.LANCZOS)
        save_cover(out / "public" / "images" / f"{name}.jpg", picture, {}, "jpg")
        yield Progress("writing songs", int(name), wanted)
    _make(out / ANSWERS)
    says = f"{songs} songs with their own covers, {config.controls} with another's; publish only {out / 'public'}"
    yield SurveyFinished(_write_page(out, facts), None, says)


def check_songs(material: Material, songs: int, config: EvalConfig) -> None:
    """See that the music of enough test songs is there; needs no model.

    Raises:
        InputError: it is not.
    """
    _check_count(material, len(material.audio), songs, config)


def _check_count(material: Material, found: int, songs: int, config: EvalConfig) -> None:
    if found < songs + config.controls:
        raise InputError(
            f"{songs} songs and {config.controls} controls are needed, but {material.folder} has the music of only "
            f"{found} test songs",
            hint="Ask for fewer with --survey and --controls, or split more into the test part.",
        )


def _has_genre(material: Material) -> bool:
    return any("genre" in line for line in material.metadata.values())


def _audible(pairs: Sequence[Pair], material: Material, wanted: int) -> Generator[Event, None, list[Pair]]:
    """Take the first so many songs that can be heard; the others are passed over with a warning."""
    chosen: list[Pair] = []
    for pair in pairs:
        if len(chosen) == wanted:
            break
        try:
            load_excerpt(material.audio[pair.id], _RATE_HZ)
        except InputError as error:
            yield Warned(error.message, material.audio[pair.id])
            continue
        chosen.append(pair)
        yield Progress("listening to songs", len(chosen), wanted)
    return chosen


def _key(
    subject: Subject,
    material: Material,
    items: dict[str, tuple[Pair, Pair]],
    groups: dict[str, str],
    config: EvalConfig,
) -> dict[str, Any]:
    facts = {
        "schema": SCHEMA,
        "run": subject.name,
        "adapter": subject.models.adapter_fingerprint,
        "seed": config.seed,
        "items": {
            name: {
                "song": song.id,
                "cover_of": cover.id,
                "control": song.id != cover.id,
                "title": material.metadata.get(song.id, {}).get("title", ""),
                "artist": material.metadata.get(song.id, {}).get("artist", ""),
                "group": groups.get(song.id, ""),
            }
            for name, (song, cover) in items.items()
        },
    }
    return {**facts, "survey": sha256_bytes(json.dumps(facts, sort_keys=True).encode())[:16]}


def _claim(path: Path, facts: dict[str, Any]) -> None:
    """Write the key, unless the folder holds that of another survey, whose answers would become worthless."""
    if path.exists():
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise OutputError(f"{path} is there and cannot be read: {error}", hint="Choose another folder.") from error
        if kept != facts:
            raise OutputError(f"{path.parent} holds another survey", hint="Choose another folder with -o.")
    write_json(path, facts)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {folder}: {error.strerror or error}") from error


def _write_page(out: Path, facts: dict[str, Any]) -> Path:
    items = [{"id": name, "audio": f"audio/{name}.mp3", "image": f"images/{name}.jpg"} for name in facts["items"]]
    # "<" would let a text end the script element; nothing here holds one, and nothing ever shall.
    data = json.dumps({"id": facts["survey"], "items": items}).replace("<", "\\u003c")
    page = out / "public" / "index.html"
    write_text(page, _PAGE.read_text(encoding="utf-8").replace("@SURVEY@", data))
    return page
