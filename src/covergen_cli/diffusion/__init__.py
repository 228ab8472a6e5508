"""Diffusion code shared by training, evaluation and generation: sampling, guidance, the training objective."""
