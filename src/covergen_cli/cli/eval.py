"""``covergen eval``: does the cover hear the music?"""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from covergen_cli.cli.errors import DONE, FAILED
from covergen_cli.cli.options import Command, Session, given_settings, global_options, setting_options
from covergen_cli.cli.pace import clock
from covergen_cli.cli.terminal import Tally
from covergen_cli.config import EvalConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.errors import InputError
from covergen_cli.events import EvalFinished, EvalPlanned, ModelLoaded, ModelLoading, Progress, SurveyFinished

if TYPE_CHECKING:
    from covergen_cli.cli.terminal import Terminal
    from covergen_cli.evaluation.test_data import Subject
    from covergen_cli.events import Event

SCHEMA = 1
"""Version of the objects that ``--json`` writes."""

_PLAIN_SECONDS = 10.0


@click.command(name="eval", cls=Command)
@click.argument("run", required=False)
@click.argument("data", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where report, figures and covers go; without it, eval/ in the run folder (else in the current one), or "
    "survey/ for a survey.",
)
@click.option("--against", metavar="RUN", help="A second run, judged on the same pairs and noise, on the same page.")
@click.option(
    "--survey", type=click.IntRange(1, 1000), metavar="N", help="Instead, write a survey of N songs for people."
)
@click.option(
    "--survey-answers",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Work out what raters said: the folder with the answer files that they sent. Needs no RUN.",
)
@click.option(
    "--survey-key",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The survey's key.json; without it, the one beside the answers or in the folder above them.",
)
@setting_options(EvalConfig)
@click.option("--json", "as_json", is_flag=True, help="The figures on stdout as JSON instead of the path of the page.")
@global_options
@click.pass_context
def evaluate(
    context: click.Context,
    /,
    run: str | None,
    data: Path | None,
    output: Path | None,
    against: str | None,
    survey: int | None,
    survey_answers: Path | None,
    survey_key: Path | None,
    as_json: bool,
    **_settings: Any,
) -> int:
    """Judge a trained adapter: is the audio used, and does what is seen follow it?

    RUN is a run folder, an adapter folder, "starter" or a hub id; DATA is a dataset folder with splits/test.csv,
    without it the one that RUN was trained on. The report says in words and figures, with intervals and controls,
    whether the model hears the music. The path of report.html goes to stdout.
    """
    config = resolve(EvalConfig, overrides=given_settings(context, EvalConfig))
    terminal = context.ensure_object(Session).terminal()
    if survey_answers is not None:
        if run is not None or survey is not None or against is not None:
            raise click.UsageError("--survey-answers stands alone, without RUN, --survey and --against", context)
        return _show(_answers(survey_answers, survey_key, output, config), terminal, as_json=as_json)
    if run is None:
        raise click.UsageError("name the run folder to judge, or --survey-answers DIR", context)
    if survey is not None and against is not None:
        raise click.UsageError("a survey is of one run, without --against", context)
    data = data or _trained_on(run)
    return _show(_judge(run, against, data, output, survey, config), terminal, as_json=as_json)


def _answers(folder: Path, key: Path | None, output: Path | None, config: EvalConfig) -> Generator[Event, None, None]:
    from covergen_cli.evaluation.answers import report_answers

    yield from report_answers(folder, key, output or folder.parent, seed=config.seed)


def _judge(
    run: str, against: str | None, data: Path, output: Path | None, survey: int | None, config: EvalConfig
) -> Generator[Event, None, None]:
    """Check what is cheap to check, load the models, and go."""
    from covergen_cli.evaluation.evaluate import evaluate as judge
    from covergen_cli.evaluation.survey import build_survey, check_songs
    from covergen_cli.evaluation.test_data import open_material

    material = open_material(data)
    material.groups(config.by)
    if survey is not None:
        check_songs(material, survey, config)
    subjects: list[Subject] = []
    for name, reference in _names([run, *([against] if against else [])]).items():
        subjects.append((yield from _load(name, reference, config)))
    if survey is not None:
        yield from build_survey(subjects[0], material, output or _beside(run, "survey"), survey, config)
    else:
        yield from judge(subjects, material, output or _beside(run, "eval"), config)


def _load(name: str, reference: str, config: EvalConfig) -> Generator[Event, None, Subject]:
    from covergen_cli.evaluation.test_data import drawing_settings, load_subject

    yield ModelLoading(name)
    started = time.monotonic()
    subject = load_subject(name, drawing_settings(reference, seed=config.seed, device=config.device))
    yield ModelLoaded(name, time.monotonic() - started)
    return subject


def _names(references: list[str]) -> dict[str, str]:
    """Name runs by their folders, as shortly as they differ."""
    paths = [Path(reference).resolve() if Path(reference).is_dir() else Path(reference) for reference in references]
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["-".join(path.parts[-depth:]).replace("/", "-") for path in paths]
        if len(set(names)) == len(names):
            return dict(zip(names, references, strict=True))
    return {f"{paths[0].name} ({number})": reference for number, reference in enumerate(references, start=1)}


def _beside(run: str, name: str) -> Path:
    folder = Path(run)
    return folder / name if folder.is_dir() else Path(name)


def _trained_on(run: str) -> Path:
    """Return the dataset folder that a run names.

    Raises:
        InputError: it names none.
    """
    from covergen_cli.evaluation.test_data import run_settings

    named = run_settings(Path(run)).get("data", {}).get("folder")
    if not isinstance(named, str):
        raise InputError(f"{run} does not say what it was trained on", hint="Name the dataset folder DATA.")
    data = Path(named)
    if not data.is_dir():
        raise InputError(f"{run} was trained on {data}, which is not here", hint="Name the dataset folder DATA.")
    return data


def _show(events: Generator[Event, None, None], terminal: Terminal, *, as_json: bool) -> int:
    """Show every event; write the result."""
    tally, steps = Tally(noun="report", total=1), _Steps(terminal)
    finished: EvalFinished | SurveyFinished | None = None
    with terminal.live(tally), closing(events):
        for event in events:
            terminal.show(event, tally)
            if isinstance(event, Progress):
                steps.show(event)
            elif isinstance(event, EvalPlanned):
                terminal.note(
                    f"{event.pairs} pairs × {event.draws} draws, {event.songs} songs × {event.song_draws} draws, "
                    f"{event.covers} covers: about {clock(event.seconds)}"
                )
            elif isinstance(event, (EvalFinished, SurveyFinished)):
                finished = event
    if finished is None:
        return FAILED
    terminal.note(finished.summary)
    if not as_json:
        terminal.result(str(finished.page))
    elif finished.figures is None:
        terminal.result(json.dumps({"schema": SCHEMA, "page": str(finished.page), "summary": finished.summary}))
    else:
        terminal.result(json.dumps(json.loads(finished.figures.read_text(encoding="utf-8")), ensure_ascii=False))
    return DONE


class _Steps:
    """Off a terminal, says what is being done: at its beginning, and how far it is now and then."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._task = ""
        self._said = time.monotonic()

    def show(self, event: Progress) -> None:
        """Take note of one event."""
        now = time.monotonic()
        if not self._terminal.interactive and (event.task != self._task or now - self._said > _PLAIN_SECONDS):
            self._terminal.note(f"{event.task}: {event.done} of {event.total}")
            self._task, self._said = event.task, now
