from __future__ import annotations

import pytest

import minillm
import minillm.nn.functional as F
from minillm import nn

# A module, the call that it stands for, and how it prints.
MODULES = [
    (nn.ReLU(), F.relu, {}, "ReLU()"),
    (nn.SiLU(), F.silu, {}, "SiLU()"),
    (nn.GELU(), F.gelu, {}, "GELU(approximate='none')"),
    (nn.GELU("tanh"), F.gelu, {"approximate": "tanh"}, "GELU(approximate='tanh')"),
    (nn.Tanh(), F.tanh, {}, "Tanh()"),
    (nn.Sigmoid(), F.sigmoid, {}, "Sigmoid()"),
    (nn.LogSigmoid(), F.logsigmoid, {}, "LogSigmoid()"),
    (nn.Softplus(2.0, 3.0), F.softplus, {"beta": 2.0, "threshold": 3.0}, "Softplus(beta=2.0, threshold=3.0)"),
    (nn.LeakyReLU(0.2), F.leaky_relu, {"negative_slope": 0.2}, "LeakyReLU(negative_slope=0.2)"),
    (nn.ELU(0.5), F.elu, {"alpha": 0.5}, "ELU(alpha=0.5)"),
    (nn.GLU(0), F.glu, {"dim": 0}, "GLU(dim=0)"),
    (nn.Softmax(1), F.softmax, {"dim": 1}, "Softmax(dim=1)"),
    (nn.LogSoftmax(dim=0), F.log_softmax, {"dim": 0}, "LogSoftmax(dim=0)"),
]


@pytest.mark.parametrize(("module", "function", "options", "text"), MODULES, ids=[m[3] for m in MODULES])
def test_modules_call_functions(module, function, options, text, device):
    x = minillm.tensor([[-2.0, 0.3, 4.0], [1.0, -0.5, 0.0]])
    assert module(x).tolist() == function(x, **options).tolist()
    assert repr(module) == text
    assert not list(module.state_dict())


@pytest.mark.parametrize("cls", [nn.ReLU, nn.SiLU, nn.LeakyReLU, nn.ELU])
def test_in_place(cls):
    module, x = cls(inplace=True), minillm.tensor([-1.0, 2.0])
    assert module(x) is x
    assert "inplace=True" in repr(module)
