"""Data for language models: corpora, readers, batches, public sets, preprocessing.

Knows no tensors: arrays are NumPy's.
"""

from __future__ import annotations

from minillm.data.corpus import default_corpus, python_source_corpus
from minillm.data.text_files import read_lines, read_text
from minillm.data.token_batches import TokenBatches, sequential_windows, split_tokens

__all__ = [
    "TokenBatches",
    "default_corpus",
    "python_source_corpus",
    "read_lines",
    "read_text",
    "sequential_windows",
    "split_tokens",
]
