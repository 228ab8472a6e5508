"""From songs to covers (§3.4): plan, prepare, generate, finish."""
