"""What is here of every model is told truly, and damage is found."""

import json
import os

import pytest

from covergen_cli.errors import ModelError
from covergen_cli.weights.catalogue import CATALOGUE, inspect, pull, remove
from covergen_cli.weights.hub import KNOWN
from covergen_cli.weights.hub_cache import HubModel
from covergen_cli.weights.openl3 import OPENL3
from openl3_files import cache_recipe
from weights.conftest import COMMIT, blob_id

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
    blob = folder / "blobs" / blob_id(name, content)
    link = folder / "snapshots" / model.revision / name
    for path in (blob, link):
        path.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(content)
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(blob, link.parent))
    return blob


@pytest.fixture
def sd15(cache):
    """A complete model in the cache: part → blob of its weights."""
    blobs = {}
    keep(cache, "scheduler/scheduler_config.json", b"{}", KNOWN["sd15"])
    for part, stem in PARTS.items():
        keep(cache, f"{part}/config.json", b"{}" + part.encode(), KNOWN["sd15"])
        blobs[part] = keep(cache, f"{part}/{stem}.safetensors", b"weights of " + part.encode(), KNOWN["sd15"])
    return blobs


def test_everything_has_a_licence_and_a_source():
    assert set(CATALOGUE) == {"starter", *KNOWN, *OPENL3}
    assert all(model.licence and model.source and model.role for model in CATALOGUE.values())
    assert all(model.about_bytes for name, model in CATALOGUE.items() if name != "starter")


def test_on_a_new_machine_nothing_is_here(cache):
    for name in CATALOGUE:
        if name != "starter":
            assert (inspect(name).status, inspect(name).path) == ("missing", None)


def test_openl3_complete_and_damaged():
    path = cache_recipe()
    state = inspect("openl3")
    assert (state.status, state.path, state.size_bytes) == ("complete", path, path.stat().st_size)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert inspect("openl3").status == "damaged"
    assert remove("openl3") == len(content)
    assert inspect("openl3").status == "missing"
    assert remove("openl3") == 0


def test_a_hub_model_is_complete_when_no_part_is_missing(cache, sd15):
    state = inspect("sd15", verify=True)
    assert (state.status, state.problem) == ("complete", "")
    assert state.size_bytes == sum(path.stat().st_size for path in state.path.rglob("*.*") if path.is_file())
    sd15["vae"].unlink()
    state = inspect("sd15")
    assert state.status == "damaged"
    assert "vae" in state.problem


def test_a_model_lacks_a_shard_of_its_index_or_the_scheduler(cache, sd15):
    index = {"weight_map": {"a": "x-00001-of-00002.safetensors", "b": "x-00002-of-00002.safetensors"}}
    sd15["unet"].unlink()
    keep(cache, "unet/x.safetensors.index.json", json.dumps(index).encode(), KNOWN["sd15"])
    keep(cache, "unet/x-00001-of-00002.safetensors", b"first", KNOWN["sd15"])
    assert inspect("sd15").problem == "sd15: unet/x-00002-of-00002.safetensors is missing"
    second = keep(cache, "unet/x-00002-of-00002.safetensors", b"second", KNOWN["sd15"])
    assert inspect("sd15").status == "complete"
    second.unlink()
    (inspect("sd15").path / "scheduler" / "scheduler_config.json").unlink()
    assert "sd15: scheduler/scheduler_config.json is missing, unet/x-00002" in inspect("sd15").problem


def test_damage_in_a_hub_model_is_found_by_reading_it(cache, sd15):
    sd15["unet"].write_bytes(b"weights of unex")
    assert inspect("sd15").status == "complete"
    state = inspect("sd15", verify=True)
    assert state.status == "damaged"
    assert "unet/diffusion_pytorch_model.safetensors is damaged" in state.problem


def test_pull_downloads_everything_and_reports_it(hub):
    events = []
    pull("sd15", events.append)
    assert inspect("sd15", verify=True).status == "complete"
    size = sum(map(len, hub.files.values()))
    assert [event.done for event in events] == sorted({event.done for event in events})
    assert (events[-1].done, events[-1].total, events[-1].detail) == (size, size, "sd15")


def test_pull_replaces_only_what_is_damaged(hub, capfd):
    pull("sd15")
    state = inspect("sd15")
    (state.path / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"weights of unex")
    hub.downloads.clear()
    pull("sd15")
    assert hub.downloads == ["unet/diffusion_pytorch_model.safetensors"]
    assert inspect("sd15", verify=True).status == "complete"
    assert capfd.readouterr().err == ""


def test_pull_of_a_complete_model_asks_the_hub_nothing(hub):
    pull("owner/name")
    hub.requests = 0
    events = []
    pull("owner/name", events.append)
    assert (events, hub.requests) == ([], 0)


def test_a_failed_pull_says_why(cache):
    with pytest.raises(ModelError, match="network is off"):
        pull("sd15")


def test_a_pull_of_something_else_than_a_model(hub):
    hub.files = {"README.md": b"hello", "text_encoder/config.json": b"{}"}
    with pytest.raises(ModelError, match=r"not complete: owner/name: scheduler/scheduler_config\.json is missing"):
        pull("owner/name")


def test_an_adapter_from_the_hub_is_complete(cache):
    keep(cache, "adapter.safetensors", b"weights", HubModel("owner/name", "owner/name", COMMIT))
    assert inspect(f"owner/name@{COMMIT}").status == "complete"
    refs = cache / "models--owner--name" / "refs"
    refs.mkdir()
    (refs / "main").write_text(COMMIT)
    assert inspect("owner/name", verify=True).status == "complete"


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
