"""Evaluates runs on the test split of a dataset: writes ``report.html``, ``metrics.json`` and the covers."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from covergen_cli import __version__
from covergen_cli.evaluation.alignment import audio_use, loss_matrix, measure_conditions, verdict
from covergen_cli.evaluation.covers import correspondence, describe_songs, diversity, draw_covers, measure_covers
from covergen_cli.evaluation.metrics import paired_difference, retrieval
from covergen_cli.evaluation.near_copies import encode_covers, find_nearest, hash_covers, summarise_near_copies
from covergen_cli.evaluation.report import write_report
from covergen_cli.evaluation.results import Results
from covergen_cli.evaluation.table import over_seeds
from covergen_cli.evaluation.test_data import audio_tokens, check_compatible
from covergen_cli.evaluation.time_budget import choose_batch_size, make_plan, time_models
from covergen_cli.evaluation.words import MAX_SONGS, measure_words
from covergen_cli.events import EvalFinished
from covergen_cli.files import SCHEMA, require_writable, write_json
from covergen_cli.training.latent_cache import prepare_latents

if TYPE_CHECKING:
    import numpy.typing as npt

    from covergen_cli.config import EvalConfig
    from covergen_cli.dataset.pairs import Pair
    from covergen_cli.evaluation.covers import Measurements
    from covergen_cli.evaluation.test_data import LoadedRun, TestData
    from covergen_cli.events import EvalPlanned, Event
    from covergen_cli.models.adapter import Adapter

MAX_TRAIN_COVERS = 5000
"""Maximum number of training covers that drawn covers are compared with; the seed chooses them."""

_MEAN_SONGS = 500


def evaluate(
    runs: Sequence[LoadedRun], test_data: TestData, out: Path, config: EvalConfig, *, seeds: bool = False
) -> Generator[Event, None, None]:
    """Evaluate runs, and write the report.

    Args:
        runs: one run, or several; two are compared with each other.
        test_data: the test pairs.
        out: folder of the report.
        config: the settings.
        seeds: the runs differ in their seed only: also report mean and standard deviation over them.

    Yields:
        ``EvalPlanned``, ``Progress`` of several tasks, and ``EvalFinished``.

    Raises:
        ConfigError: a setting is invalid, or the manifest has no column ``config.by``.
        ModelError: an adapter was trained with another audio encoder.
        InputError: a file cannot be read.
        OutputError: the folder cannot be written to.
    """
    require_writable(out)
    for run in runs:
        yield from check_compatible(run, test_data)
    groups = test_data.groups(config.by)
    batch_size = choose_batch_size(config, runs)
    plan = make_plan(config, len(test_data.pairs), time_models(runs, batch_size))
    yield plan
    evaluation = yield from _Evaluation.prepare(test_data, plan, config, batch_size)
    results: list[Results] = []
    for run in runs:
        results.append((yield from evaluation.measure(run, out)))  # noqa: PERF401 — a comprehension cannot yield
    metrics = _metrics(results, evaluation, groups)
    metrics["seeds"] = over_seeds(metrics["runs"]) if seeds else None
    write_json(out / "metrics.json", metrics)
    page = write_report(out, metrics, results)
    verdicts = [f"{run['name']}: {run['verdict']['text']}" for run in metrics["runs"]]
    yield EvalFinished(page, out / "metrics.json", "\n".join(verdicts))


@dataclass(frozen=True)
class _Evaluation:
    """What all runs share: the pairs in random order, the songs' descriptors, and measurements of the true covers."""

    test_data: TestData
    plan: EvalPlanned
    config: EvalConfig
    batch_size: int
    order: list[Pair]
    train: list[Pair]
    descriptors: Mapping[str, npt.NDArray[np.float32]]
    true: Measurements
    train_hashes: npt.NDArray[np.bool_] | None

    @classmethod
    def prepare(
        cls, test_data: TestData, plan: EvalPlanned, config: EvalConfig, batch_size: int
    ) -> Generator[Event, None, _Evaluation]:
        """Analyse the songs and the true covers."""
        order = _shuffled(test_data.pairs, config.seed)
        train = _shuffled(test_data.train, config.seed)[:MAX_TRAIN_COVERS]
        shown = order[: plan.covers]
        descriptors = yield from describe_songs(shown, test_data.audio)
        true = yield from measure_covers([pair.image for pair in shown])
        hashes = (yield from hash_covers([pair.image for pair in train])) if train else None
        return cls(test_data, plan, config, batch_size, order, train, descriptors, true, hashes)

    def measure(self, run: LoadedRun, out: Path) -> Generator[Event, None, Results]:
        """Measure the losses of a run and draw its covers."""
        plan, base = self.plan, run.pipeline.base
        pairs, songs, shown = (self.order[:count] for count in (plan.pairs, plan.songs, plan.covers))
        longest = max(pairs, songs, key=len)
        cached = yield from prepare_latents(self.test_data.folder, base, longest)
        latents, tokens = cached.mean(range(len(longest))), audio_tokens(run, longest)
        mean = audio_tokens(run, self.train[:_MEAN_SONGS] or self.order).mean(dim=0, keepdim=True)
        ids = [pair.id for pair in longest]
        options: dict[str, Any] = {"seed": self.config.seed, "batch_size": self.batch_size}
        count = len(pairs)
        losses = yield from measure_conditions(
            base, ids[:count], latents[:count], tokens[:count], mean, draws=plan.draws, **options
        )
        count = len(songs)
        matrix = yield from loss_matrix(
            base, ids[:count], latents[:count], tokens[:count], draws=plan.song_draws, **options
        )
        words = yield from measure_words(base, longest, self.test_data.audio, latents, plan, **options)
        drawn = yield from draw_covers(run, shown, out / "covers" / run.name)
        measured = yield from measure_covers(drawn)
        near = control = None
        if self.train_hashes is not None:
            train_latents = yield from prepare_latents(self.test_data.folder, base, self.train)
            true_latents = (yield from prepare_latents(self.test_data.folder, base, shown)).mean(range(len(shown)))
            near = find_nearest(measured.hashes, encode_covers(base, drawn), self.train_hashes, train_latents)
            control = find_nearest(self.true.hashes, true_latents, self.train_hashes, train_latents)
        return Results(run, losses, matrix, pairs, songs, shown, drawn, measured, near, control, self.train, words)

    def summarise(self, results: Results, groups: Mapping[str, str]) -> dict[str, Any]:
        """Return the entry of ``metrics["runs"]``: figures over all pairs, and over each group."""
        figures = self._figures(results, {pair.id for pair in self.order})
        used, text = verdict(figures["gap"]["shuffled"])
        members: dict[str, set[str]] = {}
        for pair in results.pairs if groups else ():
            members.setdefault(groups[pair.id], set()).add(pair.id)
        by = {value: self._figures(results, ids) for value, ids in sorted(members.items())}
        return {**_metadata(results.run), "verdict": {"heard": used, "text": text}, **figures, "groups": by}

    def _figures(self, results: Results, ids: set[str]) -> dict[str, Any]:
        """Return every figure, over the pairs with these ids."""
        seed = self.config.seed
        pairs, songs, shown = (
            [row for row, pair in enumerate(some) if pair.id in ids]
            for some in (results.pairs, results.songs, results.shown)
        )
        drawn, true = results.measured.select(shown), self.true.select(shown)
        shown_pairs = [results.shown[row] for row in shown]
        near, control = results.near, results.control
        return {
            "count": {"pairs": len(pairs), "songs": len(songs), "covers": len(shown)},
            **audio_use({name: values[pairs] for name, values in results.losses.items()}, seed=seed),
            "retrieval": retrieval(results.matrix, seed=seed, rows=songs) if songs else None,
            "words": results.words.figures(results.losses["true"], pairs, songs, seed=seed)
            if results.words and min(pairs, default=MAX_SONGS) < MAX_SONGS
            else None,
            "correspondence": correspondence(self.descriptors, shown_pairs, drawn, true, seed=seed),
            "diversity": diversity(drawn, true) if len(shown) > 1 else None,
            "memory": None
            if near is None or control is None or not shown
            else summarise_near_copies(
                near.select(shown), control.select(shown), len(self.train), len(self.test_data.train)
            ),
        }


def _shuffled(pairs: Sequence[Pair], seed: int) -> list[Pair]:
    """Return pairs in random order; samples are the first of them, so a larger sample contains the smaller ones."""
    order = np.random.default_rng([seed, 7]).permutation(len(pairs))
    return [pairs[index] for index in order]


def _metadata(run: LoadedRun) -> dict[str, Any]:
    adapter = cast("Adapter", run.pipeline.adapter)  # a run always has one
    config = adapter.config
    return {
        "name": run.name,
        "adapter": run.models.adapter_fingerprint,
        "base": {"name": run.models.base_reference, "fingerprint": run.models.base_fingerprint},
        "pooling": config.pooling,
        "tokens": config.tokens,
        "trainable_parameters": sum(p.numel() for p in adapter.trainable_parameters()),
        "drawing": {key: getattr(run.drawing, key) for key in ("seed", "steps", "guidance", "scheduler", "size")},
        "epochs": run.epochs,
    }


def _metrics(results: Sequence[Results], evaluation: _Evaluation, groups: Mapping[str, str]) -> dict[str, Any]:
    plan, config, test_data = evaluation.plan, evaluation.config, evaluation.test_data
    sizes = {key: getattr(plan, key) for key in ("pairs", "draws", "songs", "song_draws", "covers")}
    metrics = {
        "schema": SCHEMA,
        "version": __version__,
        "data": {
            "name": test_data.folder.resolve().name,
            "test_pairs": len(test_data.pairs),
            "train_pairs": len(test_data.train),
            "songs_heard": len(evaluation.descriptors),
            "encoder": test_data.encoder_spec.get("name"),
        },
        "settings": {"seed": config.seed, "by": config.by, "batch_size": evaluation.batch_size, **sizes},
        "runs": [evaluation.summarise(one, groups) for one in results],
        "comparison": _comparison(results, config.seed) if len(results) == 2 else None,
    }
    found: dict[str, Any] = json.loads(json.dumps(metrics, default=_to_json))
    return found


def _to_json(value: Any) -> Any:
    """Return a dataclass or a NumPy number as something that JSON can hold."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value.item()


def _comparison(results: Sequence[Results], seed: int) -> dict[str, Any]:
    """Compare the second run with the first, pair by pair, on the same noise.

    Returns:
        ``loss``: first minus second, above 0 where the second has a lower loss, for runs on the same base; and
        ``gap``: the second's gap with shuffled audio minus the first's, above 0 where the second uses the audio more.
    """
    first, second = results[0], results[1]
    true = [one.losses["true"].mean(axis=1) for one in (first, second)]
    gaps = [one.losses["shuffled"].mean(axis=1) - own for one, own in zip((first, second), true, strict=True)]
    same = first.run.models.base_fingerprint == second.run.models.base_fingerprint
    return {
        "loss": paired_difference(true[0] - true[1], seed=seed) if same else None,
        "gap": paired_difference(gaps[1] - gaps[0], seed=seed),
    }
