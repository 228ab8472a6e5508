"""Measure a bundle on songs that it never saw: ``python -m covergen_cli.starter.card BUNDLE --recordings … -o OUT``.

Writes ``MODEL_CARD.md``, ``metrics.json`` and the pictures ``grid.png``, ``variations.png`` and ``sweep.png``. Covers
are drawn by the code that ``covergen generate`` runs, with its settings.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from covergen_cli.audio.encoders import get_encoder
from covergen_cli.config import GenerateConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.covers.fingerprint import Models, find_models
from covergen_cli.covers.pipeline import load_pipeline
from covergen_cli.errors import InputError
from covergen_cli.files import SCHEMA, read_json, write_json, write_text
from covergen_cli.measures.diversity import NEAR_COPY
from covergen_cli.models.fingerprint import read_adapter_facts
from covergen_cli.starter.build import find_music
from covergen_cli.starter.card_measure import (
    SEEDS_PER_SONG,
    Covers,
    Song,
    Thumbnails,
    agreement_of,
    compose_songs,
    diversity_of,
    draw_covers,
    hear_songs,
    memory_of,
    paint_covers,
)
from covergen_cli.starter.card_pictures import draw_pictures
from covergen_cli.starter.card_robustness import robustness_of
from covergen_cli.starter.card_text import card_text, source_rows
from covergen_cli.starter.paintings import open_paintings
from covergen_cli.starter.unet import ConditionEncoder, build_unet, restore
from covergen_cli.weights.hub import STARTER

if TYPE_CHECKING:
    from covergen_cli.covers.pipeline import CoverPipeline
    from covergen_cli.events import Progress, Warned

log = logging.getLogger("covergen.starter")

_STAGES = ("autoencoder", "unet", "decoder", "upscaler", "adapter-tokens", "adapter-noise")


def _as_users_draw() -> GenerateConfig:
    """Return the settings with which ``covergen generate`` draws from the starter."""
    return resolve(GenerateConfig, preset=STARTER)


@dataclass(frozen=True)
class Inquiry:
    """What to measure, and what else the card shall say.

    Args:
        bundle: base and adapter.
        recordings: music files that it was not trained on.
        songs: how many of them at most, and how many songs of the synthesiser.
        work: the folder that the bundle was built in, for the facts of its stages.
        sources: a JSON list of where recordings come from; its paths are relative to it.
        machine: where the bundle was trained, in words.
        config: how covers are drawn; its seed also chooses songs.
    """

    bundle: Path
    recordings: Sequence[Path]
    songs: int = 100
    work: Path | None = None
    sources: Path | None = None
    machine: str = "two CPU cores"
    config: GenerateConfig = field(default_factory=_as_users_draw)


def make_card(out: Path, inquiry: Inquiry) -> Iterator[Progress | Warned]:
    """Measure and write everything into ``out``.

    Raises:
        InputError: none of the recordings can be used.
        ModelError: the bundle is damaged or does not fit together.
    """
    config = replace(inquiry.config, adapter=str(inquiry.bundle), base=str(inquiry.bundle))
    models = find_models(config)
    pipeline, encoder = load_pipeline(config, models), get_encoder(models.encoder_spec)
    recorded = yield from hear_songs(_picked(inquiry), encoder)
    if not recorded:
        raise InputError("none of the recordings can be used", hint="Give music that the bundle was not trained on.")
    composed = yield from compose_songs(inquiry.songs, encoder)
    facts = _facts(inquiry, models, pipeline)
    seconds: list[float] = []
    thumbnails: list[tuple[Thumbnails, Thumbnails]] = []
    for name, songs in (("recorded", recorded), ("synthetic", composed)):
        # Grain has edges of its own, which would be counted for those of the picture.
        facts[name], drawn, painted = yield from _measure(pipeline, songs, replace(config, grain=0.0))
        seconds += drawn.seconds.reshape(-1).tolist()
        thumbnails.append((drawn.thumbnails, painted.thumbnails))
    facts["robustness"] = yield from robustness_of(pipeline, encoder, _picked(inquiry))
    facts["memory"] = yield from _memory(inquiry.work, thumbnails)
    facts["seconds"] = {
        "hear": float(np.median([song.seconds for song in recorded])),
        "draw": float(np.median(seconds)),
    }
    out.mkdir(parents=True, exist_ok=True)
    condition = _condition(inquiry.work)
    shown = yield from draw_pictures(out, pipeline, recorded, config, condition)
    facts["pictures"], facts["swept"] = asdict(shown), condition is not None
    write_json(out / "metrics.json", facts)
    write_text(out / "MODEL_CARD.md", card_text(facts))


def _picked(inquiry: Inquiry) -> list[Path]:
    """Choose recordings by the seed, in the order of their names."""
    files = sorted(set(inquiry.recordings))
    chosen = np.random.default_rng([inquiry.config.seed, 4]).permutation(len(files))[: inquiry.songs]
    return [files[i] for i in sorted(chosen)]


def _measure(
    pipeline: CoverPipeline, songs: list[Song], config: GenerateConfig
) -> Generator[Progress | Warned, None, tuple[dict[str, Any], Covers, Covers]]:
    """Return what is known about the covers of some songs, and the covers and paintings themselves."""
    drawn = yield from draw_covers(pipeline, songs, config)
    painted = yield from paint_covers(pipeline, songs, config)
    measured = {
        "songs": len(songs),
        "agreement": agreement_of(songs, drawn, painted, config.seed),
        "diversity": diversity_of(drawn),
        "painter": diversity_of(painted),
    }
    return measured, drawn, painted


def _memory(
    work: Path | None, thumbnails: list[tuple[Thumbnails, Thumbnails]]
) -> Generator[Progress, None, dict[str, Any]]:
    """Compare covers with the paintings that the base was trained on, where these are still there."""
    if work is None or not (work / "paintings" / "paintings.npy").exists():
        return {}
    paintings, _ = open_paintings(work / "paintings")
    drawn, fresh = (
        np.concatenate([kind.reshape(-1, *kind.shape[2:]) for kind in kinds]) for kinds in zip(*thumbnails, strict=True)
    )
    return (yield from memory_of(drawn, fresh, paintings))


def _condition(work: Path | None) -> ConditionEncoder | None:
    """Load what the base was trained with, where it is still there."""
    if work is None or not (work / "unet" / "state.safetensors").exists():
        return None
    condition = ConditionEncoder()
    restore(work / "unet", build_unet(), condition)
    return condition


def _facts(inquiry: Inquiry, models: Models, pipeline: CoverPipeline) -> dict[str, Any]:
    parts = {"vae": pipeline.base.vae, "unet": pipeline.base.unet, "adapter": pipeline.adapter}
    parts |= {"upscaler": pipeline.base.upscaler} if pipeline.base.upscaler is not None else {}
    settings = asdict(inquiry.config)
    return {
        "schema": SCHEMA,
        "bundle": {"base": models.base_fingerprint, "adapter": models.adapter_fingerprint},
        "parameters": {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()},
        "settings": {key: settings[key] for key in ("seed", "steps", "guidance", "scheduler", "size", "grain", "tone")},
        "songs_asked": inquiry.songs,
        "seeds_per_song": SEEDS_PER_SONG,
        "near_copy": NEAR_COPY,
        "machine": inquiry.machine,
        "measured_on": f"{pipeline.base.device.type}, {os.cpu_count()} cores, {platform.machine()}",
        "training": read_adapter_facts(models.adapter_folder)["training"],
        "stages": _stages(inquiry.work),
        "paintings": _paintings(inquiry.work),
        "sources": _sources(inquiry),
    }


def _stages(work: Path | None) -> dict[str, Any]:
    """Read how long each stage trained."""
    found: dict[str, Any] = {}
    for name in _STAGES if work is not None else ():
        path = Path(str(work)) / name / "facts.json"
        if path.exists():
            facts = read_json(path)
            found[name] = {"steps": int(facts["step"]), "minutes": facts["seconds"] / 60, "loss": facts["loss"]}
    return found


def _paintings(work: Path | None) -> int:
    counter = None if work is None else work / "paintings" / "painted.txt"
    return int(counter.read_text()) if counter is not None and counter.exists() else 0


def _sources(inquiry: Inquiry) -> list[dict[str, Any]]:
    if inquiry.sources is None:
        return []
    try:
        sources = read_json(inquiry.sources)
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"{inquiry.sources} cannot be read: {error}") from error
    here = inquiry.sources.parent
    held_out = {path.resolve() for path in inquiry.recordings}
    names = [name for source in sources for name in source["files"]]
    return source_rows(sources, frozenset(name for name in names if (here / name).resolve() in held_out))


def main() -> None:
    """Parse the command line, run :func:`make_card` and log what it tells."""
    parser = argparse.ArgumentParser(prog="python -m covergen_cli.starter.card", description="Measure a bundle.")
    parser.add_argument("bundle", type=Path, help="folder with base and adapter")
    parser.add_argument(
        "--recordings",
        type=Path,
        nargs="+",
        required=True,
        help="folders of music that it was not trained on, or text files that list music files",
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for card, figures and pictures")
    parser.add_argument("--songs", type=int, default=Inquiry.songs, help="of each kind, at most; default: %(default)s")
    parser.add_argument("--seed", type=int, default=GenerateConfig.seed, help="default: %(default)s")
    parser.add_argument("--work", type=Path, help="the folder that it was built in, for steps and minutes")
    parser.add_argument("--sources", type=Path, help="JSON list of the recordings' packages, licences and authors")
    parser.add_argument("--machine", default=Inquiry.machine, help="where it was trained; default: %(default)s")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    inquiry = Inquiry(
        options.bundle,
        list(find_music(options.recordings)),
        options.songs,
        options.work,
        options.sources,
        options.machine,
        replace(_as_users_draw(), seed=options.seed),
    )
    for event in make_card(options.out, inquiry):
        log.info("%s", event)


if __name__ == "__main__":
    main()
