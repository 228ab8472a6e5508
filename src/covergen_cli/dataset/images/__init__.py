"""Cover images in datasets: cleaning, duplicates, text area."""
