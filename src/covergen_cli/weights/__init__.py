"""Weights of models: part of the package, in a folder, in the cache, or downloaded; always verified."""
