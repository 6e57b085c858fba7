"""Text from text: stop strings that span tokens, characters that span tokens, streams that join."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm import nn, ops
from minillm.inference import StopStrings, generate_text, stream_text
from minillm.tokenizers import BPETokenizer, CharTokenizer


class Scripted(nn.Module):
    """A model that writes a given text, whatever the prompt, and then its first token for ever."""

    def __init__(self, tokens: list[int], vocab_size: int, prompt_length: int) -> None:
        super().__init__()
        self.tokens, self.vocab_size, self.prompt_length = tokens, vocab_size, prompt_length

    def forward(self, x):
        place = x.shape[1] - self.prompt_length
        token = self.tokens[place] if place < len(self.tokens) else 0
        row = ops.tensor([[float(i == token) for i in range(self.vocab_size)]])
        return row.expand(x.shape[0], 1, self.vocab_size)


def scripted(text: str, tokenizer, prompt: str) -> Scripted:
    return Scripted(tokenizer.encode(text), len(tokenizer), len(tokenizer.encode(prompt)))


@pytest.fixture(scope="module")
def bpe():
    return BPETokenizer.train_from_iterator(["the cat sat on the mat, the cat 🙂 " * 20], vocab_size=300)


@given(
    st.text("ab", max_size=20),
    st.lists(st.text("ab", min_size=1, max_size=4), max_size=3),
    st.lists(st.integers(0, 20), max_size=8),
)
def test_text_is_cut_at_the_stop_string_that_is_complete_first_however_it_comes(text, stop, cuts):
    places = [(text.find(s) + len(s), text.find(s)) for s in stop if s in text]  # where they end and begin
    expected = text[: min(places)[1]] if places else text
    watch = StopStrings(stop)
    edges = sorted({0, len(text), *(min(c, len(text)) for c in cuts)})
    pieces = [text[a:b] for a, b in itertools.pairwise(edges)]
    passed = ""
    for piece in pieces:
        passed += watch.push(piece)
        assert expected.startswith(passed)
    assert watch.found == bool(places)
    assert passed + watch.finish() == expected


def test_nothing_is_held_back_without_need():
    watch = StopStrings(["\n\n"])
    assert [watch.push(c) for c in "a\nb\n\nc"] == ["a", "", "\nb", "", "", ""]


@pytest.mark.parametrize("stop", ["", [""], ["a", ""], [3]])
def test_an_empty_stop_string_is_an_error(stop):
    with pytest.raises(ValueError, match="it needs strings that are not empty"):
        StopStrings(stop)


@pytest.mark.parametrize("stop", ["cat sat", "t sat o", " mat,", "🙂"])
def test_stop_strings_may_span_tokens(bpe, stop):
    text = "the cat sat on the mat, the 🙂 cat"
    model = scripted(text, bpe, "the")
    expected = text[: text.index(stop)]
    assert generate_text(model, bpe, "the", 40, stop=stop) == expected
    assert "".join(stream_text(model, bpe, "the", 40, stop=[stop, "never"])) == expected


def test_generation_ends_with_the_stop_string(bpe):
    model = scripted("the cat sat on the mat", bpe, "the")
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    assert generate_text(model, bpe, "the", 1000, stop="cat") == "the "
    assert len(calls) == len(bpe.encode("the cat"))


def test_a_stream_never_shows_half_a_character(bpe):
    model = scripted("a 🙂 é", bpe, "the")
    count = len(bpe.encode("a 🙂 é"))
    pieces = list(stream_text(model, bpe, "the", count))
    assert "".join(pieces) == "a 🙂 é"
    assert all(pieces)
    assert "�" not in "".join(pieces)
    cut = generate_text(model, bpe, "the", 3)  # in the middle of the emoji
    assert cut.startswith("a ")


def test_the_pieces_join_to_the_text(model):
    tokenizer = CharTokenizer.from_text("abcdefghijklmnopqrstuvwxyz .,\n!")
    options = {"temperature": 1.0, "seed": 3, "stop": ["e"]}
    whole = generate_text(model, tokenizer, "abc", 30, **options)
    assert "".join(stream_text(model, tokenizer, "abc", 30, **options)) == whole
    assert "e" not in whole


def test_several_prompts_give_what_each_gives_alone(model):
    tokenizer = CharTokenizer.from_text("abcdefghijklmnopqrstuvwxyz .,\n!")
    prompts = ["abc", "x", "hello"]
    together = generate_text(model, tokenizer, prompts, 15, stop=["a", "zz"])
    assert together == [generate_text(model, tokenizer, p, 15, stop=["a", "zz"]) for p in prompts]


def test_end_tokens_end_the_text_and_are_left_out(bpe):
    tokenizer = BPETokenizer.train_from_iterator(["the cat sat"], vocab_size=260)
    tokenizer.add_special_tokens({"eos_token": "<end>"})
    end = tokenizer.eos_token_id
    model = Scripted([*tokenizer.encode("cat"), end, *tokenizer.encode("sat")], len(tokenizer), 3)
    prompt = "the"
    model.prompt_length = len(tokenizer.encode(prompt))
    assert generate_text(model, tokenizer, prompt, 20, eos_token_id=end) == "cat"
    shown = generate_text(model, tokenizer, prompt, 20, eos_token_id=end, skip_special_tokens=False)
    assert shown == "cat<end>"


def test_an_empty_prompt_begins_with_the_token_that_begins_texts(build):
    tokenizer = CharTokenizer.from_text("abcdefghijklmnopqrstuvwxyz .,\n!")
    with pytest.raises(ValueError, match="the prompt is empty, and the model has no token that begins"):
        generate_text(build("gpt2"), tokenizer, "", 5)
    model = build("gpt2", bos_token_id=2)
    assert generate_text(model, tokenizer, "", 5) == generate_text(model, tokenizer, tokenizer.decode([2]), 5)


def test_a_model_with_more_tokens_than_its_tokenizer_writes_known_ones_alone(build):
    tokenizer = CharTokenizer.from_text("abc")
    text = generate_text(build("gpt2", vocab_size=64), tokenizer, "a", 30, temperature=2.0, seed=0)
    assert set(text) <= set("abc")
    assert len(text) == 30


def test_a_prompt_with_tokens_that_the_model_lacks_is_an_error(build):
    tokenizer = CharTokenizer.from_text("abcdefgh")
    with pytest.raises(ValueError, match=r"token 7 at place 1 .* Is the tokenizer another model's\?"):
        generate_text(build("gpt2", vocab_size=5), tokenizer, "ah", 5)


def test_errors_come_before_the_first_piece_is_asked_for(build):
    tokenizer = CharTokenizer.from_text("abc")
    with pytest.raises(ValueError, match="top_p is 2"):
        stream_text(build("gpt2"), tokenizer, "a", 5, top_p=2)
