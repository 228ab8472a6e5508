"""What covers are called, and what is refused before a model is loaded."""

from pathlib import Path

import pytest
from PIL import Image

from covergen_cli.config import GenerateConfig
from covergen_cli.covers.plan import Job, donors, plan
from covergen_cli.errors import ConfigError, InputError
from covergen_cli.provenance import save_cover
from tiny import tiny_song


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
        (["a/x/s.mp3"], ["a"], "o/{folder}/{stem}-{seed}.{ext}", {"seed": 4}, ["o/x/s-4.png"]),
        (["s.mp3"], ["s.mp3"], "o/{stem}.jpeg", {"variations": 2}, ["o/s-1.jpeg", "o/s-2.jpeg"]),
        (["s.mp3"], ["s.mp3"], "{artist}/{title}.{ext}", {"format": "jpg"}, ["Unknown artist/s.jpg"]),
        (["a/x/s.mp3", "a/x/t.mp3", "a/u.mp3"], ["a"], "o", {"per": "album"}, ["o/u.png", "o/x/s.png", "o/x/t.png"]),
        (["a/x/s.mp3"], ["a"], "o.png", {"per": "album"}, ["o.png"]),
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
        (["s.mp3", "t.mp3"], ["s.mp3", "t.mp3"], "{artist}.{ext}", {}, r"s\.mp3 and t\.mp3 would both"),
        (["s.mp3"], ["s.mp3"], None, {"seed": 2**32 - 1, "variations": 2}, "past the last seed"),
        (["s.mp3"], ["s.mp3"], None, {"per": "album", "save_segment": True}, "for songs, not for --per album"),
        (["s.mp3", "t.mp3"], ["s.mp3", "t.mp3"], None, {"explain": True, "shuffle": True}, "--explain cannot"),
        (["s.mp3"], ["s.mp3"], "{artst}.png", {}, "unknown field"),
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


def test_a_suffix_in_a_template_decides_the_format(music):
    music("s.mp3")
    (job,) = plan([Path("s.mp3")], Path("{stem}.jpg"), GenerateConfig())
    assert job.format == "jpg"
    with pytest.raises(ConfigError, match="is no png file"):
        plan([Path("s.mp3")], Path("{stem}.jpg"), GenerateConfig(format="png"), format_given=True)


def test_tags_name_covers_and_their_reading_is_told(music):
    for number, title in ((1, "Dawn"), (2, "Dusk/Night")):
        tiny_song(Path(f"a/{number}.flac"), title=title, artist="Ida", album="Day", track=f"{number}/2")
    told = []
    jobs = plan(
        [Path("a")], Path("o/{artist}/{album}/{track} {title}.{ext}"), GenerateConfig(), on_progress=told.append
    )
    assert [job.output.as_posix() for job in jobs] == ["o/Ida/Day/01 Dawn.png", "o/Ida/Day/02 Dusk_Night.png"]
    assert [(event.done, event.total) for event in told] == [(1, 2), (2, 2)]
    told.clear()
    plan([Path("a")], Path("o/{stem}.{ext}"), GenerateConfig(), on_progress=told.append)
    assert not told


def test_an_album_is_one_job_with_all_its_songs_in_order(music):
    for disc, track in ((1, 2), (1, 1), (2, 1)):
        name = f"a/Day/CD{disc}/{track}.flac"
        tiny_song(Path(name), title="x", album="Day: one", album_artist="Ida", track=track, disc=disc)
    tiny_song(Path("a/loose.flac"))
    day, loose = plan([Path("a")], Path("o"), GenerateConfig(per="album"))
    assert day.output.as_posix() == "o/Day/Day_ one.png"
    assert [song.as_posix() for song in day.songs] == ["a/Day/CD1/1.flac", "a/Day/CD1/2.flac", "a/Day/CD2/1.flac"]
    assert day.input == day.songs[0]
    assert (loose.output.as_posix(), loose.songs) == ("o/loose.png", (Path("a/loose.flac"),))
    (first, *_) = plan([Path("a")], Path("{albumartist}/{album}/cover.{ext}"), GenerateConfig(per="album"))
    assert first.output.as_posix() == "Ida/Day_ one/cover.png"


def cover(path, song):
    save_cover(Path(path), Image.new("RGB", (8, 8)), {"input": song}, "png")


def test_a_neighbour_that_comes_later_does_not_rename_a_cover(music):
    music("a/s.mp3")
    assert outputs(["a"], "o") == [("a/s.mp3", "o/s.png")]
    cover("o/s.png", "s.mp3")
    music("a/s.flac")
    assert outputs(["a"], "o") == [("a/s.flac", "o/s.flac.png"), ("a/s.mp3", "o/s.png")]
    Path("a/s.mp3").unlink()
    cover("o/s.flac.png", "s.flac")
    Path("o/s.png").unlink()
    assert outputs(["a"], "o") == [("a/s.flac", "o/s.flac.png")]


def test_a_playlist_is_a_list_of_named_songs(music):
    music("m/a/x.mp3", "m/b/y.mp3")
    Path("m/list.m3u").write_text("a/x.mp3\nb/y.mp3\ngone.mp3\n")
    assert [output for _, output in outputs(["m/list.m3u"], "o")] == ["o/x.png", "o/y.png", "o/gone.png"]


JOBS = [Job(Path(f"{number}.mp3"), Path(f"{number}.png"), 0) for number in range(7)]


def shuffled(jobs=JOBS, seed=0):
    return donors(jobs, GenerateConfig(shuffle=True, seed=seed))


@pytest.mark.parametrize("seed", range(20))
def test_every_song_gets_another_one_and_each_is_given_once(seed):
    found = shuffled(seed=seed)
    assert list(found) == [job.input for job in JOBS]
    assert sorted(job.input for job in found.values()) == list(found)
    assert all(song != job.input for song, job in found.items())


def test_the_seed_shuffles():
    assert shuffled(seed=1) == shuffled(seed=1)
    assert len({tuple(job.input for job in shuffled(seed=seed).values()) for seed in range(20)}) > 10


def test_variations_are_one_song_when_shuffled():
    assert shuffled([JOBS[0], JOBS[0], JOBS[1]]) == {JOBS[0].input: JOBS[1], JOBS[1].input: JOBS[0]}


def test_one_song_cannot_be_shuffled():
    with pytest.raises(ConfigError, match="single song"):
        shuffled(JOBS[:1] * 3)


def test_nobody_asked_to_shuffle():
    assert donors(JOBS, GenerateConfig()) == {}
