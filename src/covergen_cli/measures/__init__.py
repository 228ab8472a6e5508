"""Measures of images, and rank correlations between what is heard and what is seen."""
