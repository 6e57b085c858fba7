"""The names of Hugging Face's Transformers, for programs written for it: change the import, and they run.

``from transformers import BertTokenizer, BertForSequenceClassification`` becomes
``from minillm.transformers import BertTokenizer, BertForSequenceClassification``. Models and tokenizers are read
from directories, in the files of that library; nothing is downloaded.

Example:
    >>> config = GPT2Config(vocab_size=10, n_positions=16, n_embd=8, n_layer=1, n_head=2)
    >>> model = AutoModelForCausalLM.from_config(config)
    >>> type(model).__name__, model.generate(max_new_tokens=3, bos_token_id=1).shape
    ('GPT2LMHeadModel', (1, 4))
"""

from __future__ import annotations

import os
from typing import Any, ClassVar

from minillm import models
from minillm.backend import manual_seed as set_seed
from minillm.data.text_collators import DataCollatorForLanguageModeling, DataCollatorWithPadding
from minillm.inference import GenerationConfig, GenerationMixin, TextIteratorStreamer, TextStreamer
from minillm.inference.pipelines import pipeline as pipeline_in_memory
from minillm.inference.pipelines import task_of
from minillm.inference.stopping import StopStringCriteria
from minillm.inference.translation import TranslationMixin
from minillm.models import (
    BertConfig,
    BertForMaskedLM,
    BertForMultipleChoice,
    BertForNextSentencePrediction,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2Model,
    LlamaConfig,
    LlamaModel,
    MarianConfig,
    RNNLMConfig,
)
from minillm.models.auto import AutoClass
from minillm.models.config import Config as PretrainedConfig
from minillm.models.pretrained import PretrainedModel as PreTrainedModel
from minillm.optim.lr_scheduler import (
    get_constant_schedule,
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_inverse_sqrt_schedule,
    get_linear_schedule_with_warmup,
)
from minillm.tokenizers import BatchEncoding
from minillm.tokenizers.pretrained import AutoTokenizer, BertTokenizer, GPT2Tokenizer, PreTrainedTokenizer

BertTokenizerFast = BertTokenizer
GPT2TokenizerFast = GPT2Tokenizer
PreTrainedTokenizerFast = AutoTokenizer


class LogitsProcessor:
    """Base of rules that change scores while ``generate`` writes; a subclass gives ``__call__``."""

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Return other scores, (B, V), for the tokens so far, (B, T)."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(input_ids, scores)")


class StoppingCriteria:
    """Base of rules that end texts while ``generate`` writes; a subclass gives ``__call__``."""

    def __call__(self, input_ids: Any, scores: Any, **options: Any) -> Any:
        """Return which rows of the tokens so far, (B, T), end: (B,) booleans, or one for all."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(input_ids, scores)")


class LogitsProcessorList(list[Any]):
    """Rules that change scores, one after another."""


class StoppingCriteriaList(list[Any]):
    """Rules of which each may end a text."""


class GPT2LMHeadModel(GenerationMixin, models.GPT2LMHeadModel):
    """GPT-2 with its language-model head, and ``generate``."""


class LlamaForCausalLM(GenerationMixin, models.LlamaForCausalLM):
    """Llama with its language-model head, and ``generate``."""


class RNNLMHeadModel(GenerationMixin, models.RNNLMHeadModel):
    """minillm's recurrent language model, and ``generate``."""


class MarianMTModel(TranslationMixin, models.MarianMTModel):
    """The Transformer for translation, and ``generate``."""


class AutoConfig(AutoClass):
    """The settings of any model."""

    table: ClassVar = {
        "bert": BertConfig, "gpt2": GPT2Config, "llama": LlamaConfig, "marian": MarianConfig, "rnn_lm": RNNLMConfig,
    }  # fmt: skip


class AutoModel(AutoClass):
    """Any model without a head."""

    table: ClassVar = {"bert": BertModel, "gpt2": GPT2Model, "llama": LlamaModel}


class AutoModelForCausalLM(AutoClass):
    """Any model that predicts the next token."""

    table: ClassVar = {"gpt2": GPT2LMHeadModel, "llama": LlamaForCausalLM, "rnn_lm": RNNLMHeadModel}


class AutoModelForSeq2SeqLM(AutoClass):
    """Any model that writes a target for a source."""

    table: ClassVar = {"marian": MarianMTModel}


class AutoModelForMaskedLM(AutoClass):
    """Any model that guesses masked tokens."""

    table: ClassVar = {"bert": BertForMaskedLM}


class AutoModelForPreTraining(AutoClass):
    """Any model with the heads that it is pretrained with."""

    table: ClassVar = {"bert": BertForPreTraining, "gpt2": GPT2LMHeadModel, "llama": LlamaForCausalLM}


class AutoModelForNextSentencePrediction(AutoClass):
    """Any model that tells whether one text follows another."""

    table: ClassVar = {"bert": BertForNextSentencePrediction}


class AutoModelForMultipleChoice(AutoClass):
    """Any model that picks one of several texts."""

    table: ClassVar = {"bert": BertForMultipleChoice}


class AutoModelForSequenceClassification(AutoClass):
    """Any model that labels texts."""

    table: ClassVar = {"bert": BertForSequenceClassification, "gpt2": GPT2ForSequenceClassification}


class AutoModelForTokenClassification(AutoClass):
    """Any model that labels tokens."""

    table: ClassVar = {"bert": BertForTokenClassification}


class AutoModelForQuestionAnswering(AutoClass):
    """Any model that marks answers in texts."""

    table: ClassVar = {"bert": BertForQuestionAnswering}


_MODELS_OF_TASKS: dict[str, type[AutoClass]] = {
    "text-classification": AutoModelForSequenceClassification,
    "token-classification": AutoModelForTokenClassification,
    "question-answering": AutoModelForQuestionAnswering,
    "fill-mask": AutoModelForMaskedLM,
    "text-generation": AutoModelForCausalLM,
    "translation": AutoModelForSeq2SeqLM,
}


def pipeline(task: str, model: Any = None, tokenizer: Any = None, *, device: Any = None, **options: Any) -> Any:
    """Return a pipeline, see :func:`minillm.inference.pipelines.pipeline`; directories are read, nothing downloaded.

    Args:
        task: what it is for.
        model: in memory, or its directory.
        tokenizer: in memory, or its directory; that of the model by default.
        device: to move the model to: a name, the number of a GPU, or -1 for the CPU; where it is by default.
        options: those of every call that does not give its own.
    """
    auto = _MODELS_OF_TASKS[task_of(task)]
    if isinstance(model, str | os.PathLike):
        tokenizer = model if tokenizer is None else tokenizer
        model = auto.from_pretrained(model)
    if isinstance(tokenizer, str | os.PathLike):
        tokenizer = AutoTokenizer.from_pretrained(tokenizer)
    if device is not None and model is not None:
        model.to(device if not isinstance(device, int) else f"cuda:{device}" if device >= 0 else "cpu")
    return pipeline_in_memory(task, model, tokenizer, **options)


__all__ = [
    "AutoConfig",
    "AutoModel",
    "AutoModelForCausalLM",
    "AutoModelForMaskedLM",
    "AutoModelForMultipleChoice",
    "AutoModelForNextSentencePrediction",
    "AutoModelForPreTraining",
    "AutoModelForQuestionAnswering",
    "AutoModelForSeq2SeqLM",
    "AutoModelForSequenceClassification",
    "AutoModelForTokenClassification",
    "AutoTokenizer",
    "BatchEncoding",
    "BertConfig",
    "BertForMaskedLM",
    "BertForMultipleChoice",
    "BertForNextSentencePrediction",
    "BertForPreTraining",
    "BertForQuestionAnswering",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertModel",
    "BertTokenizer",
    "BertTokenizerFast",
    "DataCollatorForLanguageModeling",
    "DataCollatorWithPadding",
    "GPT2Config",
    "GPT2ForSequenceClassification",
    "GPT2LMHeadModel",
    "GPT2Model",
    "GPT2Tokenizer",
    "GPT2TokenizerFast",
    "GenerationConfig",
    "LlamaConfig",
    "LlamaForCausalLM",
    "LlamaModel",
    "LogitsProcessor",
    "LogitsProcessorList",
    "MarianConfig",
    "MarianMTModel",
    "PreTrainedModel",
    "PreTrainedTokenizer",
    "PreTrainedTokenizerFast",
    "PretrainedConfig",
    "RNNLMConfig",
    "RNNLMHeadModel",
    "StopStringCriteria",
    "StoppingCriteria",
    "StoppingCriteriaList",
    "TextIteratorStreamer",
    "TextStreamer",
    "get_constant_schedule",
    "get_constant_schedule_with_warmup",
    "get_cosine_schedule_with_warmup",
    "get_inverse_sqrt_schedule",
    "get_linear_schedule_with_warmup",
    "pipeline",
    "set_seed",
]
