"""Pictures that are kept: another title, look or size draws nothing, and the bytes are those of a new drawing."""

import dataclasses
import subprocess
import sys
import textwrap
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covergen_cli.covers import generate as batch
from covergen_cli.covers import loading, picture_cache
from covergen_cli.covers.heard import Heard
from covergen_cli.covers.picture_cache import RawPicture, cache_folder, load_picture, picture_key, save_picture
from covergen_cli.covers.prompts import Prompts
from covergen_cli.events import CoverFailed, CoverFinished, Warned

KEY = "0" * 64
HEARD = Heard({"tempo": 0.5}, ("Rock",), (("guitar", 1.25),), "Title", ("rain",))


def picture(number=0, side=16):
    pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return RawPicture(Image.fromarray(pixels), 2**63 - 1 - number, {"ab": (1.5, 31.5)}, HEARD, Prompts("a", None))


def same(one, other):
    pixels = [np.asarray(picture.image) for picture in (one, other)]
    rest = [dataclasses.replace(picture, image=None) for picture in (one, other)]
    return np.array_equal(*pixels) and rest[0] == rest[1]


def test_what_is_kept_comes_back_unchanged():
    assert load_picture(KEY) is None
    save_picture(KEY, picture())
    assert same(load_picture(KEY), picture())
    bare = RawPicture(picture().image, 3, {})
    save_picture(KEY, bare)
    assert same(load_picture(KEY), bare)


@pytest.mark.parametrize("damage", ["cut", "changed", "other", "empty"])
def test_a_damaged_picture_is_not_used(damage):
    save_picture(KEY, picture())
    path = cache_folder() / f"{KEY}.png"
    data = bytearray(path.read_bytes())
    if damage == "changed":
        with Image.open(path) as image:
            Image.new("RGB", image.size).save(path, pnginfo=facts_of(image))
    else:
        path.write_bytes({"cut": data[:-200], "other": b"no picture", "empty": b""}[damage])
    assert load_picture(KEY) is None


def facts_of(image):
    from PIL import PngImagePlugin

    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt(picture_cache._TEXT, image.info[picture_cache._TEXT])
    return chunks


def test_the_pictures_that_were_not_used_for_longest_are_removed(monkeypatch):
    save_picture(KEY, picture())
    monkeypatch.setattr(picture_cache, "MAX_BYTES", 3 * (cache_folder() / f"{KEY}.png").stat().st_size + 20)
    (cache_folder() / f"{KEY}.png").unlink()
    now = iter(range(1_000_000, 2_000_000))
    utime = picture_cache.os.utime
    monkeypatch.setattr(picture_cache.os, "utime", lambda path: utime(path, (next(now),) * 2))
    for number in range(3):
        save_picture(str(number), picture(number))
        load_picture(str(number))
    load_picture("0")
    save_picture("3", picture(3))
    assert [load_picture(str(number)) is not None for number in range(4)] == [True, False, True, True]


def test_a_folder_that_cannot_be_written_is_ignored():
    cache_folder().parent.mkdir(parents=True)
    cache_folder().write_text("a file")
    save_picture(KEY, picture())
    assert load_picture(KEY) is None


def test_many_writers_at_once(monkeypatch):
    monkeypatch.setattr(picture_cache, "MAX_BYTES", 4000)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: save_picture(str(number % 5), picture(number % 5)), range(60)))
        found = list(pool.map(lambda number: load_picture(str(number % 5)), range(60)))
    assert all(one is None or same(one, picture(number % 5)) for number, one in enumerate(found))
    assert not [path for path in cache_folder().iterdir() if path.name.startswith(".")]


def test_the_key_is_of_what_draws_and_not_of_what_finishes():
    provenance = {"seed": 1, "steps": 2, "size": 64, "look": "riso", "lettering": {"title": "A"}, "store": "apple"}
    key = picture_key(provenance, "cpu")
    assert key == picture_key({**provenance, "size": 99, "look": "paint", "lettering": None, "fingerprint": "x"}, "cpu")
    assert len({key, picture_key({**provenance, "seed": 2}, "cpu"), picture_key(provenance, "cuda")}) == 3


def run(folder, config, out="out", **settings):
    config = dataclasses.replace(config, **settings)
    events = batch.generate(batch.plan([folder], Path(out), config), config)
    return [event for event in events if isinstance(event, (CoverFinished, CoverFailed))]


@pytest.mark.parametrize(
    "settings",
    [
        {"title": "Another"},
        {"look": "riso"},
        {"size": 80},
        {"raw": True},
        {"format": "jpg"},
        {"grain": 0.9, "tone": 0.5},
        {"look": "cutout", "format": "svg", "title": "A & B"},
    ],
    ids="+".join,
)
def test_another_finish_draws_nothing_and_gives_the_bytes_of_a_new_drawing(music, config, monkeypatch, settings):
    folder = music(a="a", b="b")
    run(folder, config, "new", **settings)
    wanted = {path.name: path.read_bytes() for path in Path("new").iterdir()}
    for path in cache_folder().iterdir():
        path.unlink()
    run(folder, config)
    monkeypatch.setattr(loading, "_load", lambda *_: pytest.fail("a model was loaded"))
    first, _ = run(folder, config, "again", **settings)
    assert (first.segment, first.native_size) == ((2.0, 32.0), 16)
    assert {path.name: path.read_bytes() for path in Path("again").iterdir()} == wanted


@pytest.mark.parametrize("settings", [{"seed": 1}, {"steps": 3}, {"guidance": 3.0}, {"segment": (3.0, 9.0)}], ids=str)
def test_another_drawing_is_drawn(music, config, monkeypatch, settings):
    folder = music(a="a")
    run(folder, config)
    monkeypatch.setattr(loading, "_load", lambda *_: 1 / 0)
    (failed,) = run(folder, config, "again")
    assert isinstance(failed, CoverFinished)
    with pytest.raises(ZeroDivisionError):
        run(folder, config, "other", **settings)


def test_only_new_variations_are_drawn(music, config):
    folder = music(a="a")
    run(folder, config)
    kept = set(cache_folder().iterdir())
    run(folder, config, "several", variations=3)
    assert len(set(cache_folder().iterdir()) - kept) == 2
    with Image.open("out/a.png") as one, Image.open("several/a-1.png") as first:
        assert np.array_equal(np.asarray(one), np.asarray(first))


def test_a_damaged_picture_is_drawn_again(music, config):
    folder = music(a="a")
    run(folder, config)
    (kept,) = cache_folder().iterdir()
    good = kept.read_bytes()
    kept.write_bytes(good[:100])
    run(folder, config, "again")
    assert Path("again/a.png").read_bytes() == Path("out/a.png").read_bytes()
    assert kept.read_bytes() == good


def test_no_torch_is_imported_for_another_look(tmp_path):
    """With the starter, after a cover was drawn, in processes of their own."""
    script = """
        import sys
        import numpy as np
        from covergen_cli.audio.io import save_mp3
        from covergen_cli.cli.main import run
        from pathlib import Path
        if not Path("s.mp3").exists():
            t = np.arange(22050 * 3) / 22050
            save_mp3(Path("s.mp3"), (0.3 * np.sin(2 * np.pi * 220 * t)).astype(np.float32), 22050)
        code = run(["generate", "s.mp3", "-q", "--steps", "1", "--device", "cpu", *sys.argv[1:]])
        print(code, *sorted({"torch", "diffusers", "librosa", "pandas"} & set(sys.modules)), file=sys.stderr)
    """

    def call(*arguments):
        command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stderr.split()

    assert call("-o", "a.png") == ["0", "torch"]
    assert call("-o", "b.png", "--title", "B", "--look", "riso", "--size", "300") == ["0"]
    assert call("-o", "c.png", "--seed", "0", "--for", "bandcamp", "--format", "png") == ["0"]


def test_warnings_about_the_music_come_again(music, config, ear, monkeypatch):
    from covergen_cli.audio import io

    def load(*arguments):
        clip = vars(ear.load(*arguments))
        return types.SimpleNamespace(**{**clip, "warnings": ("it is short",)})

    monkeypatch.setattr(io, "load", load)
    folder = music(a="a")
    for out in ("out", "again"):
        events = list(batch.generate(batch.plan([folder], Path(out), config), config))
        assert [event.message for event in events if isinstance(event, Warned)] == ["it is short"]
