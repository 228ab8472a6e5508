"""The starter: training of the small base and adapter that are part of the package, and its model card."""
