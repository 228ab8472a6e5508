"""Models are found where they should be, and nothing damaged is used."""

import hashlib
import json
import shutil
from fnmatch import fnmatch
from pathlib import Path

import pytest

from covergen_cli import weights
from covergen_cli.errors import ModelError
from covergen_cli.models.base import load_base
from covergen_cli.models.refiner import load_refiner
from covergen_cli.weights import hub as hub_module
from tiny import tiny_refiner, tiny_sd_base

COMMIT = "0123456789abcdef0123456789abcdef01234567"


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


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that serves one snapshot and remembers what it was asked."""
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    class Hub:
        folder = tmp_path / "hub" / "snapshots" / COMMIT
        reachable = True

        def __init__(self):
            self.calls = []

        def download(self, repo_id, *, revision, allow_patterns, local_files_only):
            self.calls = [*self.calls, (repo_id, revision, tuple(allow_patterns), local_files_only)]
            if local_files_only:
                if not self.folder.exists():
                    raise LocalEntryNotFoundError("not here")
            elif not self.reachable:
                raise LocalEntryNotFoundError("no network")
            else:
                for part, stem in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
                    write(self.folder / part / "config.json")
                    write(self.folder / part / f"{stem}.safetensors")
                shutil.copytree(self.folder / "unet", self.folder / "vae", dirs_exist_ok=True)
            return str(self.folder)

    fake = Hub()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fake.download)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    return fake


def test_the_starter_is_in_the_package():
    assert weights.starter_folder() == Path(weights.__file__).parents[1] / "starter" / "bundle"


def test_a_whole_starter_is_used(bundle):
    assert weights.resolve("starter") == bundle


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"other"), Path.unlink], ids=["changed", "missing"])
def test_a_damaged_starter_is_refused(bundle, damage):
    damage(bundle / "vae" / "w.safetensors")
    with pytest.raises(ModelError, match=r"vae/w\.safetensors") as caught:
        weights.resolve("starter")
    assert "Reinstall" in caught.value.hint


def test_no_starter_at_all(bundle):
    (bundle / "sha256.json").unlink()
    with pytest.raises(ModelError, match="missing or damaged"):
        weights.resolve("starter")


def test_a_folder_is_itself(tmp_path):
    assert weights.resolve(str(tmp_path)) == tmp_path
    assert weights.revision_of(tmp_path) is None


@pytest.mark.parametrize("reference", ["nothing", "./owner/name", "/no/such/folder", "a/b/c", "owner/name; rm"])
def test_what_is_no_model(reference):
    with pytest.raises(ModelError, match="there is no base"):
        weights.resolve(reference)


def test_a_mistyped_run_folder_is_no_hub_id(tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="no folder runs/first") as refused:
        weights.resolve("runs/first", "adapter")
    assert "runs/first@main" in refused.value.hint


def test_known_models_are_pinned_to_a_commit():
    assert all(len(model.revision) == 40 for model in weights.KNOWN.values())
    assert weights.KNOWN["sd15"].repo_id == "stable-diffusion-v1-5/stable-diffusion-v1-5"


def test_a_known_model_is_fetched_once(hub):
    folder = weights.resolve("sd15")
    assert folder == hub.folder
    assert weights.revision_of(folder) == COMMIT
    repo_id, revision, patterns, _ = hub.calls[-1]
    assert (repo_id, revision) == (weights.KNOWN["sd15"].repo_id, weights.KNOWN["sd15"].revision)
    assert not any(pattern.endswith((".bin", ".ckpt", ".py", ".pt")) or pattern == "*" for pattern in patterns)
    fetched = [call for call in hub.calls if not call[-1]]
    assert len(fetched) == 1
    weights.resolve("sd15")
    assert [call for call in hub.calls if not call[-1]] == fetched


@pytest.mark.parametrize("hole", ["unet", "vae", "text_encoder"])
def test_a_download_with_holes_is_completed(hub, hole):
    weights.resolve("sd15")
    shutil.rmtree(hub.folder / hole)
    weights.resolve("sd15")
    assert (hub.folder / hole / "config.json").is_file()


@pytest.mark.parametrize(
    ("make", "kind", "half"), [(tiny_sd_base, "base", False), (tiny_refiner, "refiner", True)], ids=["base", "refiner"]
)
def test_what_is_fetched_is_what_is_needed(tmp_path, make, kind, half):
    """A model of the published layout, less every file that the patterns leave out, still loads."""
    import torch

    whole = make(tmp_path / "whole")
    patterns = hub_module._patterns(kind)
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
        assert load_refiner(folder, "a", "b", "cpu", torch.float32).words.tokens.shape == (2, 77, 32)


def test_a_refiner_can_come_from_anywhere(hub):
    weights.resolve("owner/name", "refiner")
    assert hub.calls[-1][2] == weights.KNOWN["sdxl-refiner"].patterns
    with pytest.raises(ModelError, match="there is no refiner nothing"):
        weights.resolve("nothing", "refiner")


def test_of_the_refiner_half_the_precision_is_fetched(hub):
    hub_module.fetch_model(weights.KNOWN["sdxl-refiner"], "sdxl-refiner")
    _, revision, patterns, _ = hub.calls[-1]
    assert revision == "5d4cfe854c9a9a87939ff3653551c2b3c99a4356"
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in patterns
    assert all(pattern.endswith((".json", ".txt", ".fp16.safetensors")) for pattern in patterns)


def test_a_revision_can_be_named(hub):
    weights.resolve("owner/name@v1.2")
    assert hub.calls[-1][:2] == ("owner/name", "v1.2")
    weights.resolve("owner/name")
    assert hub.calls[-1][:2] == ("owner/name", None)


def test_offline_nothing_is_fetched(hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="the network is off") as caught:
        weights.resolve("sd15")
    assert "covergen models pull sd15" in caught.value.hint
    assert all(local_only for *_, local_only in hub.calls)


def test_without_a_network(hub):
    hub.reachable = False
    with pytest.raises(ModelError, match="cannot be reached"):
        weights.resolve("sd15")


def test_the_real_library_offline():
    with pytest.raises(ModelError, match="network is off"):
        weights.resolve("sd15")
