import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from covergen_cli.cli.terminal import Tally, Terminal
from covergen_cli.errors import OutputError

# Shows a few events on whatever stderr is.
SHOW = """
import sys
from pathlib import Path
from covergen_cli.cli.options import GlobalOptions
from covergen_cli.cli.terminal import Tally
from covergen_cli.events import *
terminal, tally = GlobalOptions(no_color="plain" in sys.argv, quiet="quiet" in sys.argv).terminal(), Tally(total=2)
song = Path("song.mp3")
with terminal.live(tally):
    for event in (
        ModelLoading("starter"),
        Progress("draw", 1, 2, "song.mp3"),
        CoverFailed(Path("bad.mp3"), None, None, "bad.mp3: not audio", "give music"),
        CoverFinished(song, Path("song.png"), 0, (0.0, 30.0), 2.0, 256),
    ):
        tally.count(event)
        terminal.show(event, tally)
    terminal.result("song.png")
"""


# A long name, twice another activity, and a training, of which the text must not say the time left again.
NARROW = """
from covergen_cli.cli.options import GlobalOptions
from covergen_cli.cli.terminal import Tally
from covergen_cli.events import *
terminal, tally = GlobalOptions().terminal(), Tally(total=2, noun="epoch", log_progress=True)
with terminal.live(tally):
    display = terminal._display
    now = [100.0]
    for task in display.bars.tasks:
        task._get_time = display.bars.get_time = lambda: now[0]
    for seconds, event in (
        (0, Progress("draw", 0, 10, "a very long name of a song, which goes on and on, and on.mp3")),
        (2, Progress("draw", 2, 10, "a very long name of a song, which goes on and on, and on.mp3")),
        (5, Progress("draw", 5, 10, "a very long name of a song, which goes on and on, and on.mp3")),
        (40, Progress("validating", 0, 3)),
        (50, Progress("validating", 3, 3)),
        (60, StepDone(1, 4, 0.5, 1e-3, 1.0, 12.0, 9.0, None)),
        (60, Progress("training", 4, 8, "epoch 1/2, step 4")),
    ):
        now[0] = 100.0 + seconds
        terminal.show(event, tally)
        display.bars.refresh()
"""


def on_a_terminal(*words, script=SHOW, columns=100):
    """Run the program with stderr on a pseudo-terminal; returns stdout and what the terminal received."""
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns)}
    process = subprocess.Popen(
        [sys.executable, "-c", script, *words], stdout=subprocess.PIPE, stderr=theirs, text=True, env=environment
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        seen += chunk
    os.close(ours)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    return out, seen.decode()


def test_a_terminal_gets_bars_and_stdout_only_the_result():
    out, err = on_a_terminal()
    assert out == "song.png\n"
    assert "generating song.mp3" in err
    assert "1/2" in err
    assert "\x1b[31m" in err or "\x1b[1;31m" in err
    assert "not audio" in err
    assert err.endswith("\x1b[2K"), "the bars are gone at the end"


def test_on_a_narrow_terminal_names_are_shortened_and_every_bar_has_one_time_of_its_own():
    _, err = on_a_terminal(script=NARROW, columns=60)
    rows = [row.rstrip() for row in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", err))]
    assert max(map(len, rows)) <= 60
    drawing = [row for row in rows if "generating a very long" in row]
    assert drawing
    assert all("…" in row and "━━━━" in row for row in drawing)
    assert drawing[-1].endswith("5/10 00:05")
    assert [row for row in rows if "validating" in row][-1].endswith("3/3 00:10"), "not the 50 s of the whole run"
    training = [row for row in rows if "step 4" in row][-1]
    assert "loss 0.5000" in training
    assert "left" not in training


def test_no_color_leaves_the_bars_plain():
    _, err = on_a_terminal("plain")
    assert "generating song.mp3" in err
    assert "\x1b[3" not in err
    assert "\x1b[1;3" not in err


def test_quiet_has_no_bars():
    out, err = on_a_terminal("quiet")
    assert out == "song.png\n"
    assert "generating" not in err
    assert "not audio" in err


def test_off_a_terminal_there_are_no_control_codes():
    done = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True)
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr.splitlines() == [
        "error: bad.mp3: not audio",
        "  hint: give music",
        "[2/2] song.mp3: segment 0:00–0:30, seed 0, 2.0 s",
    ]


@pytest.mark.parametrize(
    ("tally", "sentence"),
    [
        (Tally(finished=1), "1 cover"),
        (Tally(finished=12, failed=1, skipped=2), "12 covers, 1 failed, 2 already there"),
        (Tally(), "0 covers"),
    ],
)
def test_the_summary(tally, sentence):
    assert tally.summary(None) == sentence
    where = f" — in covers{os.sep}" if tally.finished else ""
    assert tally.summary(Path("covers")) == sentence + where


def test_a_full_disk_behind_stdout_is_no_bug_and_a_closed_one_no_error(monkeypatch):
    class Full(io.StringIO):
        def write(self, _text):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(OutputError, match="standard output: No space left"):
        Terminal().result("x")
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, None)
    Terminal().result("x")
