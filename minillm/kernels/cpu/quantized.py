"""Products with weights of one or two bytes: for few rows of x they are read in a quarter or half of the time.

    int8:      W[o, i] = scale[o] W8[o, i],  scale[o] = max_i |W[o, i]| / 127;
    bfloat16:  the first half of the bits of a float32, rounded to even, held in int16.

Source: Dettmers et al., "LLM.int8()", 2022, arXiv:2208.07339, section 2 (one scale for each row of the weight); the
activations stay float32 here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minillm.backend import Array, xp_of

# Numbers of the weight that are widened at a time, so that they stay in the cache: 256 KB; more for many rows of x.
_TILE = 1 << 16


def quantize(weight: Array, kind: str) -> tuple[Array, Array]:
    """Return a weight, (out, in) of floats, in int8 or bfloat16 (held in int16), and the scale of each row, (out,).

    Args:
        weight: finite numbers.
        kind: ``"int8"`` or ``"bfloat16"``, whose scales are 1.
    """
    xp = xp_of(weight)
    weight = weight.astype("float32")
    if kind == "bfloat16":
        bits = weight.view("uint32")
        rounded = bits + (0x7FFF + ((bits >> 16) & 1))  # to even
        return (rounded >> 16).astype("uint16").view("int16"), xp.ones(len(weight), "float32")
    scale = xp.abs(weight).max(axis=1) / np.float32(127) if weight.size else xp.zeros(len(weight), "float32")
    scale += scale == 0  # a row of zeros
    return xp.rint(weight / scale[:, None]).astype("int8"), scale


def widened(weight: Array, scale: Array) -> Array:
    """Return the weight that :func:`quantize` came from, but for the rounding, in float32."""
    if weight.dtype == np.int16:
        return (weight.view("uint16").astype("uint32") << 16).view("float32")
    wide = weight.astype("float32")
    wide *= scale[:, None]
    return wide


def quantized_linear(x: Array, weight: Array, scale: Array, bias: Array | None) -> Array:
    """Return x W^T + b.

    Args:
        x: (rows, in), float32.
        weight: (out, in), from :func:`quantize`.
        scale: (out,).
        bias: (out,), or None.
    """
    y: Any = xp_of(x).empty((len(x), len(weight)), x.dtype)
    step = max(1, (_TILE if len(x) <= 16 else 16 * _TILE) // max(weight.shape[1], 1))
    for start in range(0, len(weight), step):
        part = slice(start, start + step)
        y[:, part] = x.dot(widened(weight[part], scale[part]).T)
    if bias is not None:
        y += bias
    return y
