"""Groups, settings, hooks and the state of optimizers, as PyTorch has them."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest

import minillm
from minillm import nn, optim
from minillm.optim.optimizer import required

NAMES = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam", "RAdam", "Adafactor", "Muon"]
OPTIONS = {
    "SGD": {"momentum": 0.9},
    "RMSprop": {"momentum": 0.9, "centered": True},
    "Adam": {"amsgrad": True},
}


def leaf(*shape):
    return minillm.ones(*shape, requires_grad=True)


# -- parameters and groups ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (lambda: leaf(2), TypeError, "iterable of Tensors or dicts"),
        (list, ValueError, "empty parameter list"),
        (lambda: [{"lr": 1.0}], ValueError, 'needs the key "params"'),
        (lambda: [{"params": {leaf(2), leaf(2)}}], TypeError, "ordered collections"),
        (lambda: [np.ones(2)], TypeError, "can only optimize Tensors, but one of the params is ndarray"),
        (lambda: [leaf(2) * 2], ValueError, "can't optimize a non-leaf Tensor"),
        (lambda: [("w", leaf(2) * 2)], ValueError, "non-leaf Tensor: w was computed"),
        (lambda: [leaf(2)] * 2, ValueError, "same parameter more than once"),
        (lambda: [("a", leaf(2)), leaf(2)], ValueError, "with/without names"),
        (
            lambda: [{"params": [("a", leaf(2))]}, {"params": leaf(2)}],
            ValueError,
            "cannot add param group without names",
        ),
        (lambda: [{"params": [leaf(2)]}, 5], TypeError, "param_group must be a dict, but got int"),
    ],
)
def test_what_cannot_be_optimized_is_an_error(params, error, message):
    with pytest.raises(error, match=message):
        optim.SGD(params(), lr=0.1)


def test_a_parameter_in_two_groups_is_an_error():
    p = leaf(2)
    with pytest.raises(ValueError, match="more than one parameter group"):
        optim.SGD([{"params": [p]}, {"params": [p]}], lr=0.1)


def test_groups_have_settings_of_their_own():
    a, b = leaf(1), leaf(1)
    optimizer = optim.SGD([{"params": a, "lr": 0.5}, {"params": iter([b])}], lr=0.25)
    for p in (a, b):
        p.grad = minillm.ones(1)
    optimizer.step()
    assert (a.item(), b.item()) == (0.5, 0.75)
    assert optimizer.param_groups[1]["params"] == [b]


def test_the_groups_that_are_given_stay_as_they_are():
    group = {"params": [leaf(1)]}
    optim.SGD([group], lr=0.25)
    assert list(group) == ["params"]


def test_named_parameters_are_accepted():
    model = nn.Linear(2, 3)
    optimizer = optim.AdamW(model.named_parameters())
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    plain = optim.AdamW(model.parameters())
    plain.load_state_dict(optimizer.state_dict())
    assert plain.param_groups[0]["param_names"] == ["weight", "bias"]
    optimizer.load_state_dict(optim.AdamW(model.parameters()).state_dict())
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]


def test_a_required_setting_must_be_given():
    class Plain(optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {"lr": required})

    with pytest.raises(ValueError, match="required optimization parameter lr"):
        Plain([leaf(1)])
    with pytest.raises(NotImplementedError, match="Plain needs a method step"):
        Plain([{"params": [leaf(1)], "lr": 1}]).step()
    assert "required" in repr(required)


def test_zero_grad():
    p, q = leaf(2), leaf(2)
    optimizer = optim.SGD([p, q], lr=0.1)
    (p * 3).sum().backward()
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0, 0]
    assert q.grad is None
    optimizer.zero_grad()
    assert p.grad is None


@pytest.mark.parametrize("name", NAMES)
def test_a_closure_computes_the_loss_with_gradients(name):
    p = leaf(2, 2)
    optimizer = getattr(optim, name)([p])

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with minillm.no_grad():
        assert optimizer.step(closure).item() == 4
    assert (p.detach() < 1).all()
    assert optimizer.step() is None


def test_repr_shows_the_settings_of_each_group():
    text = repr(optim.SGD([leaf(1)], lr=0.1))
    assert text.startswith("SGD (\nParameter Group 0\n    dampening: 0\n")
    assert "    lr: 0.1\n" in text
    assert text.endswith("\n)")


def test_hooks_run_around_each_step():
    p = leaf(1)
    p.grad = minillm.ones(1)
    optimizer = optim.SGD([p], lr=0.25)
    seen = []
    before = optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append(p.item()))
    after = optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(p.item()))
    optimizer.step()
    assert seen == [1.0, 0.75]
    before.remove()
    after.remove()
    optimizer.step()
    assert seen == [1.0, 0.75]
    with optimizer.register_step_pre_hook(lambda o, args, kwargs: ((), {"closure": lambda: 7})):
        assert optimizer.step() == 7
    with (
        optimizer.register_step_pre_hook(lambda o, args, kwargs: 3),
        pytest.raises(RuntimeError, match="a tuple of"),
    ):
        optimizer.step()


# -- the state ------------------------------------------------------------------------------------


def make_pair(torch, name, dtype="float64"):
    """The same two parameters and optimizer, here and in PyTorch, with a setting for each group."""
    rng = np.random.default_rng(3)
    start = [rng.normal(size=shape).astype(dtype) for shape in ((3, 4), (2, 3))]
    ours = [minillm.tensor(x, requires_grad=True) for x in start]
    theirs = [torch.tensor(x, requires_grad=True) for x in start]
    options = OPTIONS.get(name, {})
    a = getattr(optim, name)([{"params": ours[:1], "lr": 0.1}, {"params": ours[1:]}], **options)
    b = getattr(torch.optim, name)([{"params": theirs[:1], "lr": 0.1}, {"params": theirs[1:]}], **options)
    return ours, theirs, a, b


def steps(torch, ours, theirs, a, b, seed):
    rng = np.random.default_rng(seed)
    for _ in range(3):
        for p, q in zip(ours, theirs, strict=True):
            gradient = rng.normal(size=tuple(p.shape))
            p.grad, q.grad = minillm.tensor(gradient), torch.tensor(gradient)
        a.step()
        b.step()


def for_torch(torch, value):
    if isinstance(value, minillm.Tensor):
        return torch.from_numpy(value.numpy().copy())
    if isinstance(value, dict):
        return {key: for_torch(torch, item) for key, item in value.items()}
    return [for_torch(torch, item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", [name for name in NAMES if name != "Muon"])
@pytest.mark.parametrize("way", ["to torch", "from torch"])
def test_the_state_moves_both_ways_in_the_middle_of_a_run(name, way):
    torch = pytest.importorskip("torch")
    ours, theirs, a, b = make_pair(torch, name)
    steps(torch, ours, theirs, a, b, seed=4)
    if way == "to torch":
        state = a.state_dict()
        b = getattr(torch.optim, name)([{"params": theirs[:1]}, {"params": theirs[1:]}])
        b.load_state_dict(for_torch(torch, state))
    else:
        state = b.state_dict()
        a = getattr(optim, name)([{"params": ours[:1]}, {"params": ours[1:]}])
        a.load_state_dict(state)
    assert [group["lr"] for group in a.param_groups] == [group["lr"] for group in b.param_groups]
    steps(torch, ours, theirs, a, b, seed=5)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), 1e-7, 1e-9)
    # The same structure: the same keys all the way down.
    ours_state, theirs_state = a.state_dict(), b.state_dict()
    assert ours_state["param_groups"] == theirs_state["param_groups"]
    for number, values in theirs_state["state"].items():
        assert set(ours_state["state"][number]) == set(values)
        for key, value in values.items():
            got = ours_state["state"][number][key]
            shape = got.shape if isinstance(got, minillm.Tensor) else ()
            assert tuple(shape) == tuple(value.shape), key


def test_without_momentum_nothing_is_remembered():
    p = leaf(2)
    p.grad = minillm.ones(2)
    optimizer = optim.SGD([p, leaf(1)], lr=0.1)
    optimizer.step()
    assert optimizer.state_dict()["state"] == {}


def trained(name="Adam"):
    params = [leaf(2, 2), leaf(3, 2)]
    optimizer = getattr(optim, name)(params)
    for p in params:
        p.grad = minillm.ones(*p.shape)
    optimizer.step()
    return params, optimizer


def test_what_is_loaded_is_a_copy():
    _, optimizer = trained()
    params, other = trained()
    state = optimizer.state_dict()
    other.load_state_dict(state)
    other.step()
    assert state["state"][0]["step"] == 1
    assert other.state[params[0]]["step"] == 2
    assert state["state"][0]["exp_avg"].numpy()[0, 0] == pytest.approx(0.1)
    other.param_groups[0]["lr"] = 7
    assert state["param_groups"][0]["lr"] != 7


@pytest.mark.parametrize("name", NAMES)
def test_numbers_go_through_json(name):
    _, optimizer = trained(name)
    state = optimizer.state_dict()
    numbers = {
        str(i): {key: value for key, value in values.items() if not isinstance(value, minillm.Tensor)}
        for i, values in state["state"].items()
    }
    assert json.loads(json.dumps(numbers)) == numbers
    json.dumps(state["param_groups"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("state"), "lacks 'state'"),
        (lambda s: s["param_groups"].append(s["param_groups"][0]), "different number of parameter groups: 2"),
        (lambda s: s["param_groups"][0]["params"].append(2), "group 0 has 3 parameters there and 2 here"),
        (
            lambda s: s["state"][1].update(exp_avg=minillm.ones(3)),
            r"parameter 1, exp_avg: got shape \(3,\); a parameter of shape \(3, 2\) needs \(3, 2\)",
        ),
    ],
)
def test_a_state_that_does_not_fit_is_an_error_and_changes_nothing(change, message):
    params, optimizer = trained()
    before = copy.deepcopy(optimizer.state[params[0]])
    state = copy.deepcopy(trained()[1].state_dict())
    change(state)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(state)
    assert optimizer.state[params[0]]["step"] == before["step"]
    assert (optimizer.state[params[0]]["exp_avg"] == before["exp_avg"]).all()


def test_a_state_is_cast_to_the_dtype_and_device_of_the_parameter(device):
    _, optimizer = trained()
    p, q = minillm.ones(2, 2, dtype="float64").requires_grad_(), minillm.ones(3, 2).requires_grad_()
    other = optim.Adam([p, q])
    with minillm.device("cpu"):
        state = optimizer.state_dict()
    other.load_state_dict(state)
    assert other.state[p]["exp_avg"].dtype == minillm.float64
    assert other.state[p]["exp_avg"].device == p.device


def test_settings_that_an_older_file_lacks_get_their_default():
    _, optimizer = trained()
    state = copy.deepcopy(optimizer.state_dict())
    del state["param_groups"][0]["decoupled_weight_decay"]
    optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["decoupled_weight_decay"] is False
    optimizer.step()


def test_keys_that_are_no_parameters_are_kept():
    _, optimizer = trained()
    state = copy.deepcopy(optimizer.state_dict())
    state["state"]["global"] = {"count": [1, 2]}
    optimizer.load_state_dict(state)
    assert optimizer.state_dict()["state"]["global"] == {"count": [1, 2]}


def test_an_optimizer_of_ones_own_loads_any_shape():
    class Own(optim.Optimizer):
        pass

    p = leaf(2)
    optimizer = Own([p], {})
    optimizer.state[p] = {"table": minillm.ones(5), "note": None, "step": 3}
    other = Own([leaf(2)], {})
    other.load_state_dict(optimizer.state_dict())
    (values,) = other.state.values()
    assert values["table"].shape == (5,)
    assert (values["note"], values["step"]) == (None, 3)


def test_an_optimizer_can_be_pickled():
    params, optimizer = trained()
    p, other = pickle.loads(pickle.dumps((params, optimizer)))
    assert other.param_groups[0]["params"][0] is p[0]
    p[0].grad = minillm.ones(2, 2)
    other.step()
    assert other.state[p[0]]["step"] == 2


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_run_repeats_the_uninterrupted_one_bit_for_bit(name):
    def gradients(params, step):
        rng = np.random.default_rng(step)
        for p in params:
            p.grad = minillm.tensor(rng.normal(size=p.shape).astype(np.float32))

    straight = [leaf(2, 2), leaf(3, 2)]
    optimizer = getattr(optim, name)(straight)
    for step in range(8):
        gradients(straight, step)
        optimizer.step()
        if step == 3:
            weights = [p.detach().clone() for p in straight]
            state = copy.deepcopy(optimizer.state_dict())
    resumed = [w.requires_grad_() for w in weights]
    optimizer = getattr(optim, name)(resumed)
    optimizer.load_state_dict(state)
    for step in range(4, 8):
        gradients(resumed, step)
        optimizer.step()
    for p, q in zip(straight, resumed, strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())
