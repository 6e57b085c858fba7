"""The model, the tokenizer and the task that a plan asks for: from a directory, with a new head, or a new LSTM."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minillm import nn
from minillm.backend import fork_rng, manual_seed
from minillm.models import (
    LANGUAGE_MODELS,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    LSTMClassifierConfig,
    LSTMForSequenceClassification,
    LSTMForTokenClassification,
    LSTMTranslator,
    LSTMTranslatorConfig,
    MarianMTModel,
)
from minillm.models.config import read_config
from minillm.tokenizers import CharTokenizer, Tokenizer, WordTokenizer
from minillm.tokenizers import from_pretrained as load_tokenizer
from minillm.training.lora import LoraConfig, apply_lora
from minillm.training.task_plan import TaskPlan
from minillm.training.tasks import Answer, Classify, Instruct, LanguageModel, Tag, Task, Translate
from minillm.training.tasks.examples import Example, labels_of

#: The class of each kind of model, by task and ``model_type``.
MODELS: dict[str, dict[str, Any]] = {
    "classify": {"bert": BertForSequenceClassification, "lstm_classifier": LSTMForSequenceClassification},
    "tag": {"bert": BertForTokenClassification, "lstm_classifier": LSTMForTokenClassification},
    "qa": {"bert": BertForQuestionAnswering},
    "lm": LANGUAGE_MODELS,
    "instruct": LANGUAGE_MODELS,
    "translate": {"marian": MarianMTModel, "lstm_translator": LSTMTranslator},
}
_LENGTHS = {"classify": 128, "tag": 128, "qa": 384, "lm": 256, "instruct": 512, "translate": 128}
_DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout", "resid_pdrop", "embd_pdrop",
             "attn_pdrop", "attention_dropout", "dropout")  # fmt: skip
_PEFT_TASKS = {"classify": "SEQ_CLS", "tag": "TOKEN_CLS", "qa": "QUESTION_ANS", "lm": "CAUSAL_LM",
               "instruct": "CAUSAL_LM", "translate": "SEQ_2_SEQ_LM"}  # fmt: skip
_HEADS = ("classifier", "qa_outputs")
_START, _END, _UNKNOWN, _PADDING = "<s>", "</s>", "<unk>", "<pad>"


@dataclasses.dataclass
class Start:
    """What fine-tuning begins with.

    Attributes:
        model: with its initial weights; adapters are not in it yet.
        tokenizer: of the model.
        task: that it is trained for.
        labels: in the order of the model's outputs; empty where the task has none.
        notes: what a person should know, a line each.
        new: the names of the modules whose weights the files do not have.
    """

    model: Any
    tokenizer: Tokenizer
    task: Task
    labels: list[str]
    notes: list[str]
    new: list[str]


def make_start(plan: TaskPlan, examples: Sequence[Example]) -> Start:
    """Return the model, tokenizer and task of a plan.

    Args:
        plan: what is asked for.
        examples: to train on; they say which labels there are, and an LSTM's vocabulary.

    Raises:
        FileNotFoundError: there is no such model, or no tokenizer beside it.
        ValueError: a model of another kind, damaged files, a tokenizer that does not fit, too few labels.
    """
    labels = labels_of(plan.task, examples) if plan.task in ("classify", "tag") else []
    if labels and len(labels) < 2:
        raise ValueError(f"{plan.data}: all examples have the label {labels[0]!r}; there is nothing to tell apart")
    notes: list[str] = []
    new: list[str] = []
    with fork_rng():
        manual_seed(plan.settings.seed)
        if plan.model == "lstm":
            tokenizer = make_tokenizer(plan, examples)
            model = make_lstm(plan, tokenizer, labels)
        else:
            tokenizer = tokenizer_of(plan.model)
            model, labels, new, notes = load_base(plan, labels)
    check_vocabulary(plan.model, model, tokenizer)
    options = task_options(plan, model)
    return Start(model, tokenizer, make_task(plan.task, tokenizer, labels, options), labels, notes, new)


def tokenizer_of(directory: str) -> Tokenizer:
    """Return the tokenizer of a model's directory."""
    if not Path(directory).is_dir():
        raise FileNotFoundError(
            f"{directory}: there is no such directory; --model needs one with a model and its tokenizer, or lstm"
        )
    return load_tokenizer(directory)


def check_vocabulary(source: str, model: Any, tokenizer: Tokenizer) -> None:
    """Raise an error if a tokenizer has more tokens than the model."""
    if tokenizer.vocab_size > model.config.vocab_size:
        raise ValueError(
            f"{source}: the model knows {model.config.vocab_size} tokens and the tokenizer {tokenizer.vocab_size}: "
            "they do not belong together"
        )


# -- a model from files -----------------------------------------------------------------------------------


def model_class(task: str, directory: str | Path) -> Any:
    """Return the class that reads a directory's model for a task.

    Raises:
        FileNotFoundError: there is no ``config.json``.
        ValueError: it is a model of another kind.
    """
    kind = read_config(Path(directory) / "config.json").get("model_type")
    table = MODELS[task]
    if kind not in table:
        raise ValueError(f"{directory} holds a model of the kind {kind!r}; {task} needs one of {', '.join(table)}")
    return table[kind]


def load_base(plan: TaskPlan, labels: list[str]) -> tuple[Any, list[str], list[str], list[str]]:
    """Return the model of a directory with a head for the labels, their order, new modules, and notes."""
    known = read_config(Path(plan.model) / "config.json")
    cls = model_class(plan.task, plan.model)
    changes: dict[str, Any] = {}
    if plan.dropout is not None:
        there = [name for name in _DROPOUTS if name in cls.config_class.settings()]
        changes.update(dict.fromkeys(there, plan.dropout))
    kept = False
    if labels:
        given = known.get("id2label")
        before = [given[key] for key in sorted(given, key=int)] if isinstance(given, dict) else []
        kept = set(before) == set(labels)
        labels = before if kept else labels
        changes["id2label"] = dict(enumerate(labels))
        changes["label2id"] = {label: i for i, label in enumerate(labels)}
        changes["problem_type"] = None
    with _no_warnings():
        model, info = cls.from_pretrained(
            plan.model, ignore_mismatched_sizes=bool(labels), output_loading_info=True, **changes
        )
    notes = []
    new = set(info["missing_keys"]) | set(info["mismatched_keys"])
    head = next((name for name in _HEADS if hasattr(model, name)), None)
    if labels and not kept:  # weights for other labels say nothing
        _renew(model, model.get_submodule(head))
        new |= {name for name, _ in model.named_parameters() if name.split(".")[0] == head}
    if new:
        notes.append(f"new weights, which training has to find: {', '.join(sorted(new))}")
    unused = [name for name in info["unexpected_keys"] if not name.endswith("position_ids")]  # those are no weights
    if unused:
        notes.append(f"weights of the files that the task has no use for: {', '.join(unused)}")
    return model, labels, sorted({name.rpartition(".")[0] for name in new}), notes


def _renew(model: Any, head: nn.Module) -> None:
    for module in head.modules():
        if isinstance(module, nn.Linear):
            module.reset_parameters()
            model._init_weights(module)


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Keep the logger still about new weights: the notes tell of them."""
    logger = logging.getLogger("minillm")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


# -- an LSTM from scratch ---------------------------------------------------------------------------------


def make_tokenizer(plan: TaskPlan, examples: Sequence[Example]) -> Tokenizer:
    """Return a tokenizer of the words or characters of examples, for an LSTM.

    Source and target of translations share it; there words are cut at spaces alone, so that capitals and signs stay.

    Raises:
        ValueError: nothing is left of the examples.
    """
    translate = plan.task == "translate"
    names = {"bos_token": _START, "eos_token": _END} if translate else {}
    if plan.task == "tag":
        texts: list[Any] = [example["tokens"] for example in examples]
    else:
        texts = [example[n] for example in examples for n in ("text", "text_b", "source", "target") if n in example]
    if plan.tokenizer == "char":
        characters = [word for words in texts for word in words] if plan.task == "tag" else texts
        return CharTokenizer.train_from_iterator(
            characters, special_names={"pad_token": _PADDING, "unk_token": _UNKNOWN, **names}
        )
    options: dict[str, Any] = {"filters": "\t\n", "lower": False} if translate else {}
    counted = WordTokenizer.train_from_iterator(texts, oov_token=_UNKNOWN, **options)
    kept = sum(count >= plan.min_count for count in counted.word_counts.values())
    if not kept:
        raise ValueError(f"{plan.data}: no word occurs {plan.min_count} times; give a smaller min_count")
    kept = min(kept, plan.vocab_size or kept)
    counts = sorted(counted.word_counts, key=counted.word_counts.__getitem__, reverse=True)[:kept]
    tokenizer = WordTokenizer(oov_token=_UNKNOWN, **options)
    tokenizer.fit_on_texts([[word] * counted.word_counts[word] for word in counts])
    if names:
        tokenizer.add_special_tokens(names)
    return tokenizer


def make_lstm(plan: TaskPlan, tokenizer: Tokenizer, labels: list[str]) -> Any:
    """Return a new LSTM for a plan."""
    sizes: dict[str, Any] = {
        "embedding_dim": plan.embedding_dim, "hidden_size": plan.hidden_size, "num_layers": plan.layers,
    }  # fmt: skip
    padding = 0 if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    if plan.task == "translate":
        config = LSTMTranslatorConfig(
            vocab_size=tokenizer.vocab_size, **sizes, dropout=plan.dropout or 0.0, share_embeddings=True,
            pad_token_id=padding, eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.bos_token_id or 0,
        )  # fmt: skip
        return LSTMTranslator(config)
    dropout = 0.3 if plan.dropout is None else plan.dropout
    cls = LSTMForSequenceClassification if plan.task == "classify" else LSTMForTokenClassification
    names = dict(enumerate(labels))
    return cls(
        LSTMClassifierConfig(
            vocab_size=tokenizer.vocab_size, **sizes, dropout=dropout, pad_token_id=padding, id2label=names
        )
    )


# -- the task ---------------------------------------------------------------------------------------------


def task_options(plan: TaskPlan, model: Any) -> dict[str, Any]:
    """Return the options of the task, beside tokenizer and labels, as JSON holds them.

    Raises:
        ValueError: texts would be longer than the model reads.
    """
    longest = getattr(model.config, "max_position_embeddings", None)
    length = plan.max_length or min(_LENGTHS[plan.task], longest or _LENGTHS[plan.task])
    if longest is not None and length > longest:
        raise ValueError(f"max_length is {length}, and {plan.model} reads at most {longest} tokens")
    options: dict[str, Any] = {"max_length": length}
    if plan.task == "classify":
        options["class_weights"] = plan.class_weights
    elif plan.task == "qa":
        options["stride"] = length // 3
    elif plan.task == "translate":
        end = model.config.eos_token_id
        end = end[0] if isinstance(end, list) else end
        if end is None:
            raise ValueError(f"{plan.model}: its config has no eos_token_id, which ends a translation")
        options.update(end=end, metric=plan.metric, num_beams=plan.num_beams, reverse=plan.reverse)
    return options


def make_task(name: str, tokenizer: Tokenizer, labels: list[str], options: dict[str, Any]) -> Task:
    """Return a task by its name."""
    if name == "classify":
        return Classify(tokenizer, labels, **options)
    if name == "tag":
        return Tag(tokenizer, labels, **options)
    kinds: dict[str, Any] = {"qa": Answer, "lm": LanguageModel, "instruct": Instruct, "translate": Translate}
    task: Task = kinds[name](tokenizer, **options)
    return task


def adapt(plan: TaskPlan, model: Any, new: Sequence[str]) -> list[str]:
    """Put adapters into a model if the plan asks for them; return the names of the adapted layers.

    The head, and modules whose weights are new, are trained whole and saved with the adapters.
    """
    if not plan.lora_r:
        return []
    whole = {*new, *(name for name in _HEADS if hasattr(model, name))}
    config = LoraConfig(
        r=plan.lora_r,
        lora_alpha=plan.lora_alpha or 2 * plan.lora_r,
        target_modules="all-linear" if plan.lora_target == ("all-linear",) else plan.lora_target or None,
        modules_to_save=tuple(sorted(whole)) or None,
        task_type=_PEFT_TASKS[plan.task],
        base_model_name_or_path=plan.model,
    )
    with fork_rng():
        manual_seed(plan.settings.seed + 1)
        return apply_lora(model, config)
