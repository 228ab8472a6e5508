"""Music and covers made from a seed: the world whose truth is known."""
