"""The ``covergen`` group: finds commands by name and imports only the one that is asked for."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import cast

import click

from covergen_cli import __version__
from covergen_cli.cli import errors
from covergen_cli.cli.options import Session, global_options, logging_to

COMMANDS = {
    "generate": "covergen_cli.cli.generate:generate",
    "fetch": "covergen_cli.cli.fetch:fetch",
    "embed": "covergen_cli.cli.embed:embed",
    "split": "covergen_cli.cli.split:split",
    "train": "covergen_cli.cli.train:train",
    "eval": "covergen_cli.cli.eval:evaluate",
    "models": "covergen_cli.cli.models:models",
}
"""Name → ``module:attribute`` of every command that works."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names, in the order of :data:`COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        return cast("click.Command", getattr(importlib.import_module(module), attribute))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="covergen", message="%(prog)s %(version)s")
@global_options
def cli() -> None:
    """Music in, cover art out."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line.

    Args:
        arguments: what follows the program's name; ``None`` takes it from the process.

    Returns:
        the exit code; every error was already reported on stderr.
    """
    session = Session()
    _tolerate_any_name()
    with errors.sigterm_as_exception(), warnings.catch_warnings(), logging_to(session):
        _hush_libraries()
        try:
            code = cli.main(args=arguments, prog_name="covergen", standalone_mode=False, obj=session)
        except BaseException as error:  # noqa: BLE001  # every way to end has its code
            return errors.report(error, session)
    return code if isinstance(code, int) else errors.DONE


def _tolerate_any_name() -> None:
    """Let file names that are not valid text pass through stdin and stdout unharmed."""
    escape = "backslashreplace" if sys.platform == "win32" else "surrogateescape"
    for stream, how in ((sys.stdin, "surrogateescape"), (sys.stdout, escape), (sys.stderr, "backslashreplace")):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=how)


def _hush_libraries() -> None:
    """Keep the chatter of libraries off the user's screen; ``PYTHONWARNINGS`` and their own variables still work."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    for variable, value in (
        ("DIFFUSERS_VERBOSITY", "error"),
        ("TRANSFORMERS_VERBOSITY", "error"),
        ("HF_HUB_DISABLE_TELEMETRY", "1"),
        ("HF_HUB_VERBOSITY", "error"),
    ):
        os.environ.setdefault(variable, value)
