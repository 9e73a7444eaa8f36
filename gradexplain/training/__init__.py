"""Training on data: reading the columns of a file that a formula names."""
