from __future__ import annotations

from collections import OrderedDict

import pytest

import minillm
from minillm import nn


def linears(count):
    return [nn.Linear(2, 2) for _ in range(count)]


def test_sequential_runs_in_order():
    net = nn.Sequential(nn.Identity(), nn.Flatten(0), nn.Identity())
    assert net(minillm.ones(2, 3)).shape == (6,)
    assert nn.Sequential()(5) == 5


@pytest.mark.parametrize("cls", [nn.Sequential, nn.ModuleList])
class TestRows:
    def row(self, cls, modules):
        return cls(*modules) if cls is nn.Sequential else cls(modules)

    def names(self, row):
        return [name for name, _ in row.named_children()]

    def test_indices_and_slices(self, cls):
        a, b, c = linears(3)
        row = self.row(cls, [a, b, c])
        assert len(row) == 3
        assert list(row) == [a, b, c]
        assert row[0] is a
        assert row[-1] is c
        assert isinstance(row[1:], cls)
        assert list(row[1:]) == [b, c]
        for index in (3, -4):
            with pytest.raises(IndexError, match=f"{cls.__name__}: index {index} is out of range; it holds 3"):
                row[index]

    def test_growing(self, cls):
        a, b, c, d = linears(4)
        row = self.row(cls, [a])
        assert row.append(c) is row
        assert row.extend([d]) is row
        row.insert(1, b)
        assert list(row) == [a, b, c, d]
        assert self.names(row) == ["0", "1", "2", "3"]

    def test_replacing_and_shrinking(self, cls):
        a, b, c, d = linears(4)
        row = self.row(cls, [a, b, c])
        row[-1] = d
        assert list(row) == [a, b, d]
        del row[0]
        assert list(row) == [b, d]
        assert self.names(row) == ["0", "1"]
        assert row.pop(-1) is d
        assert list(row) == [b]
        row.extend([a, c])
        del row[1:]
        assert list(row) == [b]
        with pytest.raises(IndexError):
            del row[5]

    def test_parameters_are_found(self, cls):
        row = self.row(cls, linears(2))
        assert list(row.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_sequential_by_name():
    net = nn.Sequential(OrderedDict(first=nn.Linear(2, 3), act=nn.ReLU(), last=nn.Linear(3, 1)))
    assert net.first is net[0]
    assert list(net[1:].state_dict()) == ["last.weight", "last.bias"]
    net[1] = nn.Tanh()
    assert isinstance(net.act, nn.Tanh)
    assert net(minillm.ones(1, 2)).shape == (1, 1)
    del net[0]
    assert [name for name, _ in net.named_children()] == ["0", "1"]  # as in PyTorch


def test_sequential_of_sequentials_shares_its_modules():
    net = nn.Sequential(*linears(3))
    head = net[:2]
    with minillm.no_grad():
        head[0].weight.fill_(3)
    assert net[0].weight[0, 0].item() == 3


def test_module_lists_add_up():
    a, b, c = linears(3)
    row = nn.ModuleList([a])
    row += [b]
    assert list(row + nn.ModuleList([c])) == [a, b, c]
    assert len(row) == 2
    assert len(nn.ModuleList()) == 0
    with pytest.raises(NotImplementedError):
        row(1)


def test_module_dict():
    a, b, c = linears(3)
    modules = nn.ModuleDict({"a": a})
    modules["b"] = b
    modules.update([("c", c)])
    assert list(modules) == list(modules.keys()) == ["a", "b", "c"]
    assert list(modules.values()) == [a, b, c]
    assert dict(modules.items())["b"] is b
    assert len(modules) == 3
    assert "c" in modules
    assert modules.get("d") is None
    assert modules.pop("c") is c
    del modules["b"]
    with pytest.raises(KeyError):
        del modules["b"]
    assert list(modules.state_dict()) == ["a.weight", "a.bias"]
    assert len(nn.ModuleDict(modules)) == 1
    modules.clear()
    assert len(modules) == 0


def test_parameter_list():
    a, b = nn.Parameter(minillm.ones(2)), minillm.zeros(3)
    row = nn.ParameterList([a])
    row += [b]
    assert len(row) == 2
    assert row[0] is a
    assert isinstance(row[-1], nn.Parameter)
    assert [tuple(p.shape) for p in row] == [(2,), (3,)]
    assert isinstance(row[:1], nn.ParameterList)
    assert next(row.named_parameters())[0] == "0"
    row[0] = minillm.full((2,), 7.0)
    assert row[0].tolist() == [7, 7]
    assert "0): Parameter of float32 (2,)" in repr(row)
    with pytest.raises(IndexError, match="ParameterList: index 2"):
        row[2]
    net = nn.Module()
    net.scales = row
    assert list(net.state_dict()) == ["scales.0", "scales.1"]
