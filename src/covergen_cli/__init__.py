"""CoverGen: music in, cover art out."""

__version__ = "0.1.0"
