"""Hearing: decoding, the salient segment, encoders and descriptors."""
