"""Evaluation of trained adapters: use of the audio, covers, near-copies, and surveys (§3.3.2, §4)."""
