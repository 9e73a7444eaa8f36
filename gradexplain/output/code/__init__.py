"""A derivation as code: a program to read, modules for PyTorch and NumPy."""
