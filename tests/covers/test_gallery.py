"""The page of covers: what is in it, and that it works in a browser, with keyboard, phone and screen reader."""

import json
import shlex
from pathlib import Path

import pytest
from PIL import Image

from chromium import Browser, find_chromium
from covergen_cli.covers.gallery import Entry, with_gallery, write_gallery
from covergen_cli.errors import OutputError
from covergen_cli.events import CoverFailed, CoverFinished, CoverSkipped, FileSaved, Warned
from covergen_cli.provenance import save_cover

COUNT = 70


def cover(path, number, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    made = {"version": "1", "seed": number, "look_drawn": "halftone:pitch=60", "base": {"name": "starter"}, **more}
    save_cover(path, Image.new("RGB", (64, 64), (number % 256, 60, 90)), made, path.suffix[1:])
    return path


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("art")
    entries = [
        Entry(cover(folder / "in" / f"{number:02} it's.png", number), Path(f"/music/{number:02} it's.mp3"))
        for number in range(COUNT - 1)
    ]
    album = cover(folder / "Album.jpg", 900, prompt_drawn="a quiet </script> sea", palette_drawn="#102030,#405060")
    entries.append(Entry(album, Path("/music/a/1.mp3"), (Path("/music/a/1.mp3"), Path("/music/a/2.mp3"))))
    entries.append(Entry(folder / "missing.png", Path("/music/x.mp3")))
    write_gallery(folder / "gallery.html", entries)
    return folder / "gallery.html"


def data(page):
    text = page.read_text(encoding="utf-8")
    return json.loads(text.partition('id="data">')[2].partition("</script>")[0])


def test_the_page_has_all_readable_covers_with_what_they_record(page):
    covers = data(page)
    assert len(covers) == COUNT
    first, album = covers[0], covers[-1]
    assert (first["name"], first["seed"], first["look"]) == ("00 it's", 0, "halftone")
    assert first["file"] == "in/00%20it%27s.png"
    assert first["small"].startswith("data:image/jpeg;base64,")
    facts = dict(album["facts"])
    assert facts["Songs"] == "/music/a/1.mp3, /music/a/2.mp3"
    assert (facts["Prompt"], facts["Palette"]) == ("a quiet </script> sea", "#102030 #405060")


def test_commands_can_be_pasted_into_a_shell(page):
    first, album = data(page)[0], data(page)[-1]
    lines = dict(first["commands"])
    words = shlex.split(lines["Another one of this song"])
    folder = page.parent / "in"
    assert words[:2] == ["covergen", "generate"]
    assert words[2:] == [
        *("--from", str(folder / "00 it's.png"), "/music/00 it's.mp3"),
        *("--seed", "1", "-o", str(folder / "00 it's-seed-1.png")),
    ]
    assert [title for title, _ in album["commands"]] == ["A series in this look"]


def test_only_a_gallery_is_replaced(page, tmp_path):
    entries = [Entry(cover(tmp_path / "a.png", 1), Path("a.mp3"))]
    for _ in range(2):
        write_gallery(tmp_path / "gallery.html", entries)
    (tmp_path / "gallery.html").write_text("mine")
    with pytest.raises(OutputError, match="not a gallery"):
        write_gallery(tmp_path / "gallery.html", entries)
    assert (tmp_path / "gallery.html").read_text() == "mine"


def test_finished_and_present_covers_are_on_the_page(tmp_path):
    one, two = cover(tmp_path / "one.png", 1), cover(tmp_path / "two.png", 2)
    events = [
        CoverFinished(Path("one.mp3"), one, 1, None, 0.1, 64),
        CoverFailed(Path("bad.mp3"), tmp_path / "bad.png", 1, "bad"),
        CoverSkipped(Path("two.mp3"), two, 2, "unchanged"),
    ]
    path = tmp_path / "gallery.html"
    passed = list(with_gallery((event for event in events), path))
    assert passed == [*events, FileSaved(path, "a gallery of 2 covers")]
    assert [entry["name"] for entry in data(path)] == ["one", "two"]
    path.write_text("mine")
    assert isinstance(list(with_gallery((event for event in events), path))[-1], Warned)


@pytest.fixture
def browser(tmp_path):
    if find_chromium() is None:
        pytest.skip("no Chromium on this machine")
    opened = Browser(tmp_path / "profile", tmp_path / "downloads")
    yield opened
    opened.close()


def test_a_person_searches_chooses_and_moves_on_by_keyboard(page, browser):
    browser("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=1, mobile=True)
    browser.open(page.as_uri())
    browser.wait("document.querySelectorAll('#covers li').length > 0")
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    assert browser.run("document.getElementById('count').textContent") == f"{COUNT} covers"
    browser.run("document.getElementById('search').focus()")
    browser("Input.insertText", text="HALFTONE 07")
    browser.wait("document.getElementById('count').textContent === '1 cover'")
    browser.press("Tab", 9)
    assert browser.run("document.activeElement.querySelector('.name').textContent") == "07 it's"
    browser.press("Enter", 13, "\r")
    browser.wait("document.getElementById('details').open")
    browser.wait("document.getElementById('picture').naturalWidth === 64")
    assert browser.run("document.getElementById('picture').src").endswith("07%20it%27s.png")
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    names = browser.run("[...document.querySelectorAll('#commands button')].map(b => b.getAttribute('aria-label'))")
    assert names[0] == "Copy the command: Make it again"
    browser.press("Escape", 27)
    browser.wait("!document.getElementById('details').open")
    assert browser.run("document.activeElement.querySelector('.name').textContent") == "07 it's"


def test_a_long_page_grows_while_it_is_scrolled_and_details_step_through_all(page, browser):
    browser("Emulation.setDeviceMetricsOverride", width=1400, height=500, deviceScaleFactor=1, mobile=False)
    browser.open(page.as_uri())
    browser.wait("document.querySelectorAll('#covers li').length === 60")
    browser.run("scrollTo(0, document.body.scrollHeight)")
    browser.wait(f"document.querySelectorAll('#covers li').length === {COUNT}")
    browser.run(f"document.querySelectorAll('#covers button')[{COUNT - 2}].click()")
    browser.wait("document.getElementById('details').open")
    browser.press("ArrowRight", 39)
    assert browser.run("document.getElementById('title').textContent") == "Album"
    assert "a quiet </script> sea" in browser.run("document.getElementById('facts').textContent")
    assert browser.run("document.getElementById('next').disabled")
    tree = browser("Accessibility.getFullAXTree")["nodes"]
    roles = {(node["role"]["value"], node.get("name", {}).get("value")) for node in tree if not node["ignored"]}
    assert ("dialog", "Album") in roles
    assert ("image", "The cover of Album") in roles


def test_a_page_whose_covers_have_moved_shows_its_small_pictures(page, browser, tmp_path):
    moved = tmp_path / "elsewhere.html"
    moved.write_bytes(page.read_bytes())
    browser.open(moved.as_uri())
    browser.wait("document.querySelectorAll('#covers li').length > 0")
    browser.run("document.querySelector('#covers button').click()")
    browser.wait("document.getElementById('picture').src.startsWith('data:')")
