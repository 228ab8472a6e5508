"""The whole of judging: from runs and a dataset folder to ``report.html``, ``metrics.json`` and the covers."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from covergen_cli import __version__
from covergen_cli.evaluation.alignment import audio_use, loss_matrix, measure_conditions, verdict
from covergen_cli.evaluation.covers import correspondence, diversity, draw_covers, hear_songs, look_at
from covergen_cli.evaluation.metrics import paired_difference, retrieval
from covergen_cli.evaluation.near_copies import encode_covers, hash_covers, memory_facts, nearest
from covergen_cli.evaluation.plan import choose_batch_size, make_plan, time_models
from covergen_cli.evaluation.report import write_report
from covergen_cli.evaluation.results import Judged
from covergen_cli.evaluation.test_data import check_fit, tokens_of
from covergen_cli.events import EvalFinished
from covergen_cli.files import SCHEMA, require_writable, write_json
from covergen_cli.training.latent_cache import prepare_latents

if TYPE_CHECKING:
    import numpy.typing as npt

    from covergen_cli.config import EvalConfig
    from covergen_cli.dataset.pairs import Pair
    from covergen_cli.evaluation.covers import Seen
    from covergen_cli.evaluation.test_data import Material, Subject
    from covergen_cli.events import EvalPlanned, Event

MOST_TRAIN_COVERS = 5000
"""So many training covers are compared with at most, chosen by the seed."""

_MEAN_SONGS = 500


def evaluate(
    subjects: Sequence[Subject], material: Material, out: Path, config: EvalConfig
) -> Generator[Event, None, None]:
    """Judge one run, or two side by side, and write the report.

    Args:
        subjects: the run, and what it is compared with.
        material: test pairs.
        out: folder of the report.
        config: settings.

    Yields:
        ``EvalPlanned``, then ``Progress`` of many tasks, then ``EvalFinished``.

    Raises:
        ConfigError: a setting makes no sense, or the manifest has no such column.
        ModelError: embeddings and adapters do not belong together.
        InputError: a file cannot be read.
        OutputError: the folder cannot be written to.
    """
    require_writable(out)
    for subject in subjects:
        yield from check_fit(subject, material)
    groups = material.groups(config.by)
    batch_size = choose_batch_size(config, subjects)
    plan = make_plan(config, len(material.pairs), time_models(subjects, batch_size))
    yield plan
    bench = yield from _Bench.prepare(material, plan, config, batch_size)
    judged: list[Judged] = []
    for subject in subjects:
        one = yield from bench.judge(subject, out)
        judged.append(one)
    metrics = _metrics(judged, bench, groups)
    write_json(out / "metrics.json", metrics)
    page = write_report(out, metrics, judged)
    said = [f"{run['name']}: {run['verdict']['text']}" for run in metrics["runs"]]
    yield EvalFinished(page, out / "metrics.json", "\n".join(said))


@dataclass(frozen=True)
class _Bench:
    """What is the same for every run: which pairs, what is heard in them, and what their true covers look like."""

    material: Material
    plan: EvalPlanned
    config: EvalConfig
    batch_size: int
    order: list[Pair]
    train: list[Pair]
    heard: Mapping[str, npt.NDArray[np.float32]]
    true: Seen
    train_hashes: npt.NDArray[np.bool_] | None

    @classmethod
    def prepare(
        cls, material: Material, plan: EvalPlanned, config: EvalConfig, batch_size: int
    ) -> Generator[Event, None, _Bench]:
        order = _shuffled(material.pairs, config.seed)
        train = _shuffled(material.train, config.seed)[:MOST_TRAIN_COVERS]
        shown = order[: plan.covers]
        heard = yield from hear_songs(shown, material.audio)
        true = yield from look_at([pair.image for pair in shown])
        hashes = (yield from hash_covers([pair.image for pair in train])) if train else None
        return cls(material, plan, config, batch_size, order, train, heard, true, hashes)

    def judge(self, subject: Subject, out: Path) -> Generator[Event, None, Judged]:
        plan, seed = self.plan, self.config.seed
        pairs, songs, shown = (self.order[:count] for count in (plan.pairs, plan.songs, plan.covers))
        widest = self.order[: max(len(pairs), len(songs))]
        base = subject.pipeline.base
        cached = yield from prepare_latents(self.material.folder, base, widest)
        latents, tokens = cached.mean(range(len(widest))), tokens_of(subject, widest)
        mean = tokens_of(subject, self.train[:_MEAN_SONGS] or self.order).mean(dim=0, keepdim=True)
        ids = [pair.id for pair in widest]
        how = {"seed": seed, "batch_size": self.batch_size}
        count = len(pairs)
        losses = yield from measure_conditions(
            base, ids[:count], latents[:count], tokens[:count], mean, draws=plan.draws, **how
        )
        count = len(songs)
        matrix = yield from loss_matrix(
            base, ids[:count], latents[:count], tokens[:count], draws=plan.song_draws, **how
        )
        drawn = yield from draw_covers(subject, shown, out / "covers" / subject.name)
        seen = yield from look_at(drawn)
        near = control = None
        if self.train_hashes is not None:
            train_latents = yield from prepare_latents(self.material.folder, base, self.train)
            true_latents = (yield from prepare_latents(self.material.folder, base, shown)).mean(range(len(shown)))
            near = nearest(seen.hashes, encode_covers(base, drawn), self.train_hashes, train_latents)
            control = nearest(self.true.hashes, true_latents, self.train_hashes, train_latents)
        return Judged(subject, losses, matrix, pairs, songs, shown, drawn, seen, near, control, self.train)

    def facts(self, judged: Judged, groups: Mapping[str, str]) -> dict[str, Any]:
        everything = {pair.id for pair in self.order}
        whole = self._figures(judged, **judged.rows(everything))
        heard, text = verdict(whole["gap"]["shuffled"])
        members: dict[str, set[str]] = {}
        for pair in judged.pairs if groups else ():
            members.setdefault(groups[pair.id], set()).add(pair.id)
        by = {value: self._figures(judged, **judged.rows(members[value])) for value in sorted(members)}
        return {**_identity(judged.subject), "verdict": {"heard": heard, "text": text}, **whole, "groups": by}

    def _figures(self, judged: Judged, pairs: list[int], songs: list[int], shown: list[int]) -> dict[str, Any]:
        """Every figure, of all pairs or of some."""
        seed, rows = self.config.seed, shown
        seen, true = judged.seen.some(rows), self.true.some(rows)
        near, control = judged.near, judged.control
        return {
            "count": {"pairs": len(pairs), "songs": len(songs), "covers": len(shown)},
            **audio_use({name: values[pairs] for name, values in judged.losses.items()}, seed=seed),
            "retrieval": retrieval(judged.matrix, seed=seed, rows=songs) if songs else None,
            "correspondence": correspondence(self.heard, [judged.shown[row] for row in rows], seen, true, seed=seed),
            "diversity": diversity(seen, true) if len(rows) > 1 else None,
            "memory": None
            if near is None or control is None or not rows
            else memory_facts(near.some(rows), control.some(rows), len(self.train), len(self.material.train)),
        }


def _shuffled(pairs: Sequence[Pair], seed: int) -> list[Pair]:
    """Put pairs in an order of their own for the seed, of which every count takes the first: counts are nested."""
    order = np.random.default_rng([seed, 7]).permutation(len(pairs))
    return [pairs[index] for index in order]


def _identity(subject: Subject) -> dict[str, Any]:
    config = subject.pipeline.adapter.config
    return {
        "name": subject.name,
        "adapter": subject.models.adapter_fingerprint,
        "base": {"name": subject.models.base_reference, "fingerprint": subject.models.base_fingerprint},
        "pooling": config.pooling,
        "tokens": config.tokens,
        "trainable_parameters": sum(p.numel() for p in subject.pipeline.adapter.trainable_parameters()),
        "drawing": {key: getattr(subject.drawing, key) for key in ("seed", "steps", "guidance", "scheduler", "size")},
        "epochs": subject.epochs,
    }


def _metrics(judged: Sequence[Judged], bench: _Bench, groups: Mapping[str, str]) -> dict[str, Any]:
    plan, config, material = bench.plan, bench.config, bench.material
    numbers = {key: getattr(plan, key) for key in ("pairs", "draws", "songs", "song_draws", "covers")}
    facts = {
        "schema": SCHEMA,
        "version": __version__,
        "data": {
            "name": material.folder.resolve().name,
            "test_pairs": len(material.pairs),
            "train_pairs": len(material.train),
            "songs_heard": len(bench.heard),
            "encoder": material.encoder_spec.get("name"),
        },
        "settings": {"seed": config.seed, "by": config.by, "batch_size": bench.batch_size, **numbers},
        "runs": [bench.facts(one, groups) for one in judged],
        "comparison": _comparison(judged, config.seed) if len(judged) > 1 else None,
    }
    found: dict[str, Any] = _plain(facts)
    return found


def _comparison(judged: Sequence[Judged], seed: int) -> dict[str, Any]:
    """Compare the second run with the first, pair by pair, on the same noise.

    Returns:
        ``loss``: first minus second, above 0 where the second fits the covers better, for runs on the same base; and
        ``gap``: the second's gap of shuffled audio minus the first's, above 0 where the second uses the audio more.
    """
    first, second = judged[0], judged[1]
    true = [one.losses["true"].mean(axis=1) for one in (first, second)]
    gaps = [one.losses["shuffled"].mean(axis=1) - own for one, own in zip((first, second), true, strict=True)]
    same = first.subject.models.base_fingerprint == second.subject.models.base_fingerprint
    return {
        "loss": paired_difference(true[0] - true[1], seed=seed) if same else None,
        "gap": paired_difference(gaps[1] - gaps[0], seed=seed),
    }


def _plain(value: Any) -> Any:
    """Turn results into what JSON holds."""
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value
