"""Language models: poems by their characters, and the words of an encyclopedia by a plain RNN."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

import minillm
from benchmarks.real_data.classes import show
from minillm.data import dataset_path, load_dataset
from minillm.data.text_files import read_text
from minillm.inference import generate
from minillm.models import GPT2Config, GPT2LMHeadModel
from minillm.tokenizers import CharTokenizer
from minillm.training.fine_tuning import FineTuner, FineTuningConfig
from minillm.training.tasks import LanguageModel

LONGEST = 1024  # characters of a poem that are read at once: all poems are shorter


def different(poems: list[str]) -> list[str]:
    r"""Return the poems that share no line with an earlier one.

    Of the 366, 12 are copies of others, and more are parts of one poem: what is known by heart from the training part
    is no measure of how well a poem is predicted.

    Example:
        >>> different(["one\ntwo", "three", "one\ntwo", "two\nfour"])
        ['one\ntwo', 'three']
    """
    seen: set[str] = set()
    kept = []
    for poem in poems:
        lines = set(poem.split("\n"))
        if not lines & seen:
            kept.append(poem)
        seen |= lines
    return kept


def tang(setting: Any) -> dict[str, Any]:
    """Train a GPT on eight tenths of the poems, let one tenth choose when to stop, and measure the last one.

    Each poem is a text of its own, so that the learned positions say where in a line and in a couplet a character
    stands. Ten poems that it writes are among the figures.
    """
    poems = different([poem["text"] for poem in load_dataset("tang300")["train"]])
    order = np.random.default_rng(0).permutation(len(poems))
    cut = len(poems) // 10
    train, validation, test = (
        [{"text": f"\n{poems[i]}\n\n"} for i in part] for part in (order[2 * cut :], order[cut : 2 * cut], order[:cut])
    )
    tokenizer = CharTokenizer.train_from_iterator(poems)
    minillm.manual_seed(0)
    sizes: dict[str, Any] = {"n_embd": 96, "n_layer": 1, "n_head": 4}
    sizes.update(dict.fromkeys(("embd_pdrop", "resid_pdrop", "attn_pdrop"), 0.0))  # with dropout it learns no more
    model = GPT2LMHeadModel(GPT2Config(vocab_size=tokenizer.vocab_size, n_positions=LONGEST, bias=False, **sizes))
    changes: dict[str, Any] = {"epochs": 40, "batch_size": 8, "lr": 1e-3, "weight_decay": 2.0, "patience": 4}
    config = FineTuningConfig(batch_threads=setting.threads, **changes)
    tuner = FineTuner(model, LanguageModel(tokenizer, LONGEST), train, validation, config, report=show)
    state = tuner.train()
    joined, unseen = ("".join(example["text"][1:] for example in part) for part in (train, test))
    bits = tuner.evaluate(test)["val_loss"] / math.log(2)
    return {
        "bits": bits,
        "ngram_bits": witten_bell(joined, unseen, 6, alphabet=tokenizer.vocab_size),
        "bigram_bits": witten_bell(joined, unseen, 2, alphabet=tokenizer.vocab_size),
        "validation": math.log2(-(state.best_score or 0.0)),
        "kept_epoch": state.best_epoch,
        "poems": {"train": len(train), "test": len(test)},
        "sizes": sizes,
        "settings": changes,
        "written": [poem_by(model, tokenizer, seed) for seed in range(10)],
    }


def poem_by(model: Any, tokenizer: CharTokenizer, seed: int) -> str:
    """Return a poem that a model writes."""
    ids = generate(model, [tokenizer.encode("\n")], 120, temperature=0.8, top_k=100, seed=seed)[0].tolist()
    return tokenizer.decode(ids)[1:].partition("\n\n")[0]


def witten_bell(train: str, test: str, order: int, alphabet: int) -> float:
    """Return the bits per character of an interpolated Witten-Bell n-gram.

    p(c | h) = (count(h c) + kinds(h) p(c | shorter h)) / (count(h) + kinds(h)), kinds(h) the different characters
    that followed h; below that, all characters of an alphabet of so many alike. (Witten and Bell, 1991; Chen and
    Goodman, 1999.)
    """
    counts = [Counter(train[i : i + n] for i in range(len(train) - n + 1)) for n in range(order + 1)]
    kinds: list[Counter[str]] = [Counter() for _ in range(order)]
    followed: list[Counter[str]] = [Counter() for _ in range(order)]
    for n in range(1, order + 1):
        for gram, count in counts[n].items():
            kinds[n - 1][gram[:-1]] += 1
            followed[n - 1][gram[:-1]] += count
    total = 0.0
    for i in range(len(test)):
        p = 1 / alphabet
        for n in range(min(order, i + 1)):
            history = test[i - n : i]
            seen, different = followed[n][history], kinds[n][history]
            if not seen:
                break
            p = (counts[n + 1][history + test[i]] + different * p) / (seen + different)
        total -= math.log2(p)
    return total / len(test)


WORDS, BATCH, LENGTH, EPOCHS = 10_000, 32, 35, 1


def word_model(library: Any) -> Any:
    """Return the model in a library: an embedding, an RNN, a linear layer."""

    class WordModel(library.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = library.nn.Embedding(WORDS, 512)
            self.rnn = library.nn.RNN(512, 512, batch_first=True)
            self.linear = library.nn.Linear(512, WORDS)

        def forward(self, x: Any, hidden: Any = None) -> Any:
            output, hidden = self.rnn(self.embedding(x), hidden)
            return self.linear(output), hidden

    return WordModel()


def words_of(train: str, test: str) -> tuple[Any, Any]:
    """Return the numbers of the words of two texts: the most frequent of the first, and 0 for all others."""
    counts = Counter(train.split())
    number = {word: i + 1 for i, (word, _) in enumerate(counts.most_common(WORDS - 1))}
    first, second = (np.asarray([number.get(w, 0) for w in text.split()], np.int64) for text in (train, test))
    return first, second


def wikitext2(setting: Any) -> dict[str, Any]:
    """Train the same model from the same weights on the same batches in both libraries; compare test perplexities."""
    import torch

    folder = dataset_path("wikitext2")
    train, test = words_of(*(read_text(folder / name) for name in ("valid.txt", "test.txt")))
    minillm.manual_seed(0)
    ours, theirs = word_model(minillm), word_model(torch)
    theirs.load_state_dict({name: torch.tensor(t.numpy()) for name, t in ours.state_dict().items()})
    found = {}
    for name, library, model in (("minillm", minillm, ours), ("torch", torch, theirs)):
        found[name] = perplexity_after_training(library, model, train, test)
        print(f"    {name}: test perplexity {found[name]:.2f}", flush=True)
    ratio = found["minillm"] / found["torch"]
    settings = {"epochs": EPOCHS, "batch_size": BATCH, "window": LENGTH, "lr": 0.01}
    return {
        "perplexity": found["minillm"], "torch_perplexity": found["torch"], "agreement": 1 - abs(ratio - 1),
        "words": {"train": len(train), "test": len(test)}, "settings": settings,
    }  # fmt: skip


def perplexity_after_training(library: Any, model: Any, train: Any, test: Any) -> float:
    """Train with SGD at 0.01, and return the perplexity on the test text.

    That rate is for losses summed along a window; for their mean it is 0.01 times the length of the window.
    """
    criterion = library.nn.CrossEntropyLoss()
    optimizer = library.optim.SGD(model.parameters(), lr=0.01 * LENGTH)
    rows = train[: len(train) // BATCH * BATCH].reshape(BATCH, -1)
    for _ in range(EPOCHS):
        for start in range(0, rows.shape[1] - 1, LENGTH):
            length = min(LENGTH, rows.shape[1] - 1 - start)
            x, y = (library.tensor(rows[:, start + i : start + i + length].copy()) for i in (0, 1))
            output, _ = model(x)
            loss = criterion(output.view(-1, WORDS), y.view(-1))
            optimizer.zero_grad()
            loss.backward()
            library.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    total, count, hidden = 0.0, 0, None
    with library.no_grad():
        for start in range(0, len(test) - 1, 512):
            length = min(512, len(test) - 1 - start)
            x, y = (library.tensor(test[None, start + i : start + i + length].copy()) for i in (0, 1))
            output, hidden = model(x, hidden)
            total += float(criterion(output.view(-1, WORDS), y.view(-1))) * length
            count += length
    return math.exp(total / count)
