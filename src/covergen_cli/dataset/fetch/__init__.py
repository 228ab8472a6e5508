"""Filling a dataset folder from a source, resumably."""
