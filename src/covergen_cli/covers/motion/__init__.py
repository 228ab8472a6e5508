"""Motion: loops and videos of a cover that move with its music."""
