"""Every setting and its only default: one frozen dataclass per stage.

Command-line options, presets and the reference in the docs derive from these fields; a default is typed nowhere else.
Units stand in the names. Presets (``presets/*.yaml``) hold only what differs from here. The bounds of a value ride in
its annotation, its help text in the ``Args`` section of its class: each is written once.
"""

from __future__ import annotations

from covergen_cli.config.eval import EvalConfig
from covergen_cli.config.fetch import FetchConfig
from covergen_cli.config.fields import Between, Matches, field_docs, stage_of
from covergen_cli.config.generate import GenerateConfig
from covergen_cli.config.hearing import EmbedConfig, OpenL3Config, SegmentConfig
from covergen_cli.config.model import AdapterConfig
from covergen_cli.config.split import SplitConfig
from covergen_cli.config.train import TrainConfig

__all__ = [
    "AdapterConfig",
    "Between",
    "EmbedConfig",
    "EvalConfig",
    "FetchConfig",
    "GenerateConfig",
    "Matches",
    "OpenL3Config",
    "SegmentConfig",
    "SplitConfig",
    "TrainConfig",
    "field_docs",
    "stage_of",
]
