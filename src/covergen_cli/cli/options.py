"""Global options, options made from the fields of a settings class, and help with headings."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args, get_origin

import click
from click.core import ParameterSource

from covergen_cli.config import Between, field_docs, stage_of
from covergen_cli.config.coerce import coerce
from covergen_cli.config.resolve import BUILT_IN, field_types, load_preset, model_presets, preset_names
from covergen_cli.errors import ConfigError

if TYPE_CHECKING:
    from covergen_cli.cli.terminal import Terminal

    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType
Decorated = TypeVar("Decorated", bound="Callable[..., Any]")

_WITH_PRESETS = ("embed", "generate", "train")  # the commands that have --preset
GLOBAL_NAMES = ("quiet", "verbose", "debug", "no_color", "offline")


@dataclasses.dataclass
class GlobalOptions:
    """Values of the global options; one object per run of the program."""

    quiet: bool = False
    verbose: int = 0
    debug: bool = False
    no_color: bool = False
    offline: bool = False
    _terminal: Terminal | None = dataclasses.field(default=None, init=False, repr=False)

    def terminal(self) -> Terminal:
        """Return the terminal of this run, which follows these options."""
        if self._terminal is None:
            from covergen_cli.cli.terminal import Terminal

            self._terminal = Terminal(quiet=self.quiet, verbose=self.verbose, no_color=self.no_color)
        return self._terminal


def terminal_of(context: click.Context) -> Terminal:
    """Return the terminal of the run that a command belongs to."""
    return context.ensure_object(GlobalOptions).terminal()


class _LogHandler(logging.Handler):
    """Writes what the library logs above the live display; tracebacks only with ``--debug``."""

    def __init__(self, options: GlobalOptions) -> None:
        super().__init__()
        self._options = options

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        import traceback

        text = f"{record.name}: {record.getMessage()}"
        if record.exc_info and record.exc_info[1] and self._options.debug:
            text += "\n" + "".join(traceback.format_exception(record.exc_info[1])).rstrip()
        self._options.terminal().raw(text)


@contextmanager
def logging_to(options: GlobalOptions) -> Iterator[None]:
    """Write log records to the run's terminal while the body runs, if ``-v`` or ``--debug`` is given."""
    root, ours, handler = logging.getLogger(), logging.getLogger("covergen_cli"), _LogHandler(options)
    level = ours.level
    handler.addFilter(lambda _record: options.debug or options.verbose > 0)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        ours.setLevel(level)


def _store_global(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Store a global option, wherever on the command line it is; one that is not given changes nothing."""
    name = parameter.name or ""
    if context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
        return
    setattr(context.ensure_object(GlobalOptions), name, value)
    if name == "offline":
        os.environ["HF_HUB_OFFLINE"] = "1"
    elif name == "verbose":
        logging.getLogger("covergen_cli").setLevel(logging.INFO if value == 1 else logging.DEBUG)


def global_options(function: Decorated) -> Decorated:
    """Add the global options, which are accepted before and after the command's name."""
    common: dict[str, Any] = {"callback": _store_global, "expose_value": False, "is_eager": True}
    for option in (
        click.option("--offline", is_flag=True, help="Never use the network (also HF_HUB_OFFLINE=1).", **common),
        click.option("--no-color", is_flag=True, help="Turn colours off (also NO_COLOR).", **common),
        click.option("--debug", is_flag=True, help="Show the traceback of an error.", **common),
        click.option("-v", "--verbose", count=True, help="Show more messages; -vv shows even more.", **common),
        click.option("-q", "--quiet", is_flag=True, help="Show only errors on stderr.", **common),
    ):
        function = option(function)
    return function


class Command(click.Command):
    """A command whose help lists the options under headings.

    Args:
        groups: heading → names of its parameters, in order. Options in no group are listed under ``Advanced``, or
            under ``Options`` if there are no groups.
    """

    def __init__(self, *args: Any, groups: Mapping[str, Sequence[str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._groups = groups or {}

    def option_groups(self, ctx: click.Context) -> dict[str, list[click.Option]]:
        """Return heading → options, the global ones last."""
        options = {option.name: option for option in self.get_params(ctx) if isinstance(option, click.Option)}
        everyone = [option for option in options.values() if option.is_eager]
        groups = {heading: [options[name] for name in names] for heading, names in self._groups.items()}
        placed = [*everyone, *(option for members in groups.values() for option in members)]
        rest = [option for option in options.values() if option not in placed]
        return groups | {"Advanced" if groups else "Options": rest, "Global options": everyone}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section per heading."""
        for heading, options in self.option_groups(ctx).items():
            if records := [record for option in options if (record := option.get_help_record(ctx))]:
                with formatter.section(heading):
                    formatter.write_dl(records)


class SettingType(_ParamType):
    """Reads a value as the field's annotation demands, by the rules of config files and the environment.

    Args:
        annotation: of the field.
        optional: the value of an option that is given without one; ``None`` for an option that needs a value.
    """

    def __init__(self, annotation: Any, optional: str | None = None) -> None:
        self.annotation, self._optional = annotation, optional
        bare = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
        parts = (bare, *get_args(bare))
        self.choices = next((get_args(part) for part in parts if get_origin(part) is Literal), ())
        words = {int: "integer", float: "float", str: "text", bool: "boolean"}
        self.name = next((words[part] for part in parts if part in words), "start-end")

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:  # noqa: ARG002
        """Return ``[png|jpg]`` for a choice."""
        return f"[{'|'.join(self.choices)}]" if self.choices else None

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        """Return the value in its declared type; raises ``ConfigError``."""
        name = next((name for name in param.opts if name.startswith("--")), param.opts[-1]) if param else "value"
        try:
            return coerce(value, self.annotation, name)
        except ConfigError as error:
            if self._optional is None:
                raise
            # A value that may be left out would take the song that follows.
            hint = f"Write {name}={self._optional}, or put {name} after the songs."
            raise ConfigError(error.message, hint=hint) from error

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[click.shell_completion.CompletionItem]:
        """Return the matching choices of a ``Literal``."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(choice) for choice in self.choices if choice.startswith(incomplete)]


def value_text(value: object) -> str:
    """Return a value of a setting as help shows it: ``on`` or ``off``, and texts with spaces in quotes."""
    if value is None or isinstance(value, bool):
        return "on" if value else "off"
    return f'"{value}"' if " " in str(value) else str(value)


class SettingOption(click.Option):
    """An option whose type, help, bounds and default are those of one field of a settings class.

    Args:
        kind: the settings class.
        field: name of the field.
        flags: the option's names.
        optional: the value when the option is given without one; ``None`` for an option that needs a value.
    """

    def __init__(self, kind: type, field: str, flags: Sequence[str], optional: str | None = None) -> None:
        annotation = field_types(kind)[field]
        self.kind, self.field = kind, field
        self._limits = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
        typed = {"type": SettingType(annotation, optional)}
        how: dict[str, Any] = {"is_flag": True} if annotation is bool else typed
        if optional is not None:
            how |= {"is_flag": False, "flag_value": optional}
        super().__init__([*flags, field], help=field_docs(kind).get(field), **how)

    def default_text(self) -> str:
        """Return the value when nothing is given, and those of other presets: ``8; 30 with the preset default``."""
        values = {BUILT_IN: getattr(self.kind, self.field)}
        for name in preset_names() if stage_of(self.kind) in _WITH_PRESETS else ():
            settings = load_preset(name).get(stage_of(self.kind), {})
            values |= {name: settings[self.field]} if self.field in settings else {}
        default = next((values[name] for name in model_presets(self.kind, {}) if name in values), values[BUILT_IN])
        others = {name: value_text(value) for name, value in values.items() if value != default}
        parts = [value_text(default)] if others or not isinstance(default, bool | None) else []
        for text in dict.fromkeys(others.values()):
            names = " or ".join(name for name in others if others[name] == text)
            parts.append(f"{text} with the preset {names}")
        return "; ".join(parts)

    def values_text(self) -> str:
        """Return the accepted values: choices, bounds or format; empty if everything is accepted."""
        if isinstance(self.type, SettingType) and self.type.choices:
            return ", ".join(self.type.choices)
        return ", ".join(str(limit) for limit in self._limits)

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Return the default and the bounds, for the brackets after the help text."""
        extra = super().get_help_extra(ctx)
        if default := self.default_text():
            extra["default"] = default
        if bounds := ", ".join(str(limit) for limit in self._limits if isinstance(limit, Between)):
            extra["range"] = bounds
        return extra


def setting_options(
    kind: type, short: Mapping[str, str] | None = None, optional: Mapping[str, str] | None = None
) -> Callable[[Decorated], Decorated]:
    """Add one option for every field of a settings class.

    Args:
        kind: the settings class.
        short: field → additional name of its option, e.g. ``{"variations": "-n"}``.
        optional: field → value of its option when it is given without one.
    """

    def add(function: Decorated) -> Decorated:
        parameters = function.__dict__.setdefault("__click_params__", [])
        for name in reversed(field_types(kind)):
            flags = [*filter(None, [(short or {}).get(name)]), f"--{name.replace('_', '-')}"]
            parameters.append(SettingOption(kind, name, flags, (optional or {}).get(name)))
        return function

    return add


def given_settings(context: click.Context, kind: type) -> dict[str, Any]:
    """Return the fields of a settings class that are given on the command line, with their values."""
    return {
        name: context.params[name]
        for name in field_types(kind)
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
