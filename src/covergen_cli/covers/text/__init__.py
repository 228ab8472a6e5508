"""Text on covers: wording, typesetting and layout."""
