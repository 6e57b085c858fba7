"""Data for language models: corpora, readers, batches, public sets, preprocessing.

Knows no tensors: arrays are NumPy's.
"""

from __future__ import annotations

from minillm.data.augmentation import (
    Augmented,
    Augmenter,
    random_deletion,
    random_masking,
    random_swap,
    synonym_replacement,
    word_dropout,
)
from minillm.data.collate import default_collate, default_convert
from minillm.data.corpus import default_corpus, python_source_corpus
from minillm.data.data_loader import DataLoader
from minillm.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from minillm.data.download import DownloadError
from minillm.data.json_readers import read_instructions, read_json, read_jsonl, read_squad
from minillm.data.load_dataset import dataset_names, dataset_path, load_dataset
from minillm.data.pad_sequences import pad_sequences
from minillm.data.prefetch import prefetch
from minillm.data.preprocessing import (
    ENGLISH_STOP_WORDS,
    Preprocessor,
    normalize_text,
    remove_punctuation,
    remove_stop_words,
    stem,
)
from minillm.data.sampler import (
    BatchSampler,
    BucketBatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from minillm.data.skip_gram import train_word_vectors
from minillm.data.splits import describe_duplicates, duplicates_across, split
from minillm.data.table_readers import read_csv, read_tsv
from minillm.data.tagged_readers import read_conll, read_parallel, read_tagged
from minillm.data.text_files import read_lines, read_text, text_blocks
from minillm.data.token_batches import TokenBatches, sequential_windows, split_tokens
from minillm.data.token_file import TokenFile, TokenWriter, write_tokens
from minillm.data.word_vectors import WordVectors, read_vectors, write_vectors

__all__ = [
    "ENGLISH_STOP_WORDS",
    "Augmented",
    "Augmenter",
    "BatchSampler",
    "BucketBatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DownloadError",
    "IterableDataset",
    "Preprocessor",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "TokenBatches",
    "TokenFile",
    "TokenWriter",
    "WeightedRandomSampler",
    "WordVectors",
    "dataset_names",
    "dataset_path",
    "default_collate",
    "default_convert",
    "default_corpus",
    "describe_duplicates",
    "duplicates_across",
    "load_dataset",
    "normalize_text",
    "pad_sequences",
    "prefetch",
    "python_source_corpus",
    "random_deletion",
    "random_masking",
    "random_split",
    "random_swap",
    "read_conll",
    "read_csv",
    "read_instructions",
    "read_json",
    "read_jsonl",
    "read_lines",
    "read_parallel",
    "read_squad",
    "read_tagged",
    "read_text",
    "read_tsv",
    "read_vectors",
    "remove_punctuation",
    "remove_stop_words",
    "sequential_windows",
    "split",
    "split_tokens",
    "stem",
    "synonym_replacement",
    "text_blocks",
    "train_word_vectors",
    "word_dropout",
    "write_tokens",
    "write_vectors",
]
