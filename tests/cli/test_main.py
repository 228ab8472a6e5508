import functools
import os
import re
import signal
import subprocess
import sys

import click
import pytest

from covergen_cli import __version__
from covergen_cli.cli.main import COMMANDS, cli
from covergen_cli.config import GenerateConfig
from covergen_cli.config.resolve import load_preset

# A library that prints nothing and never ends, in a process of its own.
ENDLESS = """
import sys, time, types
import covergen_cli.covers
batch = types.ModuleType("covergen_cli.covers.generate")
class Job: input = output = "x"; seed = 0; format = "png"
def plan(inputs, out, config, format_given, on_progress): return [Job()]
def generate(jobs, config):
    from pathlib import Path
    from covergen_cli.events import CoverFinished
    try:
        while True:
            yield CoverFinished(Path("x"), Path("y" * 200), 0, (0.0, 1.0), 0.1, 256)
            time.sleep({pause})
    finally:
        print("closed", file=sys.stderr)
batch.plan, batch.generate = plan, generate
sys.modules[batch.__name__] = covergen_cli.covers.generate = batch
from covergen_cli.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.fixture
def endless():
    """Start a run that draws until it is stopped."""
    started = []

    def start(pause, *arguments):
        command = [sys.executable, "-c", ENDLESS.replace("{pause}", str(pause)), "generate", "x", *arguments]
        # A shell's background jobs ignore Ctrl-C, and their children with them; these tests may be in one.
        reset = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
        with_reset = {} if os.name == "nt" else {"preexec_fn": reset}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **with_reset)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_version(covergen):
    ended = covergen("--version")
    assert (ended.code, ended.out) == (0, f"covergen {__version__}\n")


def test_python_m_runs_it():
    done = subprocess.run(
        [sys.executable, "-m", "covergen_cli", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"covergen {__version__}\n")


def test_help_lists_the_commands_that_work(covergen):
    ended = covergen("--help")
    assert ended.code == 0
    assert all(name in ended.out for name in COMMANDS)


def test_help_shows_defaults_presets_and_bounds(covergen):
    text = " ".join(covergen("generate", "--help").out.split())
    steps = {name: load_preset(name)["generate"]["steps"] for name in ("starter", "paper", "turbo")}
    others = f"{GenerateConfig.steps} with the preset default; {steps['paper']} with the preset paper"
    # What a plain `covergen generate SONG` does comes first.
    assert f"[default: {steps['starter']}; {others}; {steps['turbo']} with the preset turbo; 1 to 1000]" in text
    assert "[default: off; on with the preset paper]" in text
    assert f'[default: "{GenerateConfig.negative}"; off with the preset paper]' in text
    assert f"[default: {GenerateConfig.variations}; 1 to 1000]" in text
    assert "Global options: -q, --quiet" in text


def test_help_has_the_most_needed_options_first_and_under_headings(covergen):
    text = covergen("generate", "--help").out
    titles = [
        "Common",
        "Text and stores",
        "Motion",
        "Music library",
        "Stable Diffusion and refiner",
        "Advanced",
        "Global options",
    ]
    assert [line[:-1] for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")] == titles
    common = re.findall(
        r"^  (?:-\w, )?(--[\w-]+)", text[text.index("Common:") : text.index("Text and stores:")], re.MULTILINE
    )
    assert common == ["--output", "--variations", "--seed", "--look", "--palette", "--size", "--format", "--segment"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_the_help_once_with_a_sentence(name):
    context = click.Context(cli, info_name="covergen")
    command = cli.get_command(context, name)
    for member in command.commands.values() if isinstance(command, click.Group) else [command]:
        options = [option for group in member.option_groups(context).values() for option in group]
        wanted = [option for option in member.get_params(context) if isinstance(option, click.Option)]
        assert sorted(option.opts for option in options) == sorted(option.opts for option in wanted)
        assert all(re.fullmatch(r"[A-Z].*\.", option.help) for option in options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate"], "Missing argument"),
        (["generate", "--from", "cover.png"], "--from needs the song too"),
        (["generte", "a.mp3"], "generte"),
        (["generate", "a.mp3", "--stepz", "3"], "--steps"),
        (["generate", "a.mp3", "--steps", "0"], "--steps is 0; it takes 1 to 1000"),
        (["generate", "a.mp3", "--steps", "many"], "--steps is 'many', not a whole number"),
        (["generate", "a.mp3", "--format", "pgn"], "did you mean png?"),
        (["generate", "a.mp3", "--segment", "30-10"], "--segment"),
        (["generate", "a.mp3", "--device", "tpu"], "auto, cpu, cuda, cuda:N or mps"),
        (["generate", "a.mp3", "--preset", "startr"], "did you mean starter?"),
    ],
)
def test_usage_errors_exit_2_in_at_most_two_lines(covergen, library, arguments, message):
    ended = covergen(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert len(ended.err.splitlines()) <= 2
    assert ended.err.startswith("error: ")
    assert not library.generated


def test_a_bare_call_shows_help_on_stderr_and_exits_2(covergen):
    ended = covergen()
    assert (ended.code, ended.out) == (2, "")
    assert "Usage: covergen" in ended.err


@pytest.mark.parametrize("arguments", [["-q", "generate", "a.mp3"], ["generate", "a.mp3", "-q"]])
def test_global_options_stand_before_or_after_the_command(covergen, library, arguments):
    assert covergen(*arguments).err == ""


def test_offline_reaches_the_hub_library(covergen, library, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    covergen("generate", "a.mp3", "--offline")
    assert os.environ["HF_HUB_OFFLINE"] == "1"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_end_the_work_in_order(endless, number, code):
    process = endless(0.05)
    assert process.stdout.readline().strip() == "y" * 200
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert "closed" in err
    assert "Traceback" not in err


def test_a_reader_that_goes_away_ends_the_work_quietly(endless):
    process = endless(0, "-q")
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    assert process.wait(timeout=30) == 1
    assert process.stderr.read() == "closed\n"


def test_completion_is_offered_for_choices():
    words = {"COMP_WORDS": "covergen generate --format ", "COMP_CWORD": "3", "_COVERGEN_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-m", "covergen_cli"], capture_output=True, text=True, env=os.environ | words, check=False
    )
    assert done.stdout.split() == ["plain,png", "plain,jpg", "plain,svg"]


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("generat", "did you mean generate?"),
        ("song.mp3", "did you mean covergen generate song.mp3?"),
        ("https://x/y.mp3", "did you mean covergen generate https://x/y.mp3?"),
        ("xyz", "the commands are generate, "),
    ],
)
def test_a_word_that_is_no_command_gets_a_suggestion(covergen, word, hint):
    ended = covergen(word)
    assert (ended.code, ended.out) == (2, "")
    assert f"there is no command {word}; {hint}" in ended.err


def test_a_deleted_folder_is_reported(covergen, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    ended = covergen("split", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert (ended.code, "the current folder was deleted" in ended.err) == (1, True)


def test_a_user_without_a_home(covergen, monkeypatch, tmp_path):
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda _: (_ for _ in ()).throw(KeyError("uid not found")))
    assert "no manifest" in covergen("embed", tmp_path).err.replace(".csv", "")
    assert os.environ["HOME"] == os.sep


def test_a_folder_in_place_of_a_command_is_music(covergen, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "music").mkdir()
    assert "did you mean covergen generate music?" in covergen("music").err


def test_a_song_after_an_option_whose_value_is_optional_gets_a_hint(covergen, tmp_path):
    ended = covergen("generate", "--motion", tmp_path / "song.mp3")
    assert ended.code == 2
    assert "Write --motion=mp4, or put --motion after the songs." in ended.err
