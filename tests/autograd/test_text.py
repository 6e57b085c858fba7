"""How tensors print: PyTorch's own text is the oracle."""

from __future__ import annotations

import numpy as np
import pytest

import minillm

VALUES = {
    "fixed": [0.5, 100.0, -3.25],
    "whole": [1.0, 2.0, -30.0],
    "wide": [1e-5, 1.0],
    "large": [1e9, 2e9],
    "small": [1e-6, 2e-6],
    "special": [float("nan"), float("inf"), -float("inf"), 1.5],
    "whole special": [float("nan"), 1.0, 20.0],
    "nothing but nan": [float("nan")],
    "zeros": [0.0, 0.0],
    "number": 3.0,
    "fraction": 0.125,
    "tiny": 1e-10,
    "integers": [1, 20, -300],
    "booleans": [True, False],
    "one boolean": True,
    "empty": [],
    "matrix": [[1.0, 2.5], [3.0, 400.0]],
    "cube": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]],
    "many": np.linspace(0, 1, 2000),
    "many rows": np.arange(5000).reshape(1250, 4),
    "long row": np.linspace(0, 1, 40),
    "two dims": np.arange(24.0).reshape(4, 6) / 7,
}


@pytest.mark.parametrize("name", VALUES)
def test_same_text_as_pytorch(name):
    torch = pytest.importorskip("torch")
    values = VALUES[name]
    for dtype in ("float32", "float64") if np.asarray(values).dtype.kind == "f" else (None,):
        ours = minillm.tensor(values, dtype=dtype)
        theirs = torch.tensor(values, dtype=getattr(torch, str(ours.dtype)))
        assert repr(ours).replace("dtype=float", "dtype=torch.float") == repr(theirs)


def test_what_else_is_said():
    x = minillm.ones(2, requires_grad=True)
    assert repr(x) == "tensor([1., 1.], requires_grad=True)"
    assert repr(x * 2) == "tensor([2., 2.], grad_fn=<mul>)"
    assert repr(minillm.ones(1, dtype="float16")) == "tensor([1.], dtype=float16)"
    assert repr(minillm.ones(1, device="strict")) == "tensor([1.], device='strict')"
    assert repr(minillm.ones(2, 0)) == "tensor([], size=(2, 0))"
    assert str(x) == repr(x)
