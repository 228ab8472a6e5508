"""Measures of images, and rank correlations of music and images."""
