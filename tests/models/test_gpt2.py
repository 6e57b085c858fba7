"""GPT-2 by itself: shapes, initial weights, loss, cache, padding, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minillm
from minillm import nn
from minillm.autograd.errors import OperationError
from minillm.models import GPT2Config, GPT2LMHeadModel, GPT2Model
from minillm.models.gpt2 import GPT2Block, SplitHeads
from minillm.nn import functional as F


def tiny(**changes: object) -> GPT2Config:
    settings = {"vocab_size": 31, "n_positions": 16, "n_embd": 24, "n_layer": 3, "n_head": 4}
    return GPT2Config(**{**settings, **changes})


@pytest.fixture
def model() -> GPT2LMHeadModel:
    minillm.manual_seed(0)
    model = GPT2LMHeadModel(tiny(initializer_range=0.3)).eval()
    for name, parameter in model.named_parameters():  # biases that are not zero
        if "ln" in name or name.endswith("bias"):
            with minillm.no_grad():
                parameter.add_(minillm.randn(parameter.shape) * 0.1)
    return model


def tokens(rows: int = 2, length: int = 9, seed: int = 0) -> minillm.Tensor:
    return minillm.tensor(np.random.default_rng(seed).integers(0, 31, (rows, length)))


def test_the_initial_weights_are_gpt2s():
    minillm.manual_seed(0)
    model = GPT2LMHeadModel(tiny(n_embd=128, n_layer=8, vocab_size=500))
    for name, parameter in model.named_parameters():
        values = parameter.numpy(force=True)
        if name.endswith("bias"):
            assert (values == 0).all(), name
        elif ".ln_" in name:
            assert (values == 1).all(), name
        else:
            std = 0.02 / math.sqrt(16) if name.endswith("c_proj.weight") else 0.02
            assert values.std() == pytest.approx(std, rel=0.05), name
            assert abs(values.mean()) < 4 * std / math.sqrt(values.size), name
    x = minillm.randint(0, 500, (4, 16))
    assert model(x, labels=x).loss.item() == pytest.approx(math.log(500), rel=0.02)


def test_the_number_of_parameters_of_the_published_model():
    # 124,439,808 without allocating them: 12 C^2 + 13 C a block, and the embeddings.
    def count(c: GPT2Config) -> int:
        C = c.n_embd
        return c.n_layer * (12 * C * C + 13 * C) + (c.vocab_size + c.n_positions) * C + 2 * C

    assert count(GPT2Config()) == 124_439_808
    assert GPT2LMHeadModel(tiny()).num_parameters() == count(tiny())


def test_names_are_those_of_hugging_faces_files():
    assert list(GPT2LMHeadModel(tiny(n_layer=1)).state_dict()) == [
        "transformer.wte.weight",
        "transformer.wpe.weight",
        "transformer.h.0.ln_1.weight",
        "transformer.h.0.ln_1.bias",
        "transformer.h.0.attn.c_attn.weight",
        "transformer.h.0.attn.c_attn.bias",
        "transformer.h.0.attn.c_proj.weight",
        "transformer.h.0.attn.c_proj.bias",
        "transformer.h.0.ln_2.weight",
        "transformer.h.0.ln_2.bias",
        "transformer.h.0.mlp.c_fc.weight",
        "transformer.h.0.mlp.c_fc.bias",
        "transformer.h.0.mlp.c_proj.weight",
        "transformer.h.0.mlp.c_proj.bias",
        "transformer.ln_f.weight",
        "transformer.ln_f.bias",
        "lm_head.weight",
    ]


def test_the_head_shares_the_embedding_unless_told_otherwise():
    tied, untied = GPT2LMHeadModel(tiny()), GPT2LMHeadModel(tiny(tie_word_embeddings=False))
    assert tied.lm_head.weight is tied.transformer.wte.weight
    assert untied.lm_head.weight is not untied.transformer.wte.weight
    assert untied.num_parameters() - tied.num_parameters() == 31 * 24


def test_without_biases():
    model = GPT2LMHeadModel(tiny(bias=False))
    assert not [name for name, _ in model.named_parameters() if "bias" in name]
    assert model(tokens()).logits.shape == (2, 9, 31)


def test_labels_are_moved_by_one_and_targets_are_not(model):
    x = tokens()
    logits = model(x).logits
    by_hand = F.cross_entropy(logits[:, :-1].reshape(-1, 31), x[:, 1:].reshape(-1)).item()
    assert model(x, labels=x).loss.item() == pytest.approx(by_hand, rel=1e-5)
    assert model(x[:, :-1], targets=x[:, 1:]).loss.item() == pytest.approx(by_hand, rel=1e-5)


def test_a_label_of_minus_100_is_left_out(model):
    x = tokens()
    labels = x.clone()
    labels[0] = -100
    of_the_rest = model(x[1:], labels=x[1:]).loss.item()
    assert model(x, labels=labels).loss.item() == pytest.approx(of_the_rest, rel=1e-5)


def test_the_loss_has_a_gradient_for_every_parameter(model):
    x = tokens()
    model(x, labels=x).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert float(abs(parameter.grad).max()) > 0, name


def test_dropout_works_in_training_alone():
    model = GPT2LMHeadModel(tiny(resid_pdrop=0.5, embd_pdrop=0.5, attn_pdrop=0.5))
    x = tokens()
    assert not (model(x).logits == model(x).logits).all()
    model.eval()
    assert (model(x).logits == model(x).logits).all()


def test_each_token_looks_back_only(model):
    x = tokens(1, 9)
    y = x.clone()
    y[0, 6] = 29 - x[0, 6]
    before, after = model(x).logits.numpy(force=True), model(y).logits.numpy(force=True)
    np.testing.assert_array_equal(before[:, :6], after[:, :6])
    assert not np.allclose(before[:, 6], after[:, 6])


def test_hidden_states_and_attentions(model):
    x = tokens()
    output = model(x, output_hidden_states=True, output_attentions=True)
    plain = model(x)
    np.testing.assert_allclose(output.logits.numpy(force=True), plain.logits.numpy(force=True), atol=1e-5)
    assert [h.shape for h in output.hidden_states] == [(2, 9, 24)] * 4
    assert [a.shape for a in output.attentions] == [(2, 4, 9, 9)] * 3
    for weights in output.attentions:
        np.testing.assert_allclose(weights.sum(-1).numpy(force=True), 1, rtol=1e-5)
        assert (weights.numpy(force=True)[..., np.triu_indices(9, 1)[0], np.triu_indices(9, 1)[1]] == 0).all()
    np.testing.assert_allclose(
        model.lm_head(output.hidden_states[-1]).numpy(force=True), plain.logits.numpy(force=True), atol=1e-5
    )
    assert plain.hidden_states is None
    assert list(plain.keys()) == ["logits"]


def test_embeddings_in_the_place_of_tokens(model):
    x = tokens()
    by_tokens = model(x).logits.numpy(force=True)
    by_embeddings = model(inputs_embeds=model.transformer.wte(x)).logits.numpy(force=True)
    np.testing.assert_array_equal(by_tokens, by_embeddings)
    with_types = model(x, token_type_ids=minillm.zeros(2, 9, dtype="int64")).logits.numpy(force=True)
    assert not np.allclose(by_tokens, with_types)


# -- the cache ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [[9], [1] * 9, [4, 5], [5, 1, 3], [8, 1]])
def test_cached_and_uncached_logits_are_equal(model, pieces):
    x = tokens()
    whole = model(x).logits.numpy(force=True)
    cache = model.start_cache()
    parts, start = [], 0
    with minillm.no_grad():
        for size in pieces:
            output = model(x[:, start : start + size], past_key_values=cache)
            parts.append(output.logits.numpy())
            start += size
            assert output.past_key_values is cache
            assert cache.length == start
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)


@pytest.mark.parametrize("give_all", [False, True])
@pytest.mark.parametrize("pieces", [[9], [5, 1, 1, 1, 1], [4, 5], [1] * 9])
def test_cached_logits_are_equal_in_a_batch_padded_on_the_left(model, pieces, give_all):
    padding = np.array([0, 3])
    x = tokens()
    place = np.arange(9)[None] - padding[:, None]
    mask = minillm.tensor(place >= 0)
    positions = minillm.tensor(np.maximum(place, 0))
    alone = [model(x[i : i + 1, p:]).logits.numpy(force=True)[0] for i, p in enumerate(padding.tolist())]
    cache = model.start_cache()
    parts, start = [], 0
    with minillm.no_grad():
        for size in pieces:
            end = start + size
            given = mask[:, :end] if give_all else mask[:, start:end] if start < 3 else None
            output = model(
                x[:, start:end], cache, attention_mask=given, position_ids=positions[:, start:end]
            )
            parts.append(output.logits.numpy())
            start = end
    together = np.concatenate(parts, axis=1)
    for i, p in enumerate(padding.tolist()):
        np.testing.assert_allclose(together[i, p:], alone[i], atol=1e-5)
    assert np.isfinite(together).all()


def test_padding_on_the_right_changes_nothing_before_it(model):
    x = tokens()
    mask = minillm.tensor(np.arange(9)[None] < np.array([[9], [6]]))
    padded = model(x, attention_mask=mask).logits.numpy(force=True)
    np.testing.assert_allclose(padded[1, :6], model(x[1:, :6]).logits.numpy(force=True)[0], atol=1e-5)
    np.testing.assert_allclose(padded[0], model(x[:1]).logits.numpy(force=True)[0], atol=1e-5)


def test_use_cache_starts_a_cache(model):
    x = tokens()
    with minillm.no_grad():
        first = model(x[:, :5], use_cache=True)
        second = model(x[:, 5:], past_key_values=first.past_key_values)
    np.testing.assert_allclose(second.logits.numpy(), model(x).logits.numpy(force=True)[:, 5:], atol=1e-5)
    assert model(x).past_key_values is None


def test_only_the_logits_asked_for(model):
    x = tokens()
    last = model(x, logits_to_keep=2).logits.numpy(force=True)
    np.testing.assert_allclose(last, model(x).logits.numpy(force=True)[:, -2:], atol=1e-5)


def test_the_cache_is_not_copied_and_holds_no_graph(model):
    x = tokens(1, 1)
    cache = model.start_cache()
    with pytest.raises(OperationError, match=r"holds no graph.*in GPT2LMHeadModel\.transformer\.h\.0\.attn"):
        model(x, past_key_values=cache)
    cache = model.start_cache(12)
    with minillm.no_grad():
        model(x, past_key_values=cache)
        buffers = [pair[0].__array_interface__["data"] for pair in cache._buffers]
        for _ in range(5):
            model(x, past_key_values=cache)
    assert [pair[0].__array_interface__["data"] for pair in cache._buffers] == buffers
    assert cache._buffers[0][0].shape == (1, 4, 12, 6)


def test_reorder_keeps_the_rows_asked_for(model):
    x = tokens(3, 6)
    mask = minillm.tensor(np.arange(6)[None] >= np.array([[0], [2], [1]]))
    rows = [2, 0, 2]
    with minillm.no_grad():
        cache, direct = model.start_cache(), model.start_cache()
        model(x[:, :5], cache, attention_mask=mask[:, :5])
        cache.reorder(rows)
        y = x[minillm.tensor(rows)]
        model(y[:, :5], direct, attention_mask=mask[minillm.tensor(rows)][:, :5])
        np.testing.assert_allclose(
            model(y[:, 5:], cache).logits.numpy(), model(y[:, 5:], direct).logits.numpy(), atol=1e-5
        )


@pytest.mark.parametrize("changes", [{}, {"bias": False}, {"activation_function": "relu"}, {"n_head": 1}])
@pytest.mark.parametrize("padded", [False, True])
def test_one_token_on_arrays_is_the_twin_of_forward(monkeypatch, changes, padded):
    minillm.manual_seed(1)
    model = GPT2LMHeadModel(tiny(initializer_range=0.3, **changes)).eval()
    x = tokens(3, 8)
    mask = minillm.tensor(np.arange(5)[None] >= np.array([[0], [3], [1]])) if padded else None

    def read() -> np.ndarray:
        cache = model.start_cache()
        with minillm.no_grad():
            model(x[:, :5], cache, attention_mask=mask)
            return np.stack([model(x[:, t : t + 1], cache).logits.numpy() for t in range(5, 8)])

    fast = read()
    called = []
    monkeypatch.setattr(GPT2Block, "one_token", lambda *_: called.append(1))
    monkeypatch.setattr(GPT2Block, "is_plain", lambda _: False)
    np.testing.assert_allclose(fast, read(), atol=1e-5)
    assert not called


def test_hooks_and_replaced_parts_are_heeded_with_a_cache(model):
    class Twice(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: minillm.Tensor) -> minillm.Tensor:
            return self.inner(x) * 2

    x = tokens(1, 4)

    def last() -> np.ndarray:
        cache = model.start_cache()
        with minillm.no_grad():
            model(x[:, :3], cache)
            return model(x[:, 3:], cache).logits.numpy()[:, 0]

    before = last()
    calls = []
    handle = model.transformer.h[1].mlp.c_fc.register_forward_hook(lambda *_: calls.append(1))
    np.testing.assert_allclose(last(), before, atol=1e-5)
    assert len(calls) == 2
    handle.remove()
    model.transformer.h[2].attn.c_proj = Twice(model.transformer.h[2].attn.c_proj)
    np.testing.assert_allclose(last(), model(x).logits.numpy(force=True)[:, -1], atol=1e-5)
    assert not np.allclose(last(), before, atol=1e-3)


# -- operations and devices -----------------------------------------------------------------------------


def test_split_heads_is_three_slices_and_differentiable_twice():
    x = minillm.randn(2, 3, 24, dtype="float64", requires_grad=True)
    for part, third in zip(SplitHeads.apply(x, 4), x.split(8, dim=-1), strict=True):
        assert (part == third.reshape(2, 3, 4, 2).transpose(1, 2)).all()

    def f(x):
        q, k, _ = SplitHeads.apply(x, 4)  # the third is not used
        return (q * k * k).sum()

    assert minillm.autograd.gradcheck(f, (x,))
    assert minillm.autograd.gradgradcheck(f, (x,))


def test_the_model_runs_on_each_device(device):
    minillm.manual_seed(0)
    model = GPT2LMHeadModel(tiny())
    x = minillm.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])
    mask = minillm.tensor([[1, 1, 1, 1], [0, 1, 1, 1]])
    output = model(x, attention_mask=mask, labels=x)
    output.loss.backward()
    assert str(output.logits.device) == str(minillm.get_default_device())
    with minillm.no_grad():
        cache = model.start_cache()
        model(x[:, :3], cache, attention_mask=mask[:, :3])
        model(x[:, 3:], cache)


def test_a_model_in_float64_and_gradients_of_second_order():
    model = GPT2LMHeadModel(tiny(n_layer=1, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)).double()
    x = tokens(1, 4)
    weight = model.transformer.h[0].attn.c_attn.weight
    loss = model(x, labels=x).loss
    (g,) = minillm.autograd.grad(loss, [weight], create_graph=True)
    (gg,) = minillm.autograd.grad((g * g).sum(), [weight])
    assert gg.dtype == np.float64
    assert float(abs(gg).max()) > 0


# -- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m(), "it needs one of input_ids and inputs_embeds"),
        (lambda m: m(tokens(), inputs_embeds=minillm.zeros(2, 9, 24)), "one of input_ids and inputs_embeds"),
        (lambda m: m(minillm.tensor([1, 2])), r"got tokens of shape \(2,\); it needs \(B, T\)"),
        (lambda m: m(minillm.zeros(2, 0, dtype="int64")), r"got tokens of shape \(2, 0\)"),
        (lambda m: m(tokens(1, 17)), "17 tokens are more than the 16 positions"),
        (lambda m: m(minillm.tensor([[0, 31]])), "31"),
        (lambda m: m(minillm.tensor([[0, -1]])), "-1"),
        (lambda m: m(tokens(), attention_mask=minillm.ones(2, 8)), r"attention_mask: got shape \(2, 8\)"),
        (lambda m: m(tokens(), labels=tokens(2, 8)), r"labels: got shape \(2, 8\); it needs \(2, 9\)"),
        (lambda m: m(tokens(), targets=tokens(1, 9)), r"targets: got shape \(1, 9\)"),
        (lambda m: m(tokens(), labels=tokens(), targets=tokens()), "got labels and targets"),
        (lambda m: m(tokens(2, 1), labels=tokens(2, 1)), "a text of one token has no next token"),
    ],
)
def test_bad_input(model, call, message):
    with pytest.raises(OperationError, match=message):
        call(model)


def test_a_cache_that_is_full_or_of_another_batch(model):
    with minillm.no_grad():
        cache = model.start_cache(4)
        with pytest.raises(OperationError, match="0 tokens are held and 5 more came; there is room for 4"):
            model(tokens(1, 5), past_key_values=cache)
        model(tokens(1, 4), past_key_values=cache)
        with pytest.raises(OperationError, match="it holds 1 sequences, and 2 came"):
            model(tokens(2, 1), past_key_values=cache)
        full = model.start_cache()
        model(tokens(1, 16), past_key_values=full)
        with pytest.raises(OperationError, match="17 tokens are more than the 16 positions"):
            model(tokens(1, 1), past_key_values=full)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_layer": 0}, "n_layer is 0; it needs a positive whole number"),
        ({"vocab_size": -1}, "vocab_size is -1"),
        ({"n_embd": "24"}, "n_embd is '24'"),
        ({"n_head": True}, "n_head is True"),
        ({"n_inner": 0}, "n_inner is 0"),
        ({"n_head": 5}, "n_embd is 24 and n_head 5; the first needs to be a multiple"),
        ({"attn_pdrop": 1.0}, "attn_pdrop is 1.0; it needs to lie in"),
        ({"resid_pdrop": "x"}, "resid_pdrop is 'x'"),
        ({"activation_function": "gelu_newer"}, "is 'gelu_newer'; known are gelu, gelu_new"),
        ({"other": {"add_cross_attention": True}}, "add_cross_attention is set"),
    ],
)
def test_settings_that_do_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny(**changes)


def test_a_model_needs_a_config_of_its_kind():
    with pytest.raises(TypeError, match="GPT2Model: got dict; it needs a GPT2Config"):
        GPT2Model({"n_layer": 2})


def test_the_representation_counts_parameters():
    text = repr(GPT2Model(tiny(n_layer=1)))
    assert "(c_attn): Conv1D(in_features=24, out_features=72, bias=True)  # 1,800 parameters" in text


def test_a_conv1d_is_a_linear_layer():
    assert isinstance(GPT2Model(tiny()).h[0].attn.c_attn, nn.Linear)
