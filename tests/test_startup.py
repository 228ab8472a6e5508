"""Help and version appear at once: no heavy library is imported for them."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from covergen_cli import __main__
from covergen_cli.cli.main import COMMANDS

HEAVY = ("torch", "diffusers", "transformers", "librosa", "numpy", "scipy", "pandas", "av", "PIL", "rich")
PROGRAM = """
import sys
from covergen_cli.cli.main import run
code = run(sys.argv[1:])
print("LOADED", *sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
sys.exit(code)
"""


def loaded_by(*arguments):
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def test_threads_wait_without_spinning_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.setattr(__main__, "run", lambda: 3)
    monkeypatch.setattr(gc, "set_threshold", lambda *_: None)
    for before, after in ((None, "passive"), ("active", "active")):
        monkeypatch.setenv("OMP_WAIT_POLICY", before) if before else monkeypatch.delenv("OMP_WAIT_POLICY", False)
        with pytest.raises(SystemExit, match="3"):
            __main__.main()
        assert os.environ["OMP_WAIT_POLICY"] == after
    monkeypatch.delenv("OMP_WAIT_POLICY")


STOPPED = """
import atexit, threading, time
import numpy, soxr
from covergen_cli import __main__

def decode():
    resampler = soxr.ResampleStream(8000, 16000, 1)
    time.sleep(600)

def run():
    threading.Thread(target=decode, daemon=True).start()
    atexit.register(print, "cleaned up")
    time.sleep(0.2)
    return 130

__main__.run = run
__main__.main()
"""


def test_a_stopped_command_ends_without_reports_of_leaks():
    done = subprocess.run([sys.executable, "-c", STOPPED], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "cleaned up\n", "")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)], ids=" ".join
)
def test_help_loads_nothing_heavy(arguments):
    assert not loaded_by(*arguments) & set(HEAVY)


def test_a_cover_of_the_starter_needs_neither_diffusers_nor_what_it_imports(tmp_path):
    song = Path(__file__).parents[1] / "docs" / "demo" / "demo-song.mp3"
    loaded = loaded_by("generate", str(song), "-o", str(tmp_path / "cover.png"), "--quiet")
    assert "torch" in loaded
    slow = {"diffusers", "transformers", "accelerate", "peft", "librosa", "pandas", "matplotlib", "h5py", "sklearn"}
    assert not loaded & slow
