"""``covergen`` and ``python -m covergen_cli``."""

from __future__ import annotations

import sys

from covergen_cli.cli.main import run

__all__ = ["main"]


def main() -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run())


if __name__ == "__main__":
    main()
