"""Analyses the answers of a survey (§4.1): agreement as in the paper, compared with controls, with intervals."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from covergen_cli.dataset.layout import ID_PATTERN
from covergen_cli.errors import InputError
from covergen_cli.evaluation.metrics import LEVEL, format_p
from covergen_cli.evaluation.page import render
from covergen_cli.evaluation.raters import Level, control_p, crossed_bootstrap, krippendorff_alpha
from covergen_cli.evaluation.survey import KEY
from covergen_cli.events import SurveyFinished, Warned
from covergen_cli.files import SCHEMA, read_json, write_json, write_text

if TYPE_CHECKING:
    import numpy.typing as npt

    from covergen_cli.events import Event

    Ratings = npt.NDArray[np.float64]

_MAX_BYTES = 1 << 20
_MIN_RATERS = 2
_LEVELS: tuple[Level, ...] = ("ordinal", "interval")


def report_answers(folder: Path, key_file: Path | None, out: Path, *, seed: int) -> Generator[Event, None, None]:
    """Read the answers in a folder and write ``survey.html`` and ``survey.json``.

    Args:
        folder: contains the answer files of the raters, ``*.json``.
        key_file: key of the survey; by default ``key.json`` in ``folder`` or the folder above it.
        out: folder of the report.
        seed: seed of the resampling.

    Yields:
        ``Warned`` for every file that cannot be used, then ``SurveyFinished``.

    Raises:
        InputError: there is no key or no usable answer.
        OutputError: the report cannot be written.
    """
    path = key_file or next((p for p in (folder / KEY, folder.parent / KEY) if p.is_file()), None)
    if path is None:
        raise InputError(
            f"there is no {KEY} in {folder} or the folder above it",
            hint="Give the key that covergen eval --survey wrote with --survey-key.",
        )
    key = read_key(path)
    answers = yield from read_answers(folder, key, path)
    if not answers:
        raise InputError(
            f"{folder} contains no answers to the survey {key['survey']}", hint="Put the raters' files there."
        )
    figures = summarise(key, answers, seed=seed)
    write_json(out / "survey.json", figures)
    write_text(out / "survey.html", _page(figures, path.parent / "public" / "images"))
    yield SurveyFinished(out / "survey.html", out / "survey.json", figures["summary"])


def _page(figures: Mapping[str, Any], images: Path) -> str:
    """Return the report; pictures that are not in ``images`` are left out."""
    songs = sorted(figures["songs"], key=lambda song: (song["control"], -(song["mean"] or 0)))
    paths = [images / f"{song['item']}.jpg" for song in songs]
    pictures = [(song, path if path.is_file() else None) for song, path in zip(songs, paths, strict=True)]
    return render("answers.html", **figures, pictures=pictures)


def read_key(path: Path) -> dict[str, Any]:
    """Return the key of a survey.

    Raises:
        InputError: the file cannot be read or is not a key.
    """
    try:
        key = read_json(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not (isinstance(key, dict) and key.get("schema") == SCHEMA and _valid_items(key.get("items"))):
        raise InputError(f"{path} is not the key of a survey", hint="covergen eval --survey writes one.")
    return key


def _valid_items(items: object) -> bool:
    return isinstance(items, dict) and all(
        ID_PATTERN.fullmatch(name) and isinstance(item, dict) and isinstance(item.get("control"), bool)
        for name, item in items.items()
    )


def read_answers(
    folder: Path, key: Mapping[str, Any], key_path: Path
) -> Generator[Event, None, dict[str, dict[str, int]]]:
    """Read the answer files of a survey.

    Args:
        folder: contains the files, ``*.json``.
        key: key of the survey.
        key_path: path of the key, which may be in the same folder.

    Yields:
        ``Warned`` for every file that cannot be used.

    Returns:
        rater → item → rating, 1 to 5. If a rater sent two files, the one that was finished last counts.

    Raises:
        InputError: there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", hint="Name the folder with the raters' files.")
    found: dict[str, tuple[str, dict[str, int]]] = {}
    for path in sorted(folder.glob("*.json")):
        if path.resolve() == key_path.resolve():
            continue
        try:
            rater, finished, ratings = _read_answer(path, key)
        except (OSError, ValueError) as error:
            yield Warned(f"is not an answer to this survey: {error}", path)
            continue
        if rater in found:
            yield Warned("is a second file of the same rater; the later one counts", path)
        if rater not in found or finished >= found[rater][0]:
            found[rater] = finished, ratings
    return {rater: ratings for rater, (_, ratings) in found.items() if ratings}


def _read_answer(path: Path, key: Mapping[str, Any]) -> tuple[str, str, dict[str, int]]:
    """Return rater, time and ratings of an answer file, which comes from outside and is checked.

    Raises:
        OSError: the file cannot be read.
        ValueError: its content is not what the page writes.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise ValueError("it is too large")
    answer = read_json(path)
    if not isinstance(answer, dict) or answer.get("schema") != SCHEMA:
        raise ValueError("it has another format")
    if answer.get("survey") != key["survey"]:
        raise ValueError(f"it belongs to the survey {str(answer.get('survey'))[:40]!r}")
    rater, ratings = answer.get("rater"), answer.get("ratings")
    if not isinstance(rater, str) or not 1 <= len(rater) <= 64 or not isinstance(ratings, dict):
        raise ValueError("it has no rater or no ratings")
    for item, rating in ratings.items():
        if item not in key["items"] or isinstance(rating, bool) or rating not in (1, 2, 3, 4, 5):
            raise ValueError(f"the rating of {item[:40]!r} is invalid")
    return rater, str(answer.get("finished", "")), {item: int(rating) for item, rating in ratings.items()}


def summarise(key: Mapping[str, Any], answers: Mapping[str, Mapping[str, int]], *, seed: int) -> dict[str, Any]:
    """Return the figures of a survey, JSON-able, given its key and rater → item → rating.

    Returns:
        ``agreement`` (share of ratings of at least 4, and of at least 3) and ``mean``, each for ``own`` covers and
        ``controls``; their ``difference``, its ``p_value``, and whether own covers are ``preferred``; ``alpha``,
        ordinal and interval; ``songs`` and ``groups``; and a ``summary`` in words.
    """
    items = key["items"]
    ratings = np.array([[answers[rater].get(item, np.nan) for item in items] for rater in answers], dtype=np.float64)
    control = np.array([item["control"] for item in items.values()])
    parts = {"own": ratings[:, ~control], "controls": ratings[:, control]}
    difference = crossed_bootstrap(parts["own"], parts["controls"], seed=seed)
    p_value = None if difference is None else control_p(ratings, control, seed=seed)
    clear = difference is not None and p_value is not None and difference.low > 0 and p_value <= 1 - LEVEL
    figures: dict[str, Any] = {
        "schema": SCHEMA,
        "survey": key["survey"],
        "run": key.get("run"),
        "raters": len(answers),
        "ratings": int((~np.isnan(ratings)).sum()),
        "agreement": {
            f"at_least_{bound}": {name: _estimate(_reached(part, bound), seed) for name, part in parts.items()}
            for bound in (4, 3)
        },
        "mean": {name: _estimate(part, seed) for name, part in parts.items()},
        "difference": None if difference is None else asdict(difference),
        "alpha": {level: krippendorff_alpha(ratings, level=level) for level in _LEVELS},
        "songs": _songs(items, ratings),
        "groups": _groups(items, ratings, seed),
        "p_value": p_value,
        "preferred": clear and len(answers) >= _MIN_RATERS,
    }
    return figures | {"summary": _summary(figures)}


def _reached(ratings: Ratings, bound: int) -> Ratings:
    return np.where(np.isnan(ratings), np.nan, ratings >= bound)


def _estimate(ratings: Ratings, seed: int) -> dict[str, float] | None:
    found = crossed_bootstrap(ratings, seed=seed) if ratings.size else None
    return None if found is None else asdict(found)


def _songs(items: Mapping[str, Any], ratings: Ratings) -> list[dict[str, Any]]:
    songs = []
    for column, (name, item) in enumerate(items.items()):
        given = ratings[:, column][~np.isnan(ratings[:, column])]
        songs.append({"item": name, **item, "ratings": len(given), "mean": float(given.mean()) if len(given) else None})
    return songs


def _groups(items: Mapping[str, Any], ratings: Ratings, seed: int) -> dict[str, Any]:
    """Return the mean rating of own covers for every value of the column that the survey was made with."""
    members: dict[str, list[int]] = {}
    for column, item in enumerate(items.values()):
        if item.get("group") and not item["control"]:
            members.setdefault(item["group"], []).append(column)
    return {
        value: {"songs": len(columns), "mean": _estimate(ratings[:, columns], seed)}
        for value, columns in sorted(members.items())
    }


def _summary(figures: Mapping[str, Any]) -> str:
    own, other = (figures["agreement"]["at_least_4"][name] for name in ("own", "controls"))
    if own is None:
        return "no own cover of a song was rated"
    interval = f"{_percent(own['low'])} to {_percent(own['high'])}"
    share = f"{_percent(own['value'])} of the ratings are 4 or 5 ({interval})"
    difference = figures["difference"]
    if other is None or difference is None:
        return f"{share}; no control was rated"
    preference = "raters prefer a song's own cover"
    preference = preference if figures["preferred"] else f"no evidence that {preference}"
    size = f"{difference['value']:+.2f}, {difference['low']:+.2f} to {difference['high']:+.2f}".replace("-", "−")
    return (
        f"{share}, of controls {_percent(other['value'])}; {preference} "
        f"(difference {size}, p {format_p(figures['p_value'])})"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
