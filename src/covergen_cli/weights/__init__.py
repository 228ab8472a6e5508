"""Where models come from: the package itself, a folder, the cache, or the network; always checked, always local."""

from __future__ import annotations

from covergen_cli.weights.hub import (
    KNOWN,
    STARTER,
    HubModel,
    NotFetchedError,
    offline,
    resolve,
    revision_of,
    starter_folder,
    verify_hashes,
)
from covergen_cli.weights.openl3 import OPENL3, OpenL3File, fetch_openl3, find_openl3, openl3_path, openl3_weights

__all__ = [
    "KNOWN",
    "OPENL3",
    "STARTER",
    "HubModel",
    "NotFetchedError",
    "OpenL3File",
    "fetch_openl3",
    "find_openl3",
    "offline",
    "openl3_path",
    "openl3_weights",
    "resolve",
    "revision_of",
    "starter_folder",
    "verify_hashes",
]
