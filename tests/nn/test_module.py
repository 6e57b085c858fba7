"""The tree of modules: attributes, names, state, hooks, modes; the names and orders are PyTorch's."""

from __future__ import annotations

import copy
import gc
import weakref
from collections import OrderedDict

import numpy as np
import pytest

import minillm
from minillm import nn
from minillm.autograd.errors import OperationError
from minillm.nn.module import StateDictError


class Block(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 5), nn.ReLU(), nn.Linear(5, width))
        self.register_buffer("mask", minillm.ones(width))
        self.register_buffer("cache", minillm.zeros(width), persistent=False)
        self.scale = nn.Parameter(minillm.ones(1))
        self.register_parameter("shift", None)

    def forward(self, x, *, twice=False):
        y = x + self.mlp(self.norm(x)) * self.scale * self.mask
        return self.forward(y) if twice else y


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.head = nn.Linear(3, 2, bias=False)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x)


NAMES = [
    "blocks.0.scale", "blocks.0.mask", "blocks.0.norm.weight", "blocks.0.norm.bias",
    "blocks.0.mlp.0.weight", "blocks.0.mlp.0.bias", "blocks.0.mlp.2.weight", "blocks.0.mlp.2.bias",
    "blocks.1.scale", "blocks.1.mask", "blocks.1.norm.weight", "blocks.1.norm.bias",
    "blocks.1.mlp.0.weight", "blocks.1.mlp.0.bias", "blocks.1.mlp.2.weight", "blocks.1.mlp.2.bias",
    "head.weight",
]  # fmt: skip


def torch_net(torch):
    """The same program with PyTorch's modules."""
    t = torch.nn

    class TorchBlock(t.Module):
        def __init__(self, width=3):
            super().__init__()
            self.norm = t.LayerNorm(width)
            self.mlp = t.Sequential(t.Linear(width, 5), t.ReLU(), t.Linear(5, width))
            self.register_buffer("mask", torch.ones(width))
            self.register_buffer("cache", torch.zeros(width), persistent=False)
            self.scale = t.Parameter(torch.ones(1))
            self.register_parameter("shift", None)

        def forward(self, x):
            return x + self.mlp(self.norm(x)) * self.scale * self.mask

    class TorchNet(t.Module):
        def __init__(self):
            super().__init__()
            self.blocks = t.ModuleList([TorchBlock(), TorchBlock()])
            self.head = t.Linear(3, 2, bias=False)

        def forward(self, x):
            for block in self.blocks:
                x = block(x)
            return self.head(x)

    return TorchNet()


# -- attributes ---------------------------------------------------------------------------------------


def test_what_is_set_is_registered_and_found():
    net = Net()
    assert net.head is net._modules["head"]
    assert net.head.weight is net.head._parameters["weight"]
    assert net.blocks[0].mask is net.blocks[0]._buffers["mask"]
    assert net.head.bias is None
    assert "bias" in net.head._parameters


def test_setting_again_replaces():
    layer = nn.Linear(2, 3)
    layer.weight = nn.Parameter(minillm.zeros(3, 2))
    assert layer.weight.tolist() == layer.get_parameter("weight").tolist() == [[0, 0]] * 3
    layer.bias = None
    assert layer.bias is None
    assert list(layer.state_dict()) == ["weight"]
    block = Block()
    block.mask = minillm.zeros(3)
    assert block.get_buffer("mask") is block.mask
    block.mlp = nn.Identity()
    assert isinstance(block.get_submodule("mlp"), nn.Identity)
    block.mlp = None
    assert block.mlp is None


def test_a_name_is_one_thing_at_a_time():
    module = nn.Module()
    module.part = minillm.ones(2)  # an ordinary attribute
    module.part = nn.Linear(1, 1)
    assert list(module._modules) == ["part"]
    module.part = nn.Parameter(minillm.ones(2))
    assert list(module._parameters) == ["part"]
    assert not module._modules


def test_deleting_forgets():
    net = Net()
    del net.head
    assert not hasattr(net, "head")
    assert "head" not in dict(net.named_modules())
    del net.blocks[0].mask
    assert "blocks.0.mask" not in net.state_dict()
    net.note = 1
    del net.note
    with pytest.raises(AttributeError):
        del net.note
    with pytest.raises(AttributeError, match="Net has no attribute 'head'"):
        net.head  # noqa: B018


def test_a_registration_directly_in_the_dict_is_found_too():
    module = nn.Module()
    module._parameters["weight"] = nn.Parameter(minillm.ones(2))
    assert module.weight.tolist() == [1, 1]


def test_wrong_kinds_are_refused():
    block = Block()
    for name, value, message in (
        ("scale", minillm.ones(1), "Block.scale is a parameter; it can be set to a Parameter or None, not to Tensor"),
        ("mask", 3, "Block.mask is a buffer; it can be set to a Tensor or None, not to int"),
        ("mlp", "text", "Block.mlp is a module; it can be set to a Module or None, not to str"),
    ):
        with pytest.raises(TypeError, match=message):
            setattr(block, name, value)
    with pytest.raises(TypeError, match="register_parameter: got Tensor; it needs a Parameter"):
        block.register_parameter("more", minillm.ones(1))
    with pytest.raises(TypeError, match="register_buffer: got int; it needs a Tensor"):
        block.register_buffer("more", 1)
    with pytest.raises(TypeError, match="add_module: got int; it needs a Module"):
        block.add_module("more", 1)


@pytest.mark.parametrize("name", ["", "a.b", 3])
def test_names_have_no_dots(name):
    with pytest.raises(KeyError, match="a string without dots"):
        nn.Module().add_module(name, nn.Identity())


def test_names_that_are_taken_are_refused():
    block = Block()
    for register, value in (("register_parameter", None), ("register_buffer", None), ("add_module", None)):
        with pytest.raises(KeyError, match="Block has an attribute 'forward' already"):
            getattr(block, register)("forward", value)
    with pytest.raises(KeyError, match="has an attribute 'mlp' already"):
        block.register_buffer("mlp", minillm.ones(1))
    block.register_buffer("mask", minillm.zeros(3))  # the same kind is replaced
    assert block.mask.tolist() == [0, 0, 0]


def test_init_comes_first():
    class Forgetful(nn.Module):
        def __init__(self):
            self.fc = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"Forgetful: call super\(\).__init__\(\) before setting .* 'fc'"):
        Forgetful()


# -- walking ------------------------------------------------------------------------------------------


def test_names_and_their_order_are_those_of_torch():
    torch = pytest.importorskip("torch")
    ours, theirs = Net(), torch_net(torch)
    assert list(ours.state_dict()) == list(theirs.state_dict()) == NAMES
    for walk in ("named_parameters", "named_buffers", "named_modules", "named_children"):
        assert [name for name, _ in getattr(ours, walk)()] == [name for name, _ in getattr(theirs, walk)()]
    assert [n for n, _ in ours.named_parameters("net")] == [n for n, _ in theirs.named_parameters("net")]
    assert [n for n, _ in ours.named_parameters(recurse=False)] == []


def test_the_same_weights_give_the_same_numbers():
    torch = pytest.importorskip("torch")
    theirs = torch_net(torch)
    ours = Net()
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((4, 3)).astype("float32")
    y, z = ours(minillm.tensor(x)), theirs(torch.tensor(x))
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), rtol=1e-5, atol=1e-6)
    y.sum().backward()
    z.sum().backward()
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-4, atol=1e-5, err_msg=name)


def test_what_is_used_twice_comes_once():
    net = Net()
    net.blocks[1] = net.blocks[0]
    net.head.weight = nn.Parameter(minillm.ones(2, 3))
    net.tied = nn.Linear(3, 2, bias=False)
    net.tied.weight = net.head.weight
    assert len(list(net.parameters())) == 8
    assert len(list(net.named_parameters(remove_duplicate=False))) == 16
    assert len(list(net.named_buffers(remove_duplicate=False))) == 4
    assert len(list(net.children())) == 3
    assert len(list(net.blocks.children())) == 1
    assert len([m for m in net.modules() if isinstance(m, Block)]) == 1
    assert list(net.state_dict()) == [*NAMES, "tied.weight"]  # the state has all the names


def test_parts_are_found_by_path():
    net = Net()
    assert net.get_submodule("") is net
    assert net.get_submodule("blocks.1.mlp.2") is net.blocks[1].mlp[2]
    assert net.get_parameter("blocks.1.mlp.2.weight") is net.blocks[1].mlp[2].weight
    for call, path, message in (
        (net.get_submodule, "blocks.2.mlp", "ModuleList has no module '2'"),
        (net.get_parameter, "head.bias", "Net has no parameter 'head.bias'"),
        (net.get_buffer, "head.mask", "Net has no buffer 'head.mask'"),
    ):
        with pytest.raises(AttributeError, match=message):
            call(path)


def test_apply_goes_from_the_inside_out():
    names = []
    net = Net()
    assert net.apply(lambda module: names.append(type(module).__name__)) is net
    block = ["LayerNorm", "Linear", "ReLU", "Linear", "Sequential", "Block"]
    assert names == [*block, *block, "ModuleList", "Linear", "Net"]


# -- state --------------------------------------------------------------------------------------------


def test_the_state_shares_memory_and_has_no_graph():
    layer = nn.Linear(2, 1)
    state = layer.state_dict()
    assert not state["weight"].requires_grad
    with minillm.no_grad():
        layer.weight.fill_(7)
    assert state["weight"].tolist() == [[7, 7]]
    assert layer.state_dict(keep_vars=True)["weight"] is layer.weight
    into = OrderedDict(other=1)
    assert layer.state_dict(destination=into, prefix="a.") is into
    assert list(into) == ["other", "a.weight", "a.bias"]


def test_loading_copies(device):
    a, b = Net(), Net()
    weight = a.head.weight
    assert a.load_state_dict(b.state_dict()) == ([], [])
    assert a.head.weight is weight
    for name, value in a.state_dict().items():
        assert value.tolist() == b.state_dict()[name].tolist()
        assert value.device == minillm.device(device)
    with minillm.no_grad():
        b.head.weight.zero_()
    assert a.head.weight.abs().sum().item() > 0


def test_loading_takes_arrays_and_casts_them():
    layer = nn.Linear(2, 1)
    layer.load_state_dict({"weight": np.array([[1.0, 2.0]]), "bias": minillm.tensor([3], dtype="int64")})
    assert layer.weight.dtype == layer.bias.dtype == minillm.float32
    assert layer.weight.tolist() == [[1, 2]]


def test_loading_by_assignment_takes_the_dtype_too():
    layer = nn.Linear(2, 1)
    weight = layer.weight
    state = {"weight": minillm.ones(1, 2, dtype="float64"), "bias": minillm.ones(1, dtype="float64")}
    layer.load_state_dict(state, assign=True)
    assert layer.weight is weight
    assert weight.dtype == minillm.float64
    assert weight.requires_grad
    assert np.shares_memory(weight.array, state["weight"].array)


def test_loading_names_everything_that_does_not_fit_and_changes_nothing():
    layer = nn.Linear(2, 3)
    before = layer.weight.tolist()
    wrong = {"weight": minillm.ones(2, 3), "bais": minillm.ones(3)}
    with pytest.raises(StateDictError) as error:
        layer.load_state_dict(wrong)
    message = str(error.value)
    assert "the state does not fit Linear" in message
    assert "missing: bias" in message
    assert "unexpected: bais" in message
    assert "weight: got shape (2, 3), the module has (3, 2)" in message
    assert layer.weight.tolist() == before
    assert isinstance(error.value, RuntimeError)
    with pytest.raises(StateDictError, match="weight: got list, which is no tensor"):
        layer.load_state_dict({"weight": [[1.0]], "bias": minillm.ones(3)})
    with pytest.raises(TypeError, match="got list; it needs a mapping"):
        layer.load_state_dict([1])


def test_loading_may_be_lenient_about_names_but_not_about_shapes():
    layer = nn.Linear(2, 3)
    result = layer.load_state_dict({"weight": minillm.ones(3, 2), "more": minillm.ones(1)}, strict=False)
    assert result.missing_keys == ["bias"]
    assert result.unexpected_keys == ["more"]
    assert layer.weight.tolist() == [[1, 1]] * 3
    with pytest.raises(StateDictError, match="got shape"):
        layer.load_state_dict({"weight": minillm.ones(3, 3)}, strict=False)


class Counter(nn.Linear):
    def __init__(self):
        super().__init__(1, 1)
        self.count = 0

    def get_extra_state(self):
        return {"count": self.count}

    def set_extra_state(self, state):
        self.count = state["count"]


def test_extra_state_comes_along():
    a, b = nn.Sequential(Counter()), nn.Sequential(Counter())
    a[0].count = 5
    state = a.state_dict()
    assert list(state) == ["0.weight", "0.bias", "0._extra_state"]
    b.load_state_dict(state)
    assert b[0].count == 5
    del state["0._extra_state"]
    with pytest.raises(StateDictError, match=r"missing: 0\._extra_state"):
        b.load_state_dict(state)
    with pytest.raises(NotImplementedError):
        nn.Identity().get_extra_state()
    with pytest.raises(NotImplementedError):
        nn.Identity().set_extra_state(1)


def test_hooks_around_the_state():
    events = []
    net = nn.Sequential(nn.Linear(1, 1))

    def rename(module, state, prefix, metadata, strict, missing, unexpected, errors):
        events.append(("load", prefix))
        if prefix + "kernel" in state:
            state[prefix + "weight"] = state.pop(prefix + "kernel")

    net[0].register_state_dict_pre_hook(lambda module, prefix, keep_vars: events.append(("save", prefix)))
    net[0].register_state_dict_post_hook(lambda module, state, prefix, metadata: state.pop(prefix + "bias"))
    net[0].register_load_state_dict_pre_hook(rename)
    handle = net.register_load_state_dict_post_hook(lambda module, keys: keys.missing_keys.clear())
    assert list(net.state_dict()) == ["0.weight"]
    given = {"0.kernel": minillm.full((1, 1), 4.0)}
    assert net.load_state_dict(given, strict=False) == ([], [])
    assert net[0].weight.item() == 4
    assert list(given) == ["0.kernel"]
    assert events == [("save", "0."), ("load", "0.")]
    handle.remove()
    assert net.load_state_dict(given, strict=False).missing_keys == ["0.bias"]


# -- hooks --------------------------------------------------------------------------------------------


def test_forward_hooks_see_and_change():
    layer = nn.Identity()
    before = layer.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    after = layer.register_forward_hook(lambda module, args, output: output * 10)
    assert layer(minillm.tensor(1.0)).item() == 20
    before.remove()
    assert layer(minillm.tensor(1.0)).item() == 10
    after.remove()
    after.remove()
    assert layer(minillm.tensor(1.0)).item() == 1
    with layer.register_forward_pre_hook(lambda module, args: args[0] * 3):
        assert layer(minillm.tensor(1.0)).item() == 3
    assert layer(minillm.tensor(1.0)).item() == 1


def test_hooks_may_see_keyword_arguments_and_go_first():
    block, seen = Block(), []
    block.register_forward_pre_hook(lambda module, args: seen.append("second"))
    block.register_forward_pre_hook(
        lambda module, args, kwargs: (args, {"twice": not kwargs["twice"]}), with_kwargs=True, prepend=True
    )
    block.register_forward_hook(
        lambda module, args, kwargs, output: seen.append(kwargs), with_kwargs=True, prepend=True
    )
    block(minillm.ones(1, 3), twice=True)
    assert seen == ["second", {"twice": False}]
    block.register_forward_pre_hook(lambda module, args, kwargs: args, with_kwargs=True)
    with pytest.raises(RuntimeError, match=r"return None or \(args, kwargs\)"):
        block(minillm.ones(1, 3), twice=True)


def test_a_hook_can_be_called_even_after_an_error():
    seen = []
    layer = nn.Linear(2, 3)
    layer.register_forward_hook(lambda module, args, output: seen.append("never"))
    layer.register_forward_hook(lambda module, args, output: seen.append(output), always_call=True)
    layer.register_forward_hook(
        lambda module, args, kwargs, output: seen.append(kwargs), always_call=True, with_kwargs=True
    )
    with pytest.raises(OperationError):
        layer(minillm.ones(1, 5))
    assert seen == [None, {}]


def backward_events(t, net, x):
    """The gradients that hooks see, in the order in which they come."""
    events = []

    def after(module, grad_input, grad_output):
        events.append((type(module).__name__, [None if g is None else g.tolist() for g in grad_input + grad_output]))

    for module in net.modules():
        module.register_full_backward_hook(after)
    (net(x) ** 2).sum().backward()
    return events


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")  # PyTorch's, without input gradients
@pytest.mark.parametrize("with_gradient", [True, False])
def test_backward_hooks_see_what_those_of_torch_see(with_gradient, device):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1))
    ours = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
    ours.load_state_dict({name: minillm.tensor(value.numpy()) for name, value in theirs.state_dict().items()})
    x = [[1.0, -2.0], [0.5, 3.0]]
    got = backward_events(minillm, ours, minillm.tensor(x, requires_grad=with_gradient))
    wanted = backward_events(torch, theirs, torch.tensor(x, requires_grad=with_gradient))
    assert [name for name, _ in got] == [name for name, _ in wanted]
    for (_, ys), (_, zs) in zip(got, wanted, strict=True):
        assert [y is None for y in ys] == [z is None for z in zs]
        for y, z in zip(ys, zs, strict=True):
            if y is not None:
                np.testing.assert_allclose(y, z, rtol=1e-5, atol=1e-6)


def test_backward_hooks_change_gradients():
    class Two(nn.Module):
        def forward(self, x, flag, y):
            return x * 2, y * 3

    two = Two()
    two.register_full_backward_pre_hook(lambda module, dys: (dys[0] * 10, dys[1]))
    two.register_full_backward_pre_hook(lambda module, dys: None)
    two.register_full_backward_hook(lambda module, dxs, dys: (dxs[0] + 1, dxs[1], dxs[2] + 100))
    x, y = minillm.ones(1, requires_grad=True), minillm.ones(1, requires_grad=True)
    a, b = two(x, "flag", y)
    (a + b).sum().backward()
    assert x.grad.tolist() == [21]
    assert y.grad.tolist() == [103]
    a, b = two(x, "flag", y)  # one output unused: its gradient is None, or zero
    x.grad = None
    with pytest.raises(TypeError):
        b.sum().backward()


def test_backward_hooks_under_create_graph():
    """A second derivative that does not come by the outputs passes them."""
    torch = pytest.importorskip("torch")

    def derivatives(t):
        layer = t.nn.Tanh()
        layer.register_full_backward_hook(lambda module, dxs, dys: (dxs[0] * 2,))
        x = t.tensor([0.3], dtype=t.float64, requires_grad=True)
        (dx,) = t.autograd.grad(layer(x).sum(), x, create_graph=True)
        (ddx,) = t.autograd.grad(dx.sum(), x)
        return dx.item(), ddx.item()

    np.testing.assert_allclose(derivatives(minillm), derivatives(torch))


def test_a_backward_hook_returns_as_many_gradients_as_there_are():
    layer = nn.Identity()
    layer.register_full_backward_hook(lambda module, dxs, dys: (dxs[0], dxs[0]))
    with pytest.raises(OperationError, match="a hook returned 2 gradients; the module has 1"):
        layer(minillm.ones(2, requires_grad=True)).sum().backward()


def test_backward_hooks_leave_other_outputs_alone():
    class Mixed(nn.Module):
        def forward(self, x, kind):
            outputs = (x * 2, "text", None)
            return list(outputs) if kind is list else outputs

    module, seen = Mixed(), []
    module.register_full_backward_hook(lambda module, dxs, dys: seen.append(len(dys)))
    x = minillm.ones(2, requires_grad=True)
    for kind in (list, tuple):
        outputs = module(x, kind)
        assert type(outputs) is kind
        assert outputs[1:] == kind(("text", None))
        outputs[0].sum().backward()
    assert seen == [3, 3]
    assert module(x.detach(), tuple)[0].tolist() == [2, 2]  # nothing to watch


def test_errors_say_in_which_module():
    net = Net()
    net.blocks[1].mlp[2] = nn.Linear(4, 3)
    with pytest.raises(OperationError, match=r"in_features = 4.* \(in Net\.blocks\.1\.mlp\.2\)"):
        net(minillm.ones(1, 3))
    with pytest.raises(OperationError, match=r"\(in Linear\)"):
        nn.Linear(2, 3)(minillm.ones(1, 3))


def test_forward_has_to_be_written():
    with pytest.raises(NotImplementedError, match="Module needs a method forward"):
        nn.Module()(1)


# -- modes and places ---------------------------------------------------------------------------------


def test_train_and_eval_reach_everything():
    net = Net()
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert all(module.training for module in net.train().modules())
    with pytest.raises(ValueError, match="needs True or False"):
        net.train("yes")


def test_freezing_and_forgetting_gradients():
    net = Net()
    net.blocks.requires_grad_(False)
    net(minillm.ones(2, 3)).sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is not None] == ["head.weight"]
    assert net.num_parameters() == 96
    assert net.num_parameters(only_trainable=True) == 6
    net.zero_grad(set_to_none=False)
    assert net.head.weight.grad.abs().sum().item() == 0
    net.zero_grad()
    assert net.head.weight.grad is None


def test_dtypes_change_for_floats_alone():
    net = nn.BatchNorm1d(2)
    net(minillm.rand(3, 2)).sum().backward()
    for method, dtype in (("double", "float64"), ("half", "float16"), ("float", "float32")):
        assert getattr(net, method)() is net
        assert net.weight.dtype == net.running_mean.dtype == net.weight.grad.dtype == getattr(minillm, dtype)
        assert net.num_batches_tracked.dtype == minillm.int64
    assert net.to(minillm.float64).weight.dtype == minillm.float64
    assert net.to(minillm.ones(1)).weight.dtype == minillm.float32


def test_moving_keeps_the_parameters():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    weight, mean = net[0].weight, net[1].running_mean
    net(minillm.rand(3, 2)).sum().backward()
    net.to("strict")
    assert net[0].weight is weight
    assert net[1].running_mean is mean
    assert {str(t.device) for t in (weight, mean, weight.grad, net[1].num_batches_tracked)} == {"strict"}
    net.cpu()
    assert str(weight.device) == "cpu"


def test_cuda_without_a_gpu_says_so():
    if minillm.backend.is_available("cuda"):
        pytest.skip("this machine has a GPU")
    with pytest.raises(RuntimeError, match="cuda"):
        nn.Linear(1, 1).cuda()


# -- reading and copying ------------------------------------------------------------------------------


def test_the_representation_counts_parameters_and_groups_equals():
    text = (
        "Net(\n"
        "  (blocks): ModuleList(\n"
        "    (0-1): 2 x Block(\n"
        "      (norm): LayerNorm((3,), eps=1e-05, elementwise_affine=True, bias=True)  # 6 parameters\n"
        "      (mlp): Sequential(\n"
        "        (0): Linear(in_features=3, out_features=5, bias=True)  # 20 parameters\n"
        "        (1): ReLU()\n"
        "        (2): Linear(in_features=5, out_features=3, bias=True)  # 18 parameters\n"
        "      )  # 38 parameters\n"
        "    )  # 45 parameters\n"
        "  )  # 90 parameters\n"
        "  (head): Linear(in_features=3, out_features=2, bias=False)  # 6 parameters\n"
        ")  # 96 parameters"
    )
    assert repr(Net()) == text


def test_deep_copies_are_independent():
    net = Net()
    twin = copy.deepcopy(net)
    assert twin.head.weight is twin._modules["head"]._parameters["weight"]
    assert twin.head.weight is not net.head.weight
    with minillm.no_grad():
        twin.head.weight.zero_()
    assert net.head.weight.abs().sum().item() > 0
    assert list(twin.state_dict()) == NAMES


def test_modules_are_freed_without_the_collector():
    gc.disable()
    try:
        net = Net()
        net(minillm.ones(2, 3)).sum().backward()
        gone = weakref.ref(net), weakref.ref(net.blocks[0].mlp[0].weight)
        del net
        assert [ref() for ref in gone] == [None, None]
    finally:
        gc.enable()
