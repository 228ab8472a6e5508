"""Every setting and its only default: one frozen dataclass per stage.

Command-line options, presets and the reference in the docs derive from these fields. The bounds of a value are in its
annotation, its help text in the ``Args`` section of its class. Presets (``presets/*.yaml``) hold only what differs.
"""

from covergen_cli.config.audio import EmbedConfig as EmbedConfig
from covergen_cli.config.audio import OpenL3Config as OpenL3Config
from covergen_cli.config.audio import SegmentConfig as SegmentConfig
from covergen_cli.config.eval import EvalConfig as EvalConfig
from covergen_cli.config.fetch import FetchConfig as FetchConfig
from covergen_cli.config.fields import Between as Between
from covergen_cli.config.fields import Matches as Matches
from covergen_cli.config.fields import field_docs as field_docs
from covergen_cli.config.fields import stage_of as stage_of
from covergen_cli.config.generate import GenerateConfig as GenerateConfig
from covergen_cli.config.model import AdapterConfig as AdapterConfig
from covergen_cli.config.split import SplitConfig as SplitConfig
from covergen_cli.config.train import TrainConfig as TrainConfig
