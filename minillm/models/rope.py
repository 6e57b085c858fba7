"""Rotary position embedding (RoPE): a token's place turns its queries and keys, pair by pair.

Pair i of a head's D numbers is turned by the angle p w_i, with p the token's place and w_i = theta^(-2 i / D):

    y_i       = x_i cos(p w_i) - x_{i + D/2} sin(p w_i)
    y_{i+D/2} = x_{i + D/2} cos(p w_i) + x_i sin(p w_i)

so that the product of a query and a key depends on the distance of their places alone. To read longer texts
than a model was trained on, the frequencies w_i are scaled:

- ``linear``: all by 1 / factor (Chen et al., "Extending Context Window", 2023, arXiv:2306.15595);
- ``dynamic``: theta grows with the length of the text ("NTK-aware" scaling, 2023);
- ``llama3``: the slow ones by 1 / factor, the fast ones not at all (Llama 3.1, 2024);
- ``yarn``: the same with another ramp, and larger scores (Peng et al., "YaRN", 2023, arXiv:2309.00071).

Source: Su et al., "RoFormer", 2021, arXiv:2104.09864; the two halves of a head are paired, as in Llama.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minillm import ops
from minillm.autograd.function import Function
from minillm.backend import Array
from minillm.kernels import kernels_of

ROPE_TYPES = ("default", "linear", "dynamic", "llama3", "yarn")
_NEEDED = {
    "default": (),
    "linear": ("factor",),
    "dynamic": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor"),
    "yarn": ("factor",),
}


def rope_settings(
    parameters: dict[str, Any] | None, scaling: dict[str, Any] | None, theta: float | None, longest: int
) -> dict[str, Any]:
    """Return the settings of RoPE in the form that files have today, from today's form or that of old files.

    Args:
        parameters: ``rope_parameters`` of today's files.
        scaling: ``rope_scaling`` of old files.
        theta: ``rope_theta`` of old files.
        longest: ``max_position_embeddings``.

    Raises:
        ValueError: a kind of scaling that is not offered, or a setting that is missing or not positive.

    Example:
        >>> rope_settings(None, {"type": "linear", "factor": 2.0}, 10000.0, 2048)
        {'factor': 2.0, 'rope_type': 'linear', 'rope_theta': 10000.0}
    """
    settings = dict(parameters or scaling or {})
    old_name = settings.pop("type", "default")
    kind = settings.setdefault("rope_type", old_name)
    settings.setdefault("rope_theta", 10000.0 if theta is None else theta)
    if kind not in ROPE_TYPES:
        raise ValueError(f"rope_type is {kind!r}; known are {', '.join(ROPE_TYPES)}")
    if settings.get("partial_rotary_factor", 1.0) != 1.0:
        raise ValueError("partial_rotary_factor is set; only whole heads are turned here")
    if kind in ("llama3", "yarn"):
        settings.setdefault("original_max_position_embeddings", longest)
    for name in ("rope_theta", *_NEEDED[kind]):
        value = settings.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise ValueError(f"RoPE of type {kind!r}: {name} is {value!r}; it needs a positive number")
    return settings


def frequencies(
    settings: dict[str, Any], width: int, longest: int, length: int
) -> tuple[np.ndarray[Any, Any], float]:
    """Return the frequencies w_i of one head, (D / 2,), and what cosines and sines are multiplied with.

    Args:
        settings: from :func:`rope_settings`.
        width: of a head, D.
        longest: ``max_position_embeddings``.
        length: of the text, for ``dynamic``.
    """
    kind, theta = settings["rope_type"], settings["rope_theta"]
    if kind == "dynamic":
        stretch = settings["factor"] * max(length, longest) / longest - (settings["factor"] - 1)
        theta = theta * stretch ** (width / (width - 2))
    exponents = np.arange(0, width, 2, dtype=np.float32) / np.float32(width)
    w = np.float32(1) / np.float32(theta) ** exponents
    if kind == "linear":
        w /= np.float32(settings["factor"])
    if kind == "llama3":
        w = _llama3(w, settings)
    if kind == "yarn":
        return _yarn(w, settings, width)
    return w, 1.0


def _llama3(w: np.ndarray[Any, Any], settings: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Return w / factor for waves longer than the context trained on, w for short ones, between in between."""
    low, high = settings["low_freq_factor"], settings["high_freq_factor"]
    turns = settings["original_max_position_embeddings"] * w / (2 * math.pi)  # in the context trained on
    share = np.clip((turns - low) / (high - low), 0, 1)
    return np.asarray((1 - share) * w / settings["factor"] + share * w, np.float32)


def _yarn(
    w: np.ndarray[Any, Any], settings: dict[str, Any], width: int
) -> tuple[np.ndarray[Any, Any], float]:
    """Return w / factor for slow pairs, w for fast ones, between in between; and the factor of the scores."""
    factor, context = settings["factor"], settings["original_max_position_embeddings"]

    def pair_with(turns: float) -> float:
        """Return the pair that makes so many turns in the context trained on."""
        return width * math.log(context / (turns * 2 * math.pi)) / (2 * math.log(settings["rope_theta"]))

    low, high = pair_with(settings.get("beta_fast") or 32), pair_with(settings.get("beta_slow") or 1)
    if settings.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, width - 1)
    ramp = np.clip((np.arange(width // 2, dtype=np.float32) - low) / (high - low or 0.001), 0, 1)
    scaled = ramp * w / factor + (1 - ramp) * w

    def larger(scale: float, by: float = 1.0) -> float:
        return 1.0 if scale <= 1 else 0.1 * by * math.log(scale) + 1.0

    attention = settings.get("attention_factor")
    if attention is None:
        by, by_all = settings.get("mscale"), settings.get("mscale_all_dim")
        attention = larger(factor, by) / larger(factor, by_all) if by and by_all else larger(factor)
    return np.asarray(scaled, np.float32), float(attention)


def rotate_composite(x: Any, cos: Any, sin: Any) -> Any:
    """Return the first half x_1 cos - x_2 sin, and the second x_2 cos + x_1 sin, as a formula of operations."""
    x1, x2 = ops.chunk(x, 2, dim=-1)
    return ops.cat([x1 * cos - x2 * sin, x2 * cos + x1 * sin], dim=-1)


class Rotate(Function):
    """y = x turned: the first half x_1 cos - x_2 sin, the second x_2 cos + x_1 sin.  dx = dy turned back.

    x is (B, T, H, D); cos and sin are (B or 1, T, 1, D / 2), arrays that no gradient flows to.
    """

    composite = rotate_composite

    def forward(self, x: Array, cos: Array, sin: Array) -> Array:
        self.save_constants(cos, sin)
        y: Array = kernels_of(x).rotary(x, cos, sin)
        return y

    def backward(self, dy: Array) -> Any:
        return kernels_of(dy).rotary_backward(dy, *self.constants)
