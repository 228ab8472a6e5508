"""An adapter is prepared for the hub, uploaded to one on this machine, and comes back from there."""

from __future__ import annotations

import base64
import json
import shutil
from http.server import BaseHTTPRequestHandler

import pytest
import safetensors.torch
import torch
import yaml

from covergen_cli.audio.embed import embed_file
from covergen_cli.audio.encoders import get_encoder
from covergen_cli.config import AdapterConfig
from covergen_cli.errors import ConfigError, InputError, ModelError
from covergen_cli.evaluation.share import export_ip_adapter, prepare_upload
from covergen_cli.files import write_json
from covergen_cli.models.adapter import Adapter
from covergen_cli.models.base import load_base
from covergen_cli.models.checkpoint import load_adapter, save_adapter
from covergen_cli.models.decoupled import projection_widths
from covergen_cli.weights import hub as hub_module
from covergen_cli.weights.upload import check_repo_id, upload_folder
from tiny import WIDTH, tiny_adapter, tiny_base, tiny_song
from weights.conftest import COMMIT, Hub, serving


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_base(tmp_path_factory.mktemp("bases") / "my-base")


@pytest.fixture
def run(tmp_path, base):
    """A run folder as train and eval leave it."""
    run = tmp_path / "RUN"
    tiny_adapter(run / "adapter", base)
    facts = json.loads((run / "adapter" / "adapter.json").read_text())
    training = {"epoch": 7, "validation_loss": 0.34567, "train_pairs": 720, "validation_pairs": 90}
    settings = {"objective": "covers", "epochs": 30, "learning_rate": 5e-4}
    write_json(run / "adapter" / "adapter.json", {**facts, "training": {**training, "settings": settings}})
    (run / "config.yaml").write_text("data: {folder: /home/me/secret/pairs}\n")
    for epoch in (9, 10):
        (run / "samples").mkdir(exist_ok=True)
        (run / "samples" / f"epoch-{epoch:03d}.jpg").write_bytes(b"sheet %d" % epoch)
    return run


def judge(run, adapter=None):
    """The figures that eval writes."""
    estimate = {"value": 0.36, "low": 0.35, "high": 0.37}
    one = {
        "name": "RUN",
        "adapter": adapter or load_adapter(run).fingerprint,
        "loss": {"true": estimate},
        "gap": {"shuffled": {"mean": 0.05, "low": 0.04, "high": 0.06}},
        "retrieval": None,
        "count": {"pairs": 50},
        "verdict": {"text": "the audio is used (gap 0.05 ± 0.01)"},
    }
    write_json(
        run / "eval" / "metrics.json", {"runs": [one], "seeds": None, "data": {"name": "pairs", "test_pairs": 90}}
    )


def test_everything_is_there_and_nothing_about_this_machine(run, base):
    judge(run)
    folder = prepare_upload(run, "me/my-adapter", "cc-by-4.0")
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "adapter.json",
        "adapter.safetensors",
        "metrics.json",
        "samples.jpg",
    ]
    assert (folder / "samples.jpg").read_bytes() == b"sheet 10"
    card = (folder / "README.md").read_text()
    front = yaml.safe_load(card.split("---\n")[1])
    assert (front["license"], front["library_name"]) == ("cc-by-4.0", "covergen-cli")
    assert "base_model" not in front
    for words in (
        "# my-adapter",
        "covergen generate song.mp3 --adapter me/my-adapter",
        "| pairs | 720 for training, 90 for validation |",
        "| best epoch | 7 |",
        "| validation loss | 0.3457 |",
        "| data | `pairs` |",
        "learning_rate 0.0005",
        "the audio is used (gap 0.05 ± 0.01)",
        "| RUN | 0.3600 ± 0.0100 | 0.0500 ± 0.0100 |",
        "(samples.jpg)",
        "say it here",
    ):
        assert words in card
    everything = b"".join(path.read_bytes() for path in folder.iterdir())
    assert b"secret" not in everything
    assert str(base.parent).encode() not in everything
    assert json.loads((folder / "adapter.json").read_text())["base"]["reference"] == "my-base"
    assert load_adapter(folder).base["fingerprint"] == load_adapter(run).base["fingerprint"]


def test_figures_of_another_adapter_are_left_out(run):
    judge(run, adapter="0" * 64)
    folder = prepare_upload(run, "me/my-adapter", "mit")
    assert not (folder / "metrics.json").exists()
    assert "Not evaluated yet" in (folder / "README.md").read_text()
    shutil.rmtree(run / "samples")
    assert "samples.jpg" not in (prepare_upload(run, "me/my-adapter", "mit") / "README.md").read_text()
    assert not (run / "push" / "samples.jpg").exists()
    with pytest.raises(InputError, match="no run folder"):
        prepare_upload(run / "gone", "me/my-adapter", "mit")


class WritableHub(Hub):
    """A hub that takes commits of small files."""

    def __init__(self):
        super().__init__()
        self.created, self.refuse = [], None

    def post(self, request):
        body = request.rfile.read(int(request.headers["Content-Length"]))
        answer = {}
        if self.refuse is not None:
            return self.refuse, {"error": "no"}
        if request.path == "/api/repos/create":
            self.created.append(json.loads(body))
            answer = {"url": "https://huggingface.co/me/my-adapter", "name": "me/my-adapter", "id": "me/my-adapter"}
        elif "/preupload/" in request.path:
            files = json.loads(body)["files"]
            answer = {"files": [{**file, "uploadMode": "regular", "shouldIgnore": False} for file in files]}
        elif "/commit/" in request.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            answer = {"commitUrl": f"https://huggingface.co/me/my-adapter/commit/{COMMIT}", "commitOid": COMMIT}
        return 200, answer


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty hub, an empty cache, and the network on."""
    from huggingface_hub import constants

    fake = WritableHub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            fake.answer(self)

        def do_HEAD(self):
            fake.answer(self, body=False)

        def do_POST(self):
            status, answer = fake.post(self)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with serving(Handler) as address:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.delenv("HF_HUB_OFFLINE")
        monkeypatch.setenv("HF_TOKEN", "hf_test")
        yield fake


def test_what_is_uploaded_comes_back_as_an_adapter(hub, run):
    folder = prepare_upload(run, "me/my-adapter", "mit")
    url = upload_folder(folder, "me/my-adapter", "An adapter", private=True)
    assert url.endswith(f"/commit/{COMMIT}")
    assert hub.created[0]["name"] == "my-adapter"
    assert hub.created[0].get("private") or hub.created[0].get("visibility") == "private"
    assert set(hub.files) == {path.name for path in folder.iterdir()}
    back = load_adapter(hub_module.resolve("me/my-adapter", "adapter"))
    assert back.fingerprint == load_adapter(folder).fingerprint


def test_a_hub_that_refuses_is_told_with_what_to_do(hub, run, monkeypatch):
    folder = prepare_upload(run, "me/my-adapter", "mit")
    hub.refuse = 403
    with pytest.raises(ModelError, match="does not allow to write to me/my-adapter") as caught:
        upload_folder(folder, "me/my-adapter", "An adapter")
    assert "hf auth login" in caught.value.hint
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="the network is off"):
        upload_folder(folder, "me/my-adapter", "An adapter")
    with pytest.raises(ConfigError, match="is not a hub id"):
        check_repo_id("my-adapter")


def test_a_decoupled_adapter_and_songs_are_exported_for_other_programs(base, tmp_path):
    loaded, spec = load_base(str(base)), get_encoder("mel").spec()
    config = AdapterConfig(hidden_dim=16, rank=2, output_dim=WIDTH, tokens=4, cross_attention="decoupled")
    adapter = Adapter(config, projection_widths(loaded.unet)).eval()
    save_adapter(tmp_path / "adapter", adapter, spec, loaded.metadata(), {})
    song = tiny_song(tmp_path / "my song.flac", seconds=2)
    first, second = export_ip_adapter(str(tmp_path / "adapter"), tmp_path / "out", [song])
    assert (first.name, second.name) == ("ip-adapter.safetensors", "my song.safetensors")
    weights = safetensors.torch.load_file(first)
    assert {name.partition(".")[0] for name in weights} == {"image_proj", "ip_adapter"}
    embeds = safetensors.torch.load_file(second)["image_embeds"]
    tokens = adapter.tokens(torch.from_numpy(embed_file(song, get_encoder(spec))[0])[None])
    torch.testing.assert_close(embeds[1].view(4, WIDTH), tokens[0])
