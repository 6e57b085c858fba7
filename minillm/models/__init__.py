"""Language models, each in one file that reads like its paper."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from minillm.models.bert import BertConfig, BertModel
from minillm.models.bert_heads import (
    BertForMultipleChoice,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)
from minillm.models.bert_pretraining import BertForMaskedLM, BertForNextSentencePrediction, BertForPreTraining
from minillm.models.cache import KVCache
from minillm.models.config import Config, read_config
from minillm.models.gpt2 import GPT2Config, GPT2LMHeadModel, GPT2Model
from minillm.models.gpt2_heads import GPT2ForSequenceClassification
from minillm.models.llama import LlamaConfig, LlamaForCausalLM, LlamaModel
from minillm.models.lstm_classifier import (
    LSTMClassifierConfig,
    LSTMForSequenceClassification,
    LSTMForTokenClassification,
)
from minillm.models.lstm_translator import LSTMTranslator, LSTMTranslatorConfig
from minillm.models.marian import MarianConfig, MarianMTModel
from minillm.models.output import ModelOutput
from minillm.models.pretrained import PretrainedModel
from minillm.models.rnn_lm import RecurrentState, RNNLMConfig, RNNLMHeadModel

LANGUAGE_MODELS: dict[str, Any] = {
    GPT2Config.model_type: GPT2LMHeadModel,
    LlamaConfig.model_type: LlamaForCausalLM,
    RNNLMConfig.model_type: RNNLMHeadModel,
}

__all__ = [
    "LANGUAGE_MODELS",
    "BertConfig",
    "BertForMaskedLM",
    "BertForMultipleChoice",
    "BertForNextSentencePrediction",
    "BertForPreTraining",
    "BertForQuestionAnswering",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertModel",
    "Config",
    "GPT2Config",
    "GPT2ForSequenceClassification",
    "GPT2LMHeadModel",
    "GPT2Model",
    "KVCache",
    "LSTMClassifierConfig",
    "LSTMForSequenceClassification",
    "LSTMForTokenClassification",
    "LSTMTranslator",
    "LSTMTranslatorConfig",
    "LlamaConfig",
    "LlamaForCausalLM",
    "LlamaModel",
    "MarianConfig",
    "MarianMTModel",
    "ModelOutput",
    "PretrainedModel",
    "RNNLMConfig",
    "RNNLMHeadModel",
    "RecurrentState",
    "load_language_model",
]


def load_language_model(directory: str | os.PathLike[str], **options: Any) -> Any:
    """Return the language model of a directory, of whatever kind its ``config.json`` says.

    Args:
        directory: with ``config.json`` and weights.
        options: as for :meth:`PretrainedModel.from_pretrained`.

    Raises:
        FileNotFoundError: there is no such directory or file.
        ValueError: it is of a kind that is not known here, or its files are damaged.
    """
    path = Path(directory)
    kind = read_config(path / "config.json").get("model_type")
    if not isinstance(kind, str) or kind not in LANGUAGE_MODELS:
        raise ValueError(f"{path}: model_type is {kind!r}; known are {', '.join(LANGUAGE_MODELS)}")
    return LANGUAGE_MODELS[kind].from_pretrained(path, **options)
