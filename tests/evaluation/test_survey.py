"""The survey: blinded, complete, and usable with a keyboard, on a phone and through a screen reader."""

import json
import re
import time
from dataclasses import replace

import pytest
from PIL import Image

from chromium import Browser, find_chromium
from covergen_cli.audio.io import probe
from covergen_cli.config import EvalConfig
from covergen_cli.errors import InputError, OutputError
from covergen_cli.evaluation.survey import build_survey
from covergen_cli.events import SurveyFinished

SONGS, CONTROLS = 4, 3
CONFIG = EvalConfig(controls=CONTROLS)
ORDER = "[...document.querySelectorAll('fieldset')].map(f => f.id).join()"


@pytest.fixture(scope="module")
def survey(runs, test_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("survey") / "out"
    events = list(build_survey(runs[0], test_data, out, SONGS, CONFIG))
    return out, events


@pytest.fixture(scope="module")
def key(survey):
    return json.loads((survey[0] / "key.json").read_text(encoding="utf-8"))


def test_songs_have_their_covers_and_controls_those_of_others(survey, key, test_data):
    out, events = survey
    assert isinstance(events[-1], SurveyFinished)
    assert events[-1].page == out / "public" / "index.html"
    items = key["items"]
    assert list(items) == [f"{number:02d}" for number in range(1, SONGS + CONTROLS + 1)]
    controls = [item for item in items.values() if item["control"]]
    assert len(controls) == CONTROLS
    assert all((item["song"] != item["cover_of"]) is item["control"] for item in items.values())
    for which in ("song", "cover_of"):
        assert len({item[which] for item in items.values()}) == len(items)  # nothing is shown twice
    assert {item["song"] for item in controls} == {item["cover_of"] for item in controls}
    assert {item["group"] for item in items.values()} <= {"loud", "calm & slow"}
    assert (out / "answers").is_dir()


def test_the_page_and_its_files_do_not_tell_which_are_controls(survey, key, test_data):
    public = survey[0] / "public"
    files = sorted(path.relative_to(public).as_posix() for path in public.rglob("*") if path.is_file())
    numbers = list(key["items"])
    assert files == [
        *(f"audio/{n}.mp3" for n in numbers),
        *(f"images/{n}.jpg" for n in numbers),
        "index.html",
    ]
    page = (public / "index.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="survey">(.*?)</script>', page)[1])
    assert data == {
        "id": key["survey"],
        "items": [{"id": n, "audio": f"audio/{n}.mp3", "image": f"images/{n}.jpg"} for n in numbers],
    }
    secrets = [*(item["song"] for item in key["items"].values()), "alert(1)", "Artist", "control"]
    for path in public.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        if path.suffix == ".html":
            assert not [secret for secret in secrets if f'"{secret}' in content.decode()]
        if path.suffix == ".jpg":
            with Image.open(path) as picture:
                assert picture.size == (512, 512)
                assert json.loads(picture.info["comment"]) == {"generator": "covergen"}
                assert not picture.getexif()
        if path.suffix == ".mp3":
            assert 5 < probe(path).duration_seconds < 7
            assert b"Artist" not in content
    times = [(public / "images" / f"{n}.jpg").stat().st_mtime_ns for n in numbers]
    assert times == sorted(times)  # written in the order of their numbers, which the seed shuffled


def test_the_page_is_made_for_everyone(survey):
    page = (survey[0] / "public" / "index.html").read_text(encoding="utf-8")
    for needed in (
        '<html lang="en">',
        'name="viewport"',
        '"fieldset"',
        '"legend"',
        'type: "radio"',
        'aria-live="polite"',
        ":focus-visible",
        "prefers-color-scheme: dark",
        "<noscript>",
        "localStorage",
    ):
        assert needed in page, needed
    assert not re.search(r"https?://|//cdn|@import|url\(", page)
    assert "{{" not in page


def test_the_same_line_again_is_the_same_survey_and_another_is_refused(survey, runs, test_data):
    out, _ = survey
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    list(build_survey(runs[0], test_data, out, SONGS, CONFIG))
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    with pytest.raises(OutputError, match="contains another survey"):
        list(build_survey(runs[0], test_data, out, SONGS, replace(CONFIG, seed=1)))


def test_too_few_songs_are_told_before_anything_is_written(runs, test_data, tmp_path):
    with pytest.raises(InputError, match="music files for only 12 test songs"):
        list(build_survey(runs[0], test_data, tmp_path / "out", 10, CONFIG))
    assert not (tmp_path / "out").exists()


@pytest.fixture
def browser(tmp_path):
    if find_chromium() is None:
        pytest.skip("Chromium is not installed")
    (tmp_path / "downloads").mkdir()
    browser = Browser(tmp_path / "profile", tmp_path / "downloads")
    yield browser
    browser.close()


def test_the_page_fits_a_phone_and_speaks_to_a_screen_reader(survey, key, browser):
    count = len(key["items"])
    browser("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
    browser.open((survey[0] / "public" / "index.html").as_uri())
    assert browser.run("document.querySelectorAll('fieldset').length") == count
    assert browser.run("document.documentElement.scrollWidth <= innerWidth"), "a phone must not scroll sideways"
    smallest = "Math.min(...[...document.querySelectorAll('.scale label')].map(l => l.getBoundingClientRect().height))"
    assert browser.run(smallest) >= 40

    # A screen reader hears groups with names, radios with names and states, and players with names.
    nodes = browser("Accessibility.getFullAXTree")["nodes"]
    spoken = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    assert ("group", f"Song 1 of {count}") in spoken
    radios = [name for role, name in spoken if role == "radio"]
    assert len(radios) == 5 * count
    assert [" ".join(name.split()) for name in radios[:5]] == [
        "1 – does not fit at all",
        "2",
        "3",
        "4",
        "5 – fits very well",
    ]
    assert ("image", "Picture 1") in spoken

    # The music and the pictures load from a disk.
    browser.run("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
    browser.wait("[...document.querySelectorAll('img')].every(i => i.complete && i.naturalWidth === 512)")
    browser.run("document.querySelector('audio').load()")
    browser.run("document.querySelector('audio').preload = 'metadata'")
    browser.wait("document.querySelector('audio').duration > 5")


def test_a_rater_with_a_keyboard(survey, key, browser, tmp_path):
    count = len(key["items"])
    browser.open((survey[0] / "public" / "index.html").as_uri())

    # The first radio, then arrows; the choice is kept over a reload. A browser that was started a moment ago can lose
    # what it was told in its first second, so one reload of a few has to keep it.
    for seconds in (1, 2, 4, 8):
        browser.run("document.querySelector('input[type=radio]').focus()")
        browser.press(" ", 32, " ")
        for _ in range(3):
            browser.press("ArrowRight", 39)
        first = browser.run("document.querySelector('input[type=radio]').name")
        assert browser.run("document.querySelector('input:checked').value") == "4"
        assert browser.run("document.activeElement.matches(':focus-visible')")
        order = browser.run(ORDER)
        time.sleep(seconds)
        browser.run("window.old = true")
        browser("Page.reload")
        browser.wait("!window.old && document.readyState === 'complete'")
        if browser.run(ORDER) == order:
            break
    assert browser.run("document.querySelector('input:checked')?.value") == "4"
    assert browser.run(ORDER) == order
    assert browser.run("document.getElementById('progress').textContent") == f"1 of {count} answered"

    # All the others with a 2, then the file.
    browser.run(
        "document.querySelectorAll('fieldset').forEach(f => f.querySelector(':checked') || "
        "f.querySelector('[value=\"2\"]').click())"
    )
    assert browser.run("document.getElementById('progress').textContent") == f"{count} of {count} answered"
    browser.run("document.getElementById('save').click()")
    browser.wait("document.getElementById('thanks').textContent.includes('Thank you')")
    name = browser.run("document.getElementById('thanks').textContent.match(/answers-\\S+\\.json/)[0]")
    file = tmp_path / "downloads" / name
    end = time.monotonic() + 30
    while not (file.exists() and file.read_bytes().endswith(b"}")) and time.monotonic() < end:
        time.sleep(0.05)
    answers = json.loads(file.read_text(encoding="utf-8"))
    assert answers["schema"] == 1
    assert answers["survey"] == key["survey"]
    assert answers["ratings"] == {id_: 4 if id_ == first else 2 for id_ in key["items"]}
    assert sorted(answers["order"]) == list(key["items"])
    assert "localStorage" not in json.dumps(answers)
