"""``covergen describe``."""

import json

import pytest

from covergen_cli.cli.main import run
from dataset_files import write_song


@pytest.fixture
def songs(tmp_path):
    write_song(tmp_path / "a.wav", seconds=6.0)
    (tmp_path / "b.wav").write_bytes(b"no music")
    (tmp_path / "a.lrc").write_text("[00:01.00]By the river and the lighthouse\n", encoding="utf-8")
    return tmp_path


def test_a_prompt_per_song_on_stdout_and_what_was_heard_on_stderr(songs, capsys):
    assert run(["describe", str(songs / "a.wav")]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert out.rstrip().endswith("album cover art, square format")
    assert "a.wav: " in err
    assert "tempo 0." in err


def test_json_and_one_bad_song(songs, capsys):
    assert run(["describe", str(songs), "--json", "--words", "lyrics"]) == 3
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["status"], second["status"]) == ("ok", "failed")
    assert "river, lighthouse" in first["prompt"]
    assert set(first["descriptors"]) >= {"tempo", "mode", "energy"}
    assert first["segment"] == [0.0, pytest.approx(6.0, abs=0.1)]
    assert "b.wav" in second["error"]


def test_the_same_song_and_seed_give_the_same_prompt(songs, capsys):
    prompts = []
    for seed in ("1", "1", "2", "3"):
        run(["describe", str(songs / "a.wav"), "--seed", seed])
        prompts.append(capsys.readouterr().out)
    assert prompts[0] == prompts[1]
    assert len(set(prompts)) > 1


def test_a_part_of_the_song(songs, capsys):
    assert run(["describe", str(songs / "a.wav"), "--segment", "1-3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["segment"] == [1.0, pytest.approx(3.0, abs=0.1)]
