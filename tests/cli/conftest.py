"""A library that draws nothing, so that the command line can be tested alone."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

import covergen_cli.covers
from covergen_cli.cli.main import run
from covergen_cli.events import (
    CoverFailed,
    CoverFinished,
    CoverPlanned,
    CoverSkipped,
    ModelLoaded,
    ModelLoading,
    Progress,
    Warned,
)

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class FakeJob:
    input: Path
    output: Path
    seed: int
    format: str = "png"


@dataclass
class FakeBatch:
    """Records what it was asked; a song's name says what becomes of it."""

    inputs: list[Path] = field(default_factory=list)
    out: Path | None = None
    config: Any = None
    format_given: bool | None = None
    generated: bool = False
    closed: bool = False
    error: BaseException | None = None

    def plan(self, inputs, out, config, *, format_given, on_progress):
        self.inputs, self.out, self.config, self.format_given = list(inputs), out, config, format_given
        if out.suffix:
            return [FakeJob(self.inputs[0], out, config.seed)]
        return [FakeJob(song, out / f"{song.stem}.png", config.seed) for song in self.inputs]

    def dry_run(self, jobs, config):
        for job in jobs:
            if job.input.stem.startswith("new"):
                yield CoverPlanned(job.input, job.output, job.seed)
            else:
                yield from self.draw(job)

    def generate(self, jobs, config):
        self.generated = True
        try:
            yield ModelLoading("starter")
            yield ModelLoaded("starter", 1.5)
            for job in jobs:
                yield from self.draw(job)
        finally:
            self.closed = True

    def draw(self, job):
        name = job.input.stem
        yield Progress("draw", 1, 2, job.input.name)
        logging.getLogger("covergen_cli.fake").error("noticed %s", name, exc_info=ValueError("inner"))
        if name.startswith("bad"):
            yield CoverFailed(job.input, job.output, job.seed, f"{job.input}: not audio", "give a music file")
        elif name.startswith("old"):
            yield CoverSkipped(job.input, job.output, job.seed, "nothing changed")
        elif name.startswith("stop"):
            raise self.error or KeyboardInterrupt
        else:
            if name.startswith("odd"):
                yield Warned("ends early", job.input)
            yield CoverFinished(job.input, job.output, job.seed, (61.0, 91.0), 1.23456, 256)


@pytest.fixture
def library(monkeypatch):
    fake = FakeBatch()
    module = ModuleType("covergen_cli.covers.generate")
    module.plan, module.generate, module.dry_run = fake.plan, fake.generate, fake.dry_run
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(covergen_cli.covers, "generate", module, raising=False)
    return fake


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture
def covergen(capsys):
    """Run a command line in this process: exit code, stdout, stderr."""

    def call(*arguments):
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return call
