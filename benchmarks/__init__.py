"""What minillm's speed and memory are, beside PyTorch's: ``python -m benchmarks --help``."""
