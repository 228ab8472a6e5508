"""``covergen eval``: how well the covers of an adapter follow the music."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click

from covergen_cli.cli.errors import DONE, FAILED
from covergen_cli.cli.options import Command, SettingType, given_settings, global_options, setting_options, terminal_of
from covergen_cli.cli.unused import unused_in_evaluation, warn_of_unused
from covergen_cli.config import Between, EvalConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.errors import InputError
from covergen_cli.files import SCHEMA

if TYPE_CHECKING:
    from covergen_cli.cli.terminal import Terminal
    from covergen_cli.evaluation.table import Style
    from covergen_cli.evaluation.test_data import LoadedRun
    from covergen_cli.events import Event

GROUPS = {
    "Common": ("output", "against", "by", "budget", "seed", "device", "table", "as_json"),
    "Sample sizes": ("pairs", "draws", "songs", "song_draws", "covers"),
    "Survey": ("survey", "controls", "survey_answers", "survey_key"),
}


@click.command(name="eval", cls=Command, groups=GROUPS)
@click.argument("run", required=False)
@click.argument("data", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Folder for the report, figures and covers. Defaults to eval/ (for a survey, survey/) in the run folder, or "
    "in the current folder.",
)
@click.option(
    "--against", metavar="RUN", help="Second run to evaluate on the same pairs and noise, in the same report."
)
@click.option(
    "--survey",
    type=SettingType(Annotated[int, Between(1, 1000)]),
    metavar="N",
    help="Create a survey with N songs (1 to 1000) instead of a report.",
)
@click.option(
    "--survey-answers",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Analyse the answers of a survey: the folder with the answer files of the raters. Takes no RUN.",
)
@click.option(
    "--survey-key",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Key file of the survey. Defaults to key.json beside the answers or in the folder above them.",
)
@setting_options(EvalConfig)
@click.option(
    "--table",
    type=click.Choice(["csv", "latex", "markdown"]),
    help="Print the main figures as a table instead of the path of the report.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON instead of the path of the report.")
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
    table: Style | None,
    as_json: bool,
    **_settings: Any,
) -> int:
    """Evaluate a trained adapter.

    The report shows whether the adapter's loss depends on the audio, and whether colours, forms and edges of its covers
    correlate with the song's energy, mode, tempo, brightness, density and percussiveness; every figure comes with a
    confidence interval and a control. RUN is a run folder, an adapter folder, "starter" or a hub id, and is required
    except with --survey-answers. DATA is a dataset folder with splits/test.csv, by default the one that RUN was trained
    on.

    A folder of covergen train --seeds is evaluated as one: all its runs, with mean and standard deviation over them.

    The path of report.html is printed on stdout.
    """
    config, terminal = resolve(EvalConfig, overrides=given_settings(context, EvalConfig)), terminal_of(context)
    unused = unused_in_evaluation(survey=survey is not None, answers=survey_answers is not None)
    warn_of_unused(context, EvalConfig, unused)
    if table is not None and (as_json or survey is not None or survey_answers is not None):
        raise click.UsageError("--table cannot be used with --json or a survey", context)
    if survey_answers is not None:
        if run is not None or survey is not None or against is not None:
            raise click.UsageError("--survey-answers cannot be used with RUN, --survey or --against", context)
        from covergen_cli.evaluation.answers import report_answers

        events = report_answers(survey_answers, survey_key, output or survey_answers.parent, seed=config.seed)
        return _run(events, terminal, as_json=as_json)
    if run is None:
        raise click.UsageError("name the run folder to evaluate, or give --survey-answers DIR", context)
    if survey is not None and against is not None:
        raise click.UsageError("--survey cannot be used with --against", context)
    events = _evaluate(run, against, data or _training_data(run), output, survey, config)
    return _run(events, terminal, as_json=as_json, table=table)


def _evaluate(
    run: str, against: str | None, data: Path, output: Path | None, survey: int | None, config: EvalConfig
) -> Generator[Event, None, None]:
    """Check the inputs, load the models, then evaluate or create the survey."""
    from covergen_cli.evaluation.evaluate import evaluate
    from covergen_cli.evaluation.survey import build_survey, check_songs
    from covergen_cli.evaluation.test_data import load_test_data

    test_data = load_test_data(data)
    test_data.groups(config.by)
    if survey is not None:
        check_songs(test_data, survey, config)
    runs: list[LoadedRun] = []
    seeds = _seed_runs(run)
    if seeds and (against is not None or survey is not None):
        hint = f"Name one of them, such as {seeds[0]}."
        raise InputError(f"{run} holds {len(seeds)} runs of train --seeds", hint=hint)
    for name, reference in _names([*(seeds or [run]), *([against] if against else [])]).items():
        runs.append((yield from _load(name, reference, config)))
    if survey is not None:
        yield from build_survey(runs[0], test_data, output or _beside(run, "survey"), survey, config)
    else:
        yield from evaluate(runs, test_data, output or _beside(run, "eval"), config, seeds=bool(seeds))


def _seed_runs(run: str) -> list[str]:
    """Return the run folders of ``covergen train --seeds`` in a folder; none for a run folder."""
    found = [path for path in Path(run).glob("seed-*") if (path / "adapter").is_dir()]
    return [str(path) for path in sorted(found, key=lambda path: (len(path.name), path.name))]


def _load(name: str, reference: str, config: EvalConfig) -> Generator[Event, None, LoadedRun]:
    from covergen_cli.covers.loading import fetch_models
    from covergen_cli.evaluation.test_data import drawing_settings, load_run
    from covergen_cli.events import ModelLoaded, ModelLoading
    from covergen_cli.weights.catalogue import download_missing

    yield from download_missing([(reference, "adapter")])
    settings = drawing_settings(reference, config)
    yield from fetch_models(settings)
    yield ModelLoading(name)
    started = time.monotonic()
    loaded = load_run(name, settings)
    yield ModelLoaded(name, time.monotonic() - started)
    return loaded


def _names(references: list[str]) -> dict[str, str]:
    """Return name → run: the last parts of the paths, as many as make the names differ."""
    paths = [Path(reference).resolve() if Path(reference).is_dir() else Path(reference) for reference in references]
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["-".join(path.parts[-depth:]).replace("/", "-") for path in paths]
        if len(set(names)) == len(names):
            return dict(zip(names, references, strict=True))
    return {f"{paths[0].name} ({number})": reference for number, reference in enumerate(references, start=1)}


def _beside(run: str, name: str) -> Path:
    folder = Path(run)
    return folder / name if folder.is_dir() else Path(name)


def _training_data(run: str) -> Path:
    """Return the dataset folder that a run was trained on.

    Raises:
        InputError: the run does not record it, or it does not exist.
    """
    from covergen_cli.evaluation.test_data import run_settings
    from covergen_cli.weights import hub

    if not Path(run).is_dir() and run != hub.STARTER and (hub.hub_model(run) is None or Path(run).parent.is_dir()):
        raise InputError(f"there is no run folder {run}", hint="Check the name; covergen train -o FOLDER makes one.")
    named = run_settings(Path(next(iter(_seed_runs(run)), run))).get("data", {}).get("folder")
    if not isinstance(named, str):
        raise InputError(f"{run} does not record what it was trained on", hint="Give the dataset folder as DATA.")
    data = Path(named)
    if not data.is_dir():
        raise InputError(f"{run} was trained on {data}, which does not exist", hint="Give the dataset folder as DATA.")
    return data


def _run(events: Generator[Event, None, None], terminal: Terminal, *, as_json: bool, table: Style | None = None) -> int:
    """Run the evaluation and write its result; return the exit code."""
    from covergen_cli.cli.terminal import Tally
    from covergen_cli.events import EvalFinished, SurveyFinished

    finished = terminal.run(events, Tally(noun="report", log_progress=True))
    if not isinstance(finished, (EvalFinished, SurveyFinished)):
        return FAILED
    terminal.note(finished.summary)
    if table is not None and finished.figures is not None:
        from covergen_cli.evaluation.table import format_table

        terminal.result(format_table(json.loads(finished.figures.read_text(encoding="utf-8")), table))
    elif not as_json:
        terminal.result(str(finished.page))
    elif finished.figures is None:
        terminal.result(json.dumps({"schema": SCHEMA, "page": str(finished.page), "summary": finished.summary}))
    else:
        terminal.result(json.dumps(json.loads(finished.figures.read_text(encoding="utf-8")), ensure_ascii=False))
    return DONE
