"""Labels of texts are those of transformers."""

from __future__ import annotations

import pytest

from minillm.transformers import pipeline
from tests.inference.pipelines.conftest import TEXTS, rounded, save_bert, theirs_for

HEAD = "BertForSequenceClassification"


@pytest.mark.parametrize(
    "settings",
    [
        {"num_labels": 3},
        {"num_labels": 3, "problem_type": "multi_label_classification"},
        {"num_labels": 1},
        {"num_labels": 2, "problem_type": "regression"},
    ],
    ids=str,
)
def test_labels_of_transformers(tmp_path, settings):
    save_bert(tmp_path, HEAD, **settings)
    ours, theirs = pipeline("text-classification", tmp_path), theirs_for(tmp_path, "text-classification", HEAD)
    for inputs in (TEXTS[0], TEXTS):
        assert ours(inputs) == rounded(theirs(inputs))
        for options in ({"top_k": None}, {"top_k": 2}, {"function_to_apply": "sigmoid"}, {"function_to_apply": "none"}):
            assert ours(inputs, **options) == rounded(theirs(inputs, **options))
    pair = {"text": TEXTS[0], "text_pair": TEXTS[1]}
    assert ours(pair) == rounded(theirs(pair))
    with pytest.raises(TypeError, match="topk is not offered; known are function_to_apply, top_k"):
        ours(TEXTS, topk=2)


def test_options_of_the_pipeline(tmp_path):
    save_bert(tmp_path, HEAD, num_labels=3)
    ours = pipeline("sentiment-analysis", tmp_path, top_k=None)
    theirs = theirs_for(tmp_path, "sentiment-analysis", HEAD, top_k=None)
    for inputs in (TEXTS[0], TEXTS):
        assert ours(inputs) == rounded(theirs(inputs))
