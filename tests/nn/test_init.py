from __future__ import annotations

import math

import numpy as np
import pytest

import minillm
from minillm import nn
from minillm.autograd.errors import OperationError
from minillm.nn import init


def filled(function, *args, shape=(300, 200), **options):
    minillm.manual_seed(0)
    tensor = nn.Parameter(minillm.empty(*shape))
    assert function(tensor, *args, **options) is tensor
    assert tensor.requires_grad
    return tensor.detach().cpu().numpy()


@pytest.mark.parametrize(
    ("function", "args", "std"),
    [
        ("uniform_", (-1.0, 3.0), 4 / math.sqrt(12)),
        ("normal_", (1.0, 0.02), 0.02),
        ("xavier_uniform_", (), math.sqrt(2 / 500)),
        ("xavier_uniform_", (3.0,), 3 * math.sqrt(2 / 500)),
        ("xavier_normal_", (2.0,), 2 * math.sqrt(2 / 500)),
        ("kaiming_uniform_", (), math.sqrt(2 / 200)),
        ("kaiming_uniform_", (math.sqrt(5),), math.sqrt(2 / 6 / 200)),
        ("kaiming_normal_", (0, "fan_out", "relu"), math.sqrt(2 / 300)),
        ("kaiming_normal_", (0, "fan_in", "linear"), math.sqrt(1 / 200)),
        ("orthogonal_", (2.0,), 2 / math.sqrt(300)),
        ("trunc_normal_", (), 0.8796),
    ],
)
def test_the_spread(function, args, std, device):
    values = filled(getattr(init, function), *args)
    assert abs(values.std() / std - 1) < 0.01
    if "uniform" in function:  # no bell: nothing is far out
        assert np.abs(values - values.mean()).max() < 1.75 * std


@pytest.mark.parametrize(("function", "arguments"), [("normal_", (1.0, 0.5)), ("uniform_", (-1.0, 3.0))])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_large_tensors_are_drawn_in_pieces_as_if_at_once(function, arguments, dtype, monkeypatch):
    tensors = []
    for piece in (100, 10**6):
        monkeypatch.setattr("minillm.ops._tensor._PIECE", piece)
        generator = minillm.Generator(seed=3)
        tensor = nn.Parameter(minillm.empty(37, 31, dtype=dtype))
        getattr(init, function)(tensor, *arguments, generator=generator)
        tensors += [tensor.detach().numpy(), generator.uniform((3,), device="cpu")]
    np.testing.assert_array_equal(tensors[0], tensors[2])
    np.testing.assert_array_equal(tensors[1], tensors[3])


def test_constants(device):
    assert (filled(init.constant_, 3.0) == 3).all()
    assert (filled(init.zeros_) == 0).all()
    assert (filled(init.ones_) == 1).all()
    assert (filled(init.eye_, shape=(2, 3)) == np.eye(2, 3)).all()


def test_fans_of_more_dimensions():
    torch = pytest.importorskip("torch")
    ours = filled(init.kaiming_uniform_, shape=(4, 3, 50))
    theirs = torch.nn.init.kaiming_uniform_(torch.empty(4, 3, 50))
    assert abs(np.abs(ours).max() / float(theirs.abs().max()) - 1) < 0.05


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (3, 2, 5), (4, 4)])
def test_orthogonal(shape):
    q = filled(init.orthogonal_, shape=shape).reshape(shape[0], -1).astype("float64")
    product = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-6)


def test_orthogonal_of_nothing():
    assert filled(init.orthogonal_, shape=(0, 3)).size == 0


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [(0, 1, -2, 2), (0, 0.02, -0.04, 0.04), (1, 2, -5, 0), (0, 1, 3, 10), (0, 1, -1e9, 1e9), (0, 1, -8, -3.5)],
)
def test_truncated_normal_numbers_have_the_right_distribution(mean, std, a, b):
    values = np.sort(filled(init.trunc_normal_, mean, std, a, b).reshape(-1).astype("float64"))
    assert values[0] >= a
    assert values[-1] <= b

    def below(x):  # from the side of the tail, so that digits are not lost
        sign = -1 if a > mean else 1
        return sign * 0.5 * math.erfc(sign * (mean - x) / std / math.sqrt(2))

    share = [(below(x) - below(a)) / (below(b) - below(a)) for x in values[::600]]
    np.testing.assert_allclose(share, np.linspace(0, 1, len(values))[::600], atol=0.01)


def test_truncated_normal_numbers_without_spread():
    assert (filled(init.trunc_normal_, 5.0, 0.0) == 2).all()
    assert (filled(init.trunc_normal_, 0.0, 1.0, 1.0, 1.0) == 1).all()
    for options in ({"a": 1, "b": 0}, {"std": -1}):
        with pytest.raises(OperationError, match="it needs a <= b and std >= 0"):
            filled(init.trunc_normal_, **options)


def test_gains_are_those_of_torch():
    torch = pytest.importorskip("torch")
    for name in ("linear", "conv1d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain("leaky_relu", 0.5) == torch.nn.init.calculate_gain("leaky_relu", 0.5)
    with pytest.raises(OperationError, match="calculate_gain: got 'swish'"):
        init.calculate_gain("swish")
    with pytest.raises(OperationError, match="a negative slope of True"):
        init.calculate_gain("leaky_relu", True)


def test_what_does_not_fit_is_refused():
    vector = minillm.empty(3)
    with pytest.raises(OperationError, match=r"init: got shape \(3,\)"):
        init.xavier_uniform_(vector)
    with pytest.raises(OperationError, match="eye_: got shape"):
        init.eye_(vector)
    with pytest.raises(OperationError, match="orthogonal_: got shape"):
        init.orthogonal_(vector)
    with pytest.raises(OperationError, match="mode='fan'"):
        init.kaiming_normal_(minillm.empty(2, 3), mode="fan")


@pytest.mark.parametrize(
    "function",
    [init.uniform_, init.normal_, init.trunc_normal_, init.xavier_normal_, init.kaiming_uniform_, init.orthogonal_],
)
def test_a_generator_of_ones_own(function):
    before = minillm.get_rng_state()
    a, b = (function(minillm.empty(2, 3), generator=minillm.Generator(seed=5)) for _ in range(2))
    assert a.tolist() == b.tolist()
    assert minillm.get_rng_state() == before


def test_every_device_starts_from_the_same_numbers(device):
    minillm.manual_seed(1)
    here = nn.Linear(3, 2).weight.tolist()
    minillm.manual_seed(1)
    assert nn.Linear(3, 2, device="cpu").weight.tolist() == here
