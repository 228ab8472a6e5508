"""``covergen embed`` as a user runs it, with good files and with every kind of bad one."""

import csv
import json
import wave
from pathlib import Path

import av
import numpy as np
import pytest

RATE_HZ = 22050
PICTURE = b"picture"


def write_wav(path, samples, rate_hz=RATE_HZ):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate_hz, 0, "NONE", ""))
        file.writeframes((samples * 32000).astype("<i2").tobytes())


def tune(seconds, rate_hz=RATE_HZ):
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    return 0.5 * np.sin(2 * np.pi * 300 * time) * np.exp(-4 * (time * 2 % 1))


def write_surround(path):
    with av.open(str(path), "w") as container:
        track = container.add_stream("pcm_s16le", rate=96000, layout="5.1")
        frame = av.AudioFrame.from_ndarray(
            np.tile((tune(1, 96000) * 20000).astype("<i2")[:, None], (1, 6)).reshape(1, -1), format="s16", layout="5.1"
        )
        frame.sample_rate = 96000
        container.mux(track.encode(frame))
        container.mux(track.encode(None))


def write_silent_film(path):
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "no sound"
        video = container.add_stream("mpeg4", rate=1)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="rgb24")
        container.mux(video.encode(frame))
        container.mux(video.encode(None))


def truncate(path):
    with av.open(str(path), "w") as container:
        track = container.add_stream("flac", rate=RATE_HZ, layout="mono")
        frame = av.AudioFrame.from_ndarray((tune(4) * 20000).astype("<i2")[None], format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def long_low_rate(path):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 1, 200, 0, "NONE", ""))
        file.writeframes(np.random.default_rng(0).integers(64, 192, 200 * 600, np.uint8).tobytes())


MAKERS = {
    "missing.wav": lambda _: None,
    "empty.mp3": lambda path: path.write_bytes(b""),
    "text.mp3": lambda path: path.write_text("Dear diary, this is no music. " * 50),
    "truncated.flac": truncate,
    "silent.wav": lambda path: write_wav(path, np.zeros(RATE_HZ)),
    "blink.wav": lambda path: write_wav(path, tune(0.2)),
    "telephone.wav": lambda path: write_wav(path, tune(3, 8000), 8000),
    "surround.wav": write_surround,
    "film.mp4": write_silent_film,
    "folder.wav": lambda path: path.mkdir(),
    "good.wav": lambda path: write_wav(path, tune(2)),
}
FAILING = {
    "missing": "does not exist",
    "empty": "is empty",
    "text": "is not audio",
    "silent": "is silent",
    "film": "has no audio stream",
    "folder": "is a folder",
}


@pytest.fixture
def bad(tmp_path):
    folder = tmp_path / "DATA"
    (folder / "audio").mkdir(parents=True)
    (folder / "cover.jpg").write_bytes(PICTURE)
    lines = ["id,audio_path,image_path"]
    for name, make in MAKERS.items():
        make(folder / "audio" / name)
        lines.append(f"{Path(name).stem},audio/{name},cover.jpg")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_every_kind_of_bad_file_ends_in_a_row_and_a_line(covergen, bad):
    long_low_rate(bad / "audio" / "long.wav")
    with (bad / "manifest.csv").open("a") as file:
        file.write("long,audio/long.wav,cover.jpg\n")
    ended = covergen("embed", bad, "--workers", "1")
    assert ended.code == 3, ended.err
    assert ended.out.splitlines() == [str(bad / "pairs.csv")]
    assert "Traceback" not in ended.err
    assert "bug" not in ended.err
    with (bad / "embeddings" / "mel" / "status.csv").open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert list(rows) == [*(Path(name).stem for name in MAKERS), "long"]
    assert {name for name, row in rows.items() if row["status"] == "failed"} == set(FAILING)
    for name, words in FAILING.items():
        assert words in rows[name]["reason"]
        assert any(words in line and line.startswith("error: ") for line in ended.err.splitlines())
    assert "incomplete" in rows["truncated"]["reason"]
    stored = {path.stem: np.load(path) for path in (bad / "embeddings" / "mel").glob("*.npy")}
    assert stored.keys() == rows.keys() - FAILING.keys()
    for embedding in stored.values():
        assert (embedding.dtype, embedding.shape[1]) == (np.float32, 512)
        assert np.isfinite(embedding).all()
    assert stored["long"].shape == (40, 512), "thirty seconds of the ten minutes"


def test_rerun_and_json(covergen, bad):
    first = json.loads(covergen("embed", bad, "--json", "-q").out)
    good = len(MAKERS) - len(FAILING)
    assert (first["status"], first["embedded"], first["failed"]) == ("partly", good, len(FAILING))
    (bad / "embeddings" / "mel" / "good.npy").unlink()
    second = json.loads(covergen("embed", bad, "--json", "-q").out)
    assert (second["embedded"], second["present"], second["failed"]) == (1, good - 1, len(FAILING))
    assert second["pairs"] == str(bad / "pairs.csv")


def test_nothing_but_bad_rows_is_a_failure(covergen, bad):
    (bad / "manifest.csv").write_text("id,audio_path,image_path\na,audio/text.mp3,cover.jpg\n")
    ended = covergen("embed", bad)
    assert (ended.code, ended.out) == (1, "")
    assert "is not audio" in ended.err


def test_a_changed_encoder_is_a_usage_error_and_name_is_the_way_out(covergen, bad):
    (bad / "manifest.csv").write_text("id,audio_path,image_path\ngood,audio/good.wav,cover.jpg\n")
    covergen("embed", bad, "-q")
    facts = bad / "embeddings" / "mel" / "encoder.json"
    facts.write_text(facts.read_text().replace('"version": 1', '"version": 0'))
    ended = covergen("embed", bad)
    assert ended.code == 2
    assert "version is 0, not 1" in ended.err
    assert "--name" in ended.err
    assert covergen("embed", bad, "--name", "second").code == 0
    assert (bad / "embeddings" / "second" / "good.npy").exists()


def test_the_preset_paper_takes_openl3(covergen, bad, monkeypatch):
    from covergen_cli.audio import embed
    from covergen_cli.errors import ModelError

    asked = []

    def load(config):
        asked.append(config.encoder)
        raise ModelError("no weights here")

    monkeypatch.setattr(embed, "load_encoder", load)
    for arguments in ([], ["--preset", "paper"], ["--preset", "paper", "--encoder", "mel"]):
        covergen("embed", bad / "audio" / "good.wav", *arguments)
    assert asked == ["mel", "openl3", "mel"]


def test_one_song(covergen, bad, tmp_path):
    out = tmp_path / "x.npy"
    ended = covergen("embed", bad / "audio" / "good.wav", "-o", out)
    assert (ended.code, ended.out.splitlines()) == (0, [str(out)])
    covergen("embed", bad, "-q")
    assert out.read_bytes() == (bad / "embeddings" / "mel" / "good.npy").read_bytes()
    record = json.loads(covergen("embed", bad / "audio" / "good.wav", "-o", out, "--json").out)
    assert (record["status"], record["output"], record["frames"]) == ("ok", str(out), len(np.load(out)))


@pytest.mark.parametrize("name", [Path(name).name for name in MAKERS if Path(name).stem in FAILING.keys() - {"folder"}])
def test_one_bad_song_leaves_no_file(covergen, bad, tmp_path, name):
    ended = covergen("embed", bad / "audio" / name, "-o", tmp_path / "x.npy")
    assert (ended.code, ended.out) == (1, "")
    assert FAILING[Path(name).stem] in ended.err
    assert "Traceback" not in ended.err
    assert not list(tmp_path.glob("*.npy"))
    assert not list(tmp_path.glob(".*"))


def test_without_a_name_the_embedding_of_a_song_lands_in_the_current_folder(covergen, bad, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert covergen("embed", bad / "audio" / "good.wav").out.splitlines() == ["good.npy"]
    assert (tmp_path / "good.npy").exists()


@pytest.mark.parametrize(
    "line",
    [
        ["DATA", "-o", "x.npy"],
        ["DATA/audio/good.wav", "-o", "x.txt"],
        ["DATA/audio/good.wav", "--name", "x"],
        ["DATA/audio/good.wav", "--engine", "ray"],
        ["DATA", "--encoder", "clap"],
        ["DATA", "--hop-seconds", "0.1"],
        ["DATA", "--name", "../x"],
        ["DATA", "--workers", "0"],
        [],
    ],
    ids=" ".join,
)
def test_wrong_usage(covergen, bad, monkeypatch, line):
    monkeypatch.chdir(bad.parent)
    ended = covergen("embed", *line)
    assert (ended.code, ended.out) == (2, "")
    assert not (bad / "embeddings").exists()


def test_a_folder_that_is_no_dataset(covergen, tmp_path):
    ended = covergen("embed", tmp_path)
    assert (ended.code, ended.out) == (1, "")
    assert "has no manifest.csv" in ended.err


def test_settings_come_from_the_environment(covergen, bad, monkeypatch):
    monkeypatch.setenv("COVERGEN_EMBED_DTYPE", "bf16")
    assert covergen("embed", bad).code == 2


def test_a_file_that_is_no_array_is_not_replaced(covergen, tmp_path):
    kept = tmp_path / "keep.npy"
    kept.write_text("important")
    ended = covergen("embed", tmp_path / "song.mp3", "-o", kept)
    assert ended.code == 1
    assert "not a NumPy file" in ended.err
    assert kept.read_text() == "important"
