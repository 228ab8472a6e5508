"""``covergen`` and ``python -m covergen_cli``."""

from __future__ import annotations

import gc
import os
import sys

from covergen_cli.cli.main import run

_OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""Python's own, 700 to 2,000, make the imports of torch and diffusers a third slower: what they make comes to stay."""


def main() -> None:
    """Run the command line and end the process with its exit code."""
    # Before torch is imported: threads that spin while they wait make a busy machine ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 20, 20)
    sys.exit(run())


if __name__ == "__main__":
    main()
