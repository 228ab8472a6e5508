"""Audio: decoding, tags, the salient segment, descriptors and encoders."""
