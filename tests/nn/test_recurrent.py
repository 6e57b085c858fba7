"""RNN, GRU and LSTM against PyTorch, in every combination of layers, directions and forms of batches."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minillm
from minillm import nn, ops
from minillm.autograd.errors import OperationError
from minillm.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

INPUT, HIDDEN, STEPS, LENGTHS = 3, 4, 5, [3, 5, 1]
KINDS = {
    "RNN": ("RNN", {}),
    "RNN relu": ("RNN", {"nonlinearity": "relu"}),
    "GRU": ("GRU", {}),
    "LSTM": ("LSTM", {}),
    "LSTM proj": ("LSTM", {"proj_size": 2}),
}
def modules(torch, kind: str, **options):
    """The same network in both libraries, in float64; the weights go over by state_dict."""
    name, more = KINDS[kind]
    theirs = getattr(torch.nn, name)(INPUT, HIDDEN, **more, **options, dtype=torch.float64)
    ours = getattr(nn, name)(INPUT, HIDDEN, **more, **options, dtype="float64")
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    return theirs, ours


def run(library, rnn_utils, module, form: str, x, hx):
    """The outputs as a list: outputs (padded where packed), last states, and batch_sizes."""
    first = "first" in form
    if not form.startswith("packed"):
        y, last = module(x, hx) if hx is not None else module(x)
        sizes = []
    else:
        lengths = sorted(LENGTHS, reverse=True) if "sorted" in form else LENGTHS
        packed = rnn_utils.pack_padded_sequence(
            x, library.tensor(lengths), batch_first=first, enforce_sorted="sorted" in form
        )
        packed, last = module(packed, hx)
        y, got = rnn_utils.pad_packed_sequence(packed, batch_first=first)
        assert got.tolist() == lengths
        sizes = packed.batch_sizes.tolist()
    return [y, *(last if isinstance(last, tuple) else [last])], sizes


@pytest.mark.parametrize("kind", KINDS)
def test_names_shapes_order_and_representation_are_pytorchs(kind):
    torch = pytest.importorskip("torch")
    for options in ({}, {"num_layers": 3, "bidirectional": True, "dropout": 0.5, "batch_first": True, "bias": False}):
        theirs, ours = modules(torch, kind, **options)
        assert [(n, tuple(p.shape)) for n, p in ours.named_parameters()] == [
            (n, tuple(p.shape)) for n, p in theirs.named_parameters()
        ]
        assert repr(ours).partition("  #")[0] == repr(theirs)
        for weights, expected in zip(ours.all_weights, theirs.all_weights, strict=True):
            assert [w.shape for w in weights] == [tuple(w.shape) for w in expected]
    ours.flatten_parameters()


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_start_evenly_within_the_bound(kind):
    name, more = KINDS[kind]
    minillm.manual_seed(0)
    module = getattr(nn, name)(50, 64, **more)
    values = np.concatenate([p.detach().numpy().reshape(-1) for p in module.parameters()])
    bound = 1 / math.sqrt(64)
    assert np.abs(values).max() <= bound
    assert np.abs(values).max() > 0.99 * bound
    assert abs(values.std() - bound / math.sqrt(3)) < 0.01 * bound


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["batch_first", "packed", "no batch"])
def test_on_every_device(device, kind, form):
    """The device's result and gradients are those of the CPU, and lie on the device."""
    name, more = KINDS[kind]
    module = getattr(nn, name)(INPUT, HIDDEN, 2, bidirectional=True, batch_first="first" in form, **more)
    shape = (STEPS,) if form == "no batch" else (3, STEPS) if "first" in form else (STEPS, 3)
    x = ops.randn(*shape, INPUT).requires_grad_()
    results = []
    for place in (device, "cpu"):
        here = module.to(place)
        here.zero_grad()
        x_here = x.detach().to(place).requires_grad_()
        ys, _ = run(minillm, nn.utils.rnn, here, form, x_here, None)
        sum((y * y).sum() for y in ys).backward()
        assert all(y.device.type == place for y in ys)
        results.append([*ys, x_here.grad, *(p.grad for p in here.parameters())])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a.numpy(force=True), b.numpy(force=True), rtol=1e-4, atol=1e-5)


@given(
    st.lists(st.integers(1, 7), min_size=1, max_size=5),
    st.sampled_from(sorted(KINDS)),
    st.integers(1, 2),
    st.booleans(),
)
def test_a_packed_batch_is_its_sequences_one_by_one(lengths, kind, num_layers, bidirectional):
    name, more = KINDS[kind]
    module = getattr(nn, name)(INPUT, HIDDEN, num_layers, bidirectional=bidirectional, dtype="float64", **more)
    padded = ops.randn(max(lengths), len(lengths), INPUT, dtype="float64").requires_grad_()
    packed = pack_padded_sequence(padded, lengths, enforce_sorted=False)
    packed, last = module(packed)
    y, _ = pad_packed_sequence(packed)
    (dx,) = minillm.autograd.grad((y * y).sum(), padded)
    for b, n in enumerate(lengths):
        alone = padded.detach()[:n, b].clone().requires_grad_()
        y_alone, last_alone = module(alone)
        assert not y.detach()[n:, b].any()
        for batched, single in zip(
            [y[:n, b], *(s[:, b] for s in (last if kind.startswith("LSTM") else [last]))],
            [y_alone, *(last_alone if kind.startswith("LSTM") else [last_alone])],
            strict=True,
        ):
            np.testing.assert_allclose(batched.detach().numpy(), single.detach().numpy(), atol=1e-12)
        (dx_alone,) = minillm.autograd.grad((y_alone * y_alone).sum(), alone)
        np.testing.assert_allclose(dx.numpy()[:n, b], dx_alone.numpy(), atol=1e-12)
        assert not dx.numpy()[n:, b].any()


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_batch_gives_empty_results(kind):
    name, more = KINDS[kind]
    module = getattr(nn, name)(INPUT, HIDDEN, 2, bidirectional=True, **more)
    x = ops.zeros(STEPS, 0, INPUT, requires_grad=True)
    y, last = module(x)
    features = 2 * (more.get("proj_size") or HIDDEN)
    assert y.shape == (STEPS, 0, features)
    assert (last if isinstance(last, minillm.Tensor) else last[1]).shape == (4, 0, HIDDEN)
    y.sum().backward()
    assert x.grad.shape == x.shape
    assert not module.weight_hh_l0.grad.numpy().any()


def test_dropout_acts_between_layers_while_training():
    minillm.manual_seed(0)
    module = nn.LSTM(INPUT, 50, 2, dropout=1.0)
    x = ops.randn(STEPS, 2, INPUT)
    one_layer = nn.LSTM(50, 50)
    names = {n: getattr(module, n.replace("l0", "l1")) for n in one_layer.state_dict()}
    one_layer.load_state_dict(names)
    dropped = one_layer(ops.zeros(STEPS, 2, 50))[0]  # everything between the layers is dropped
    np.testing.assert_allclose(module(x)[0].detach().numpy(), dropped.detach().numpy(), atol=1e-6)
    module.eval()
    assert np.abs(module(x)[0].detach().numpy() - dropped.detach().numpy()).max() > 1e-3
    module.train()
    module.dropout = 0.5
    assert (module(x)[0] != module(x)[0]).any()


def test_a_write_to_the_output_before_backward_is_an_error():
    module = nn.GRU(INPUT, HIDDEN)
    y, _ = module(ops.ones(STEPS, 2, INPUT))
    with minillm.no_grad():
        y.mul_(2)
    with pytest.raises(OperationError, match=r"gru_layer: an array that it saved .* written to"):
        y.sum().backward()


def test_frozen_parameters_get_no_gradient():
    module = nn.LSTM(INPUT, HIDDEN, 2)
    for name in ("weight_ih_l0", "weight_hh_l1", "bias_ih_l0"):
        module.get_parameter(name).requires_grad_(False)
    module(ops.ones(STEPS, 2, INPUT))[0].sum().backward()
    without = {name for name, p in module.named_parameters() if p.grad is None}
    assert without == {"weight_ih_l0", "weight_hh_l1", "bias_ih_l0"}


# -- errors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"input_size": 0}, ValueError, "input_size=0; it needs to be 1 at least"),
        ({"hidden_size": -1}, ValueError, "hidden_size=-1"),
        ({"hidden_size": 2.5}, TypeError, "hidden_size=2.5; it needs an integer"),
        ({"num_layers": 0}, ValueError, "num_layers=0"),
        ({"num_layers": True}, TypeError, "num_layers=True; it needs an integer"),
        ({"dropout": 1.5}, ValueError, "dropout=1.5; it needs a probability"),
        ({"dropout": True}, ValueError, "dropout=True"),
        ({"dropout": "much"}, ValueError, "dropout='much'"),
        ({"bias": 1}, TypeError, "bias=1; it needs True or False"),
        ({"batch_first": None}, TypeError, "batch_first=None"),
        ({"proj_size": -1}, ValueError, "proj_size=-1"),
        ({"proj_size": 4}, ValueError, "proj_size=4; it needs to be smaller than hidden_size=4"),
    ],
)
def test_settings_that_make_no_network(options, error, message):
    with pytest.raises(error, match=message) as caught:
        nn.LSTM(**{"input_size": 3, "hidden_size": 4, **options})
    assert str(caught.value).startswith("LSTM: got")


def test_dropout_with_one_layer_warns():
    with pytest.warns(UserWarning, match=r"GRU: dropout=0\.5 does nothing with one layer") as caught:
        nn.GRU(3, 4, dropout=0.5)
    assert caught[0].filename == __file__


def test_an_unknown_mode():
    with pytest.raises(ValueError, match="needs one of RNN_TANH, RNN_RELU, GRU, LSTM"):
        nn.RNNBase("ELMAN", 3, 4)
    with pytest.raises(NotImplementedError):
        nn.RNNBase("GRU", 3, 4)(ops.ones(1, 1, 3))


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("GRU", lambda: [ops.ones(5, 2, 9)], r"GRU: got an input of shape \(5, 2, 9\).*input_size=3"),
        ("GRU", lambda: [ops.ones(3)], r"GRU: got an input of shape \(3,\); it needs \(T, B, input_size\)"),
        ("GRU", lambda: [ops.ones(1, 5, 2, 3)], r"got an input of shape \(1, 5, 2, 3\)"),
        ("RNN", lambda: [ops.ones(0, 2, 3)], r"got an input of shape \(0, 2, 3\); it needs one step"),
        ("RNN", lambda: [ops.ones(5, 2, 3).double()], "RNN: got an input of float64.*float32"),
        ("RNN", lambda: [ops.ones(5, 2, 3).long()], "RNN: got an input of int64"),
        ("RNN", lambda: [[1.0]], "RNN: got list; it needs a tensor or a PackedSequence"),
        ("GRU", lambda: [ops.ones(5, 2, 3), ops.ones(2, 2, 4)], r"got hx of shape \(2, 2, 4\).*\(1, 2, 4\)"),
        ("GRU", lambda: [ops.ones(5, 2, 3), ops.ones(2, 4)], r"hx of shape \(2, 4\); it needs \(1, 2, 4\)"),
        ("GRU", lambda: [ops.ones(5, 3), ops.ones(1, 1, 4)], r"hx of shape \(1, 1, 4\); it needs \(1, 4\)"),
        ("GRU", lambda: [ops.ones(5, 2, 3), (ops.ones(1, 2, 4),) * 2], "got hx of shape tuple"),
        ("GRU", lambda: [ops.ones(5, 2, 3), ops.ones(1, 2, 4).double()], "hx of float64 and an input of float32"),
        ("LSTM", lambda: [ops.ones(5, 2, 3), ops.ones(1, 2, 4)], r"LSTM: got hx of Tensor; it needs a pair"),
        ("LSTM", lambda: [ops.ones(5, 2, 3), (ops.ones(1, 2, 4),)], "LSTM: got hx of tuple; it needs a pair"),
        (
            "LSTM",
            lambda: [ops.ones(5, 2, 3), (ops.ones(1, 2, 4), ops.ones(1, 3, 4))],
            r"LSTM: got c_0 of shape \(1, 3, 4\); it needs \(1, 2, 4\)",
        ),
        (
            "LSTM",
            lambda: [nn.utils.rnn.pack_sequence([ops.ones(5, 9)])],
            r"LSTM: got an input of shape \(5, 9\).*input_size=3",
        ),
        (
            "LSTM",
            lambda: [nn.utils.rnn.pack_sequence([ops.ones(5, 2, 3)])],
            r"LSTM: got an input of shape \(5, 2, 3\); it needs \(N, input_size\) of a packed",
        ),
        (
            "LSTM",
            lambda: [nn.utils.rnn.PackedSequence(ops.ones(5, 3), minillm.tensor([3, 1]))],
            "LSTM: got a packed sequence of 5 rows whose batch_sizes add up to 4",
        ),
    ],
)
def test_inputs_that_do_not_fit(kind, arguments, message):
    module = getattr(nn, kind)(3, 4)
    with pytest.raises(OperationError, match=message) as caught:
        module(*arguments())
    assert str(caught.value).endswith(f"(in {kind})")


def test_batch_first_errors_speak_of_it():
    with pytest.raises(OperationError, match=r"it needs \(B, T, input_size\), or \(T, input_size\)"):
        nn.RNN(3, 4, batch_first=True)(ops.ones(3))
