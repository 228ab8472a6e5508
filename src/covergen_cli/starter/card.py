"""Measures a bundle on held-out songs: ``python -m covergen_cli.starter.card BUNDLE --recordings … -o OUT``.

Writes ``MODEL_CARD.md``, ``metrics.json`` and the pictures ``grid.png``, ``variations.png`` and ``sweep.png``. Covers
are drawn with the code and the settings of ``covergen generate``.
"""

from __future__ import annotations

import argparse
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
from covergen_cli.models.fingerprint import read_adapter_json
from covergen_cli.starter.build import find_music
from covergen_cli.starter.card_measure import (
    SEEDS_PER_SONG,
    AnalysedSong,
    MeasuredCovers,
    Thumbnails,
    analyse_songs,
    compose_songs,
    draw_covers,
    find_near_copies,
    measure_agreement,
    measure_diversity,
    paint_covers,
)
from covergen_cli.starter.card_pictures import draw_pictures
from covergen_cli.starter.card_robustness import measure_robustness
from covergen_cli.starter.card_text import STAGES, card_text, source_rows
from covergen_cli.starter.paintings import open_paintings
from covergen_cli.weights.hub import STARTER

if TYPE_CHECKING:
    from covergen_cli.covers.pipeline import CoverPipeline
    from covergen_cli.events import Progress, Warned

log = logging.getLogger("covergen.starter")


def _generate_settings() -> GenerateConfig:
    """Return the settings with which ``covergen generate`` draws from the starter."""
    return resolve(GenerateConfig, preset=STARTER)


@dataclass(frozen=True)
class CardSettings:
    """The settings of a model card.

    Args:
        bundle: folder with base and adapter.
        recordings: held-out music files.
        songs: maximum number of recordings, and number of synthesised songs.
        work: folder in which the bundle was built, for the figures of its stages.
        sources: JSON list of the sources of recordings, with paths relative to it.
        machine: description of the machine on which the bundle was trained.
        config: settings for drawing covers; the seed also chooses the songs.
    """

    bundle: Path
    recordings: Sequence[Path]
    songs: int = 100
    work: Path | None = None
    sources: Path | None = None
    machine: str = "two CPU cores"
    config: GenerateConfig = field(default_factory=_generate_settings)


def make_card(out: Path, settings: CardSettings) -> Iterator[Progress | Warned]:
    """Measure a bundle and write the model card, the metrics and the pictures to ``out``.

    Raises:
        InputError: none of the recordings can be used.
        ModelError: a part of the bundle is damaged, or its parts do not fit each other.
    """
    config = replace(settings.config, adapter=str(settings.bundle), base=str(settings.bundle))
    models = find_models(config)
    pipeline, encoder = load_pipeline(config, models), get_encoder(models.encoder_spec)
    recorded = yield from analyse_songs(_chosen_recordings(settings), encoder)
    if not recorded:
        raise InputError("none of the recordings can be used", hint="Give music that was not used in training.")
    composed = yield from compose_songs(settings.songs, encoder)
    metrics = _metadata(settings, models, pipeline)
    seconds: list[float] = []
    thumbnails: list[tuple[Thumbnails, Thumbnails]] = []
    for name, songs in (("recorded", recorded), ("synthetic", composed)):
        # Grain has edges of its own, which would be measured as edges of the picture.
        metrics[name], drawn, painted = yield from _measure(pipeline, songs, replace(config, grain=0.0))
        seconds += drawn.seconds.reshape(-1).tolist()
        thumbnails.append((drawn.thumbnails, painted.thumbnails))
    metrics["robustness"] = yield from measure_robustness(pipeline, encoder, _chosen_recordings(settings))
    metrics["memory"] = yield from _near_copies(settings.work, thumbnails)
    metrics["seconds"] = {
        "hear": float(np.median([song.seconds for song in recorded])),
        "draw": float(np.median(seconds)),
    }
    out.mkdir(parents=True, exist_ok=True)
    shown = yield from draw_pictures(out, pipeline, recorded, config)
    metrics["pictures"], metrics["swept"] = asdict(shown), pipeline.base.condition_encoder is not None
    write_json(out / "metrics.json", metrics)
    write_text(out / "MODEL_CARD.md", card_text(metrics))


def _chosen_recordings(settings: CardSettings) -> list[Path]:
    """Return recordings chosen by the seed, in the order of their names."""
    files = sorted(set(settings.recordings))
    chosen = np.random.default_rng([settings.config.seed, 4]).permutation(len(files))[: settings.songs]
    return [files[i] for i in sorted(chosen)]


def _measure(
    pipeline: CoverPipeline, songs: list[AnalysedSong], config: GenerateConfig
) -> Generator[Progress | Warned, None, tuple[dict[str, Any], MeasuredCovers, MeasuredCovers]]:
    """Return the figures of the covers of some songs, and the measurements of covers and paintings."""
    drawn = yield from draw_covers(pipeline, songs, config)
    painted = yield from paint_covers(pipeline, songs, config)
    measured = {
        "songs": len(songs),
        "agreement": measure_agreement(songs, drawn, painted, config.seed),
        "diversity": measure_diversity(drawn),
        "painter": measure_diversity(painted),
    }
    return measured, drawn, painted


def _near_copies(
    work: Path | None, thumbnails: list[tuple[Thumbnails, Thumbnails]]
) -> Generator[Progress, None, dict[str, Any]]:
    """Compare covers with the training paintings of the base; ``{}`` if these do not exist any more."""
    if work is None or not (work / "paintings" / "paintings.npy").exists():
        return {}
    paintings, _ = open_paintings(work / "paintings")
    drawn, fresh = (
        np.concatenate([kind.reshape(-1, *kind.shape[2:]) for kind in kinds]) for kinds in zip(*thumbnails, strict=True)
    )
    return (yield from find_near_copies(drawn, fresh, paintings))


def _metadata(settings: CardSettings, models: Models, pipeline: CoverPipeline) -> dict[str, Any]:
    parts = {"vae": pipeline.base.vae, "unet": pipeline.base.unet, "adapter": pipeline.adapter}
    parts |= {"upscaler": pipeline.base.upscaler} if pipeline.base.upscaler is not None else {}
    drawing = asdict(settings.config)
    return {
        "schema": SCHEMA,
        "bundle": {"base": models.base_fingerprint, "adapter": models.adapter_fingerprint},
        "parameters": {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()},
        "tokens": pipeline.base.null_tokens.shape[1],
        "settings": {key: drawing[key] for key in ("seed", "steps", "guidance", "scheduler", "size", "grain", "tone")},
        "songs_asked": settings.songs,
        "seeds_per_song": SEEDS_PER_SONG,
        "near_copy": NEAR_COPY,
        "machine": settings.machine,
        "measured_on": f"{pipeline.base.device.type}, {os.cpu_count()} cores, {platform.machine()}",
        "training": read_adapter_json(models.adapter_folder)["training"],
        "stages": _stages(settings.work),
        "paintings": _paintings(settings.work),
        "sources": _sources(settings),
    }


def _stages(work: Path | None) -> dict[str, Any]:
    """Return steps, minutes and loss of each stage."""
    found: dict[str, Any] = {}
    if work is None:
        return found
    for name in STAGES:
        path = work / name / "facts.json"
        if path.exists():
            facts = read_json(path)
            found[name] = {"steps": int(facts["step"]), "minutes": facts["seconds"] / 60, "loss": facts["loss"]}
    return found


def _paintings(work: Path | None) -> int:
    counter = None if work is None else work / "paintings" / "painted.txt"
    return int(counter.read_text()) if counter is not None and counter.exists() else 0


def _sources(settings: CardSettings) -> list[dict[str, Any]]:
    if settings.sources is None:
        return []
    try:
        sources = read_json(settings.sources)
    except (OSError, ValueError) as error:
        raise InputError(f"{settings.sources} cannot be read: {error}") from error
    here = settings.sources.parent
    held_out = {path.resolve() for path in settings.recordings}
    names = [name for source in sources for name in source["files"]]
    return source_rows(sources, frozenset(name for name in names if (here / name).resolve() in held_out))


def main() -> None:
    """Parse the command line, run :func:`make_card` and log its events."""
    parser = argparse.ArgumentParser(prog="python -m covergen_cli.starter.card", description="Measure a bundle.")
    parser.add_argument("bundle", type=Path, help="folder with base and adapter")
    parser.add_argument(
        "--recordings",
        type=Path,
        nargs="+",
        required=True,
        help="folders of held-out music, or text files that list music files",
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for card, metrics and pictures")
    parser.add_argument(
        "--songs",
        type=int,
        default=CardSettings.songs,
        help="maximum number of recordings, and number of synthesised songs; default: %(default)s",
    )
    parser.add_argument("--seed", type=int, default=GenerateConfig.seed, help="default: %(default)s")
    parser.add_argument("--work", type=Path, help="folder in which the bundle was built, for steps and minutes")
    parser.add_argument("--sources", type=Path, help="JSON list of packages, licences and authors of the recordings")
    parser.add_argument(
        "--machine", default=CardSettings.machine, help="machine on which it was trained; default: %(default)s"
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = CardSettings(
        options.bundle,
        list(find_music(options.recordings)),
        options.songs,
        options.work,
        options.sources,
        options.machine,
        replace(_generate_settings(), seed=options.seed),
    )
    for event in make_card(options.out, settings):
        log.info("%s", event)


if __name__ == "__main__":
    main()
