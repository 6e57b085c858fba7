"""What nn.functional computes in float16 is as near to its float32 as float16 can store."""

from __future__ import annotations

import numpy as np
import pytest

import minillm
from minillm.testing.cases import FAMILIES, cases_of
from minillm.testing.derivatives import results_of

# Attention and convolutions add up many products of numbers around 1: their own tests bound what that loses.
NAMES = ["linear", "embedding", "layer_norm", "rms_norm", "normalize", "relu", "gelu", "silu", "softplus",
    "leaky_relu", "elu", "logsigmoid", "glu", "tanh", "sigmoid", "softmax", "log_softmax", "pad", "mse_loss",
    "cross_entropy"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_float16_is_computed_as_well_as_it_can_be_stored(name):
    assert f"nn.functional.{name}" in {*FAMILIES["nn.functional"], *FAMILIES["Losses"]}
    for case in cases_of(f"nn.functional.{name}"):
        if case.drawn or not case.check or "dtype" in case.call.kwargs:  # not smooth, or numbers far out
            continue
        halves = case.draw("float16")
        if not any(x.dtype == np.float16 for x in halves):
            continue
        wide = [x.astype("float32") if x.dtype.kind == "f" else x for x in halves]
        got, wanted = (results_of(case.prepare(minillm, arrays), min(case.order, 1)) for arrays in (halves, wide))
        for a, b in zip(got, wanted, strict=True):
            if b.value.dtype == np.float32:
                assert a.value.dtype == np.float16
                np.testing.assert_allclose(a.value.astype("float32"), b.value, rtol=6e-3, atol=6e-3, err_msg=str(case))
