"""Presets, and the settings that come of them, of the user's config file and of the environment."""

from __future__ import annotations

from covergen_cli.presets.coerce import coerce, parse_segment
from covergen_cli.presets.resolve import (
    BUILT_IN,
    environment_name,
    load_preset,
    preset_names,
    resolve,
    stages,
    user_config_file,
)

__all__ = [
    "BUILT_IN",
    "coerce",
    "environment_name",
    "load_preset",
    "parse_segment",
    "preset_names",
    "resolve",
    "stages",
    "user_config_file",
]
