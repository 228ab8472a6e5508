"""Models are found where they should be, and nothing damaged is used."""

import hashlib
import json
import shutil
from fnmatch import fnmatch
from pathlib import Path

import pytest

from covergen_cli.errors import ModelError
from covergen_cli.models.base import load_base
from covergen_cli.models.refiner import load_refiner
from covergen_cli.weights import hub as hub_module
from covergen_cli.weights.hub import KNOWN, resolve, revision_of
from covergen_cli.weights.hub_cache import find_model
from tiny import tiny_refiner, tiny_sd_base
from weights.conftest import COMMIT


def write(path, data=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    folder = tmp_path / "bundle"
    write(folder / "unet" / "w.safetensors", b"unet")
    write(folder / "vae" / "w.safetensors", b"vae")
    hashes = {f"{part}/w.safetensors": hashlib.sha256(part.encode()).hexdigest() for part in ("unet", "vae")}
    (folder / "sha256.json").write_text(json.dumps(hashes))
    monkeypatch.setattr(hub_module, "starter_folder", lambda: folder)
    return folder


def test_the_starter_is_in_the_package():
    assert hub_module.starter_folder() == Path(hub_module.__file__).parents[1] / "starter" / "bundle"


def test_a_whole_starter_is_used(bundle):
    assert resolve("starter") == bundle


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"other"), Path.unlink], ids=["changed", "missing"])
def test_a_damaged_starter_is_refused(bundle, damage):
    damage(bundle / "vae" / "w.safetensors")
    with pytest.raises(ModelError, match=r"vae/w\.safetensors") as caught:
        resolve("starter")
    assert "Reinstall" in caught.value.hint


def test_no_starter_at_all(bundle):
    (bundle / "sha256.json").unlink()
    with pytest.raises(ModelError, match="missing or damaged"):
        resolve("starter")


def test_a_folder_is_itself(tmp_path):
    assert resolve(str(tmp_path)) == tmp_path
    assert revision_of(tmp_path) is None


@pytest.mark.parametrize("reference", ["nothing", "./owner/name", "/no/such/folder", "a/b/c", "owner/name; rm"])
def test_what_is_no_model(reference):
    with pytest.raises(ModelError, match="there is no base"):
        resolve(reference)


def test_a_mistyped_run_folder_is_no_hub_id(tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="no folder runs/first") as refused:
        resolve("runs/first", "adapter")
    assert "runs/first@main" in refused.value.hint


def test_known_models_are_pinned_to_a_commit():
    assert all(len(model.revision) == 40 for model in KNOWN.values())
    assert KNOWN["sd15"].repo_id == "stable-diffusion-v1-5/stable-diffusion-v1-5"


def test_a_known_model_is_downloaded_once(hub):
    hub.files |= {"model.bin": b"pickle", "unet/model.py": b"code", "v1-5.ckpt": b"pickle"}
    folder = resolve("sd15")
    assert folder == find_model(KNOWN["sd15"])
    assert revision_of(folder) == KNOWN["sd15"].revision
    assert sorted(hub.downloads) == sorted(name for name in hub.files if name.endswith((".json", ".safetensors")))
    hub.downloads.clear()
    assert resolve("sd15") == folder
    assert hub.downloads == []


@pytest.mark.parametrize("gap", ["unet", "vae", "text_encoder"])
def test_an_incomplete_download_is_completed(hub, gap):
    folder = resolve("sd15")
    hub.downloads.clear()
    shutil.rmtree(folder / gap)
    for blob in (folder.parents[1] / "blobs").iterdir():
        if blob.read_bytes().endswith(gap.encode()):
            blob.unlink()
    resolve("sd15")
    assert {name.partition("/")[0] for name in hub.downloads} == {gap}
    assert (folder / gap / "config.json").is_file()


@pytest.mark.parametrize(
    ("make", "kind", "half"), [(tiny_sd_base, "base", False), (tiny_refiner, "refiner", True)], ids=["base", "refiner"]
)
def test_what_is_fetched_is_what_is_needed(tmp_path, make, kind, half):
    """A model of the published layout, less every file that the patterns leave out, still loads."""
    import torch

    whole = make(tmp_path / "whole")
    patterns = hub_module._PATTERNS[kind]
    for path in [path for path in whole.rglob("*") if path.is_file()]:
        name = path.relative_to(whole).as_posix()
        if half and path.suffix == ".safetensors":
            name = name.replace(".safetensors", ".fp16.safetensors")
        if any(fnmatch(name, pattern) for pattern in patterns):
            write(tmp_path / "fetched" / name, path.read_bytes())
    folder = str(tmp_path / "fetched")
    if kind == "base":
        assert load_base(folder).null_tokens.shape == (1, 77, 32)
    else:
        assert load_refiner(folder, "a", "b", "cpu", torch.float32).texts.tokens.shape == (2, 77, 32)


def test_a_refiner_is_downloaded_in_half_precision(hub):
    for part in ("unet", "vae"):
        hub.files[f"{part}/diffusion_pytorch_model.fp16.safetensors"] = b"half"
    folder = resolve("owner/name", "refiner")
    assert (
        sorted(path.name for path in folder.rglob("*.safetensors")) == ["diffusion_pytorch_model.fp16.safetensors"] * 2
    )
    with pytest.raises(ModelError, match="there is no refiner nothing"):
        resolve("nothing", "refiner")


def test_the_revision_of_the_refiner():
    assert KNOWN["sdxl-refiner"].revision == "5d4cfe854c9a9a87939ff3653551c2b3c99a4356"
    assert KNOWN["sdxl-refiner"].patterns == hub_module.REFINER_PATTERNS


def test_a_revision_can_be_named(hub):
    assert hub_module.hub_model("owner/name@v1.2").revision == "v1.2"
    assert hub_module.hub_model("owner/name").revision is None
    assert revision_of(resolve("owner/name@v1.2")) == COMMIT
    assert (find_model(KNOWN["sd15"]), find_model(hub_module.hub_model("owner/name"))) == (None, None)


def test_offline_nothing_is_downloaded(hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="the network is off") as caught:
        resolve("sd15")
    assert "covergen models pull sd15" in caught.value.hint
    assert hub.downloads == []


def test_a_model_that_may_not_be_downloaded(hub):
    with pytest.raises(hub_module.NotFetchedError, match="not on this machine"):
        resolve("sd15", fetch=False)
    assert hub.downloads == []


def test_without_a_network(hub, monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def fail(*_, **__):
        raise LocalEntryNotFoundError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(ModelError, match="cannot be reached"):
        resolve("sd15")


def test_a_model_that_the_hub_does_not_have(hub):
    hub.files.clear()
    hub.missing = True
    with pytest.raises(ModelError, match="cannot be downloaded") as caught:
        resolve("owner/name")
    assert caught.value.hint == "Check the name and the revision."
