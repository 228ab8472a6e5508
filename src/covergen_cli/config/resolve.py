"""Resolve settings from their sources: defaults < preset < user config file < ``COVERGEN_*`` environment < flag."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from covergen_cli import config as configuration
from covergen_cli.config import GenerateConfig, stage_of
from covergen_cli.config.coerce import coerce, nearest
from covergen_cli.errors import ConfigError

BUILT_IN = "default"
"""Name of the preset that changes nothing."""

_PREFIX = "COVERGEN_"
_FOLDER = Path(__file__).parent / "presets"
Config = TypeVar("Config")


@cache
def stages() -> dict[str, type[Any]]:
    """Return every stage that can be configured: name → dataclass."""
    kinds = [
        kind for kind in vars(configuration).values() if isinstance(kind, type) and kind.__name__.endswith("Config")
    ]
    return {stage_of(kind): kind for kind in kinds}


@cache
def field_types(kind: type) -> dict[str, Any]:
    """Return the annotation of every field of a settings class, bounds and formats included."""
    return get_type_hints(kind, include_extras=True)


@cache
def preset_names(*stages: str) -> list[str]:
    """Return the names that ``--preset`` accepts, ``default`` first; of some stages, those that change one of them."""
    names = sorted(path.stem for path in _FOLDER.glob("*.yaml"))
    return [BUILT_IN, *(name for name in names if not stages or not load_preset(name).keys().isdisjoint(stages))]


def user_config_file() -> Path:
    """Return the path of the user's config file, ``covergen/config.yaml`` in the config folder; it may not exist."""
    from platformdirs import user_config_path  # here, so that --help does not import it

    return user_config_path("covergen", appauthor=False) / "config.yaml"


def environment_name(stage: str, field: str) -> str:
    """Return the variable that sets one field: ``("generate", "steps")`` → ``COVERGEN_GENERATE_STEPS``."""
    return f"{_PREFIX}{stage}_{field}".upper()


def load_preset(name: str) -> dict[str, dict[str, Any]]:
    """Load a preset: stage → field → value, with types and bounds checked.

    Args:
        name: a name from :func:`preset_names`, or the path of a ``.yaml`` or ``.yml`` file.

    Raises:
        ConfigError: there is no such preset, or it holds an unknown key or an invalid value.
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
    return _built_in(name)


@cache
def _built_in(name: str) -> dict[str, dict[str, Any]]:
    return _read(_FOLDER / f"{name}.yaml")


def resolve(kind: type[Config], *, preset: str | None = None, overrides: Mapping[str, object] | None = None) -> Config:
    """Return the settings of one stage, each of its declared type and inside its bounds.

    Args:
        kind: the stage's dataclass.
        preset: name or file of a preset. ``None`` uses the ones that belong to the models: ``starter`` or ``painter``
            for a base of this name, ``turbo`` for a base and ``turbo-refiner`` for a refiner whose name ends so,
            ``refine`` if covers are refined, and ``xl`` if a model of Stable Diffusion XL draws last.
        overrides: field → value from the command line; they override all other sources.

    Raises:
        ConfigError: a key is unknown (the hint names the nearest one), or a value is invalid.
    """
    stage = stage_of(kind)
    given: dict[str, Any] = {}
    file = user_config_file()
    if file.is_file():
        given |= _read(file).get(stage, {})
    given |= _environment().get(stage, {})
    given |= _settings(stage, overrides or {}, lambda field: f"--{field.replace('_', '-')}")
    from_presets: dict[str, Any] = {}
    for name in model_presets(kind, given) if preset is None else [preset]:
        from_presets |= load_preset(name).get(stage, {})
    return kind(**{**from_presets, **given})


def model_presets(kind: type[Any], given: Mapping[str, Any]) -> list[str]:
    """Return the presets that belong to the models of a run; see :func:`resolve`."""
    if kind is not GenerateConfig or given.get("picture"):
        return []
    defaults = GenerateConfig
    base = given.get("base", defaults.base) or _base_of(given.get("adapter", defaults.adapter) or "starter")
    refiner = given.get("refiner", defaults.refiner) if given.get("refine", defaults.refine) else None
    names = [name for name in ("starter", "painter") if base == name]
    names += ["turbo"] * _is_turbo(base) + ["turbo-refiner"] * _is_turbo(refiner)
    return names + ["refine"] * (refiner is not None) + ["xl"] * _is_xl(refiner or base)


def _base_of(adapter: str) -> str | None:
    """Return the base that an adapter was trained for, or ``None`` if that would need a download."""
    if adapter == "starter":
        return adapter
    for part in ("adapter.json", "adapter/adapter.json"):
        base = _json(Path(adapter) / part).get("base")
        if isinstance(base, dict) and isinstance(base.get("reference"), str):
            return str(base["reference"])
    return None


def _is_turbo(reference: str | None) -> bool:
    return reference is not None and Path(reference.partition("@")[0]).name.lower().endswith("turbo")


def _is_xl(reference: str | None) -> bool:
    """Return whether a model draws 1024 pixels: a folder by its configuration, a model of the hub by its name."""
    if reference is None or not Path(reference).is_dir():
        return "xl" in (reference or "").lower() and not _is_turbo(reference)
    unet = _json(Path(reference) / "unet" / "config.json")
    return unet.get("addition_embed_type") == "text_time" and unet.get("sample_size") == 128


def _json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; an empty one if there is none."""
    from covergen_cli.files import read_json  # here, so that --help does not import it

    with suppress(OSError, ValueError):
        found = read_json(path)
        return found if isinstance(found, dict) else {}
    return {}


def _read(path: Path) -> dict[str, dict[str, Any]]:
    import yaml  # here, so that --help of the command group does not import it

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
        raise ConfigError(f"{name}: expected names and values, found {content!r}", hint="write name: value")
    return content


def _settings(stage: str, values: Mapping[Any, object], label: Callable[..., str]) -> dict[str, Any]:
    kind: type = stages()[stage]
    types = field_types(kind)
    result = {}
    for key, value in values.items():
        if key not in types:
            raise ConfigError(f"unknown setting {label(str(key))}", hint=nearest(str(key), [*types], "settings"))
        result[key] = coerce(value, types[key], label(key))
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
