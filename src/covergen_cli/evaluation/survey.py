"""Creates the survey of §4.1 as a web page with songs, covers, ratings from 1 to 5, and an answer file to download.

::

    OUT/public/index.html, audio/, images/   for raters; works from a disk and from any web host
    OUT/key.json                             song and cover behind each number; not for raters
    OUT/covers/ID.png                        the covers as drawn
    OUT/answers/                             for the answer files of the raters

Nothing in ``public`` distinguishes a song's own cover from a control: the files are numbered in random order, encoded
again, and contain no metadata about their origin.
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
from covergen_cli.evaluation.page import render
from covergen_cli.evaluation.test_data import check_compatible
from covergen_cli.events import Progress, SurveyFinished, Warned
from covergen_cli.files import SCHEMA, read_json, sha256_bytes, write_json, write_text
from covergen_cli.provenance import save_cover

if TYPE_CHECKING:
    from covergen_cli.config import EvalConfig
    from covergen_cli.dataset.pairs import Pair
    from covergen_cli.evaluation.test_data import LoadedRun, TestData
    from covergen_cli.events import Event

    Items = dict[str, tuple[Pair, Pair]]

KEY = "key.json"
ANSWERS = "answers"
_RATE_HZ = 44_100
_COVER_PIXELS = 512


def build_survey(
    run: LoadedRun, test_data: TestData, out: Path, songs: int, config: EvalConfig
) -> Generator[Event, None, None]:
    """Create a survey about the covers of a run.

    Args:
        run: draws the covers.
        test_data: the test pairs.
        out: folder of the survey.
        songs: number of songs with their own covers; ``config.controls`` more get the cover of another song.
        config: seed, number of controls, and the manifest column of the groups.

    Yields:
        ``Progress`` of several tasks, ``Warned``, then ``SurveyFinished``.

    Raises:
        InputError: too few test songs have a usable music file.
        ConfigError: the manifest has no column ``config.by``.
        ModelError: the adapter was trained with another audio encoder.
        OutputError: the folder cannot be written to, or contains another survey.
    """
    yield from check_compatible(run, test_data)
    has_genre = any("genre" in row for row in test_data.metadata.values())
    groups = test_data.groups(config.by or ("genre" if has_genre else None))
    total = songs + config.controls
    chosen = yield from _usable_songs(test_data, total, config.seed)
    check_songs(test_data, songs, config, found=len(chosen))
    items = _items(chosen, songs, config)
    key = _key(run, test_data, items, groups, config)
    _write_key(out / KEY, key)
    drawn = yield from draw_covers(run, chosen, out / "covers")
    pictures = {pair.id: path for pair, path in zip(chosen, drawn, strict=True)}
    # In the order of the numbers, so that the times of the files do not reveal the controls.
    for number, (name, (song, cover)) in enumerate(items.items(), start=1):
        _write_item(out / "public", name, test_data.audio[song.id], pictures[cover.id])
        yield Progress("writing songs", number, total)
    try:
        (out / ANSWERS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot create {out / ANSWERS}: {error.strerror or error}") from error
    page = out / "public" / "index.html"
    files = [{"id": name, "audio": f"audio/{name}.mp3", "image": f"images/{name}.jpg"} for name in items]
    write_text(page, render("survey.html", survey={"id": key["survey"], "items": files}))
    summary = f"{songs} songs with their own covers, {config.controls} with another's; publish only {out / 'public'}"
    yield SurveyFinished(page, None, summary)


def check_songs(test_data: TestData, songs: int, config: EvalConfig, *, found: int | None = None) -> None:
    """Check that enough test songs have a music file; needs no model.

    ``found`` is the number of songs that can be used, by default of those with a music file.

    Raises:
        InputError: there are too few.
    """
    found = len(test_data.audio) if found is None else found
    if found < songs + config.controls:
        raise InputError(
            f"{songs} songs and {config.controls} controls are needed, but {test_data.folder} has music files for only "
            f"{found} test songs",
            hint="Use smaller --survey and --controls, or a larger test split.",
        )


def _usable_songs(test_data: TestData, count: int, seed: int) -> Generator[Event, None, list[Pair]]:
    """Return ``count`` random songs whose music files can be decoded, or fewer; warn about the others."""
    available = [pair for pair in test_data.pairs if pair.id in test_data.audio]
    chosen: list[Pair] = []
    for pair in (available[index] for index in np.random.default_rng([seed, 8]).permutation(len(available))):
        if len(chosen) == count:
            break
        try:
            load_excerpt(test_data.audio[pair.id], _RATE_HZ)
        except InputError as error:
            yield Warned(error.message, test_data.audio[pair.id])
            continue
        chosen.append(pair)
        yield Progress("reading songs", len(chosen), count)
    return chosen


def _items(chosen: Sequence[Pair], songs: int, config: EvalConfig) -> Items:
    """Return random number → song and cover: the first ``songs`` keep their covers, the others exchange them."""
    covers = [*chosen[:songs], *(chosen[songs + other] for other in derangement(config.controls, config.seed))]
    numbers = np.random.default_rng([config.seed, 9]).permutation(len(chosen)) + 1
    items = {f"{number:02d}": (song, cover) for number, song, cover in zip(numbers, chosen, covers, strict=True)}
    return dict(sorted(items.items()))


def _key(
    run: LoadedRun, test_data: TestData, items: Items, groups: dict[str, str], config: EvalConfig
) -> dict[str, Any]:
    key = {
        "schema": SCHEMA,
        "run": run.name,
        "adapter": run.models.adapter_fingerprint,
        "seed": config.seed,
        "items": {
            name: {
                "song": song.id,
                "cover_of": cover.id,
                "control": song.id != cover.id,
                "title": test_data.metadata.get(song.id, {}).get("title", ""),
                "artist": test_data.metadata.get(song.id, {}).get("artist", ""),
                "group": groups.get(song.id, ""),
            }
            for name, (song, cover) in items.items()
        },
    }
    return {**key, "survey": sha256_bytes(json.dumps(key, sort_keys=True).encode())[:16]}


def _write_key(path: Path, key: dict[str, Any]) -> None:
    """Write the key, unless the folder contains that of another survey, whose answers would become useless."""
    if path.exists():
        try:
            existing = read_json(path)
        except (OSError, ValueError) as error:
            raise OutputError(f"{path} exists and cannot be read: {error}", hint="Choose another folder.") from error
        if existing != key:
            raise OutputError(f"{path.parent} contains another survey", hint="Choose another folder with -o.")
    write_json(path, key)


def _write_item(public: Path, name: str, song: Path, cover: Path) -> None:
    clip = load_excerpt(song, _RATE_HZ)
    save_mp3(public / "audio" / f"{name}.mp3", clip.samples, clip.sample_rate_hz)
    with Image.open(cover, formats=("PNG",)) as opened:
        picture = opened.convert("RGB").resize((_COVER_PIXELS,) * 2, Image.Resampling.LANCZOS)
    save_cover(public / "images" / f"{name}.jpg", picture, {}, "jpg")
