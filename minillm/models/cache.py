"""``KVCache``: the keys and values of the tokens that were read, so that each is computed once.

Without it a decoder that writes n tokens reads the whole text anew for each, O(n^2) tokens in all; with it
it reads each token once, and only attention looks back.
"""

from __future__ import annotations

from typing import Any

from minillm.autograd import is_grad_enabled
from minillm.autograd.errors import OperationError
from minillm.autograd.function import wrap
from minillm.backend import Array, xp_of
from minillm.ops import Tensor


class KVCache:
    """Keys and values of every layer, in buffers that are allocated once; new tokens are written behind.

    Args:
        num_layers: of the model.
        max_length: the most tokens that it can hold.

    Attributes:
        length: the number of tokens that it holds.
    """

    def __init__(self, num_layers: int, max_length: int) -> None:
        self.max_length = max_length
        self.length = 0
        self._mask: Any = None  # (B, max_length) booleans, False for padding; None while there is none
        self._buffers: list[Any] = [None] * num_layers  # of each layer keys and values, (B, H, max_length, D)

    def update(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Write the keys and values of new tokens, (B, H, T, D), and return those of all tokens so far.

        What comes back are views of the buffers: nothing that was held is copied. The length moves on with
        :meth:`advance`, after the last layer.

        Raises:
            OperationError: more tokens than the cache can hold, another batch size than before, or a call
                while gradients are recorded.
        """
        if key.requires_grad and is_grad_enabled():
            raise OperationError("KVCache: it holds no graph; generate under minillm.no_grad()")
        keys, values = self.write(layer, key.array, value.array)
        return wrap(keys), wrap(values)

    def write(self, layer: int, key: Array, value: Array) -> tuple[Array, Array]:
        """Do what :meth:`update` does on plain arrays."""
        keys, values, end = self.append(layer, key, value)
        return keys[:, :, :end], values[:, :, :end]

    def append(self, layer: int, key: Array, value: Array) -> tuple[Array, Array, int]:
        """Do the same and return the whole buffers, and how many of their tokens are written."""
        batch, _, new, _ = key.shape
        end = self.length + new
        if self._buffers[layer] is None:
            self._buffers[layer] = self._allocate(key), self._allocate(value)
        keys, values = self._buffers[layer]
        if keys.shape[0] != batch:
            raise OperationError(f"KVCache: it holds {keys.shape[0]} sequences, and {batch} came")
        if end > self.max_length:
            raise OperationError(
                f"KVCache: {self.length} tokens are held and {new} more came; there is room for "
                f"{self.max_length}"
            )
        keys[:, :, self.length : end] = key
        values[:, :, self.length : end] = value
        return keys, values, end

    def _allocate(self, new: Array) -> Array:
        batch, heads, _, width = new.shape
        return xp_of(new).empty((batch, heads, self.max_length, width), new.dtype)

    def advance(self, new: int) -> None:
        """Count new tokens as held, now that every layer has written theirs."""
        self.length += new

    def seen(self, attention_mask: Tensor | None, batch: int, new: int) -> Tensor | None:
        """Return which tokens are no padding, held ones and new ones: (B, length + new), or None if all are.

        Args:
            attention_mask: of the new tokens, (B, new), or of all, (B, length + new); not 0 for tokens. The
                padding of held tokens is remembered.
            batch: number of sequences, B.
            new: number of new tokens.
        """
        end = self.length + new
        if attention_mask is None and self._mask is None:
            return None
        if self._mask is None:
            assert attention_mask is not None
            self._mask = xp_of(attention_mask.array).ones((batch, self.max_length), bool)
        if attention_mask is not None:
            mask = attention_mask.array != 0
            if mask.shape == (batch, new):
                self._mask[:, self.length : end] = mask
            elif mask.shape == (batch, end):
                self._mask[:, :end] = mask
            else:
                raise OperationError(
                    f"attention_mask: got shape {tuple(mask.shape)}; it needs {(batch, new)} for the new "
                    f"tokens, or {(batch, end)} for all"
                )
        return wrap(self._mask[:, :end])

    def get_seq_length(self) -> int:
        """Return the number of tokens that it holds, by the name that programs for Transformers use."""
        return self.length

    def reorder(self, rows: Any) -> None:
        """Keep these sequences of the batch, in this order; one may come several times (for beam search)."""
        rows = rows.array if isinstance(rows, Tensor) else rows
        self._buffers = [
            None if buffers is None else tuple(self._picked(held, rows) for held in buffers)
            for buffers in self._buffers
        ]
        if self._mask is not None:
            self._mask = self._mask[rows]

    def _picked(self, held: Array, rows: Any) -> Array:
        """Return a buffer with these rows; what is not written yet is not copied."""
        picked = xp_of(held).empty((len(rows), *held.shape[1:]), held.dtype)
        picked[:, :, : self.length] = held[rows, :, : self.length]
        return picked
