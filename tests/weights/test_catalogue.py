"""What is here of every model is told truly, and damage is found."""

import hashlib
import os

import pytest

from covergen_cli.errors import ModelError
from covergen_cli.weights import KNOWN, catalogue, hub, hub_cache
from covergen_cli.weights.catalogue import CATALOGUE, inspect, pull, remove
from openl3_files import cache_recipe

PARTS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the hub."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def keep(cache, name, content, model):
    """Put a file into the cache as the hub's library does: a blob, and a link to it."""
    folder = cache / f"models--{model.repo_id.replace('/', '--')}"
    large = name.endswith(".safetensors")
    data = content if large else b"blob %d\0" % len(content) + content
    blob = folder / "blobs" / (hashlib.sha256(data) if large else hashlib.sha1(data, usedforsecurity=False)).hexdigest()
    link = folder / "snapshots" / model.revision / name
    for path in (blob, link):
        path.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(content)
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(blob, link.parent))
    return blob


@pytest.fixture
def sd15(cache):
    """A whole model in the cache: part → blob of its weights."""
    blobs = {}
    for part, stem in PARTS.items():
        keep(cache, f"{part}/config.json", b"{}" + part.encode(), KNOWN["sd15"])
        blobs[part] = keep(cache, f"{part}/{stem}.safetensors", b"weights of " + part.encode(), KNOWN["sd15"])
    return blobs


def test_everything_has_a_licence_and_a_source():
    assert set(CATALOGUE) == {"starter", *hub.KNOWN, *catalogue.OPENL3}
    assert all(model.licence and model.source and model.role for model in CATALOGUE.values())
    assert all(model.about_bytes for name, model in CATALOGUE.items() if name != "starter")


def test_on_a_new_machine_nothing_is_here(cache):
    for name in CATALOGUE:
        if name != "starter":
            assert (inspect(name).status, inspect(name).path) == ("missing", None)


def test_openl3_whole_and_damaged():
    path = cache_recipe()
    state = inspect("openl3")
    assert (state.status, state.path, state.size_bytes) == ("whole", path, path.stat().st_size)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert inspect("openl3").status == "damaged"
    assert remove("openl3") == len(content)
    assert inspect("openl3").status == "missing"
    assert remove("openl3") == 0


def test_a_hub_model_is_whole_when_no_part_is_missing(cache, sd15):
    state = inspect("sd15", thoroughly=True)
    assert (state.status, state.problem) == ("whole", "")
    assert state.size_bytes == sum(path.stat().st_size for path in state.path.rglob("*.*") if path.is_file())
    sd15["vae"].unlink()
    state = inspect("sd15")
    assert state.status == "damaged"
    assert "vae" in state.problem


def test_damage_in_a_hub_model_is_found_by_reading_it(cache, sd15):
    sd15["unet"].write_bytes(b"weights of unex")
    assert inspect("sd15").status == "whole"
    state = inspect("sd15", thoroughly=True)
    assert state.status == "damaged"
    assert "unet/diffusion_pytorch_model.safetensors is damaged" in state.problem


def test_pull_replaces_only_what_is_damaged(cache, sd15, monkeypatch):
    seen = {}

    def fetch(model, _reference):
        here = {path.parent.name for path in hub_cache.find_model(model).rglob("*.safetensors") if path.is_file()}
        seen["here"] = here
        keep(cache, "unet/diffusion_pytorch_model.safetensors", b"weights of unet", model)

    monkeypatch.setattr(hub_cache, "fetch_model", fetch)
    sd15["unet"].write_bytes(b"weights of unex")
    events = list(pull("sd15"))
    assert seen["here"] == {"vae", "text_encoder"}
    assert all(event.detail == "sd15" for event in events)
    assert inspect("sd15", thoroughly=True).status == "whole"


def test_pull_fetches_nothing_that_is_whole(cache, sd15, monkeypatch):
    monkeypatch.setattr(hub_cache, "fetch_model", lambda *_: pytest.fail("it is here"))
    assert list(pull("sd15")) == []


def test_a_failed_pull_says_why(cache):
    with pytest.raises(ModelError, match="network is off"):
        list(pull("sd15"))


def test_a_pull_of_something_else_than_a_model(cache, monkeypatch):
    model = hub.HubModel("owner/name", "0" * 40)
    monkeypatch.setattr(hub_cache, "fetch_model", lambda *_: keep(cache, "README.md", b"hello", model))
    with pytest.raises(ModelError, match="not whole"):
        list(pull(f"owner/name@{'0' * 40}"))


def test_an_adapter_from_the_hub_is_whole(cache):
    keep(cache, "adapter.safetensors", b"weights", hub.HubModel("owner/name", "0" * 40))
    assert inspect(f"owner/name@{'0' * 40}").status == "whole"
    refs = cache / "models--owner--name" / "refs"
    refs.mkdir()
    (refs / "main").write_text("0" * 40)
    assert inspect("owner/name", thoroughly=True).status == "whole"


def test_a_hub_model_is_removed_with_its_blobs(cache, sd15):
    size = sum(blob.stat().st_size for blob in sd15.values())
    assert remove("sd15") > size
    assert inspect("sd15").status == "missing"
    assert not any(blob.exists() for blob in sd15.values())
    assert remove("sd15") == 0


def test_the_starter_stays():
    with pytest.raises(ModelError, match="part of the package"):
        remove("starter")


@pytest.mark.parametrize("name", ["openl4", "../x", "a/b/c", ""])
def test_what_is_no_model(name):
    with pytest.raises(ModelError, match="there is no model"):
        inspect(name)
