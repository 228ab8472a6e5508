"""Title and artist on covers: wording, typesetting and layout."""
