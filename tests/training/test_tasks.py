"""The tasks of fine-tuning: features, batches and scores, and that tiny models learn each of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minillm
from minillm.models import (
    BertConfig,
    BertForQuestionAnswering,
    BertForTokenClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LSTMClassifierConfig,
    LSTMForTokenClassification,
    LSTMTranslator,
    LSTMTranslatorConfig,
)
from minillm.tokenizers import CharTokenizer, WordPieceTokenizer, WordTokenizer
from minillm.training.fine_tuning import FineTuner, FineTuningConfig
from minillm.training.tasks import Answer, Instruct, LanguageModel, Tag, Translate, instruction_prompt
from minillm.training.tasks.answer import best_span

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "in", "to", "from", "city", "of", "par", "##is", "lon", "##don",
         "who", "is", "where", "?", "anna", "bob", "lives", "works", "and", "."]  # fmt: skip
SMALL = {"vocab_size": len(WORDS), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
         "intermediate_size": 32, "max_position_embeddings": 64}  # fmt: skip


@pytest.fixture
def wordpiece(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return WordPieceTokenizer.from_pretrained(tmp_path)


def tune(model, task, examples, validation, **changes):
    config = FineTuningConfig(**{"epochs": 8, "batch_size": 8, "lr": 5e-3, "seed": 1, "weight_decay": 0.0, **changes})
    tuner = FineTuner(model, task, examples, validation, config)
    tuner.train()
    return tuner


def sentences(count, seed=0):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        city, before = str(rng.choice(["paris", "london"])), str(rng.choice(["to", "from"]))
        words = ["the", "city", "of", city, before, "the", city][int(rng.integers(3)) :]
        tags = ["B-GOAL" if w == city and words[i - 1] == "of" else "O" for i, w in enumerate(words)]
        found.append({"tokens": words, "tags": tags})
    return found


def test_the_first_part_of_a_word_bears_its_tag(wordpiece):
    task = Tag(wordpiece, ["O", "B-GOAL"], max_length=6)
    (feature,) = task.features([{"tokens": ["to", "paris", "to", "london"], "tags": ["O", "B-GOAL", "O", "B-GOAL"]}])
    assert wordpiece.convert_ids_to_tokens(feature["input_ids"]) == ["[CLS]", "to", "par", "##is", "to", "[SEP]"]
    assert feature["labels"] == [-100, 0, 1, -100, 0, -100]
    assert task.count([feature]) == 3
    batch = task.batch([feature, {name: values[:2] for name, values in feature.items()}])
    assert batch["labels"].tolist()[1] == [-100, 0, -100, -100, -100, -100]
    assert batch["attention_mask"].tolist()[1] == [1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("kind", ["bert", "lstm"])
def test_tags_are_learned(kind, wordpiece):
    minillm.manual_seed(0)
    if kind == "bert":
        tokenizer, model = wordpiece, BertForTokenClassification(BertConfig(**SMALL))
    else:
        tokenizer = WordTokenizer(oov_token="<oov>")
        tokenizer.fit_on_texts([" ".join(e["tokens"]) for e in sentences(50)])
        model = LSTMForTokenClassification(LSTMClassifierConfig(vocab_size=20, embedding_dim=16, hidden_size=16))
    task = Tag(tokenizer, ["O", "B-GOAL"])
    tuner = tune(model, task, sentences(80), sentences(30, seed=1), epochs=8 if kind == "bert" else 25)
    scores = tuner.evaluate(sentences(40, seed=2))
    assert scores["f1"] > 0.9
    assert scores["accuracy"] > 0.95
    words = ["city", "of", "paris", "to", "the", "city"]
    assert task.tags(model, [words, ["to"]]) == [["O", "O", "B-GOAL", "O", "O", "O"], ["O"]]


def test_what_is_no_tagged_sentence_is_an_error(wordpiece):
    task = Tag(wordpiece, ["O", "B-GOAL"])
    for example, message in (
        ({"tokens": [], "tags": []}, "example 1: it has no word"),
        ({"tokens": ["to"], "tags": []}, "example 1: it has 1 words and 0 tags"),
        ({"tokens": ["to"], "tags": ["B-X"]}, "example 1: the tag 'B-X' is none of O, B-GOAL"),
    ):
        with pytest.raises(ValueError, match=message):
            task.features([example])


def questions(count, seed=0):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        name, city, verb = (str(rng.choice(c)) for c in (["anna", "bob"], ["paris", "london"], ["lives", "works"]))
        context = " ".join([*["the city .", "to london and"][: int(rng.integers(2))], f"{name} {verb} in {city} ."])
        place = bool(rng.integers(2))
        answer = city if place else name
        found.append(
            {
                "question": "where ?" if place else "who ?",
                "context": context,
                "answers": {"text": [answer], "answer_start": [context.rindex(answer)]},
            }
        )
    return found


def test_places_of_answers_and_windows(wordpiece):
    task = Answer(wordpiece, max_length=9, stride=2)
    (example,) = questions(1)
    features = task.features([example])
    assert len(features) > 1
    answer = example["answers"]["text"][0]
    found = []
    for feature in features:
        first, last = feature["start_positions"], feature["end_positions"]
        if first:
            found.append("".join(wordpiece.convert_ids_to_tokens(feature["input_ids"][first : last + 1])))
    assert found
    assert {text.replace("##", "") for text in found} == {answer}
    no_answer = {**example, "answers": {"text": [], "answer_start": []}}
    assert all(f["start_positions"] == f["end_positions"] == 0 for f in task.features([no_answer]))


def test_answers_are_learned(wordpiece):
    minillm.manual_seed(0)
    model = BertForQuestionAnswering(BertConfig(**SMALL, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0))
    task = Answer(wordpiece, max_length=40, stride=8)
    tuner = tune(model, task, questions(200), questions(20, seed=1), epochs=10, lr=4e-3)
    scores = tuner.evaluate(questions(30, seed=2))
    assert scores["f1"] > 0.9
    assert scores["exact_match"] > 0.9


def test_the_best_span_is_in_order_and_not_too_long():
    starts, ends = np.array([9.0, 1.0, 5.0, 0.0]), np.array([9.0, 7.0, 0.0, 6.0])
    offsets = [None, (0, 2), (3, 5), (6, 9)]
    assert best_span(starts, ends, offsets, longest=3) == (11.0, (3, 9))
    assert best_span(starts, ends, offsets, longest=1) == (8.0, (0, 2))
    assert best_span(starts, ends, [None] * 4, longest=2) == (-math.inf, (0, 0))


def make_gpt(tokenizer):
    minillm.manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=tokenizer.vocab_size, n_positions=512, n_embd=32, n_layer=2, n_head=2,
                   resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
    )  # fmt: skip


def test_a_language_model_learns_its_texts():
    tokenizer = CharTokenizer.train_from_iterator(["abcabcabc. "])
    task = LanguageModel(tokenizer, max_length=8)
    features = task.features([{"text": "abcabcabcabcabc"}])
    assert [len(f["input_ids"]) for f in features] == [8, 8]
    assert task.count(features) == 14  # every token but the first is predicted once
    model = make_gpt(tokenizer)
    tuner = tune(model, task, [{"text": "abc" * 20}] * 8, [{"text": "abc" * 10}], epochs=15)
    scores = tuner.evaluate([{"text": "abc" * 15}])
    assert scores["perplexity"] < 1.2
    assert scores["perplexity"] == pytest.approx(math.exp(scores["val_loss"]))
    best = min(record["perplexity"] for record in tuner.state.history)
    assert tuner.state.best_score == -best
    with pytest.raises(ValueError, match="example 1: a text of 1 token"):
        task.features([{"text": "a"}])
    with pytest.raises(ValueError, match="max_length is 1"):
        LanguageModel(tokenizer, max_length=1)


def test_the_loss_counts_the_answer_alone():
    example = {"instruction": "Say it.", "input": "", "output": "abc"}
    prompt = instruction_prompt(example)
    assert "### Input" not in prompt
    assert "### Input:\nx\n" in instruction_prompt({**example, "input": "x"})
    tokenizer = CharTokenizer.train_from_iterator([prompt, "abc xyz Input:"])
    task = Instruct(tokenizer, max_length=400)
    (feature,) = task.features([example])
    labelled = [label for label in feature["labels"] if label != -100]
    assert tokenizer.decode(labelled) == "abc"
    assert feature["labels"][: len(prompt)] == [-100] * len(prompt)
    with pytest.raises(ValueError, match=r"example 1: the instruction alone has \d+ tokens, and 20 are read"):
        Instruct(tokenizer, max_length=20).features([example])


@pytest.mark.parametrize("reverse", [False, True])
def test_translations_are_learned(reverse):
    minillm.manual_seed(0)
    tokenizer = CharTokenizer.train_from_iterator(["abcdefghij#^$"])
    end, start, padding = (tokenizer.token_to_id(c) for c in "$^#")
    config = LSTMTranslatorConfig(
        vocab_size=tokenizer.vocab_size, embedding_dim=16, hidden_size=32, pad_token_id=padding,
        decoder_start_token_id=start, eos_token_id=end,
    )  # fmt: skip
    model = LSTMTranslator(config)
    task = Translate(tokenizer, end=end, max_length=8, reverse=reverse, metric="exact")
    rng = np.random.default_rng(0)

    def pairs(count):
        texts = ["".join(rng.choice(list("abcdefghij"), rng.integers(1, 4))) for _ in range(count)]
        return [{"source": text, "target": text[::-1]} for text in texts]

    assert task.source("abc") == tokenizer.encode("cba" if reverse else "abc")
    tuner = tune(model, task, pairs(400), pairs(30), epochs=20, lr=0.01, batch_size=32)
    scores = tuner.evaluate(pairs(60))
    assert scores["exact"] > 0.85
    assert set(scores) == {"exact", "bleu", "chrf"}
    with pytest.raises(ValueError, match="the source '' has no token"):
        task.source("")
    with pytest.raises(ValueError, match="metric is 'ter'"):
        Translate(tokenizer, end=end, metric="ter")
