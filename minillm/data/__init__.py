"""Data for language models: corpora, readers, batches, public sets, preprocessing.

Knows no tensors: arrays are NumPy's.
"""

from __future__ import annotations

from minillm.data.collate import default_collate, default_convert
from minillm.data.corpus import default_corpus, python_source_corpus
from minillm.data.data_loader import DataLoader
from minillm.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)
from minillm.data.download import DownloadError
from minillm.data.load_dataset import dataset_names, dataset_path, load_dataset
from minillm.data.pad_sequences import pad_sequences
from minillm.data.prefetch import prefetch
from minillm.data.sampler import (
    BatchSampler,
    BucketBatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    WeightedRandomSampler,
)
from minillm.data.splits import describe_duplicates, duplicates_across, split
from minillm.data.text_files import read_lines, read_text, text_blocks
from minillm.data.token_batches import TokenBatches, sequential_windows, split_tokens
from minillm.data.token_file import TokenFile, TokenWriter, write_tokens

__all__ = [
    "BatchSampler",
    "BucketBatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DownloadError",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "TensorDataset",
    "TokenBatches",
    "TokenFile",
    "TokenWriter",
    "WeightedRandomSampler",
    "dataset_names",
    "dataset_path",
    "default_collate",
    "default_convert",
    "default_corpus",
    "describe_duplicates",
    "duplicates_across",
    "load_dataset",
    "pad_sequences",
    "prefetch",
    "python_source_corpus",
    "random_split",
    "read_lines",
    "read_text",
    "sequential_windows",
    "split",
    "split_tokens",
    "text_blocks",
    "write_tokens",
]
