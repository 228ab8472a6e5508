"""What raters sent is checked, counted as the paper counts, and held against the controls."""

import json
from html import escape

import numpy as np
import pytest

from covergen_cli.errors import InputError
from covergen_cli.evaluation.answers import report_answers
from covergen_cli.events import SurveyFinished, Warned

HOSTILE = "<img src=x onerror=alert(1)>"
ITEMS = {
    f"{number:02d}": {
        "song": f"s{number}",
        "cover_of": f"s{number if number <= 15 else 16 + (number - 15) % 5}",
        "control": number > 15,
        "title": HOSTILE if number == 1 else f"Title {number}",
        "artist": "",
        "group": "rock" if number % 3 else "jazz",
    }
    for number in range(1, 21)
}
KEY = {"schema": 1, "run": "run", "adapter": "a", "seed": 0, "items": ITEMS, "survey": "0123456789abcdef"}


def send(folder, rater, ratings, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    answer = {"schema": 1, "survey": KEY["survey"], "rater": rater, "finished": "2026-01-02T00:00:00Z"}
    path = folder / f"answers-{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps(answer | {"ratings": ratings} | changes))
    return path


def rated(rng, own, controls):
    """Ratings of one rater: own covers and controls around their means."""
    return {
        item: int(np.clip(round(rng.normal(controls if facts["control"] else own, 0.8)), 1, 5))
        for item, facts in ITEMS.items()
    }


@pytest.fixture
def survey(tmp_path):
    (tmp_path / "key.json").write_text(json.dumps(KEY))
    return tmp_path


def report(survey, **how):
    events = list(report_answers(survey / "answers", None, survey / "report", seed=0, **how))
    assert isinstance(events[-1], SurveyFinished)
    return json.loads((survey / "report" / "survey.json").read_text()), events


def test_covers_that_fit_better_than_controls(survey):
    rng = np.random.default_rng(0)
    everything = [rated(rng, 3.8, 2.2) for _ in range(10)]
    for number, ratings in enumerate(everything):
        send(survey / "answers", f"rater{number}", ratings)
    facts, events = report(survey)
    own = [rating for ratings in everything for item, rating in ratings.items() if not ITEMS[item]["control"]]
    assert facts["raters"] == 10
    assert facts["ratings"] == 200
    assert facts["agreement"]["at_least_4"]["own"]["value"] == pytest.approx(np.mean([r >= 4 for r in own]))
    assert facts["agreement"]["at_least_3"]["own"]["value"] == pytest.approx(np.mean([r >= 3 for r in own]))
    assert facts["mean"]["own"]["value"] == pytest.approx(np.mean(own))
    assert facts["preferred"]
    assert facts["difference"]["low"] > 0.5
    assert len(facts["songs"]) == 20
    assert facts["groups"].keys() == {"rock", "jazz"}
    assert facts["groups"]["jazz"]["songs"] == 5
    assert "raters prefer a song's own cover" in events[-1].summary
    page = (survey / "report" / "survey.html").read_text(encoding="utf-8")
    assert escape(HOSTILE, quote=True) in page
    assert HOSTILE not in page


def test_covers_that_people_like_with_any_song_are_no_evidence(survey):
    rng = np.random.default_rng(1)
    for number in range(10):
        send(survey / "answers", f"rater{number}", rated(rng, 4.2, 4.2))
    facts, events = report(survey)
    assert facts["agreement"]["at_least_4"]["own"]["value"] > 0.6
    assert not facts["preferred"]
    assert "no evidence that raters prefer" in events[-1].summary


def test_one_rater_alone_is_no_evidence(survey):
    send(survey / "answers", "a", {item: 2 if facts["control"] else 5 for item, facts in ITEMS.items()})
    facts, _ = report(survey)
    assert facts["difference"]["value"] == 3
    assert not facts["preferred"]
    assert facts["alpha"] == {"ordinal": None, "interval": None}


def test_files_that_are_no_answers_are_named_and_left_out(survey):
    folder = survey / "answers"
    send(folder, "good", {"01": 5, "16": 1})
    for rater, ratings, changes in (
        ("other", {"01": 5}, {"survey": "ffff"}),
        ("six", {"01": 6}, {}),
        ("truth", {"01": True}, {}),
        ("word", {"01": "5"}, {}),
        ("unknown", {"99": 3}, {}),
        ("", {"01": 3}, {}),
        ("old", {"01": 3}, {"schema": 0}),
    ):
        send(folder, rater, ratings, **changes)
    (folder / "broken.json").write_text("{")
    (folder / "huge.json").write_text(" " * (1 << 20) + "{}")
    (folder / "list.json").write_text("[]")
    facts, events = report(survey)
    assert facts["raters"] == 1
    assert len([event for event in events if isinstance(event, Warned)]) == 10


def test_of_two_files_of_one_rater_the_later_counts(survey):
    send(survey / "answers", "a", {"01": 1}, finished="2026-01-03T00:00:00Z")
    send(survey / "answers", "a", {"01": 5}, finished="2026-01-01T00:00:00Z")
    send(survey / "answers", "b", {"01": 3, "16": 3})
    facts, events = report(survey)
    assert facts["raters"] == 2
    assert facts["songs"][0]["mean"] == 2
    assert "same rater" in events[0].message


def test_what_is_missing_is_named(survey, tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        report(survey)
    (survey / "answers").mkdir()
    with pytest.raises(InputError, match="contains no answers"):
        report(survey)
    (survey / "key.json").write_text('{"schema": 1, "survey": "x", "items": {"../../x": {"control": true}}}')
    with pytest.raises(InputError, match="is not the key"):
        report(survey)
    (survey / "key.json").unlink()
    with pytest.raises(InputError, match=r"there is no key.json"):
        report(survey)
