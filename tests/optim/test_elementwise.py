"""Every optimizer that treats each number alike makes PyTorch's steps, with every combination of options."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minillm
from minillm import optim
from minillm.kernels.cpu import optimizers as kernels
from minillm.optim import elementwise
from minillm.testing.cases.optimizers import OPTIMIZERS

SHAPES: list[tuple[int, ...]] = [(3, 4), (4,), (), (0, 2), (30, 20), (601,)]


# The options of the table of cases, here on large parameters as well, which are walked in tiles.
NAMES = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam", "RAdam"]
CASES: list[tuple[str, dict[str, Any]]] = [
    (name, steps.options) for name in NAMES for steps in OPTIMIZERS[f"optim.{name}"] if not steps.groups
]


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    return np.asarray(rng.normal(size=shape)).astype(dtype)


@pytest.fixture
def small_limits(monkeypatch):
    """Parameters of more than 500 numbers are large here, and walked in tiles of 128 bytes."""
    monkeypatch.setattr(elementwise, "SMALL", 500)
    monkeypatch.setattr(kernels, "TILE_BYTES", 128)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda value: str(value))
def test_steps_are_those_of_pytorch(name, options, dtype, small_limits):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(7)
    start = [numbers(rng, shape, dtype) for shape in SHAPES]
    ours = [minillm.tensor(x, requires_grad=True) for x in start]
    theirs = [torch.tensor(x, requires_grad=True) for x in start]
    a, b = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    for _ in range(10):
        for p, q in zip(ours, theirs, strict=True):
            gradient = numbers(rng, tuple(p.shape), dtype)
            p.grad, q.grad = minillm.tensor(gradient), torch.tensor(gradient)
        a.step()
        b.step()
        for p, q in zip(ours, theirs, strict=True):
            rtol, atol = (2e-5, 2e-6) if dtype == "float32" else (1e-12, 1e-13)
            if name == "NAdam":  # PyTorch keeps the product of momenta in float32
                rtol, atol = max(rtol, 1e-7), max(atol, 1e-8)
            np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol, atol)
    for p, q in zip(ours, theirs, strict=True):
        assert set(a.state[p]) == set(b.state[q])
        for key, value in b.state[q].items():
            got = a.state[p][key]
            got = got.numpy() if isinstance(got, minillm.Tensor) else got
            np.testing.assert_allclose(got, value.numpy(), 2e-4, 1e-6, err_msg=key)


@pytest.mark.parametrize(("name", "options"), CASES[::5], ids=lambda value: str(value))
def test_devices_agree(name, options, device, small_limits):
    rng = np.random.default_rng(7)
    start = [numbers(rng, shape, "float32") for shape in SHAPES]
    here = [minillm.tensor(x, requires_grad=True) for x in start]
    there = [minillm.tensor(x, requires_grad=True, device="cpu") for x in start]
    a, b = getattr(optim, name)(here, **options), getattr(optim, name)(there, **options)
    for _ in range(4):
        for p, q in zip(here, there, strict=True):
            gradient = numbers(rng, tuple(p.shape), "float32")
            p.grad, q.grad = minillm.tensor(gradient), minillm.tensor(gradient, device="cpu")
        a.step()
        b.step()
    for p, q in zip(here, there, strict=True):
        assert p.device.type == device.partition(":")[0]
        np.testing.assert_allclose(p.detach().cpu().numpy(), q.detach().numpy(), 1e-5, 1e-6)


@pytest.mark.parametrize("name", ["SGD", "AdamW", "RMSprop", "Adagrad", "NAdam", "RAdam"])
def test_memory_in_another_order_makes_the_same_steps(name, small_limits):
    rng = np.random.default_rng(7)
    x, g = numbers(rng, (40, 30), "float64"), numbers(rng, (40, 30), "float64")
    plain = minillm.tensor(x, requires_grad=True)
    turned = minillm.Tensor(np.asfortranarray(x), requires_grad=True)
    plain.grad = minillm.tensor(g)
    turned.grad = minillm.Tensor(np.asfortranarray(g))
    for p in (plain, turned):
        optimizer = getattr(optim, name)([p], lr=0.1)
        optimizer.step()
        optimizer.step()
    np.testing.assert_array_equal(plain.detach().numpy(), turned.detach().numpy())


def test_a_parameter_without_gradient_is_passed_over():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(7)
    start = [numbers(rng, (3,), "float64") for _ in range(4)]
    ours = [minillm.tensor(x, requires_grad=True) for x in start]
    theirs = [torch.tensor(x, requires_grad=True) for x in start]
    a, b = optim.AdamW(ours, lr=0.1), torch.optim.AdamW(theirs, lr=0.1)
    for step in range(12):
        for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            p.grad = q.grad = None
            if (step + i) % 3 != 0 and i != 3:
                gradient = numbers(rng, (3,), "float64")
                p.grad, q.grad = minillm.tensor(gradient), torch.tensor(gradient)
        a.step()
        b.step()
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), 1e-12)
    assert [a.state[p]["step"] for p in ours[:3]] == [int(b.state[q]["step"]) for q in theirs[:3]]
    assert ours[3] not in a.state
    np.testing.assert_array_equal(ours[3].detach().numpy(), start[3])


def test_the_settings_of_a_group_may_change_between_steps():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(7)
    start = [numbers(rng, (3,), "float64") for _ in range(4)]
    ours = [minillm.tensor(x, requires_grad=True) for x in start]
    theirs = [torch.tensor(x, requires_grad=True) for x in start]
    a, b = optim.SGD(ours, lr=0.1), torch.optim.SGD(theirs, lr=0.1)
    changes = [
        {},
        {"momentum": 0.9},
        {"lr": 0.02, "weight_decay": 0.1},
        {"nesterov": True},
        {"momentum": 0.0, "nesterov": False},
    ]
    for change in changes:
        for optimizer in (a, b):
            optimizer.param_groups[0].update(change)
        for _ in range(2):
            for p, q in zip(ours, theirs, strict=True):
                gradient = numbers(rng, (3,), "float64")
                p.grad, q.grad = minillm.tensor(gradient), torch.tensor(gradient)
            a.step()
            b.step()
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), 1e-12)


def test_a_group_added_later_starts_from_its_own_first_step():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(7)
    start = [numbers(rng, (3,), "float64") for _ in range(4)]
    ours = [minillm.tensor(x, requires_grad=True) for x in start]
    theirs = [torch.tensor(x, requires_grad=True) for x in start]
    a, b = optim.Adam(ours[:2], lr=0.1), torch.optim.Adam(theirs[:2], lr=0.1)
    for step in range(6):
        if step == 3:
            a.add_param_group({"params": ours[2:], "lr": 0.5})
            b.add_param_group({"params": theirs[2:], "lr": 0.5})
        for p, q in zip(ours, theirs, strict=True):
            gradient = numbers(rng, (3,), "float64")
            p.grad, q.grad = minillm.tensor(gradient), torch.tensor(gradient)
        a.step()
        b.step()
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), 1e-12)


def test_a_float16_parameter_stays_float16():
    p = minillm.tensor([1.0, 2.0], dtype=minillm.float16, requires_grad=True)
    p.grad = minillm.tensor([1.0, -1.0], dtype=minillm.float16)
    optimizer = optim.AdamW([p], lr=0.1, weight_decay=0, eps=1e-4)
    optimizer.step()
    assert p.dtype == minillm.float16
    assert optimizer.state[p]["exp_avg"].dtype == minillm.float16
    np.testing.assert_allclose(p.detach().numpy(), [0.9, 2.1], rtol=2e-3)


def test_a_learning_rate_may_be_a_tensor():
    p = minillm.tensor([1.0], requires_grad=True)
    p.grad = minillm.tensor([1.0])
    optim.SGD([p], lr=minillm.tensor(0.25)).step()
    assert p.item() == 0.75
    with pytest.raises(ValueError, match="1-element"):
        optim.SGD([p], lr=minillm.tensor([0.25, 0.5]))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("SGD", {"lr": -1}, "Invalid learning rate: -1"),
        ("SGD", {"momentum": -1}, "Invalid momentum value: -1"),
        ("SGD", {"weight_decay": -1}, "Invalid weight_decay value: -1"),
        ("SGD", {"nesterov": True}, "Nesterov momentum requires"),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "Nesterov momentum requires"),
        ("Adam", {"lr": float("nan")}, "Invalid learning rate: nan"),
        ("Adam", {"eps": -1}, "Invalid epsilon value: -1"),
        ("Adam", {"betas": (1.0, 0.9)}, "Invalid beta parameter at index 0: 1.0"),
        ("AdamW", {"betas": (0.9, -0.1)}, "Invalid beta parameter at index 1: -0.1"),
        ("AdamW", {"betas": (0.9,)}, "two numbers"),
        ("AdamW", {"weight_decay": -1}, "Invalid weight_decay value: -1"),
        ("RMSprop", {"alpha": -1}, "Invalid alpha value: -1"),
        ("RMSprop", {"momentum": -1}, "Invalid momentum value: -1"),
        ("Adagrad", {"lr_decay": -1}, "Invalid lr_decay value: -1"),
        ("Adagrad", {"initial_accumulator_value": -1}, "Invalid initial_accumulator_value value: -1"),
        ("NAdam", {"momentum_decay": -1}, "Invalid momentum_decay value: -1"),
        ("RAdam", {"eps": -1}, "Invalid epsilon value: -1"),
    ],
)
def test_a_setting_out_of_range_is_an_error(name, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(optim, name)([minillm.ones(1)], **options)


def test_every_default_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    for name in sorted({name for name, _ in CASES}):
        ours = getattr(optim, name)([minillm.ones(1, requires_grad=True)])
        theirs = getattr(torch.optim, name)([torch.ones(1, requires_grad=True)])
        assert ours.defaults == theirs.defaults, name


def test_the_base_alone_does_not_know_how_to_step():
    p = minillm.ones(1, requires_grad=True)
    p.grad = minillm.ones(1)
    with pytest.raises(NotImplementedError):
        elementwise.ElementwiseOptimizer([p], {}).step()


def test_memory_that_cannot_be_written_to_is_copied_first():
    array = np.ones(3, np.float32)
    array.flags.writeable = False
    p = minillm.Tensor(array, requires_grad=True)
    p.grad = minillm.ones(3)
    optim.SGD([p], lr=0.5).step()
    assert p.tolist() == [0.5, 0.5, 0.5]
    assert array.tolist() == [1, 1, 1]


def test_a_step_counts_as_a_write_for_what_was_saved():
    x = minillm.tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    optim.SGD([x], lr=0.1).step()
    with pytest.raises(RuntimeError, match="written to in place"):
        y.backward()
