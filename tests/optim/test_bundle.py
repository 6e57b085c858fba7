"""Small parameters share memory without anyone noticing: no alias is broken, no exchange overlooked."""

from __future__ import annotations

import copy
import gc

import numpy as np
import pytest

import minillm
from minillm import nn, optim
from minillm.optim.bundle import is_unshared


def with_gradients(*params):
    for i, p in enumerate(params):
        p.grad = minillm.full_like(p, i + 1.0)
    return list(params)


def make(n=3):
    return with_gradients(*(minillm.ones(2, i + 1, requires_grad=True) for i in range(n)))


def bundles_of(optimizer):
    return [bundle.params for plan in optimizer._plans for bundle in plan.bundles]


def test_small_parameters_share_one_array(device):
    params = make()
    optimizer = optim.SGD(params, lr=0.25)
    optimizer.step()
    assert bundles_of(optimizer) == [params]
    base = params[0].array.base
    assert all(p.array.base is base for p in params)
    assert [float(p.detach().cpu().array[0, 0]) for p in params] == [0.75, 0.5, 0.25]


def test_moments_share_arrays_too_and_stay_visible_in_the_state(device):
    params = make()
    optimizer = optim.Adam(params, lr=0.25)
    optimizer.step()
    state = [optimizer.state[p] for p in params]
    assert all(s["exp_avg"].array.base is state[0]["exp_avg"].array.base for s in state)
    assert [s["exp_avg"].shape for s in state] == [p.shape for p in params]
    assert [float(s["exp_avg"].cpu().array[0, 0]) for s in state] == pytest.approx([0.1, 0.2, 0.3])


def test_large_parameters_stay_alone():
    params = with_gradients(*(minillm.ones(200, 200, requires_grad=True) for _ in range(2)))
    arrays = [p.array for p in params]
    optimizer = optim.SGD(params, lr=0.25)
    optimizer.step()
    assert bundles_of(optimizer) == []
    assert all(p.array is array for p, array in zip(params, arrays, strict=True))


@pytest.mark.parametrize(
    "alias",
    [
        lambda p: p.detach(),
        lambda p: p.data,
        lambda p: p.detach().numpy(),
        lambda p: p.detach()[0],
        lambda p: p.array.T,
        lambda p: memoryview(p.array),
    ],
)
def test_memory_that_someone_else_refers_to_is_not_moved(alias):
    params = make()
    seen = alias(params[1])
    optimizer = optim.SGD(params, lr=0.25)
    optimizer.step()
    assert bundles_of(optimizer) == [[params[0], params[2]]]
    seen = np.asarray(seen)
    assert seen.flat[0] == 0.5  # the alias sees the step
    optimizer.step()
    assert seen.flat[0] == 0.0


def test_two_parameters_on_the_same_memory_stay_so():
    a = minillm.ones(3, requires_grad=True)
    b = minillm.Tensor(a.array, requires_grad=True)
    optimizer = optim.SGD(with_gradients(a, b), lr=0.25)
    optimizer.step()
    assert a.array is b.array
    assert a.tolist() == [0.25] * 3  # both steps


def test_an_alias_taken_later_sees_the_steps():
    params = make()
    optimizer = optim.SGD(params, lr=0.25)
    optimizer.step()
    alias = params[0].detach().numpy()
    optimizer.step()
    assert bundles_of(optimizer) == [params]
    assert alias[0, 0] == 0.5


def test_is_unshared_counts_what_refers_to_the_memory():
    p = minillm.ones(2, 3)
    assert is_unshared(p)
    other = p.detach()
    assert not is_unshared(p)
    del other
    assert is_unshared(p)
    p.array = np.ones(6, np.float32).reshape(2, 3)  # a view of memory that nothing else knows
    assert is_unshared(p)
    base = p.array.base
    assert not is_unshared(p)
    del base
    p.array = np.frombuffer(bytearray(8), np.float32)  # memory that is no array's
    assert not is_unshared(p)


def test_exchanged_memory_is_noticed():
    params = make()
    optimizer = optim.Adam(params, lr=0.25)
    optimizer.step()
    params[1].data = minillm.zeros(2, 2)
    optimizer.step()
    assert bundles_of(optimizer) == [params]
    assert params[1].detach().numpy()[0, 0] == pytest.approx(-0.25)
    assert optimizer.state[params[1]]["step"] == 2
    for p in params:
        p.array = np.full(p.shape, 5, np.float32)
    optimizer.step()
    assert [float(p.array[0, 0]) for p in params] == pytest.approx([4.75] * 3)


def test_an_exchange_while_an_alias_lives_breaks_no_alias():
    params = make()
    optimizer = optim.SGD(params, lr=0.25)
    optimizer.step()
    alias = params[0].detach()
    part = params[2].detach().numpy()[1:]
    params[1].data = minillm.ones(2, 2)
    optimizer.step()
    optimizer.step()
    assert alias.array is params[0].array
    assert alias.numpy()[0, 0] == 0.25
    assert part[0, 0] == -1.25
    assert params[1].detach().numpy()[0, 0] == 0.0


def test_an_exchanged_state_is_noticed():
    params = make()
    optimizer = optim.SGD(params, lr=0.25, momentum=0.5)
    optimizer.step()
    optimizer.state[params[0]]["momentum_buffer"] = minillm.full((2, 1), 8.0)
    optimizer.step()
    assert params[0].detach().numpy()[0, 0] == 0.75 - 0.25 * (8 * 0.5 + 1)
    assert params[1].detach().numpy()[0, 0] == 0.5 - 0.25 * (2 * 0.5 + 2)
    del optimizer.state[params[0]]["momentum_buffer"]
    optimizer.step()
    assert optimizer.state[params[0]]["momentum_buffer"].numpy()[0, 0] == 1
    optimizer.state.clear()
    optimizer.step()
    assert optimizer.state[params[2]]["momentum_buffer"].numpy()[0, 0] == 3


def test_a_state_written_to_in_place_is_used():
    params = make()
    optimizer = optim.SGD(params, lr=0.25, momentum=0.5)
    optimizer.step()
    for p in params:
        optimizer.state[p]["momentum_buffer"].zero_()
    optimizer.step()
    assert [float(p.array[0, 0]) for p in params] == [0.5, 0.0, -0.5]


def test_parameters_at_different_steps_are_bundled_apart():
    params = make(4)
    optimizer = optim.Adam(params, lr=0.25)
    params[2].grad = params[3].grad = None
    optimizer.step()
    assert bundles_of(optimizer) == [params[:2]]
    with_gradients(*params)
    optimizer.step()
    assert bundles_of(optimizer) == [params[:2], params[2:]]
    params[0].grad = None
    optimizer.step()
    params[0].grad = minillm.ones(2, 1)
    optimizer.step()
    assert [optimizer.state[p]["step"] for p in params] == [3, 4, 3, 3]


def test_one_dtype_a_bundle():
    params = make(2) + with_gradients(
        *(minillm.ones(2, dtype=minillm.float64, requires_grad=True) for _ in range(2))
    )
    optimizer = optim.Adam(params, lr=0.25)
    optimizer.step()
    assert bundles_of(optimizer) == [params[:2], params[2:]]
    model = nn.Linear(2, 2)
    optimizer = optim.Adam(model.parameters(), lr=0.25)
    model(minillm.ones(1, 2)).sum().backward()
    optimizer.step()
    model.double()  # the running averages stay float32, as in PyTorch
    model(minillm.ones(1, 2, dtype=minillm.float64)).sum().backward()
    optimizer.step()
    assert bundles_of(optimizer) == []
    assert model.weight.dtype == minillm.float64


def test_the_list_of_parameters_may_be_edited():
    params = make(4)
    optimizer = optim.Adam(params[:3], lr=0.25)
    optimizer.step()
    optimizer.param_groups[0]["params"][1] = params[3]
    optimizer.step()
    assert bundles_of(optimizer) == [[params[0], params[2]]]  # the new one is at its first step
    assert [optimizer.state[p]["step"] for p in params] == [2, 1, 2, 1]
    optimizer.param_groups.append({**optimizer.param_groups[0], "params": [params[1]]})
    optimizer.step()
    assert [optimizer.state[p]["step"] for p in params] == [3, 2, 3, 2]


def test_a_module_is_bundled_after_its_first_backward():
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = optim.AdamW(model.parameters())
    loss = (model(minillm.ones(4, 2)) ** 2).mean()
    loss.backward()
    optimizer.step()
    assert bundles_of(optimizer) == [list(model.parameters())]


def test_a_copy_of_model_and_optimizer_trains_on_its_own():
    model = nn.Linear(2, 3)
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    model(minillm.ones(1, 2)).sum().backward()
    optimizer.step()
    twin, twin_optimizer = copy.deepcopy((model, optimizer))
    assert twin_optimizer.param_groups[0]["params"][0] is twin.weight
    before = model.weight.detach().clone()
    twin_optimizer.step()
    assert (model.weight == before).all()
    assert not (twin.weight == before).any()
    optimizer.step()
    assert (model.weight == twin.weight).all()


def test_the_memory_is_freed_without_the_garbage_collector():
    import weakref

    params = make()
    optimizer = optim.Adam(params)
    optimizer.step()
    bundle = weakref.ref(optimizer._plans[0].bundles[0])
    gc.disable()
    try:
        del optimizer
        assert bundle() is None
    finally:
        gc.enable()
