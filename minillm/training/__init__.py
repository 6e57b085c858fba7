"""Training: the loop, its settings, checkpoints, evaluation, and the directory that a run lives in."""
