"""Training: optimizers, the loop that PyTorch runs, the check of every step, and what there is to say about a run."""
