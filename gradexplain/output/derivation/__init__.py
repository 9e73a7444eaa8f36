"""A derivation in one format, a file each."""
