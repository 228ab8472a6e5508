"""The command-line reference of the docs, made from the commands themselves.

``python -m covergen_cli.cli.reference > docs/reference/cli.md`` writes it anew; a test compares the two.
"""

from __future__ import annotations

import inspect

import click

from covergen_cli.cli.main import COMMANDS, cli
from covergen_cli.cli.options import GLOBAL_NAMES, SettingOption
from covergen_cli.config import stage_of
from covergen_cli.config.resolve import environment_name, load_preset, preset_names

_HEAD = """# Commands and settings

Made by `python -m covergen_cli.cli.reference`; edit the code, not this page.
"""

_CODES = """## Exit codes

| code | meaning |
|---|---|
| 0 | all done |
| 1 | nothing done, or failed |
| 2 | wrong usage or settings |
| 3 | some items failed, the rest is done |
| 130 | stopped by Ctrl-C |
| 143 | stopped by SIGTERM |
"""

_SOURCES = """## Where settings come from

Each of these wins over the ones before it: built-in default, preset, `config.yaml`, environment, command line.
`config.yaml` lies in the folder `covergen` of the user's config folder: `~/.config` on Linux,
`~/Library/Application Support` on macOS, `%LOCALAPPDATA%` on Windows. It and preset files look like this:

```yaml
generate:
  format: jpg
  segment: 1:01-1:31
```

The key of an option is its long name without the leading dashes and with `_` for `-`; its variable stands in its row.
A key or a `COVERGEN_` variable that does not exist is an error.
"""


def reference() -> str:
    """The whole page as Markdown."""
    context = click.Context(cli, info_name="covergen")
    parts = [_HEAD, "## Global options\n", "They stand before the command's name or after it.\n"]
    parts.append(_table([option for option in _options(cli, context) if option.name in GLOBAL_NAMES]))
    for name in COMMANDS:
        command = cli.get_command(context, name)
        if command is not None:
            parts += _command(command, click.Context(command, info_name=name, parent=context))
    return "\n".join([*parts, _CODES, _SOURCES, _presets()])


def _command(command: click.Command, context: click.Context) -> list[str]:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    text = inspect.cleandoc(command.help or "")
    if isinstance(command, click.Group):
        parts = [f"## {context.command_path}\n", f"```\n{usage}\n```\n", f"{text}\n"]
        for name, member in command.commands.items():
            parts += _command(member, click.Context(member, info_name=name, parent=context))
        return parts
    options = [
        option
        for option in _options(command, context)
        if option.name not in GLOBAL_NAMES and "--help" not in option.opts
    ]
    return [
        f"## {context.command_path}\n",
        f"```\n{usage}\n```\n",
        f"{text}\n",
        *([_table(options)] if options else []),
    ]


def _options(command: click.Command, context: click.Context) -> list[click.Option]:
    return [parameter for parameter in command.get_params(context) if isinstance(parameter, click.Option)]


def _table(options: list[click.Option]) -> str:
    rows = ["| option | meaning | default | values | variable |", "|---|---|---|---|---|"]
    for option in options:
        default, values, variable = "", "", ""
        if isinstance(option, SettingOption):
            default, values = option.default_text(), option.values_text()
            variable = f"`{environment_name(stage_of(option.kind), option.field)}`"
        elif option.show_default:
            default = str(option.default)
        names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
        rows.append(f"| {names} | {option.help or ''} | {default} | {values} | {variable} |")
    return "\n".join(rows) + "\n"


def _presets() -> str:
    rows = ["## Presets\n", "`default` changes nothing. The others hold only what differs:\n"]
    rows += ["| preset | setting | value |", "|---|---|---|"]
    for name in preset_names():
        for stage, settings in load_preset(name).items():
            rows += [f"| `{name}` | `{stage}.{key}` | {value} |" for key, value in settings.items()]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    click.echo(reference(), nl=False)
