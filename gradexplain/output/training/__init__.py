"""A training run in one format, a file each, and the parts of its table and picture."""
