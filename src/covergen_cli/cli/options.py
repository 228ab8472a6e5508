"""Options: the global ones, and those that are made from the fields of a settings class."""

from __future__ import annotations

import dataclasses
import logging
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import click
from click.core import ParameterSource

from covergen_cli.config import Between, field_docs, stage_of
from covergen_cli.config.coerce import coerce
from covergen_cli.config.resolve import load_preset, preset_names

if TYPE_CHECKING:
    from covergen_cli.cli.terminal import Terminal

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")
if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType

GLOBAL_NAMES = ("quiet", "verbose", "debug", "no_color", "offline")


@dataclasses.dataclass
class Session:
    """What the global options say; one for the whole run.

    Args:
        quiet: only errors on stderr.
        verbose: how many times ``-v`` was given.
        debug: show tracebacks.
        no_color: plain text even on a terminal.
        offline: never use the network.
    """

    quiet: bool = False
    verbose: int = 0
    debug: bool = False
    no_color: bool = False
    offline: bool = False
    _terminal: Terminal | None = dataclasses.field(default=None, init=False, repr=False)

    def terminal(self) -> Terminal:
        """The terminal of this run, which keeps to these options."""
        if self._terminal is None:
            from covergen_cli.cli.terminal import Terminal

            self._terminal = Terminal(quiet=self.quiet, verbose=self.verbose, no_color=self.no_color)
        return self._terminal


class _Log(logging.Handler):
    """Shows what the library logs; tracebacks only with ``--debug``."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record above the live display."""
        text = f"{record.name}: {record.getMessage()}"
        if record.exc_info and record.exc_info[1] and self._session.debug:
            text += "\n" + "".join(traceback.format_exception(record.exc_info[1])).rstrip()
        self._session.terminal().raw(text)


@contextmanager
def logging_to(session: Session) -> Iterator[None]:
    """While the body runs, what is logged goes to the session's terminal if ``-v`` or ``--debug`` asks for it."""
    root, ours, handler = logging.getLogger(), logging.getLogger("covergen_cli"), _Log(session)
    level = ours.level
    handler.addFilter(lambda _record: session.debug or session.verbose > 0)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        ours.setLevel(level)


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Keep a global option, wherever on the line it stood; one that was not given changes nothing."""
    name = parameter.name or ""
    if context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
        return
    session = context.ensure_object(Session)
    setattr(session, name, value)
    if name == "offline":
        os.environ["HF_HUB_OFFLINE"] = "1"
    elif name == "verbose":
        logging.getLogger("covergen_cli").setLevel(logging.INFO if value == 1 else logging.DEBUG)


def global_options(function: Decorated) -> Decorated:
    """Add the global options; they stand before the command's name or after it."""
    for option in (
        click.option("--offline", is_flag=True, help="Never use the network (also HF_HUB_OFFLINE=1)."),
        click.option("--no-color", is_flag=True, help="Plain text even on a terminal (also NO_COLOR)."),
        click.option("--debug", is_flag=True, help="Show the traceback of an error."),
        click.option("-v", "--verbose", count=True, help="Say more; twice for still more."),
        click.option("-q", "--quiet", is_flag=True, help="Only errors on stderr."),
    ):
        function = option(function)
    for parameter in getattr(function, "__click_params__", []):
        if parameter.name in GLOBAL_NAMES:
            parameter.callback, parameter.expose_value, parameter.is_eager = _remember, False, True
    return function


class Command(click.Command):
    """A command whose help lists the global options apart."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write ``Options`` and ``Global options``."""
        for title, wanted in (("Options", False), ("Global options", True)):
            records = [
                record
                for parameter in self.get_params(ctx)
                if isinstance(parameter, click.Option)
                and (parameter.name in GLOBAL_NAMES) is wanted
                and (record := parameter.get_help_record(ctx))
            ]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class SettingType(_ParamType):
    """Reads a value as the field's annotation demands, with the rules that config files and the environment share."""

    def __init__(self, annotation: Any) -> None:
        self.annotation = annotation
        bare = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
        choice = next((kind for kind in (bare, *get_args(bare)) if get_origin(kind) is Literal), None)
        self.choices = get_args(choice)
        words = {int: "integer", float: "float", str: "text", bool: "boolean"}
        kinds = [part for part in get_args(bare) if part in words]
        self.name = words.get(bare) or (words[kinds[0]] if kinds else "start-end")

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:  # noqa: ARG002
        """``[png|jpg]`` for a choice."""
        return f"[{'|'.join(self.choices)}]" if self.choices else None

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        """Return the value in its declared type; raises ``ConfigError``."""
        name = next((name for name in param.opts if name.startswith("--")), param.opts[-1]) if param else "value"
        return coerce(value, self.annotation, name)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[click.shell_completion.CompletionItem]:
        """Offer the choices of a ``Literal``."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(choice) for choice in self.choices if choice.startswith(incomplete)]


class SettingOption(click.Option):
    """An option made from one field: its type, help, bounds and default are those of the field.

    Args:
        kind: the settings class.
        field: name of the field.
        flags: the option's names.
    """

    def __init__(self, kind: type, field: str, flags: tuple[str, ...]) -> None:
        annotation = get_type_hints(kind, include_extras=True)[field]
        self.kind, self.field, self.annotation = kind, field, annotation
        text = field_docs(kind).get(field, "")
        how: dict[str, Any] = {"is_flag": True} if annotation is bool else {"type": SettingType(annotation)}
        super().__init__([*flags, field], help=text[:1].upper() + text[1:], **how)

    def default_text(self) -> str:
        """The default and what presets make of it, e.g. ``30; 16 with the preset starter``."""
        default = next(field.default for field in dataclasses.fields(self.kind) if field.name == self.field)
        parts = [] if default is None or isinstance(default, bool) else [f"{default}"]
        for name in preset_names():
            settings = load_preset(name).get(stage_of(self.kind), {})
            if self.field in settings:
                parts.append(f"{settings[self.field]} with the preset {name}")
        return "; ".join(parts)

    def values_text(self) -> str:
        """What the option takes: choices, bounds or form; empty where anything goes."""
        if isinstance(self.type, SettingType) and self.type.choices:
            return ", ".join(self.type.choices)
        extras = get_args(self.annotation)[1:] if get_origin(self.annotation) is Annotated else ()
        return ", ".join(str(extra) for extra in extras)

    def bounds_text(self) -> str:
        """The bounds, e.g. ``1 to 1000``; empty where there are none."""
        extras = get_args(self.annotation)[1:] if get_origin(self.annotation) is Annotated else ()
        return ", ".join(str(extra) for extra in extras if isinstance(extra, Between))

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Default and bounds for the brackets after the help text."""
        extra = super().get_help_extra(ctx)
        if default := self.default_text():
            extra["default"] = default
        if bounds := self.bounds_text():
            extra["range"] = bounds
        return extra


def setting_options(kind: type, short: Mapping[str, str] | None = None) -> Callable[[Decorated], Decorated]:
    """Add one option for every field of a settings class.

    Args:
        kind: the settings class.
        short: field → short option, e.g. ``{"variations": "-n"}``.
    """

    def add(function: Decorated) -> Decorated:
        for field in reversed(dataclasses.fields(kind)):
            flags = (*filter(None, [(short or {}).get(field.name)]), f"--{field.name.replace('_', '-')}")
            parameters = function.__dict__.setdefault("__click_params__", [])
            parameters.append(SettingOption(kind, field.name, flags))
        return function

    return add


def given_settings(context: click.Context, kind: type) -> dict[str, Any]:
    """The fields of a settings class that stood on the command line, with their values."""
    return {
        field.name: context.params[field.name]
        for field in dataclasses.fields(kind)
        if context.get_parameter_source(field.name) is ParameterSource.COMMANDLINE
    }
