"""Dataset folders: what is in them, and what fills them."""
