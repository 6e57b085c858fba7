"""The Transformer: layers of attention and feed-forward networks, each around a residual connection.

    encoder layer:  x = norm1(x + attention(x, x)),  x = norm2(x + feed_forward(x))
    decoder layer:  x = norm1(x + attention(x, x)),  x = norm2(x + attention(x, memory)),
                    x = norm3(x + feed_forward(x)),
    feed_forward(x) = W_2 act(W_1 x + b_1) + b_2,

with dropout on what is added to x; or, with ``norm_first``, x = x + f(norm(x)), which trains more stably.

Sources: Vaswani et al., "Attention is all you need", 2017, arXiv:1706.03762; for ``norm_first``, Xiong et al.,
"On layer normalization in the Transformer architecture", 2020, arXiv:2002.04745.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, ClassVar

from minillm import ops
from minillm.autograd.errors import OperationError
from minillm.nn import functional as F
from minillm.nn import init
from minillm.nn.attention import MultiheadAttention
from minillm.nn.container import ModuleList
from minillm.nn.dropout import Dropout
from minillm.nn.linear import Linear
from minillm.nn.module import Module
from minillm.nn.normalization import LayerNorm
from minillm.ops import Tensor

Activation = str | Callable[[Tensor], Tensor]
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}


class _Layer(Module):
    """What encoder and decoder layers share: self-attention, the feed-forward network, the order of norms."""

    num_blocks: ClassVar[int]  # each with a norm and a dropout

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: Activation = F.relu, layer_norm_eps: float = 1e-5, batch_first: bool = False,
        norm_first: bool = False, bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        function = _ACTIVATIONS.get(activation) if isinstance(activation, str) else activation
        if function is None:
            raise OperationError(
                f"{type(self).__name__}: got activation={activation!r}; it needs 'relu', 'gelu' or a function"
            )
        kind: dict[str, Any] = {"bias": bias, "device": device, "dtype": dtype}
        attention = {"dropout": dropout, "batch_first": batch_first, **kind}
        self.self_attn = MultiheadAttention(d_model, nhead, **attention)
        if self.num_blocks == 3:
            self.multihead_attn = MultiheadAttention(d_model, nhead, **attention)
        self.linear1 = Linear(d_model, dim_feedforward, **kind)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **kind)
        self.norm_first = norm_first
        numbers = range(1, self.num_blocks + 1)
        for i in numbers:
            self.register_module(f"norm{i}", LayerNorm(d_model, eps=layer_norm_eps, **kind))
        for i in numbers:
            self.register_module(f"dropout{i}", Dropout(dropout))
        self.activation = function

    def _around(self, x: Tensor, i: int, block: Callable[[Tensor], Tensor]) -> Tensor:
        """Return x after the block i, with its residual connection, norm and dropout."""
        norm, dropout = getattr(self, f"norm{i}"), getattr(self, f"dropout{i}")
        if self.norm_first:
            return x + dropout(block(norm(x)))
        return norm(x + dropout(block(x)))

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Layer):
    """Self-attention and a feed-forward network.

    Args:
        d_model: E, the size of a token's vector.
        nhead: the number of heads of attention; E needs to be a multiple.
        dim_feedforward: the size in the middle of the feed-forward network.
        dropout: the probability, for weights of attention and for activations.
        activation: ``"relu"``, ``"gelu"``, or a function of a tensor.
        layer_norm_eps: of the layer norms.
        batch_first: inputs and output are (batch, length, E), not (length, batch, E).
        norm_first: normalise what goes into a block, not what comes out after the addition.
        bias: add biases in linear layers and layer norms.
        device: of the parameters.
        dtype: of the parameters.

    Example:
        >>> import minillm
        >>> layer = minillm.nn.TransformerEncoderLayer(d_model=8, nhead=2, batch_first=True)
        >>> layer(minillm.randn(3, 5, 8)).shape
        (3, 5, 8)
    """

    num_blocks = 2

    def forward(
        self, src: Tensor, src_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        """Return the layer's output, of the shape of ``src``.

        Args:
            src: (L, N, E); with ``batch_first`` (N, L, E); without a batch (L, E).
            src_mask: (L, L) or (N H, L, L). Booleans: True where a token is not seen. Floats: added to the scores.
            src_key_padding_mask: (N, L), or (L,). Booleans: True for tokens that none sees. Floats: added.
            is_causal: a hint that ``src_mask`` is the causal mask, which is needed nevertheless.
        """

        def attend(x: Tensor) -> Tensor:
            return self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal)[0]

        return self._around(self._around(src, 1, attend), 2, self._feed_forward)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to an encoder's output, and a feed-forward network.

    The arguments are those of :class:`TransformerEncoderLayer`.

    Example:
        >>> import minillm
        >>> layer = minillm.nn.TransformerDecoderLayer(d_model=8, nhead=2, batch_first=True)
        >>> layer(minillm.randn(3, 5, 8), memory=minillm.randn(3, 7, 8)).shape
        (3, 5, 8)
    """

    num_blocks = 3

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None, memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False, memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        """Return the layer's output, of the shape of ``tgt``.

        Args:
            tgt: (T, N, E); with ``batch_first`` (N, T, E); without a batch (T, E).
            memory: the encoder's output, (S, N, E), likewise.
            tgt_mask: (T, T) or (N H, T, T). Booleans: True where a token is not seen. Floats: added to the scores.
            memory_mask: (T, S) or (N H, T, S), likewise.
            tgt_key_padding_mask: (N, T), or (T,). Booleans: True for tokens that none sees. Floats: added.
            memory_key_padding_mask: (N, S), or (S,), likewise.
            tgt_is_causal: a hint that ``tgt_mask`` is the causal mask, which is needed nevertheless.
            memory_is_causal: likewise, about ``memory_mask``.
        """

        def attend(x: Tensor) -> Tensor:
            return self.self_attn(x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal)[0]

        def attend_to_memory(x: Tensor) -> Tensor:
            return self.multihead_attn(
                x, memory, memory, memory_key_padding_mask, False, memory_mask, is_causal=memory_is_causal
            )[0]

        x = self._around(self._around(tgt, 1, attend), 2, attend_to_memory)
        return self._around(x, 3, self._feed_forward)


class _Stack(Module):
    """Copies of a layer, one after the other, and a norm."""

    def __init__(self, layer: Module, num_layers: int, norm: Module | None) -> None:
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(layer) for _ in range(num_layers)])
        self.num_layers, self.norm = num_layers, norm

    def _run(self, x: Tensor, *memory: Tensor, **masks: Any) -> Tensor:
        for layer in self.layers:
            x = layer(x, *memory, **masks)
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """A stack of encoder layers.

    Args:
        encoder_layer: copied ``num_layers`` times; all copies start with the same weights.
        num_layers: how many.
        norm: applied to the output, or None.
        enable_nested_tensor: takes PyTorch's argument, and does nothing: outputs at padded places, which
            PyTorch may set to zero when evaluating, are computed like all others.
        mask_check: likewise.

    Example:
        >>> import minillm
        >>> layer = minillm.nn.TransformerEncoderLayer(d_model=8, nhead=2, batch_first=True)
        >>> minillm.nn.TransformerEncoder(layer, num_layers=2)(minillm.randn(3, 5, 8)).shape
        (3, 5, 8)
    """

    def __init__(
        self, encoder_layer: Module, num_layers: int, norm: Module | None = None, enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(encoder_layer, num_layers, norm)

    def forward(
        self, src: Tensor, mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:  # fmt: skip
        """Return the output of the last layer; masks are as in :class:`TransformerEncoderLayer`.

        With ``is_causal=None``, a causal mask is recognised.
        """
        causal = _is_causal(mask) if is_causal is None else is_causal
        return self._run(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=causal)


class TransformerDecoder(_Stack):
    """A stack of decoder layers.

    Args:
        decoder_layer: copied ``num_layers`` times; all copies start with the same weights.
        num_layers: how many.
        norm: applied to the output, or None.

    Example:
        >>> import minillm
        >>> layer = minillm.nn.TransformerDecoderLayer(d_model=8, nhead=2, batch_first=True)
        >>> decoder = minillm.nn.TransformerDecoder(layer, num_layers=2)
        >>> decoder(minillm.randn(3, 5, 8), memory=minillm.randn(3, 7, 8)).shape
        (3, 5, 8)
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None = None, memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        """Return the output of the last layer; masks are as in :class:`TransformerDecoderLayer`.

        With ``tgt_is_causal=None``, a causal mask is recognised.
        """
        causal = _is_causal(tgt_mask) if tgt_is_causal is None else tgt_is_causal
        return self._run(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=causal, memory_is_causal=memory_is_causal,
        )  # fmt: skip


class Transformer(Module):
    """Encoder and decoder, as for translation; embeddings and the layer that gives logits are up to you.

    Args:
        d_model: E, the size of a token's vector.
        nhead: the number of heads of attention; E needs to be a multiple.
        num_encoder_layers: how many.
        num_decoder_layers: how many.
        dim_feedforward: the size in the middle of the feed-forward networks.
        dropout: the probability, for weights of attention and for activations.
        activation: ``"relu"``, ``"gelu"``, or a function of a tensor.
        custom_encoder: in place of the encoder.
        custom_decoder: in place of the decoder.
        layer_norm_eps: of the layer norms.
        batch_first: inputs and output are (batch, length, E), not (length, batch, E).
        norm_first: normalise what goes into a block, not what comes out after the addition.
        bias: add biases in linear layers and layer norms.
        device: of the parameters.
        dtype: of the parameters.

    Example:
        >>> import minillm
        >>> model = minillm.nn.Transformer(8, 2, 1, 1, dim_feedforward=16, batch_first=True)
        >>> src, tgt = minillm.randn(3, 7, 8), minillm.randn(3, 5, 8)
        >>> model(src, tgt, tgt_mask=model.generate_square_subsequent_mask(5)).shape
        (3, 5, 8)
    """

    def __init__(
        self, d_model: int = 512, nhead: int = 8, num_encoder_layers: int = 6, num_decoder_layers: int = 6,
        dim_feedforward: int = 2048, dropout: float = 0.1, activation: Activation = F.relu,
        custom_encoder: Module | None = None, custom_decoder: Module | None = None, layer_norm_eps: float = 1e-5,
        batch_first: bool = False, norm_first: bool = False, bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        layer = (
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias,
            device, dtype,
        )  # fmt: skip
        norm: dict[str, Any] = {"eps": layer_norm_eps, "bias": bias, "device": device, "dtype": dtype}
        if custom_encoder is None:
            encoder_layer = TransformerEncoderLayer(*layer)
            custom_encoder = TransformerEncoder(encoder_layer, num_encoder_layers, LayerNorm(d_model, **norm))
        if custom_decoder is None:
            decoder_layer = TransformerDecoderLayer(*layer)
            custom_decoder = TransformerDecoder(decoder_layer, num_decoder_layers, LayerNorm(d_model, **norm))
        self.encoder, self.decoder = custom_encoder, custom_decoder
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all matrices anew, so that the copies of a layer start apart."""
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    def forward(
        self, src: Tensor, tgt: Tensor, src_mask: Tensor | None = None, tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None, src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None, memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None, tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        """Return the decoder's output for ``tgt``, which attends to the encoder's for ``src``.

        Args:
            src: (S, N, E); with ``batch_first`` (N, S, E); without a batch (S, E).
            tgt: (T, N, E), likewise.
            src_mask: (S, S) or (N H, S, S). Booleans: True where a token is not seen. Floats: added to the scores.
            tgt_mask: (T, T) or (N H, T, T), likewise; a causal one while training a decoder.
            memory_mask: (T, S) or (N H, T, S), likewise.
            src_key_padding_mask: (N, S), or (S,). Booleans: True for tokens that none sees. Floats: added.
            tgt_key_padding_mask: (N, T), or (T,), likewise.
            memory_key_padding_mask: (N, S), or (S,), likewise; most often ``src_key_padding_mask`` again.
            src_is_causal: whether ``src_mask`` is the causal mask; None to find out.
            tgt_is_causal: whether ``tgt_mask`` is the causal mask; None to find out.
            memory_is_causal: whether ``memory_mask`` is the causal mask.

        Raises:
            OperationError: sizes that do not fit.
        """
        batch_dim = 0 if self.batch_first else 1
        batched = src.ndim == 3 and tgt.ndim == 3
        got = f"Transformer: got src of shape {src.shape} and tgt of shape {tgt.shape}"
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise OperationError(f"{got}; the last dimension of both needs to be d_model = {self.d_model}")
        if src.ndim != tgt.ndim or (batched and src.shape[batch_dim] != tgt.shape[batch_dim]):
            raise OperationError(f"{got}; they need the same batch size, in dimension {batch_dim}, or both none")
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """Return the causal mask (sz, sz): -inf for tokens to come, which are not to be seen, and 0 elsewhere.

        Example:
            >>> import minillm
            >>> minillm.nn.Transformer.generate_square_subsequent_mask(2)
            tensor([[  0., -inf],
                    [  0.,   0.]])
        """
        return ops.full((sz, sz), -math.inf, dtype=dtype, device=device).triu(1)


def _is_causal(mask: Tensor | None) -> bool:
    """Return whether a mask is that of ``generate_square_subsequent_mask``, or its twin of booleans."""
    if mask is None or mask.ndim != 2 or mask.shape[0] != mask.shape[1]:
        return False
    if mask.dtype.kind == "b":
        return bool((mask == ops.ones(mask.shape, dtype="bool", device=mask.device).triu(1)).all())
    causal = Transformer.generate_square_subsequent_mask(mask.shape[0], mask.device, mask.dtype)
    return bool((mask == causal).all())
