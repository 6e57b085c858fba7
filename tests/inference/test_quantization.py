"""Models whose linear layers are quantised for inference."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm import nn
from minillm.inference import generate, quantize_dynamic
from minillm.models import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from minillm.nn import QuantizedLinear


def gpt2():
    return GPT2LMHeadModel(GPT2Config(vocab_size=65, n_positions=32, n_embd=32, n_layer=2, n_head=4))


def llama():
    config = LlamaConfig(
        vocab_size=65, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, eos_token_id=None,
    )  # fmt: skip
    return LlamaForCausalLM(config)


@pytest.fixture(params=["numpy", "numba"])
def kernel_set(request):
    if request.param == "numba":
        pytest.importorskip("numba")
    minillm.set_kernels(request.param)
    yield
    minillm.set_kernels(None)


@pytest.mark.parametrize("make", [gpt2, llama])
@pytest.mark.parametrize(("dtype", "close"), [("int8", 0.03), ("bfloat16", 0.03), (minillm.int8, 0.03)])
def test_logits_stay_close_and_the_model_as_it_was(kernel_set, make, dtype, close):
    minillm.manual_seed(0)
    model = make().eval()
    before = {name: p.numpy().copy() for name, p in model.state_dict().items()}
    small = quantize_dynamic(model, dtype)
    tokens = minillm.tensor(np.random.default_rng(0).integers(0, 65, (2, 9)))
    with minillm.no_grad():
        wide, narrow = model(tokens).logits.numpy(), small(tokens).logits.numpy()
    assert 0 < np.abs(narrow - wide).max() < close * np.abs(wide).max()
    assert all((before[name] == p.numpy()).all() for name, p in model.state_dict().items())
    assert not any(isinstance(module, nn.Linear) for module in small.modules())
    assert any(isinstance(module, QuantizedLinear) for module in small.modules())
    assert not any(isinstance(module, QuantizedLinear) for module in model.modules())


@pytest.mark.parametrize("make", [gpt2, llama])
@pytest.mark.parametrize("dtype", ["int8", "bfloat16"])
def test_a_token_at_a_time_is_the_whole_text_at_once(kernel_set, make, dtype):
    minillm.manual_seed(1)
    model = quantize_dynamic(make(), dtype, inplace=True)
    for prompt in ([[1, 2, 3]], [[4, 5, 6], [7, 8, 9]]):
        cached, anew = (generate(model, prompt, 12, use_cache=use).tolist() for use in (True, False))
        assert cached == anew


def test_a_layer_alone_and_what_is_left_out():
    layer = nn.Linear(4, 3)
    small = quantize_dynamic(layer)
    assert isinstance(small, QuantizedLinear)
    assert sorted(small.state_dict()) == ["bias", "scale", "weight"]
    assert small.weight.dtype == minillm.int8
    attention = quantize_dynamic(nn.TransformerEncoderLayer(8, 2, 16))
    assert type(attention.self_attn.out_proj) is nn.Linear
    assert isinstance(attention.linear1, QuantizedLinear)
    assert attention(minillm.ones(3, 2, 8)).shape == (3, 2, 8)
    shared = nn.Sequential(layer, nn.ReLU(), nn.Linear(3, 4), layer)
    small = quantize_dynamic(shared)
    assert isinstance(small[0], QuantizedLinear)
    assert small[0] is small[3]


def test_errors_say_what_is_needed():
    layer = nn.Linear(4, 3)
    with pytest.raises(ValueError, match="got the dtype 'int4'; there are 'int8' and 'bfloat16'"):
        quantize_dynamic(layer, "int4")
    with pytest.raises(ValueError, match="float16; it needs float32 or float64"):
        quantize_dynamic(layer.half())
    small = QuantizedLinear(nn.Linear(4, 3))
    with pytest.raises(minillm.autograd.errors.OperationError, match=r"shape \(2, 5\).*in_features = 4"):
        small(minillm.ones(2, 5))
    with pytest.raises(minillm.autograd.errors.OperationError, match="no gradient flows through it"):
        small(minillm.ones(2, 4, requires_grad=True))


def test_weights_go_into_a_file_and_back():
    first, second = (quantize_dynamic(nn.Sequential(nn.Linear(4, 3), nn.Tanh())) for _ in range(2))
    second.load_state_dict(first.state_dict())
    x = minillm.randn(2, 4)
    np.testing.assert_array_equal(first(x).numpy(), second(x).numpy())
