"""What raters said (§4.1): agreement as the paper counts it, beside controls, with intervals that count few raters."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from covergen_cli.dataset.layout import ID_PATTERN
from covergen_cli.errors import InputError
from covergen_cli.evaluation.answers_page import answers_page
from covergen_cli.evaluation.metrics import LEVEL
from covergen_cli.evaluation.raters import control_p, crossed_bootstrap, krippendorff_alpha
from covergen_cli.evaluation.survey import KEY
from covergen_cli.events import SurveyFinished, Warned
from covergen_cli.files import SCHEMA, read_json, write_json, write_text

if TYPE_CHECKING:
    import numpy.typing as npt

    from covergen_cli.events import Event

    Ratings = npt.NDArray[np.float64]

_MOST_BYTES = 1 << 20
_LEAST_RATERS = 2


def report_answers(folder: Path, key_file: Path | None, out: Path, *, seed: int) -> Generator[Event, None, None]:
    """Read the answers in a folder and write ``survey.html`` and ``survey.json``.

    Args:
        folder: holds the files that raters sent, ``*.json``.
        key_file: the survey's key; without it, ``key.json`` in the folder or the one above.
        out: where the report goes.
        seed: of the resampling.

    Yields:
        ``Warned`` for every file that cannot be used, then ``SurveyFinished``.

    Raises:
        InputError: there is no key or no usable answer.
        OutputError: the report cannot be written.
    """
    path = key_file or next((p for p in (folder / KEY, folder.parent / KEY) if p.is_file()), None)
    if path is None:
        raise InputError(
            f"there is no {KEY} in {folder} or above it",
            hint="Name the key that covergen eval --survey wrote with --survey-key.",
        )
    key = read_key(path)
    answers = yield from read_answers(folder, key, path)
    if not answers:
        raise InputError(
            f"{folder} holds no answers to the survey {key['survey']}", hint="Put the raters' files there."
        )
    facts = summarise(key, answers, seed=seed)
    write_json(out / "survey.json", facts)
    write_text(out / "survey.html", answers_page(facts, path.parent / "public" / "images"))
    yield SurveyFinished(out / "survey.html", out / "survey.json", facts["summary"])


def read_key(path: Path) -> dict[str, Any]:
    """Read a survey's key.

    Raises:
        InputError: it cannot be read or is no key.
    """
    try:
        key = read_json(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not (isinstance(key, dict) and key.get("schema") == SCHEMA and _sound(key.get("items"))):
        raise InputError(f"{path} is no key of a survey", hint="covergen eval --survey writes one.")
    return key


def _sound(items: object) -> bool:
    """Tell whether the items of a key have the form in which they are written."""
    return isinstance(items, dict) and all(
        ID_PATTERN.fullmatch(name) and isinstance(item, dict) and isinstance(item.get("control"), bool)
        for name, item in items.items()
    )


def read_answers(
    folder: Path, key: Mapping[str, Any], key_path: Path
) -> Generator[Event, None, dict[str, dict[str, int]]]:
    """Read every answer file of a survey.

    Args:
        folder: its ``*.json``.
        key: the survey's key.
        key_path: where that lies, so that it is not taken for an answer.

    Yields:
        ``Warned`` for what cannot be used.

    Returns:
        rater → item → rating, 1 to 5. Of a rater who sent two files, the one that was finished last counts.

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
            rater, finished, ratings = _read(path, key)
        except (OSError, ValueError) as error:
            yield Warned(f"is no answer to this survey: {error}", path)
            continue
        if rater in found:
            yield Warned("is a second file of the same rater; the later one counts", path)
        if rater not in found or finished >= found[rater][0]:
            found[rater] = finished, ratings
    return {rater: ratings for rater, (_, ratings) in found.items() if ratings}


def _read(path: Path, key: Mapping[str, Any]) -> tuple[str, str, dict[str, int]]:
    """Check one file that a stranger sent.

    Raises:
        OSError: it cannot be read.
        ValueError: something in it is not as the page writes it.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError("it is too large")
    answer = read_json(path)
    if not isinstance(answer, dict) or answer.get("schema") != SCHEMA:
        raise ValueError("it has not the form that the page writes")
    if answer.get("survey") != key["survey"]:
        raise ValueError(f"it belongs to the survey {str(answer.get('survey'))[:40]!r}")
    rater, ratings = answer.get("rater"), answer.get("ratings")
    if not isinstance(rater, str) or not 1 <= len(rater) <= 64 or not isinstance(ratings, dict):
        raise ValueError("it has no rater or no ratings")
    for item, rating in ratings.items():
        if item not in key["items"] or isinstance(rating, bool) or rating not in (1, 2, 3, 4, 5):
            raise ValueError(f"the rating of {item[:40]!r} makes no sense")
    return rater, str(answer.get("finished", "")), {item: int(rating) for item, rating in ratings.items()}


def summarise(key: Mapping[str, Any], answers: Mapping[str, Mapping[str, int]], *, seed: int) -> dict[str, Any]:
    """Work out what a survey found, JSON-able.

    Args:
        key: its key.
        answers: rater → item → rating.
        seed: of the resampling.

    Returns:
        ``agreement`` (share of ratings of at least 4, and of at least 3) and ``mean``, each for ``own`` covers and
        ``controls``; their ``difference``, its ``p_value``, and whether own covers are ``preferred``; ``alpha``,
        ordinal and interval; ``songs`` and ``groups``; and a ``summary``.
    """
    items = key["items"]
    table_ = np.array([[answers[rater].get(item, np.nan) for item in items] for rater in answers], dtype=np.float64)
    control = np.array([item["control"] for item in items.values()])
    own, other = table_[:, ~control], table_[:, control]
    parts = {"own": own, "controls": other}
    agreement = {
        f"at_least_{bound}": {name: _estimate(_reached(part, bound), seed) for name, part in parts.items()}
        for bound in (4, 3)
    }
    difference = crossed_bootstrap(own, other, seed=seed)
    facts: dict[str, Any] = {
        "schema": SCHEMA,
        "survey": key["survey"],
        "run": key.get("run"),
        "raters": len(answers),
        "ratings": int((~np.isnan(table_)).sum()),
        "agreement": agreement,
        "mean": {name: _estimate(part, seed) for name, part in parts.items()},
        "difference": None if difference is None else asdict(difference),
        "alpha": {
            "ordinal": krippendorff_alpha(table_, level="ordinal"),
            "interval": krippendorff_alpha(table_, level="interval"),
        },
        "songs": _songs(items, table_),
        "groups": _groups(items, table_, seed),
    }
    p_value = None if difference is None else control_p(table_, control, seed=seed)
    clear = difference is not None and p_value is not None and difference.low > 0 and p_value <= 1 - LEVEL
    facts |= {"p_value": p_value, "preferred": clear and len(answers) >= _LEAST_RATERS}
    return facts | {"summary": _summary(facts)}


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
    """Means of the own covers for every value of the column that the survey was made with."""
    members: dict[str, list[int]] = {}
    for column, item in enumerate(items.values()):
        if item.get("group") and not item["control"]:
            members.setdefault(item["group"], []).append(column)
    return {
        value: {"songs": len(columns), "mean": _estimate(ratings[:, columns], seed)}
        for value, columns in sorted(members.items())
    }


def _summary(facts: Mapping[str, Any]) -> str:
    own, other = (facts["agreement"]["at_least_4"][name] for name in ("own", "controls"))
    if own is None:
        return "no cover of a song's own was rated"
    interval = f"{_percent(own['low'])} to {_percent(own['high'])}"
    says = f"{_percent(own['value'])} of the ratings are 4 or 5 ({interval})"
    difference = facts["difference"]
    if other is None or difference is None:
        return f"{says}; no control was rated"
    hears = "raters prefer a song's own cover"
    hears = hears if facts["preferred"] else f"no evidence that {hears}"
    size = f"{difference['value']:+.2f}, {difference['low']:+.2f} to {difference['high']:+.2f}".replace("-", "−")
    return f"{says}, of controls {_percent(other['value'])}; {hears} (difference {size}, p = {facts['p_value']:.2g})"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
