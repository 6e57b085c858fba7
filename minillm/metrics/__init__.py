"""Measures of how good a model is, equal to those of scikit-learn, seqeval, sacrebleu and rouge-score.

Each comes as a function of all results at once, and as a class that takes them batch by batch
(`update`, then `compute`).

- Classes: `accuracy`, `precision`, `recall`, `f1`, `confusion_matrix`, `roc_auc`.
- Entities in tagged sentences: `span_f1`, `entities`.
- Language models: `perplexity`, `bits_per_character`, `bits_per_byte`.
- Translations: `bleu`, `chrf`. Summaries: `rouge`. Answers: `exact_match`, `answer_f1`.
"""

from __future__ import annotations

from minillm.metrics.averages import PrecisionRecallF, UndefinedMetricWarning
from minillm.metrics.bleu import BLEU, BLEUScore, bleu, sentence_bleu
from minillm.metrics.chrf import CHRF, chrf, sentence_chrf
from minillm.metrics.classification import (
    ClassificationScores,
    accuracy,
    classification_report,
    confusion_matrix,
    f1,
    precision,
    precision_recall_f1,
    recall,
)
from minillm.metrics.language_model import Perplexity, bits_per_byte, bits_per_character, perplexity
from minillm.metrics.metric import Metric
from minillm.metrics.question_answering import QuestionAnswering, answer_f1, exact_match
from minillm.metrics.roc import ROCAUC, roc_auc
from minillm.metrics.rouge import ROUGE, RougeScore, rouge
from minillm.metrics.spans import Entity, SpanScores, entities, span_f1, span_precision_recall_f1

__all__ = [
    "BLEU",
    "CHRF",
    "ROCAUC",
    "ROUGE",
    "BLEUScore",
    "ClassificationScores",
    "Entity",
    "Metric",
    "Perplexity",
    "PrecisionRecallF",
    "QuestionAnswering",
    "RougeScore",
    "SpanScores",
    "UndefinedMetricWarning",
    "accuracy",
    "answer_f1",
    "bits_per_byte",
    "bits_per_character",
    "bleu",
    "chrf",
    "classification_report",
    "confusion_matrix",
    "entities",
    "exact_match",
    "f1",
    "perplexity",
    "precision",
    "precision_recall_f1",
    "recall",
    "roc_auc",
    "rouge",
    "sentence_bleu",
    "sentence_chrf",
    "span_f1",
    "span_precision_recall_f1",
]
