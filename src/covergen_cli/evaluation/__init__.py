"""Does the cover hear the music? Measures with controls and intervals (§3.3.2, §4)."""
