"""Entry point of ``covergen`` and ``python -m covergen_cli``."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from contextlib import suppress

from covergen_cli.cli.errors import INTERRUPTED, TERMINATED
from covergen_cli.cli.main import run

_OBJECTS_BETWEEN_COLLECTIONS = 50_000
"""With Python's default of 700 to 2,000, the imports of torch and diffusers take a third longer, and free nothing."""


def main() -> None:
    """Run the command line and exit with its exit code."""
    # Set before torch is imported: threads that spin while they wait make a busy machine ten times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 20, 20)
    code: int | None = None

    def leave() -> None:
        """End here if torch was imported, whose modules take half a second to free, and after an interrupt.

        After an interrupt, extensions report what daemon threads still hold as leaks, on stderr.
        """
        if code is not None and ("torch" in sys.modules or code in {INTERRUPTED, TERMINATED}):
            for stream in (sys.stdout, sys.stderr):
                with suppress(AttributeError, OSError, ValueError):
                    stream.flush()
            os._exit(code)

    atexit.register(leave)  # the first that is registered is the last that runs
    code = run()
    sys.exit(code)


if __name__ == "__main__":
    main()
