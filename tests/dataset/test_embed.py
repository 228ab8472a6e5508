import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from covergen_cli.audio.embedding_file import embedding_fault
from covergen_cli.audio.encoders import get_encoder
from covergen_cli.audio.excerpt import load_excerpt
from covergen_cli.audio.openl3_encoder import OpenL3Encoder
from covergen_cli.config import EmbedConfig, OpenL3Config
from covergen_cli.dataset.embed import embed_dataset
from covergen_cli.errors import ConfigError, InputError, OutputError
from covergen_cli.events import ClipEmbedded, ClipFailed, EmbedFinished, EmbedPlanned
from dataset_files import read_table, write_manifest, write_song
from openl3_files import cache_recipe

CONFIG = EmbedConfig(encoder="mel", workers=2)


def run(folder, config=CONFIG, **how):
    return list(embed_dataset(folder, config, **how))


def ids(events, kind):
    return sorted(event.id for event in events if isinstance(event, kind))


def test_every_row_gets_the_embedding_of_its_song(dataset):
    events = run(dataset)
    encoder = get_encoder("mel")
    for name in ("s0", "s1", "s2"):
        stored = np.load(dataset / "embeddings" / "mel" / f"{name}.npy", allow_pickle=False)
        heard = load_excerpt(dataset / "audio" / f"{name}.wav", encoder.sample_rate_hz)
        np.testing.assert_array_equal(stored, encoder.embed(heard.samples, heard.sample_rate_hz))
        assert (stored.dtype, stored.shape[1]) == (np.float32, 512)
    assert ids(events, ClipEmbedded) == ["s0", "s1", "s2"]
    finished = events[-1]
    assert isinstance(finished, EmbedFinished)
    assert (finished.embedded, finished.present, finished.failed) == (3, 0, 0)


def test_pairs_status_and_encoder_are_written(dataset):
    run(dataset)
    assert (dataset / "pairs.csv").read_text().splitlines() == [
        "id,image_path,embedding_path",
        *(f"s{index},images/s{index}.jpg,embeddings/mel/s{index}.npy" for index in range(3)),
    ]
    status = read_table(dataset / "embeddings" / "mel" / "status.csv")
    assert status == [{"id": f"s{index}", "status": "ok", "reason": ""} for index in range(3)]
    assert json.loads((dataset / "embeddings" / "mel" / "encoder.json").read_text()) == get_encoder("mel").spec()
    left = {path.name for path in (dataset / "embeddings" / "mel").iterdir()}
    assert left == {"s0.npy", "s1.npy", "s2.npy", "encoder.json", "settings.json", "sources.csv", "status.csv"}


def test_changed_music_is_embedded_again_and_a_copy_is_not(dataset):
    run(dataset)
    path, before = dataset / "embeddings" / "mel" / "s0.npy", {}
    for name in ("s0", "s1", "s2"):
        before[name] = (dataset / "embeddings" / "mel" / f"{name}.npy").read_bytes()
        os.utime(dataset / "audio" / f"{name}.wav", (1, 1))  # as after copying
    assert ids(run(dataset), ClipEmbedded) == []
    write_song(dataset / "audio" / "s0.wav", hertz=770.0)
    assert ids(run(dataset), ClipEmbedded) == ["s0"]
    assert path.read_bytes() != before["s0"]
    (dataset / "audio" / "s0.wav").write_bytes(b"no music")
    finished = run(dataset)[-1]
    assert (finished.failed, path.exists()) == (1, False)
    assert "s0" not in (dataset / "pairs.csv").read_text()


def test_a_rerun_does_only_what_is_missing_cut_off_or_foreign(dataset):
    run(dataset)
    folder = dataset / "embeddings" / "mel"
    before = {name: (folder / f"{name}.npy").read_bytes() for name in ("s0", "s1", "s2")}
    (folder / "s0.npy").write_bytes(before["s0"][:-7])
    np.save(folder / "s2.npy", np.zeros((4, 100)))
    untouched = (folder / "s1.npy").stat().st_mtime_ns
    events = run(dataset)
    assert ids(events, ClipEmbedded) == ["s0", "s2"]
    assert [event.present for event in events if isinstance(event, EmbedPlanned)] == [1]
    assert {name: (folder / f"{name}.npy").read_bytes() for name in before} == before
    assert (folder / "s1.npy").stat().st_mtime_ns == untouched
    assert not ids(run(dataset), ClipEmbedded)


def test_a_bad_file_gets_a_row_and_the_others_go_on_and_it_can_be_mended(dataset):
    song = dataset / "audio" / "s1.wav"
    good = song.read_bytes()
    song.write_bytes(b"this is no music")
    events = run(dataset)
    assert (ids(events, ClipEmbedded), ids(events, ClipFailed)) == (["s0", "s2"], ["s1"])
    row = read_table(dataset / "embeddings" / "mel" / "status.csv")[1]
    assert (row["id"], row["status"]) == ("s1", "failed")
    assert "s1.wav is not audio" in row["reason"]
    assert [pair["id"] for pair in read_table(dataset / "pairs.csv")] == ["s0", "s2"]
    song.write_bytes(good)
    assert ids(run(dataset), ClipEmbedded) == ["s1"]
    assert read_table(dataset / "embeddings" / "mel" / "status.csv")[1] == {"id": "s1", "status": "ok", "reason": ""}


def test_rows_that_cannot_be_used_are_told_and_write_nothing_elsewhere(dataset):
    rows = [
        ("../../evil", "audio/s0.wav", "images/s0.jpg"),
        ("good", "audio/s0.wav", "images/s0.jpg"),
        ("out", "../../etc/hosts", "images/s0.jpg"),
        ("good", "audio/s1.wav", "images/s0.jpg"),
    ]
    write_manifest(dataset, rows)
    events = run(dataset)
    assert ids(events, ClipFailed) == ["../../evil", "good", "out"]
    assert ids(events, ClipEmbedded) == ["good"]
    assert [row["status"] for row in read_table(dataset / "embeddings" / "mel" / "status.csv")] == [
        "failed",
        "ok",
        "failed",
        "failed",
    ]
    assert len(read_table(dataset / "pairs.csv")) == 1
    assert not list(dataset.parent.rglob("evil*"))


def test_warnings_of_a_file_outlive_the_run_that_made_them(dataset, monkeypatch):
    heard = load_excerpt(dataset / "audio" / "s0.wav", 22050)
    odd = replace(heard, warnings=("s0.wav is incomplete",))
    monkeypatch.setattr(
        "covergen_cli.audio.embed.load_excerpt", lambda path, _rate_hz, _resample: odd if path.stem == "s0" else heard
    )
    events = embed_dataset(dataset, EmbedConfig(encoder="mel", workers=1))
    assert next(event for event in events if isinstance(event, ClipEmbedded)).id == "s0"
    events.close()  # as a kill would: the tables are not written yet
    run(dataset)
    run(dataset)
    row = read_table(dataset / "embeddings" / "mel" / "status.csv")[0]
    assert row["status"] == "ok"
    assert "incomplete" in row["reason"]


def test_other_settings_are_refused_by_name_unless_they_get_a_folder_of_their_own(dataset):
    run(dataset)
    facts = dataset / "embeddings" / "mel" / "encoder.json"
    old = json.loads(facts.read_text()) | {"hop_seconds": 0.5}
    facts.write_text(json.dumps(old))
    kept = sorted(path.stat().st_mtime_ns for path in facts.parent.glob("*.npy"))
    with pytest.raises(ConfigError, match=r"hop_seconds is 0\.5, not 0\.743") as refused:
        run(dataset)
    assert "--name" in refused.value.hint
    assert sorted(path.stat().st_mtime_ns for path in facts.parent.glob("*.npy")) == kept
    run(dataset, name="mel-new")
    assert read_table(dataset / "pairs.csv")[0]["embedding_path"] == "embeddings/mel-new/s0.npy"
    settings = dataset / "embeddings" / "mel-new" / "settings.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"dtype": "bf16"}))
    with pytest.raises(ConfigError, match='dtype is "bf16", not "fp32"'):
        run(dataset, name="mel-new")


def test_embeddings_of_unknown_making_are_left_alone(dataset):
    folder = dataset / "embeddings" / "mel"
    folder.mkdir(parents=True)
    np.save(folder / "s0.npy", np.zeros((4, 512), np.float32))
    with pytest.raises(ConfigError, match=r"no encoder\.json"):
        run(dataset)
    (folder / "encoder.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        run(dataset)


@pytest.mark.parametrize("settings", [{"hop_seconds": 0.5}, {"dtype": "bf16"}, {"openl3_weights": "x.h5"}])
def test_mel_has_no_settings_of_openl3(dataset, settings):
    with pytest.raises(ConfigError, match="is for the encoder openl3"):
        run(dataset, EmbedConfig(encoder="mel", **settings))
    assert not (dataset / "embeddings").exists()


def test_a_manifest_without_rows_is_an_error(dataset):
    write_manifest(dataset, [])
    with pytest.raises(InputError, match="has no rows"):
        run(dataset)


def test_closing_early_leaves_whole_files_and_the_next_run_goes_on(dataset):
    events = embed_dataset(dataset, EmbedConfig(encoder="mel", workers=1))
    next(event for event in events if isinstance(event, ClipEmbedded))
    events.close()
    done = list((dataset / "embeddings" / "mel").glob("*.npy"))
    assert done
    assert all(embedding_fault(path, 512) is None for path in done)
    assert len(ids(run(dataset), ClipEmbedded)) == 3 - len(done)


def test_what_a_killed_run_left_is_swept_when_it_is_old(dataset):
    folder = dataset / "embeddings" / "mel"
    run(dataset)
    for name, age_seconds in ((".s1.old.tmp.npy", 7200), (".s1.new.tmp.npy", 10)):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (time.time() - age_seconds,) * 2)
    run(dataset)
    assert [path.name for path in folder.glob(".*")] == [".s1.new.tmp.npy"]


def test_a_place_that_cannot_be_written_to_ends_the_run(dataset):
    (dataset / "embeddings").write_text("a file where a folder should be")
    with pytest.raises(OutputError):
        run(dataset)


def test_openl3_runs_across_clips_and_gives_each_song_its_own_rows(dataset):
    cache_recipe()
    for index in range(3):
        write_song(dataset / "audio" / f"s{index}.wav", seconds=0.6, hertz=110.0 * (index + 2))  # two windows each
    settings = {"encoder": "openl3", "hop_seconds": 1.0, "device": "cpu", "workers": 2}
    run(dataset, EmbedConfig(**settings, batch_size=3))
    encoder = OpenL3Encoder(OpenL3Config(hop_seconds=1.0))
    target = dataset / "embeddings" / "openl3"
    assert json.loads((target / "encoder.json").read_text()) == encoder.spec()
    sound = load_excerpt(dataset / "audio" / "s1.wav", 48_000, encoder.resample).samples
    stored = np.load(target / "s1.npy")
    np.testing.assert_allclose(stored, encoder.embed(sound, 48_000), rtol=1e-4, atol=1e-4)
    whole = stored.tobytes()
    (target / "s1.npy").unlink()
    run(dataset, EmbedConfig(**settings, batch_size=3))
    assert np.load(target / "s1.npy").tobytes() == whole, "alone in its batch it has the same numbers"
    with pytest.raises(ConfigError, match=r"hop_seconds is 1\.0, not 0\.5"):
        run(dataset, EmbedConfig(**settings | {"hop_seconds": 0.5}))


def test_a_kill_loses_nothing(tmp_path):
    folder = tmp_path / "DATA"
    rows = []
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "x.jpg").write_bytes(b"picture")
    for index in range(8):
        write_song(folder / "audio" / f"{index}.wav", seconds=12, hertz=100.0 + 30 * index)
        rows.append((f"k{index}", f"audio/{index}.wav", "images/x.jpg"))
    write_song(folder / "audio" / "bad.wav").write_bytes(b"no music")
    write_manifest(folder, [("bad", "audio/bad.wav", "images/x.jpg"), *rows])
    target = folder / "embeddings" / "mel"

    process = subprocess.Popen([sys.executable, "-m", "covergen_cli", "embed", str(folder), "--workers", "1"])
    try:
        until = time.monotonic() + 300
        while not list(target.glob("[!.]*.npy")) and time.monotonic() < until and process.poll() is None:
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        process.wait()

    done = {path.stem: path.read_bytes() for path in target.glob("[!.]*.npy")}
    assert done
    assert all(embedding_fault(target / f"{name}.npy", 512) is None for name in done)
    events = run(folder)
    assert len(ids(events, ClipEmbedded)) == 8 - len(done)
    assert all((target / f"{name}.npy").read_bytes() == content for name, content in done.items())
    assert len(read_table(folder / "pairs.csv")) == 8
    assert [row["status"] for row in read_table(target / "status.csv")] == ["failed"] + ["ok"] * 8
