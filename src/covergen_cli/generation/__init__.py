"""From songs to covers (§3.4)."""
