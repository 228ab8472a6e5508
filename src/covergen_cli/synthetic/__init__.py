"""Synthetic music and covers, generated from a seed, with known ground truth."""
