"""Answers, counted as SQuAD's script counts them."""

from __future__ import annotations

import re
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.metrics import QuestionAnswering, answer_f1, exact_match
from minillm.metrics.question_answering import normalize_answer

ANSWERS = st.lists(
    st.sampled_from(["the", "The", "a", "An", "Eiffel", "tower", "Tower!", "1889", "in", "-", "U.S.", "theatre", "é"]),
    max_size=5,
).map(" ".join)


def steps_of_the_script(text):
    """Lower, remove punctuation, articles, then white space, one after the other as in the script."""
    text = "".join(character for character in text.lower() if character not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


@given(text=st.one_of(ANSWERS, st.text()))
def test_answers_are_normalized_in_the_order_of_the_script(text):
    assert normalize_answer(text) == steps_of_the_script(text)


@given(prediction=ANSWERS, answers=st.lists(ANSWERS, min_size=1, max_size=3))
def test_scores_are_those_of_the_script(prediction, answers):
    def f1(given, right):
        shared = sum((Counter(given) & Counter(right)).values())
        if not given or not right:
            return float(given == right)
        if shared == 0:
            return 0.0
        precision, recall = shared / len(given), shared / len(right)
        return 2 * precision * recall / (precision + recall)

    words = steps_of_the_script(prediction).split()
    rights = [steps_of_the_script(answer).split() for answer in answers]
    assert answer_f1(prediction, answers) == pytest.approx(max(f1(words, right) for right in rights))
    assert exact_match(prediction, answers) == float(words in rights)


def test_means_in_percent():
    metric = QuestionAnswering()
    metric.update(["the Eiffel tower", "in 1889"], ["Eiffel Tower", ["1889", "year 1889"]])
    metric.update([""], [[]])  # no answer is right where there is none
    assert metric.compute() == {
        "exact_match": pytest.approx(200 / 3),
        "f1": pytest.approx(100 * (1 + 2 / 3 + 1) / 3),
    }
    metric.reset()
    with pytest.raises(ValueError, match="there are no questions yet"):
        metric.compute()


def test_an_answer_where_there_is_none():
    assert exact_match("Paris", "") == answer_f1("Paris", []) == 0
    assert exact_match("", "Paris") == answer_f1("", "Paris") == 0


def test_what_cannot_be_measured():
    with pytest.raises(ValueError, match="1 predictions for 2 questions"):
        QuestionAnswering().update(["a"], ["a", "b"])
    with pytest.raises(TypeError, match="needs a list of predictions, got one text"):
        QuestionAnswering().update("a", ["a"])


def test_the_questions_of_xquad(data_dir):
    from minillm.data.json_readers import read_squad

    questions = list(read_squad(data_dir / "xquad" / "xquad.en.json"))
    metric = QuestionAnswering()
    answers = [question["answers"]["text"] for question in questions]
    metric.update([texts[0] for texts in answers], answers)
    assert metric.compute() == {"exact_match": 100.0, "f1": 100.0}
