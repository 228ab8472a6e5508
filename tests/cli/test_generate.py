import io
import json
import sys
from pathlib import Path

import pytest

from covergen_cli.cli.errors import Terminated
from covergen_cli.config import GenerateConfig
from covergen_cli.config.resolve import resolve
from covergen_cli.errors import InputError

COVER_KEYS = [
    *("schema", "input", "songs", "output", "status", "seed"),
    *("segment", "look", "base", "prompt", "seconds", "error"),
]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {}),
        ("-n 4", {"variations": 4}),
        ("--variations 4 --seed 7", {"variations": 4, "seed": 7}),
        ("--steps 5 --guidance 3.5", {"steps": 5, "guidance": 3.5}),
        ("--scheduler euler --size 1024", {"scheduler": "euler", "size": 1024}),
        ("--format jpg --grain 0", {"format": "jpg", "grain": 0.0}),
        ("--adapter runs/mine --base sd15", {"adapter": "runs/mine", "base": "sd15"}),
        ("--segment 1:01-1:31 --save-segment", {"segment": (61.0, 91.0), "save_segment": True}),
        ("--overwrite force --device cuda:1", {"overwrite": "force", "device": "cuda:1"}),
        ("--prompt forest --audio-scale 0.5", {"prompt": "forest", "audio_scale": 0.5}),
        ("--negative= --no-audio", {"negative": None, "no_audio": True}),
        (
            "--refine --refine-prompt oil --refine-strength 0.3",
            {"refine": True, "refine_prompt": "oil", "refine_strength": 0.3},
        ),
        ("--batch-size 4 --low-memory --dtype bf16", {"batch_size": 4, "low_memory": True, "dtype": "bf16"}),
        ("--per album", {"per": "album"}),
    ],
)
def test_arguments_become_settings(covergen, library, line, expected):
    assert covergen("generate", "a.mp3", *line.split()).code == 0
    assert library.config == resolve(GenerateConfig, overrides=expected)
    assert {name: getattr(library.config, name) for name in expected} == expected


def test_a_preset_can_be_chosen(covergen, library):
    covergen("generate", "a.mp3", "--preset", "default")
    assert library.config == GenerateConfig()


def test_the_output_folder_is_passed_on_and_defaults_to_covers(covergen, library):
    covergen("generate", "a.mp3", "music", "-o", "art")
    assert (library.inputs, library.out) == ([Path("a.mp3"), Path("music")], Path("art"))
    covergen("generate", "a.mp3")
    assert library.out == Path("covers")


def test_a_single_cover_can_be_named(covergen, library):
    ended = covergen("generate", "a.mp3", "-o", "art/front.jpg")
    assert ended.out.splitlines() == [str(Path("art/front.jpg"))]
    assert ended.err.splitlines()[-1].startswith("1 cover — in art")


def test_the_library_learns_whether_the_format_was_asked_for(covergen, library):
    covergen("generate", "a.mp3")
    assert library.format_given is False
    covergen("generate", "a.mp3", "--format", "png")
    assert library.format_given is True


def stdin(text):
    return io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")


def test_a_dash_reads_paths_from_stdin(covergen, library, monkeypatch):
    monkeypatch.setattr(sys, "stdin", stdin("\ufeffa song.mp3\r\n\r\nb.flac\r\n"))
    assert covergen("generate", "-", "c.ogg").code == 0
    assert library.inputs == [Path("a song.mp3"), Path("b.flac"), Path("c.ogg")]


@pytest.mark.parametrize("null", [[], ["-0"]])
def test_an_empty_stdin_is_nothing_to_do(covergen, library, monkeypatch, tmp_path, null):
    monkeypatch.setattr(sys, "stdin", stdin(""))
    errors = tmp_path / "failed.jsonl"
    errors.write_text('{"schema": 1}\n')
    ended = covergen("generate", *null, "-", "--errors", str(errors))
    assert (ended.code, ended.out, ended.err) == (0, "", "no song was given on stdin: nothing to do\n")
    assert errors.read_text() == ""
    assert not library.generated


def test_paths_on_stdin_may_end_in_nul(covergen, library, monkeypatch):
    monkeypatch.setattr(sys, "stdin", stdin("a\nsong.mp3\0ä.flac\0"))
    assert covergen("generate", "-0", "-", "c.ogg").code == 0
    assert library.inputs == [Path("a\nsong.mp3"), Path("ä.flac"), Path("c.ogg")]
    ended = covergen("generate", "-0", "a.mp3")
    assert (ended.code, "Add - as input" in ended.err) == (2, True)
    monkeypatch.setattr(sys, "stdin", stdin("a.mp3\0b.mp3\0"))
    ended = covergen("generate", "-")
    assert (ended.code, "Add -0" in ended.err) == (1, True)


def test_a_pattern_that_the_shell_left_alone_is_expanded(covergen, library, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.mp3", "a.mp3", "x.txt"):
        Path(name).write_bytes(b"x")
    assert covergen("generate", "*.mp3", "gone.mp3").code == 0
    assert library.inputs == [Path("a.mp3"), Path("b.mp3"), Path("gone.mp3")]
    assert "no music matches *.ogg" in covergen("generate", "*.ogg").err
    monkeypatch.setattr(sys, "stdin", stdin("*.mp3\n"))
    covergen("generate", "-")
    assert library.inputs == [Path("*.mp3")], "paths from another program are meant as they are"


@pytest.mark.parametrize("options", [[], ["--dry-run"], ["--fail-fast"]])
def test_what_failed_is_written_to_a_file(covergen, library, tmp_path, options):
    path = tmp_path / "errors.jsonl"
    ended = covergen("generate", "old.mp3", "bad.mp3", "--errors", path, *options)
    assert ended.code == 3
    (failed,) = map(json.loads, path.read_text().splitlines())
    assert (failed["input"], failed["status"], failed["error"]) == ("bad.mp3", "failed", "bad.mp3: not audio")


def test_what_failed_before_an_interruption_is_written_too(covergen, library, tmp_path):
    path = tmp_path / "errors.csv"
    assert covergen("generate", "bad.mp3", "stop.mp3", "--errors", path).code == 130
    assert len(path.read_text().splitlines()) == 2


def test_a_song_is_not_taken_for_the_file_of_errors(covergen, library):
    ended = covergen("generate", "a.mp3", "--errors", "b.mp3")
    assert ended.code == 2
    assert "b.mp3 cannot be a list of errors" in ended.err
    assert not library.generated


@pytest.mark.parametrize(
    ("songs", "code", "paths"),
    [
        (["a.mp3", "b.mp3"], 0, ["covers/a.png", "covers/b.png"]),
        (["old.mp3", "a.mp3"], 0, ["covers/old.png", "covers/a.png"]),
        (["old.mp3"], 0, ["covers/old.png"]),
        (["bad.mp3", "a.mp3"], 3, ["covers/a.png"]),
        (["bad.mp3", "old.mp3"], 3, ["covers/old.png"]),
        (["bad.mp3"], 1, []),
    ],
)
def test_stdout_holds_one_path_per_cover_and_the_code_tells_how_it_went(covergen, library, songs, code, paths):
    ended = covergen("generate", *songs)
    assert ended.code == code
    assert ended.out.splitlines() == [str(Path(path)) for path in paths]


def test_stderr_tells_the_rest_in_plain_lines(covergen, library):
    ended = covergen("generate", "a.mp3", "bad.mp3", "old.mp3", "odd.mp3")
    assert ended.err.splitlines() == [
        "[1/4] a.mp3: segment 1:01–1:31, seed 0, 1.2 s",
        "error: bad.mp3: not audio",
        "  hint: give a music file",
        "[3/4] old.mp3: already there (nothing changed), seed 0",
        "warning: odd.mp3: ends early",
        "[4/4] odd.mp3: segment 1:01–1:31, seed 0, 1.2 s",
        f"2 covers, 1 failed, 1 already there — in {Path('covers')}{'/' if sys.platform != 'win32' else chr(92)}",
    ]


def test_quiet_leaves_only_errors(covergen, library):
    ended = covergen("generate", "-q", "a.mp3", "bad.mp3", "odd.mp3")
    assert ended.err.splitlines() == ["error: bad.mp3: not audio", "  hint: give a music file"]
    assert len(ended.out.splitlines()) == 2


def test_verbose_tells_of_models(covergen, library):
    assert "loaded starter in 1.5 s" in covergen("generate", "a.mp3", "-v").err
    assert "loaded" not in covergen("generate", "a.mp3").err


def test_json_gives_one_object_per_cover_with_all_keys(covergen, library):
    ended = covergen("generate", "--json", "--seed", "5", "ä.mp3", "bad.mp3", "old.mp3")
    done, failed, skipped = (json.loads(line) for line in ended.out.splitlines())
    assert [list(done), list(failed), list(skipped)] == [COVER_KEYS] * 3
    assert done == {
        "schema": 1,
        "input": "ä.mp3",
        "songs": ["ä.mp3"],
        "output": str(Path("covers/ä.png")),
        "status": "ok",
        "seed": 5,
        "segment": [61.0, 91.0],
        "look": None,
        "base": None,
        "prompt": None,
        "seconds": 1.235,
        "error": None,
    }
    assert (failed["status"], failed["error"], failed["segment"]) == ("failed", "bad.mp3: not audio", None)
    assert (skipped["status"], skipped["output"]) == ("skipped", str(Path("covers/old.png")))
    assert ended.code == 3


def test_dry_run_lists_what_would_be_made_and_draws_nothing(covergen, library):
    ended = covergen("generate", "--dry-run", "new1.mp3", "old.mp3", "new2.mp3")
    assert ended.code == 0
    assert ended.out.splitlines() == [str(Path("covers/new1.png")), str(Path("covers/new2.png"))]
    assert ended.err.splitlines()[-1] == "2 covers planned, 1 already there; nothing was written"
    assert not library.generated
    record = json.loads(covergen("generate", "--dry-run", "--json", "new.mp3").out)
    assert (record["status"], record["seconds"]) == ("planned", None)


def test_dry_run_names_songs_that_would_fail(covergen, library):
    ended = covergen("generate", "--dry-run", "bad.mp3", "new.mp3")
    assert ended.code == 3
    assert ended.out.splitlines() == [str(Path("covers/new.png"))]
    assert "error: bad.mp3: not audio" in ended.err
    ended = covergen("generate", "--dry-run", "--json", "bad.mp3")
    assert (ended.code, json.loads(ended.out)["status"]) == (1, "failed")
    ended = covergen("generate", "--dry-run", "--fail-fast", "bad.mp3", "new.mp3")
    assert (ended.code, ended.out) == (1, "")


def test_what_the_library_logs_is_shown_on_demand(covergen, library):
    assert "noticed" not in covergen("generate", "a.mp3").err
    verbose = covergen("generate", "a.mp3", "-v").err
    assert "covergen_cli.fake: noticed a" in verbose
    assert "inner" not in verbose
    assert "ValueError: inner" in covergen("generate", "a.mp3", "--debug").err


@pytest.mark.parametrize(("songs", "code"), [(["bad.mp3", "a.mp3"], 1), (["a.mp3", "bad.mp3", "b.mp3"], 3)])
def test_fail_fast_stops_at_the_first_failure(covergen, library, songs, code):
    ended = covergen("generate", "--fail-fast", *songs)
    assert ended.code == code
    assert len(ended.out.splitlines()) == len(songs) - 2
    assert "stopped at the first failure" in ended.err
    assert library.closed


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (Terminated(), 143)])
def test_interruption_closes_the_work_and_keeps_what_is_done(covergen, library, error, code):
    library.error = error
    ended = covergen("generate", "a.mp3", "stop.mp3", "b.mp3")
    assert ended.code == code
    assert ended.out.splitlines() == [str(Path("covers/a.png"))]
    assert "stopped after 1 of 3" in ended.err
    assert "Traceback" not in ended.err
    assert library.closed


def test_a_library_error_is_one_line_with_a_hint(covergen, library):
    library.error = InputError("covers/x.png: disk full", hint="make room")
    ended = covergen("generate", "stop.mp3", "-q")
    assert (ended.code, ended.err) == (1, "error: covers/x.png: disk full\n  hint: make room\n")


def test_a_bug_is_called_one_and_shows_its_traceback_only_with_debug(covergen, library):
    library.error = ValueError("went\nwrong")
    ended = covergen("generate", "stop.mp3", "-q")
    assert ended.code == 1
    assert ended.err.splitlines() == [
        "error: this is a bug in covergen: ValueError: went wrong",
        "  hint: run it again with --debug for details",
    ]
    assert "Traceback (most recent call last)" in covergen("generate", "stop.mp3", "--debug").err


def test_settings_from_the_environment_reach_the_library(covergen, library, monkeypatch):
    monkeypatch.setenv("COVERGEN_GENERATE_STEPS", "9")
    covergen("generate", "a.mp3")
    assert library.config.steps == 9


def test_a_wrong_setting_in_the_environment_is_a_usage_error(covergen, library, monkeypatch):
    monkeypatch.setenv("COVERGEN_GENERATE_STEPZ", "9")
    ended = covergen("generate", "a.mp3")
    assert ended.code == 2
    assert "did you mean COVERGEN_GENERATE_STEPS?" in ended.err


@pytest.mark.parametrize(
    ("line", "idle"),
    [
        ("--layout poster", "--layout"),
        ("--audio-scale 2 --no-audio", "--audio-scale"),
        ("--refine-steps 9", "--refine-steps"),
        ("--grain 0.5 --raw", "--grain"),
        ("--layout poster --title Dawn --look paint --tone 0.3", None),
        ("--font x.ttf --text tags", None),
    ],
)
def test_an_option_without_effect_is_warned_about(covergen, library, monkeypatch, line, idle):
    monkeypatch.setattr("covergen_cli.covers.text.wording.check_font", lambda _config: None)
    ended = covergen("generate", "a.mp3", *line.split())
    assert ended.code == 0
    told = [text for text in ended.err.splitlines() if "has no effect" in text]
    assert len(told) == (idle is not None)
    assert idle is None or f"{idle} has no effect: " in told[0]
