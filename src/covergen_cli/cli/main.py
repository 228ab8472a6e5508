"""The ``covergen`` command group, which imports only the command that runs."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from typing import cast

import click

from covergen_cli import __version__
from covergen_cli.cli import errors
from covergen_cli.cli.options import GlobalOptions, global_options, logging_to
from covergen_cli.errors import InputError

COMMANDS = {
    "generate": "covergen_cli.cli.generate:generate",
    "fetch": "covergen_cli.cli.fetch:fetch",
    "embed": "covergen_cli.cli.embed:embed",
    "split": "covergen_cli.cli.split:split",
    "train": "covergen_cli.cli.train:train",
    "eval": "covergen_cli.cli.eval:evaluate",
    "describe": "covergen_cli.cli.describe:describe",
    "models": "covergen_cli.cli.models:models",
}
"""Name → ``module:attribute`` of every command."""


class LazyGroup(click.Group):
    """A group that imports its commands on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names in the order of :data:`COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        return cast("click.Command", getattr(importlib.import_module(module), attribute))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name; the error for any other word suggests one."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            if not name.isidentifier() or os.path.lexists(name):
                hint = f"did you mean covergen generate {name}?"
            elif near := difflib.get_close_matches(name, COMMANDS, n=1):
                hint = f"did you mean {near[0]}?"
            else:
                hint = f"the commands are {', '.join(COMMANDS)}"
            raise click.UsageError(f"there is no command {name}; {hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="covergen", message="%(prog)s %(version)s")
@global_options
def cli() -> None:
    """Music in, cover art out."""
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError as error:
        # Libraries would end the process without a word.
        raise InputError("the current folder was deleted", hint="Change to a folder that exists.") from error


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line, by default the one of the process, and report errors on stderr.

    Returns:
        the exit code.
    """
    options = GlobalOptions()
    if os.path.expanduser("~") == "~":  # noqa: PTH111
        os.environ["HOME"] = os.sep  # as containers do for users without an entry in passwd; libraries raise otherwise
    _accept_any_file_name()
    with errors.sigterm_as_exception(), warnings.catch_warnings(), logging_to(options):
        _silence_libraries()
        try:
            code = cli.main(args=arguments, prog_name="covergen", standalone_mode=False, obj=options)
        except BaseException as error:  # noqa: BLE001  # every exception has an exit code
            return errors.report(error, options)
    return code if isinstance(code, int) else errors.DONE


def _accept_any_file_name() -> None:
    """Let stdin and stdout pass file names that are not valid Unicode unchanged."""
    escape = "backslashreplace" if sys.platform == "win32" else "surrogateescape"
    for stream, how in ((sys.stdin, "surrogateescape"), (sys.stdout, escape), (sys.stderr, "backslashreplace")):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=how)


def _silence_libraries() -> None:
    """Hide warnings and log messages of libraries, unless ``PYTHONWARNINGS`` or their own variables are set."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    for variable, value in (
        ("DIFFUSERS_VERBOSITY", "error"),
        ("TRANSFORMERS_VERBOSITY", "error"),
        ("HF_HUB_DISABLE_TELEMETRY", "1"),
        ("HF_HUB_VERBOSITY", "error"),
    ):
        os.environ.setdefault(variable, value)
