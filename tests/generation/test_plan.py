"""What covers are called, and what is refused before a model is loaded."""

from pathlib import Path

import pytest

from covergen_cli.config import GenerateConfig
from covergen_cli.errors import ConfigError, InputError
from covergen_cli.generation.plan import plan


@pytest.fixture
def music(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")

    return make


def outputs(inputs, out=None, **settings):
    jobs = plan([Path(name) for name in inputs], out and Path(out), GenerateConfig(**settings))
    return [(job.input.as_posix(), job.output.as_posix()) for job in jobs]


@pytest.mark.parametrize(
    ("files", "inputs", "out", "settings", "expected"),
    [
        (["a/s.mp3"], ["a/s.mp3"], None, {}, ["s.png"]),
        (["a/s.mp3"], ["a/s.mp3"], "o", {}, ["o/s.png"]),
        (["a/s.mp3"], ["a/s.mp3"], "o", {"format": "jpg"}, ["o/s.jpg"]),
        (["a/s.mp3"], ["a/s.mp3"], "o/my.png", {}, ["o/my.png"]),
        (["a/s.mp3"], ["a/s.mp3"], "my.JPEG", {}, ["my.JPEG"]),
        (["a/s.mp3"], ["a"], "my.png", {}, ["my.png"]),
        (["s.v1.mp3"], ["s.v1.mp3"], None, {}, ["s.v1.png"]),
        (["s.mp3"], ["s.mp3"], None, {"variations": 3}, ["s-1.png", "s-2.png", "s-3.png"]),
        (["a/s.mp3"], ["a"], None, {}, ["covers/s.png"]),
        (["a/x/s.mp3", "a/s.ogg"], ["a"], "o", {}, ["o/s.png", "o/x/s.png"]),
        (["a/s.mp3", "a/s.flac"], ["a"], "o", {}, ["o/s.flac.png", "o/s.mp3.png"]),
        (["a/s.mp3", "a/s.flac", "a/t.mp3"], ["a"], "o", {}, ["o/s.flac.png", "o/s.mp3.png", "o/t.png"]),
        (["s.mp3", "s.flac"], ["s.mp3", "s.flac"], "o", {}, ["o/s.flac.png", "o/s.mp3.png"]),
        (["s.mp3", "s.flac"], ["s.mp3"], "o", {}, ["o/s.png"]),
        (["a/s.mp3"], ["a/s.mp3", "a/s.mp3", "a"], "o", {}, ["o/s.png"]),
        (["a/.s.mp3", "a/.x/s.mp3", "a/s.txt", "a/t.mp3"], ["a"], "o", {}, ["o/t.png"]),
        (["a/t.mp3", "a/t.segment.mp3"], ["a"], "o", {}, ["o/t.png"]),
        (["s.weird"], ["s.weird"], None, {}, ["s.png"]),
        ([], ["missing.mp3"], None, {}, ["missing.png"]),
    ],
)
def test_names(music, files, inputs, out, settings, expected):
    music(*files)
    assert sorted(output for _, output in outputs(inputs, out, **settings)) == expected


def test_songs_are_sorted_and_variations_stand_together(music):
    music("a/b.mp3", "a/A.mp3", "a/c/a.mp3")
    jobs = plan([Path("a")], Path("o"), GenerateConfig(variations=2, seed=40))
    assert [(job.input.as_posix(), job.seed) for job in jobs] == [
        ("a/A.mp3", 40),
        ("a/A.mp3", 41),
        ("a/b.mp3", 40),
        ("a/b.mp3", 41),
        ("a/c/a.mp3", 40),
        ("a/c/a.mp3", 41),
    ]


def test_a_suffix_decides_the_format(music):
    music("s.mp3")
    (job,) = plan([Path("s.mp3")], Path("x.jpg"), GenerateConfig())
    assert job.format == "jpg"
    with pytest.raises(ConfigError, match="is no png file"):
        plan([Path("s.mp3")], Path("x.jpg"), GenerateConfig(format="png"), format_given=True)


@pytest.mark.parametrize(
    ("files", "inputs", "out", "settings", "message"),
    [
        (["s.mp3", "t.mp3"], ["s.mp3", "t.mp3"], "o.png", {}, "2 covers"),
        (["s.mp3"], ["s.mp3"], "o.png", {"variations": 2}, "2 covers"),
        (["s.mp3"], ["s.mp3"], "o.webp", {}, "not webp"),
        (["s.mp3", "note.txt"], ["s.mp3"], "note.txt", {}, "not a folder"),
        (["a/s.mp3", "b/s.mp3"], ["a/s.mp3", "b/s.mp3"], "o", {}, r"a/s\.mp3 and b/s\.mp3 would both"),
        (["a/s.mp3", "b/s.mp3"], ["a", "b"], None, {}, "would both"),
        (["s.png"], ["s.png"], None, {}, "would replace a song"),
    ],
)
def test_refused(music, files, inputs, out, settings, message):
    music(*files)
    with pytest.raises(ConfigError, match=message):
        outputs(inputs, out, **settings)


def test_a_folder_may_be_called_like_a_picture(music):
    music("s.mp3", "art.png/old.txt")
    assert outputs(["s.mp3"], "art.png") == [("s.mp3", "art.png/s.png")]


def test_a_folder_without_music(music):
    music("a/readme.txt")
    with pytest.raises(InputError, match="no music in a"):
        outputs(["a"])


def test_the_segment_goes_beside_the_cover(music):
    music("s.mp3")
    jobs = plan([Path("s.mp3")], Path("o"), GenerateConfig(save_segment=True, variations=2))
    assert {job.segment_output for job in jobs} == {Path("o/s.segment.mp3")}
    (job,) = plan([Path("s.mp3")], Path("my.png"), GenerateConfig(save_segment=True))
    assert job.segment_output == Path("my.segment.mp3")


def test_a_file_in_the_way_of_a_folder_is_found_before_anything_is_drawn(tmp_path):
    song, taken = tmp_path / "song.mp3", tmp_path / "taken"
    song.write_bytes(b"x")
    taken.write_bytes(b"x")
    with pytest.raises(ConfigError, match="taken is a file"):
        plan([song], taken / "below", GenerateConfig())
