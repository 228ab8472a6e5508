"""Covers beside the songs of an album."""

import pytest

from audio.signals import tone, write_audio
from covergen_cli.config import GenerateConfig
from covergen_cli.covers.in_place import plan_in_place
from covergen_cli.errors import ConfigError


def song(path, album=None, artist="Somebody"):
    path.parent.mkdir(parents=True, exist_ok=True)
    tags = {"album": album, "album_artist": artist} if album else {}
    return write_audio(path, tone(440, 0.3, 22050), 22050, "libmp3lame", tags=tags)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    top = tmp_path_factory.mktemp("library")
    for name in ("1.mp3", "2.mp3"):
        song(top / "A" / name, "A")
        song(top / "Box" / f"Disc {name[0]}" / "1.mp3", "Box")
    song(top / "mixed" / "1.mp3", "One")
    song(top / "mixed" / "2.mp3", "Two")
    song(top / "near" / "1.mp3", "Scattered")
    song(top / "far" / "2.mp3", "Scattered")
    return top


def planned(library, name="cover.jpg", **settings):
    jobs, failures = plan_in_place([library], name, GenerateConfig(**{"per": "album", **settings}))
    return {str(job.output.relative_to(library)): job for job in jobs}, failures


def test_every_album_gets_its_cover_in_its_own_folder(library):
    jobs, failures = planned(library)
    assert set(jobs) == {"A/cover.jpg", "Box/cover.jpg", "far/cover.jpg"}
    assert {job.format for job in jobs.values()} == {"jpg"}
    assert [path.name for path in jobs["A/cover.jpg"].songs] == ["1.mp3", "2.mp3"]
    assert [(failure.output.parent.name, "One, Two" in failure.error) for failure in failures] == [("mixed", True)] * 2


def test_per_folder_shares_nothing_and_the_name_decides_the_format(library):
    jobs, failures = planned(library, "folder.png", per="folder")
    assert {"A/folder.png", "Box/Disc 1/folder.png", "mixed/folder.png", "near/folder.png"} <= set(jobs)
    assert {job.format for job in jobs.values()} == {"png"}
    assert failures == []


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("art/cover.jpg", {}, "name of covers"),
        ("cover", {}, "name of covers"),
        ("cover.jpg", {"per": "song"}, "several songs"),
        ("cover.jpg", {"variations": 2}, "several variations"),
    ],
)
def test_what_cannot_be_planned_is_said(library, name, settings, message):
    with pytest.raises(ConfigError, match=message):
        planned(library, name, **settings)
