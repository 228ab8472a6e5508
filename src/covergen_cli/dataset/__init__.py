"""Dataset folders: layout, sources, fetching, embedding and splits."""
