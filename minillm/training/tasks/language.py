"""Text that goes on: a language model on texts of one's own, or on instructions with their answers.

Of an instruction the loss counts the answer alone: what is asked need not be learned by heart (Ouyang et al.,
"Training language models to follow instructions with human feedback", 2022). The form of instructions is that of
Alpaca (Taori et al., 2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minillm.autograd import no_grad
from minillm.training.tasks.task import IGNORED, Features, Scores, Task, device_of

WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
    "response that appropriately completes the request.\n\n### Instruction:\n{instruction}\n\n### Input:\n{input}"
    "\n\n### Response:\n"
)
WITHOUT_INPUT = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request."
    "\n\n### Instruction:\n{instruction}\n\n### Response:\n"
)


class LanguageModel(Task):
    """Examples are ``{"text": ...}``; a long one is cut into windows.

    Args:
        tokenizer: of the model.
        max_length: tokens of a window.
    """

    name = "lm"
    metric = "perplexity"
    lower_is_better = True
    eval_batch_size = 8

    def __init__(self, tokenizer: Any, max_length: int = 256) -> None:
        if max_length < 2:
            raise ValueError(f"{type(self).__name__}: max_length is {max_length}; it needs 2 tokens or more")
        self.tokenizer, self.max_length = tokenizer, max_length
        end, padding = tokenizer.eos_token_id, tokenizer.pad_token_id
        self.end: list[int] = [] if end is None else [end]
        filler = padding if padding is not None else end if end is not None else 0
        self.fillers = {"input_ids": filler, "labels": IGNORED}

    def features(self, examples: Sequence[Any]) -> list[Features]:
        """Return windows of tokens; each is its own label."""
        found = []
        for i, example in enumerate(examples):
            ids = [*self.tokenizer.encode(example["text"]), *self.end]
            if len(ids) < 2:
                raise ValueError(f"example {i + 1}: a text of {len(ids)} token has no next token to learn")
            for start in range(0, len(ids) - 1, self.max_length - 1):  # a window begins with what ended the last one
                window = ids[start : start + self.max_length]
                found.append(_feature(window, window))
        return found

    def count(self, features: list[Features]) -> float:
        """Return the number of tokens that are predicted: the loss of a batch is their mean."""
        return float(sum(label != IGNORED for feature in features for label in feature["labels"][1:]))

    def scores(self, model: Any, examples: list[Any]) -> Scores:
        """Return the mean loss of a token, in nats, and the perplexity."""
        total, count = 0.0, 0.0
        features = self.features(examples)
        with no_grad():
            for chosen, batch in self.batches(features, device_of(model)):
                number = self.count([features[i] for i in chosen])
                total += float(self.loss(model, batch).item()) * number
                count += number
        loss = total / max(count, 1)
        return {"perplexity": math.exp(min(loss, 700.0)), "val_loss": loss}


class Instruct(LanguageModel):
    """Examples are ``{"instruction": ..., "input": ..., "output": ...}``; the loss counts the output alone.

    Args:
        tokenizer: of the model.
        max_length: tokens of instruction and answer; what is longer is cut off at the end.
    """

    name = "instruct"

    def features(self, examples: Sequence[Any]) -> list[Features]:
        """Return the tokens of instruction and answer, and labels for the answer and its end."""
        found = []
        for i, example in enumerate(examples):
            asked = self.tokenizer.encode(instruction_prompt(example))
            answer = [*self.tokenizer.encode(example["output"]), *self.end]
            ids = [*asked, *answer][: self.max_length]
            if len(ids) <= len(asked):
                raise ValueError(
                    f"example {i + 1}: the instruction alone has {len(asked)} tokens, and {self.max_length} are read; "
                    "give a larger max_length where the model reads more, or leave such examples out"
                )
            found.append(_feature(ids, [*[IGNORED] * len(asked), *answer][: self.max_length]))
        return found


def instruction_prompt(example: Any) -> str:
    r"""Return what a model reads before it answers.

    Example:
        >>> instruction_prompt({"instruction": "Add.", "input": "1 + 1"}).endswith("### Response:\n")
        True
    """
    form = WITH_INPUT if example.get("input") else WITHOUT_INPUT
    return form.format(instruction=example["instruction"], input=example.get("input", ""))


def _feature(ids: list[int], labels: list[int]) -> Features:
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels}
