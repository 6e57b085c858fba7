"""Answers are those of transformers: of its version 4, as version 5 has no such pipeline any more.

What version 4.57 answered to these weights stands here, and where a version with the pipeline is installed, it is asked
again.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from minillm.inference.pipelines.answers import best_spans
from minillm.transformers import pipeline
from tests.inference.pipelines.conftest import TEXTS, rounded, save_bert, theirs_for

HEAD = "BertForQuestionAnswering"
CONTEXT = " ".join(TEXTS)
GIVEN = {"question": "who jumped over the dogs?", "context": CONTEXT}
CASES = [
    {},
    {"top_k": 4},
    {"top_k": 3, "align_to_words": False},
    {"top_k": 5, "max_answer_len": 2},
    {"top_k": 2, "handle_impossible_answer": True},
    {"top_k": 4, "max_seq_len": 24, "doc_stride": 6},
    {"top_k": 20, "max_answer_len": 1},
]
ANSWERS = json.loads(Path(__file__).with_name("answers.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answers")
    save_bert(folder, HEAD, seed=5)
    return folder


@pytest.mark.parametrize("options", CASES, ids=str)
def test_answers_of_transformers_4(folder, options):
    assert pipeline("question-answering", folder)(**GIVEN, **options) == rounded(ANSWERS[str(options)])


@pytest.mark.parametrize("options", CASES, ids=str)
def test_answers_of_the_installed_transformers(folder, options):
    library = pytest.importorskip("transformers")
    if not hasattr(library, "QuestionAnsweringPipeline"):
        pytest.skip("needs a transformers with this pipeline, before 5")
    theirs = theirs_for(folder, "question-answering", HEAD)
    assert pipeline("question-answering", folder)(**GIVEN, **options) == rounded(theirs(**GIVEN, **options))


def test_several_questions(folder):
    ours = pipeline("question-answering", folder, max_answer_len=3)
    one = ours(**GIVEN)
    assert CONTEXT[one["start"] : one["end"]] == one["answer"]
    other = ours(question="a fox?", context=TEXTS[1])
    assert ours(question=[GIVEN["question"], "a fox?"], context=[CONTEXT, TEXTS[1]]) == [one, other]
    assert ours(question=[GIVEN["question"]] * 2, context=CONTEXT) == [one, one]
    assert ours([GIVEN, {"question": "a fox?", "context": TEXTS[1]}]) == [one, other]
    assert ours(GIVEN) == one


def test_spans_against_every_span():
    rng = np.random.default_rng(0)
    starts, ends = rng.random(7), rng.random(7)
    spans = [(i, j, starts[i] * ends[j]) for i in range(7) for j in range(i, min(7, i + 3))]
    wanted = sorted(spans, key=lambda span: -span[2])[:6]
    got = best_spans(starts, ends, count=6, longest=3)
    assert [span[:2] for span in got] == [span[:2] for span in wanted]
    np.testing.assert_allclose([span[2] for span in got], [span[2] for span in wanted])


def test_refusals(folder):
    ours = pipeline("question-answering", folder)
    with pytest.raises(TypeError, match=r"it needs question=\.\.\. and context=\.\.\."):
        ours(question="who?")
    with pytest.raises(ValueError, match="got 2 questions and 1 contexts"):
        ours(question=["who?", "what?"], context=["the fox"])
    with pytest.raises(ValueError, match="top_k is 0; it needs a positive whole number"):
        ours(**GIVEN, top_k=0)
    with pytest.raises(TypeError, match="question-answering: beams is not offered"):
        ours(**GIVEN, beams=2)
