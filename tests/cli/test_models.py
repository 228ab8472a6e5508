"""``covergen models``: what is printed, and how it ends."""

import json

import pytest

from covergen_cli.weights import catalogue, upload
from covergen_cli.weights.catalogue import CATALOGUE
from covergen_cli.weights.openl3 import OPENL3, cache_folder
from openl3_files import cache_recipe
from tiny import tiny_adapter, tiny_base


@pytest.fixture(autouse=True)
def _nothing_here(tmp_path, monkeypatch):
    """An empty cache of the hub, and a complete starter."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "sha256.json").write_text("{}")
    monkeypatch.setattr(catalogue, "starter_folder", lambda: bundle)


def damage(path):
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def test_list_shows_every_model(covergen):
    path = cache_recipe()
    ended = covergen("models", "list")
    assert (ended.code, ended.err) == (0, "")
    head, *rows = ended.out.splitlines()
    assert head.split() == ["NAME", "STATUS", "SIZE", "LICENCE", "FOR", "WHERE"]
    assert [row.split()[0] for row in rows] == list(CATALOGUE)
    openl3 = next(row for row in rows if row.startswith("openl3 "))
    assert "complete" in openl3
    assert "18.8 MB" in openl3
    assert "CC-BY-4.0" in openl3
    assert openl3.endswith(str(path))
    sd15 = next(row for row in rows if row.startswith("sd15 "))
    assert "missing" in sd15
    assert "~4.3 GB" in sd15


def test_list_for_scripts(covergen):
    rows = [json.loads(line) for line in covergen("models", "list", "--json").out.splitlines()]
    assert [row["name"] for row in rows] == list(CATALOGUE)
    refiner = rows[-2]
    assert refiner == {
        "schema": 1,
        "name": "sdxl-refiner",
        "role": "refiner",
        "licence": "CreativeML-OpenRAIL++-M",
        "source": "https://huggingface.co/stabilityai/stable-diffusion-xl-refiner-1.0",
        "status": "missing",
        "path": None,
        "size_bytes": None,
        "about_bytes": refiner["about_bytes"],
        "error": None,
    }


def test_path_of_what_is_here_and_of_what_is_not(covergen):
    path = cache_recipe()
    assert covergen("models", "path", "openl3").out == f"{path}\n"
    ended = covergen("models", "path", "sd15")
    assert (ended.code, ended.out) == (1, "")
    assert "covergen models pull sd15" in ended.err
    damage(path)
    assert covergen("models", "path", "openl3").code == 1


def test_verify_finds_damage(covergen):
    path = cache_recipe()
    ended = covergen("models", "verify")
    assert (ended.code, ended.err) == (0, "verified: starter, openl3\n")
    assert [line.split()[0] for line in ended.out.splitlines()] == ["NAME", "starter", "openl3"]
    damage(path)
    ended = covergen("models", "verify", "--json")
    assert ended.code == 1
    assert [json.loads(line)["status"] for line in ended.out.splitlines()] == ["complete", "damaged"]
    assert "covergen models pull openl3" in ended.err


def test_verify_of_a_model_that_is_not_here(covergen):
    ended = covergen("models", "verify", "sd15")
    assert ended.code == 1
    assert "sd15 is not on this machine" in ended.err


def test_pull_of_what_is_here_says_where(covergen):
    path = cache_recipe()
    ended = covergen("models", "pull", "openl3", "starter")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[0] == str(path)


def test_pull_without_a_network(covergen, monkeypatch):
    ended = covergen("models", "pull", "openl3", "--offline")
    assert (ended.code, ended.out) == (1, "")
    assert OPENL3["openl3"].file_name in ended.err
    assert "--openl3-weights FILE" in ended.err
    assert not cache_folder().exists() or not list(cache_folder().iterdir())


def test_rm_removes_with_yes(covergen):
    path = cache_recipe()
    ended = covergen("models", "rm", "openl3", "sd15", "--yes")
    assert (ended.code, ended.out) == (0, "")
    assert "18.8 MB" in ended.err
    assert "sd15 is not on this machine" in ended.err
    assert not path.exists()


def test_rm_asks_first(covergen, monkeypatch):
    path = cache_recipe()
    ended = covergen("models", "rm", "openl3")
    assert ended.code == 2
    assert "--yes" in ended.err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
    assert covergen("models", "rm", "openl3").code == 130
    assert path.exists()
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "y")
    assert covergen("models", "rm", "openl3").code == 0
    assert not path.exists()


def test_rm_never_removes_the_starter(covergen):
    path = cache_recipe()
    ended = covergen("models", "rm", "openl3", "starter", "--yes")
    assert ended.code == 1
    assert "part of the package" in ended.err
    assert path.exists()


@pytest.mark.parametrize("command", ["pull", "path", "verify", "rm"])
def test_a_name_that_does_not_exist(covergen, command):
    ended = covergen("models", command, "openl4")
    assert (ended.code, ended.out) == (1, "")
    assert "there is no model openl4" in ended.err
    assert "openl3" in ended.err


def test_an_adapter_is_pushed_with_a_licence_and_looked_at_before(covergen, tmp_path, monkeypatch):
    run, pushed = tmp_path / "RUN", []
    tiny_adapter(run / "adapter", tiny_base(tmp_path / "base"))
    monkeypatch.setattr(
        upload, "upload_folder", lambda _folder, name, _message, *, private: pushed.append((name, private)) or "URL"
    )
    dry = covergen("models", "push", run, "me/mine", "--licence", "mit", "--dry-run")
    assert dry.code == 0, dry.err
    names = ["README.md", "adapter.json", "adapter.safetensors"]
    assert dry.out.splitlines() == [str(run / "push" / name) for name in names]
    assert "nothing was uploaded" in dry.err
    assert pushed == []
    done = covergen("models", "push", run, "me/mine", "--licence", "mit", "--private")
    assert (done.code, done.out) == (0, "URL\n")
    assert pushed == [("me/mine", True)]
    assert "use --licence" in covergen("models", "push", run, "me/mine").err
    assert "is not a hub id" in covergen("models", "push", run, "mine", "--licence", "mit").err
    assert "no run folder" in covergen("models", "push", tmp_path / "gone", "me/mine", "--licence", "mit").err
    assert len(pushed) == 1
