"""The number of threads that a command computes with."""

from __future__ import annotations

import argparse
import os
from typing import Any

from minillm.backend import set_num_threads
from minillm.kernels import get_kernels

# With NumPy's kernels, models less wide than this gain nothing from a second thread, and lose much on a busy machine.
SMALL = 256


def use_threads(args: argparse.Namespace, model: Any) -> None:
    """Set the number of threads that --threads asks for, or that suits the model."""
    if args.threads is not None:
        set_num_threads(args.threads)
    elif not os.environ.get("OMP_NUM_THREADS") and not os.environ.get("OPENBLAS_NUM_THREADS"):
        config = model.config
        width = config.n_embd if config.model_type == "gpt2" else config.hidden_size
        if width < SMALL and get_kernels() == "numpy":
            set_num_threads(1)
