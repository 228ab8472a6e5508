"""Help and version appear at once: no heavy library is imported for them."""

import subprocess
import sys

import pytest

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


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)], ids=" ".join
)
def test_help_loads_nothing_heavy(arguments):
    assert not loaded_by(*arguments) & set(HEAVY)
