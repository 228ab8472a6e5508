"""Whole libraries: covers of albums, songs that share a name, and what a dry run foresees."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covergen_cli.audio import io
from covergen_cli.covers import background, loading
from covergen_cli.covers import generate as batch
from covergen_cli.covers.decide import decide
from covergen_cli.errors import ConfigError, ModelError
from covergen_cli.events import CoverFailed, CoverFinished, CoverPlanned, CoverSkipped, Progress, Warned
from covergen_cli.provenance import read_provenance, save_cover
from tiny import tiny_song


def jobs(config, *inputs, out="out"):
    return batch.plan([Path(name) for name in inputs], Path(out), config)


def run(config, *inputs, out="out", **settings):
    config = dataclasses.replace(config, **settings)
    told = batch.generate(jobs(config, *inputs, out=out), config)
    return [event for event in told if isinstance(event, (CoverFinished, CoverSkipped, CoverFailed, Warned))]


def foreseen(config, *inputs, out="out", **settings):
    config = dataclasses.replace(config, **settings)
    told = batch.dry_run(jobs(config, *inputs, out=out), config)
    return [event for event in told if not isinstance(event, Progress)]


def kinds(events):
    return [type(event) for event in events]


@pytest.fixture
def albums(tmp_path, monkeypatch):
    """Two albums whose first songs share a name."""
    monkeypatch.chdir(tmp_path)
    for number, place in enumerate(("a/1", "a/2", "b/1")):
        tiny_song(Path(f"{place}.flac"), hz=200 + 50 * number, album=place[0])


def test_an_album_gets_one_cover_that_names_its_songs(albums, config):
    first, second = run(config, "a", "b", per="album")
    assert (first.output, second.output) == (Path("out/a.png"), Path("out/b.png"))
    assert (first.songs, first.segment) == ((Path("a/1.flac"), Path("a/2.flac")), None)
    facts = read_provenance(Path("out/a.png"))
    assert [song["input"] for song in facts["songs"]] == ["1.flac", "2.flac"]
    assert all(song["segment"] == [2.0, 32.0] and len(song["input_sha256"]) == 64 for song in facts["songs"])
    assert Path("out/a.png").read_bytes() != Path("out/b.png").read_bytes()
    assert kinds(run(config, "a", "b", per="album")) == [CoverSkipped] * 2


def test_an_album_of_one_song_looks_like_the_song(albums, config):
    run(config, "b", out="album", per="album")
    run(config, "b", out="song")
    with Image.open("album/b.png") as album, Image.open("song/1.png") as song:
        assert np.array_equal(np.asarray(album), np.asarray(song))


def test_an_album_is_redrawn_when_a_song_comes_and_kept_when_one_is_renamed(albums, config):
    run(config, "a", per="album")
    Path("a/1.flac").rename("a/9.flac")
    assert kinds(run(config, "a", per="album")) == [CoverSkipped]
    tiny_song(Path("a/3.flac"), hz=500, album="a")
    assert kinds(run(config, "a", per="album")) == [CoverFinished]


def test_an_album_goes_without_a_song_that_cannot_be_used(albums, config):
    Path("a/0.flac").write_bytes(b"bad")
    Path("a/00.flac").write_bytes(b"")
    *warnings, cover = run(config, "a", per="album")
    assert kinds(warnings) == [Warned, Warned]
    assert {warning.message.partition(" ")[0] for warning in warnings} == {"a/0.flac", "a/00.flac"}
    assert cover.songs == (Path("a/1.flac"), Path("a/2.flac"))
    assert [song["input"] for song in read_provenance(cover.output)["songs"]] == ["1.flac", "2.flac"]
    for name in ("1", "2"):
        Path(f"a/{name}.flac").write_bytes(b"bad")
    failed = run(config, "a", per="album", overwrite="force")
    assert kinds(failed) == [CoverFailed] * 4  # no file says any more that it belongs to an album
    assert "no song for out/1.png can be used: a/1.flac" in failed[2].error


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), ValueError("odd"), RuntimeError()])
def test_an_album_goes_without_a_song_that_fails_in_another_way(albums, config, monkeypatch, error):
    load = io.load

    def failing(path, *args, **how):
        if path.name == "1.flac":
            raise error
        return load(path, *args, **how)

    monkeypatch.setattr(io, "load", failing)
    warned, cover, other = run(config, "a", "b", per="album", segment=(0.0, 0.4))
    reason = getattr(error, "strerror", None) or str(error) or "RuntimeError"
    assert warned.message == f"a/1.flac cannot be used: {reason}; the album's cover is made without it"
    assert [song["input"] for song in read_provenance(cover.output)["songs"]] == ["2.flac"]
    assert (type(other), other.output) == (CoverFailed, Path("out/b.png"))  # its only song is called 1.flac too


def test_how_many_songs_of_an_album_were_heard_is_told(albums, config, monkeypatch):
    monkeypatch.setattr(background.Task.wait, "__defaults__", (0.001,))
    config = dataclasses.replace(config, per="album")
    told = [event for event in batch.generate(jobs(config, "a"), config) if isinstance(event, Progress)]
    listened = [(event.done, event.total) for event in told if event.task == "listen"]
    assert listened[0] == (0, 2)
    assert {total for _, total in listened} == {2}
    assert {event.detail for event in told} == {str(Path("out/a.png"))}


def test_another_song_of_the_same_name_keeps_its_cover(albums, config):
    run(config, "a/1.flac")
    before = Path("out/1.png").read_bytes()
    (refused,) = run(config, "b/1.flac")
    assert isinstance(refused, CoverFailed)
    assert "another song" in refused.error
    assert "--overwrite force" in refused.hint
    assert Path("out/1.png").read_bytes() == before
    assert kinds(run(config, "b/1.flac", overwrite="force")) == [CoverFinished]
    assert Path("out/1.png").read_bytes() != before


def test_a_song_is_known_by_its_sound_wherever_it_lies_and_whatever_its_tags_say(albums, config):
    run(config, "a/1.flac")
    tiny_song(Path("c/1.flac"), hz=200, title="Tagged", artist="Ida")
    assert kinds(run(config, "c/1.flac")) == [CoverSkipped]
    assert kinds(run(config, "c/1.flac", steps=3)) == [CoverFinished]


def test_a_cover_of_the_first_version_named_the_whole_file(tmp_path):
    song, cover = tmp_path / "s.mp3", tmp_path / "s.png"
    song.write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    save_cover(cover, Image.new("RGB", (8, 8)), {"input_sha256": digest}, "png")
    assert decide(cover, "new", "changed", [(song, "sound")]).action == "draw"
    song.write_bytes(b"abd")
    assert decide(cover, "new", "changed", [(song, "sound")]).action == "refuse"


@pytest.fixture
def mixed(albums, config):
    """One song of each kind: new, not audio, done, and one whose cover's place holds a foreign picture."""
    tiny_song(Path("c/1.flac"), hz=500)
    run(config, "b", out="out/b")
    Path("a/2.flac").write_bytes(b"bad")
    Path("out/c").mkdir()
    Image.new("RGB", (8, 8)).save("out/c/1.png")
    return ["a", "b", "c"]


@pytest.mark.parametrize("overwrite", ["changed", "skip", "force"])
def test_a_dry_run_says_what_a_run_then_does(mixed, config, overwrite):
    config = dataclasses.replace(config, overwrite=overwrite)
    before = sorted(Path("out").rglob("*"))
    foretold = {event.input: event for place in mixed for event in foreseen(config, place, out=f"out/{place}")}
    assert sorted(Path("out").rglob("*")) == before
    done = {event.input: event for place in mixed for event in run(config, place, out=f"out/{place}")}
    renamed = {CoverPlanned: CoverFinished}
    assert {song: renamed.get(type(event), type(event)) for song, event in foretold.items()} == {
        song: type(event) for song, event in done.items()
    }
    assert CoverPlanned in {type(event) for event in foretold.values()}
    assert isinstance(foretold[Path("a/2.flac")], CoverFailed)
    refused = foretold[Path("c/1.flac")]
    if overwrite == "changed":
        assert (refused.error, refused.hint) == (done[Path("c/1.flac")].error, done[Path("c/1.flac")].hint)


def test_a_dry_run_loads_no_model(albums, config, monkeypatch):
    monkeypatch.setattr(loading, "_load", lambda *_: pytest.fail("the model was loaded"))
    assert kinds(foreseen(config, "b")) == [CoverPlanned]


def test_a_dry_run_knows_that_a_segment_lies_past_the_end(albums, config):
    (failed,) = foreseen(config, "b", segment=(20.0, 30.0))
    assert (failed.error, failed.hint) == (f"{Path('b/1.flac')} has no sound at 20 s", "It ends after 0.5 s.")
    assert kinds(foreseen(config, "b", segment=(0.1, 30.0))) == [CoverPlanned]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"scheduler": "quick"}, ConfigError, "no scheduler quick"),
        ({"scheduler": "ddim"}, ModelError, "predicts a flow"),
        ({"adapter": "no such"}, ModelError, "there is no adapter"),
        ({"device": "cuda:99"}, ConfigError, "no cuda:99"),
    ],
)
def test_a_dry_run_fails_where_nothing_could_be_drawn(albums, config, settings, error, message):
    with pytest.raises(error, match=message):
        foreseen(config, "b", **settings)


def test_a_dry_run_fetches_nothing(albums, config, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    warned, planned = foreseen(config, "b", base="sd15")
    assert "sd15 is not on this machine yet" in warned.message
    assert isinstance(planned, CoverPlanned)


def test_a_dry_run_names_the_songs_that_an_album_goes_without(albums, config):
    Path("a/0.flac").write_bytes(b"bad")
    warned, planned = foreseen(config, "a", per="album")
    assert "a/0.flac" in warned.message
    assert planned.songs == (Path("a/0.flac"), Path("a/1.flac"), Path("a/2.flac"))
