"""Models are found where they should be, and nothing damaged is used."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from covergen_cli.errors import ModelError
from covergen_cli.models.base import load_base
from covergen_cli.weights import hub as hub_module
from covergen_cli.weights.catalogue import inspect
from covergen_cli.weights.hub import KNOWN, NotFetchedError, resolve, revision_of
from covergen_cli.weights.hub_cache import find_model
from covergen_cli.weights.layout import wanted_files
from tiny import tiny_base, tiny_refiner, tiny_sd_base, tiny_xl_base
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
    assert KNOWN["sdxl-refiner"].revision == "5d4cfe854c9a9a87939ff3653551c2b3c99a4356"


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


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(
    ("make", "kind"),
    [(tiny_sd_base, "base"), (tiny_xl_base, "base"), (tiny_refiner, "refiner"), (tiny_base, "base")],
    ids=["sd", "xl", "refiner", "flow"],
)
def test_what_is_fetched_is_what_is_needed(tmp_path, make, kind, half):
    """A model of the published layout, less every file that is left out, still loads."""
    whole = make(tmp_path / "whole")
    files = {}
    for path in [path for path in whole.rglob("*") if path.is_file()]:
        name = path.relative_to(whole).as_posix()
        files[name] = path
        if path.suffix == ".safetensors" and "null" not in name:
            files[name.replace(".safetensors", ".fp16.safetensors")] = path
            files[name.replace(".safetensors", ".bin")] = path
    wanted = wanted_files(list(files), kind, half=half)
    for name in wanted:
        write(tmp_path / "fetched" / name, files[name].read_bytes())
    assert all(("fp16" in name) is half for name in wanted if name.endswith("model.safetensors"))
    assert not any(name.endswith(".bin") for name in wanted)
    load_base(str(tmp_path / "fetched"), kind=kind)


def weights(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.safetensors"))


def add_halves(hub):
    for name in [name for name in hub.files if name.endswith(".safetensors")]:
        hub.files[name.replace(".safetensors", ".fp16.safetensors")] = b"half of " + name.encode()


@pytest.mark.parametrize("name", ["sd15", "sd-turbo"])
@pytest.mark.parametrize("cuda", [True, False])
def test_half_precision_on_cuda_and_never_both(hub, monkeypatch, name, cuda):
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    add_halves(hub)
    folder = resolve(name)
    found = weights(folder)
    assert [Path(path).parent.name for path in found] == ["text_encoder", "unet", "vae"]
    assert all(path.endswith(".fp16.safetensors") is cuda for path in found)
    assert find_model(KNOWN[name]) == folder
    assert inspect(name).status == "complete"
    hub.downloads.clear()
    monkeypatch.setattr("torch.cuda.is_available", lambda: not cuda)
    assert resolve(name) == folder
    assert hub.downloads == []


@pytest.mark.parametrize("cuda", [True, False])
def test_an_interrupted_download_is_completed_in_its_precision(hub, monkeypatch, cuda):
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    add_halves(hub)
    folder = resolve("sd15")
    shutil.rmtree(folder / "vae")
    monkeypatch.setattr("torch.cuda.is_available", lambda: not cuda)
    found = weights(resolve("sd15"))
    assert len(found) == 3
    assert all(path.endswith(".fp16.safetensors") is cuda for path in found)


def test_a_part_that_is_published_in_one_precision_only(hub, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    hub.files["unet/diffusion_pytorch_model.fp16.safetensors"] = b"half"
    assert weights(resolve("sd15")) == [
        "text_encoder/model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    ]


def test_shards_come_with_their_index(hub, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    stem = "unet/diffusion_pytorch_model"
    shards = [f"diffusion_pytorch_model.fp16-0000{number}-of-00002.safetensors" for number in (1, 2)]
    index = {"weight_map": dict(zip("ab", shards, strict=True))}
    hub.files |= {f"unet/{shard}": shard.encode() for shard in shards}
    hub.files[f"{stem}.safetensors.index.fp16.json"] = json.dumps(index).encode()
    folder = resolve("sd15")
    assert weights(folder)[1:3] == [f"unet/{shard}" for shard in shards]
    assert inspect("sd15").status == "complete"
    (folder / "unet" / shards[1]).unlink()
    assert shards[1] in inspect("sd15").problem


def test_models_of_xls_size_come_in_half_precision_everywhere(hub):
    hub.files["model_index.json"] = b'{"_class_name": "StableDiffusionXLPipeline", "text_encoder": ["x", "y"]}'
    add_halves(hub)
    assert all("fp16" in path for path in weights(resolve("owner/name")))
    with pytest.raises(ModelError, match="there is no refiner nothing"):
        resolve("nothing", "refiner")


@pytest.mark.parametrize("gap", ["text_encoder", "tokenizer"])
def test_a_model_of_the_hub_is_complete_with_the_texts_that_its_index_lists(hub, gap):
    index = {"_class_name": "StableDiffusionPipeline", "text_encoder": ["x", "y"], "tokenizer": ["x", "y"]}
    hub.files |= {"model_index.json": json.dumps(index).encode(), "tokenizer/vocab.json": b"{}"}
    folder = resolve("owner/name")
    shutil.rmtree(folder / gap)
    assert gap in inspect("owner/name").problem
    resolve("owner/name")
    assert inspect("owner/name").status == "complete"
    assert any((folder / gap).iterdir())


def test_the_small_decoder_is_one_file_with_its_config(hub):
    hub.files = {"config.json": b"{}", "diffusion_pytorch_model.safetensors": b"w", "taesd_decoder.safetensors": b"d"}
    folder = resolve("taesd")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "diffusion_pytorch_model.safetensors"]
    assert inspect("taesd").status == "complete"


REFINER_INDEX = {"_class_name": "StableDiffusionXLImg2ImgPipeline", "text_encoder": [None, None]}


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({"_class_name": "FluxPipeline"}, "owner/name, a FluxPipeline: it has a transformer"),
        ({"_class_name": "StableDiffusion3Pipeline"}, "a StableDiffusion3Pipeline: it has a transformer"),
        ({"_class_name": "StableDiffusionInpaintPipeline"}, "fills in parts"),
        ({"_class_name": "AuraFlowPipeline"}, "its layout is another one"),
        (REFINER_INDEX, "refiner of Stable Diffusion XL, which draws from pictures only"),
    ],
    ids=lambda value: value["_class_name"] if isinstance(value, dict) else "",
)
def test_other_layouts_are_refused_before_their_weights(hub, tmp_path, index, message):
    hub.files["model_index.json"] = json.dumps(index).encode()
    with pytest.raises(ModelError, match=message):
        resolve("owner/name")
    assert hub.downloads == ["model_index.json"]
    assert hub.requests <= 4
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=message.replace("owner/name, ", "")):
        resolve(str(tmp_path / "here"))


def test_the_refiner_of_xl_is_fetched_as_a_refiner(hub):
    hub.files["model_index.json"] = json.dumps(REFINER_INDEX).encode()
    folder = resolve("owner/name", "refiner")
    assert (folder / "unet" / "diffusion_pytorch_model.safetensors").is_file()
    with pytest.raises(ModelError, match="draws from pictures only"):
        resolve("owner/name")


def test_a_hub_that_cannot_be_reached(hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="sd15 cannot be downloaded: the hub cannot be reached") as caught:
        resolve("sd15")
    assert "covergen models pull sd15" in caught.value.hint


def test_what_would_be_fetched_is_named(hub):
    with pytest.raises(NotFetchedError, match="sd-turbo is not on this machine yet") as caught:
        resolve("sd-turbo", "refiner", fetch=False)
    assert (caught.value.reference, caught.value.kind) == ("sd-turbo", "refiner")
    assert hub.requests == 0


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


def test_the_safety_checker_is_downloaded_only_when_it_is_asked_for(hub):
    hub.files |= {
        "model_index.json": json.dumps({"_class_name": "StableDiffusionPipeline"}).encode(),
        "safety_checker/config.json": b"{}",
        "safety_checker/model.safetensors": b"weights of the checker",
        "safety_checker/pytorch_model.bin": b"a pickle",
        "feature_extractor/preprocessor_config.json": b"{}",
    }
    folder = resolve("owner/name")
    assert not (folder / "safety_checker").exists()
    with pytest.raises(NotFetchedError):
        resolve("owner/name", "safety", fetch=False)
    resolve("owner/name", "safety")
    assert (folder / "safety_checker" / "model.safetensors").read_bytes() == b"weights of the checker"
    assert (folder / "feature_extractor" / "preprocessor_config.json").is_file()
    assert "safety_checker/pytorch_model.bin" not in hub.downloads
    before = len(hub.downloads)
    assert resolve("owner/name", "safety", fetch=False) == folder
    assert len(hub.downloads) == before
