"""Where a setting comes from: defaults < preset < user config file < ``COVERGEN_*`` environment < flag."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml
from platformdirs import user_config_path

from covergen_cli import config as configuration
from covergen_cli.config import GenerateConfig, stage_of
from covergen_cli.config.coerce import coerce, nearest
from covergen_cli.errors import ConfigError
from covergen_cli.files import read_json

BUILT_IN = "default"
"""Name of the preset that changes nothing."""

_PREFIX = "COVERGEN_"
_FOLDER = Path(__file__).parent / "presets"
Config = TypeVar("Config")


def stages() -> dict[str, type[Any]]:
    """Every stage that can be configured: its name → its dataclass."""
    kinds = [
        kind for kind in vars(configuration).values() if isinstance(kind, type) and kind.__name__.endswith("Config")
    ]
    return {stage_of(kind): kind for kind in kinds}


def preset_names() -> list[str]:
    """Names that ``--preset`` takes, ``default`` first."""
    return [BUILT_IN, *sorted(path.stem for path in _FOLDER.glob("*.yaml"))]


def user_config_file() -> Path:
    """The user's config file (which need not exist): ``covergen/config.yaml`` where the system keeps such files."""
    return user_config_path("covergen", appauthor=False) / "config.yaml"


def environment_name(stage: str, field: str) -> str:
    """Variable that sets one field: ``("generate", "steps")`` → ``COVERGEN_GENERATE_STEPS``."""
    return f"{_PREFIX}{stage}_{field}".upper()


def load_preset(name: str) -> dict[str, dict[str, Any]]:
    """Read a preset.

    Args:
        name: a name from :func:`preset_names`, or the path of a file that ends in ``.yaml`` or ``.yml``.

    Returns:
        stage → field → value, types and bounds checked.

    Raises:
        ConfigError: when there is no such preset, or it holds an unknown key or a value that makes no sense.
    """
    if name == BUILT_IN:
        return {}
    if name.endswith((".yaml", ".yml")):
        path = Path(name).expanduser()
        if not path.is_file():
            raise ConfigError(f"{name}: there is no such preset file")
        return _read(path)
    if name not in preset_names():
        raise ConfigError(f"there is no preset {name!r}", hint=nearest(name, preset_names(), "presets"))
    return _read(_FOLDER / f"{name}.yaml")


def resolve(kind: type[Config], *, preset: str | None = None, overrides: Mapping[str, object] | None = None) -> Config:
    """Settle every field of one stage.

    Args:
        kind: the stage's dataclass.
        preset: name or file of a preset; ``None`` takes those that belong to the models: ``starter`` when covers are
            drawn with the starter's base, ``refine`` when they are refined.
        overrides: field → value that the user gave on the command line; they win over everything.

    Returns:
        the settings, each coerced to its declared type and inside its bounds.

    Raises:
        ConfigError: for an unknown key, naming the nearest one, and for a value that makes no sense.
    """
    stage = stage_of(kind)
    given: dict[str, Any] = {}
    file = user_config_file()
    if file.is_file():
        given |= _read(file).get(stage, {})
    given |= _environment().get(stage, {})
    given |= _settings(stage, overrides or {}, lambda field: f"--{field.replace('_', '-')}")
    settled: dict[str, Any] = {}
    for name in _own_presets(kind, given) if preset is None else [preset]:
        settled |= load_preset(name).get(stage, {})
    return kind(**{**settled, **given})


def _own_presets(kind: type[Any], given: Mapping[str, Any]) -> list[str]:
    if kind is not GenerateConfig:
        return []
    adapter, base = given.get("adapter", GenerateConfig.adapter), given.get("base", GenerateConfig.base)
    with_starter = (base or _trained_for(adapter)) == "starter"
    return ["starter"] * with_starter + ["refine"] * bool(given.get("refine", GenerateConfig.refine))


def _trained_for(adapter: str) -> str | None:
    """Say which base an adapter was trained for, if that can be read without fetching anything."""
    if adapter == "starter":
        return adapter
    for place in (Path(adapter), Path(adapter) / "adapter"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            return str(read_json(place / "adapter.json")["base"]["reference"])
    return None


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    result: dict[str, dict[str, Any]] = {}
    for stage, settings in _mapping(content, f"{path}").items():
        if stage not in stages():
            raise ConfigError(f"{path}: unknown section {stage!r}", hint=nearest(str(stage), [*stages()], "sections"))
        values = _mapping(settings, f"{path}: {stage}")
        result[stage] = _settings(stage, values, lambda field, stage=stage: f"{path}: {stage}.{field}")
    return result


def _mapping(content: object, name: str) -> dict[Any, Any]:
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{name}: holds {content!r} where names and values should be", hint="write name: value")
    return content


def _settings(stage: str, values: Mapping[Any, object], label: Any) -> dict[str, Any]:
    hints = get_type_hints(stages()[stage], include_extras=True)
    known = [field.name for field in dataclasses.fields(stages()[stage])]
    result = {}
    for key, value in values.items():
        if key not in known:
            raise ConfigError(f"unknown setting {label(str(key))}", hint=nearest(str(key), known, "settings"))
        result[key] = coerce(value, hints[key], label(key))
    return result


def _environment() -> dict[str, dict[str, Any]]:
    known = {
        environment_name(stage, field.name): (stage, field.name)
        for stage, kind in stages().items()
        for field in dataclasses.fields(kind)
    }
    result: dict[str, dict[str, Any]] = {}
    for variable, value in os.environ.items():
        if not variable.startswith(_PREFIX):
            continue
        if variable not in known:
            raise ConfigError(f"unknown environment variable {variable}", hint=nearest(variable, [*known], "variables"))
        stage, field = known[variable]
        result.setdefault(stage, {}).update(_settings(stage, {field: value}, lambda _, name=variable: name))
    return result
