"""GPT-2: a decoder-only Transformer that predicts the next token.

Source: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019); the block is that of
Vaswani et al., "Attention Is All You Need" (2017), with layer norm before each part (pre-norm)::

    x = token embedding + position embedding                    (B, T, C)
    for each block:
        x = x + attention(layer_norm(x))
        x = x + mlp(layer_norm(x))
    logits = layer_norm(x) @ token embedding^T                  (B, T, V)

The names of the parameters are those of Hugging Face's files. Linear weights are (out, in) in memory, as in
PyTorch, and (in, out) in files, as GPT-2's are.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

from minillm import nn, ops
from minillm.autograd import is_grad_enabled
from minillm.autograd.errors import OperationError
from minillm.autograd.function import Function, wrap
from minillm.backend import Array
from minillm.kernels.cpu.thirds import thirds_of_one
from minillm.models.activations import ACTIVATIONS, activated_linear
from minillm.models.attention import attention_with_weights, causal_mask
from minillm.models.cache import KVCache
from minillm.models.causal_lm import CausalLM
from minillm.models.config import divisible, one_of, positive, probability
from minillm.models.inputs import one_of_both
from minillm.models.labels import LabelsConfig
from minillm.models.one_token import activated, attend, normalized, plain, plain_linear, through
from minillm.models.output import ModelOutput
from minillm.models.pretrained import PretrainedModel
from minillm.models.recomputed import Stack
from minillm.nn import functional as F
from minillm.ops import Tensor


@dataclasses.dataclass
class GPT2Config(LabelsConfig):
    """The settings of a GPT-2; the defaults are those of the smallest published model (124 M parameters).

    Attributes:
        vocab_size: number of tokens, V.
        n_positions: the longest text, in tokens.
        n_embd: width of the residual stream, C.
        n_layer: number of blocks.
        n_head: number of attention heads, H; C is divided between them.
        n_inner: width inside the MLP; 4 C by default.
        activation_function: of the MLP; ``gelu_new`` is the tanh form of GELU.
        resid_pdrop: dropout after attention and MLP.
        embd_pdrop: dropout after the embeddings.
        attn_pdrop: dropout of the attention weights.
        layer_norm_epsilon: added to the variance in layer norm.
        initializer_range: standard deviation of the initial weights.
        scale_attn_weights: divide the scores by sqrt(C / H).
        scale_attn_by_inverse_layer_idx: divide them by the number of the layer, too.
        bias: whether linear layers and layer norms have biases (an addition of nanoGPT's).
        tie_word_embeddings: whether the head shares the token embedding.
        bos_token_id: token that begins a text.
        eos_token_id: token that ends a text, or several.
        pad_token_id: token that fills up short texts of a batch.
    """

    model_type: ClassVar[str] = "gpt2"
    aliases: ClassVar[dict[str, str]] = {
        "hidden_size": "n_embd",
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
        "max_position_embeddings": "n_positions",
    }
    unused: ClassVar[frozenset[str]] = frozenset({"n_ctx"})

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None
    activation_function: str = "gelu_new"
    resid_pdrop: float = 0.1
    embd_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    layer_norm_epsilon: float = 1e-5
    initializer_range: float = 0.02
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    bias: bool = True
    tie_word_embeddings: bool = True
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head"):
            positive(self, **{name: getattr(self, name)})
        if self.n_inner is not None:
            positive(self, n_inner=self.n_inner)
        divisible(self, n_embd=self.n_embd, n_head=self.n_head)
        for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop"):
            probability(self, **{name: getattr(self, name)})
        one_of(self, ACTIVATIONS, activation_function=self.activation_function)
        if self.other.get("add_cross_attention"):
            raise ValueError(
                "GPT2Config: add_cross_attention is set; a GPT-2 that reads an encoder is not offered"
            )


class Conv1D(nn.Linear):
    """A linear layer whose weight is (in, out) in files: the authors of GPT-2 saw it as a convolution."""

    stored_transposed = True


class SplitHeads(Function):
    """q, k, v = the thirds of x, each cut into heads: (B, T, 3 C) -> three of (B, H, T, D).

    The three are views of x. Backward writes one array, where three slices would fill three and add them up.
    """

    def forward(self, x: Array, num_heads: int) -> tuple[Array, ...]:
        B, T, C3 = x.shape
        parts = x.reshape(B, T, 3, num_heads, C3 // 3 // num_heads).transpose(2, 0, 3, 1, 4)
        return parts[0], parts[1], parts[2]

    def backward(self, dq: Any, dk: Any, dv: Any) -> Any:
        B, H, T, D = dq.shape
        whole = thirds_of_one(dq, dk, dv)
        if whole is not None:
            return whole.reshape(B, T, 3 * H * D)
        stacked = ops.stack([d.swapaxes(1, 2) for d in (dq, dk, dv)], dim=2)  # (B, T, 3, H, D)
        return stacked.reshape(B, T, 3 * H * D)


class GPT2Attention(nn.Module):
    """Causal multi-head self-attention: softmax(q k^T / sqrt(D)) v, each token looking back only."""

    def __init__(self, config: GPT2Config, layer: int) -> None:
        super().__init__()
        self.num_heads = config.n_head
        self.layer = layer
        self.attn_pdrop = config.attn_pdrop
        self.c_attn = Conv1D(config.n_embd, 3 * config.n_embd, bias=config.bias)
        self.c_proj = Conv1D(config.n_embd, config.n_embd, bias=config.bias)
        self.resid_dropout = nn.Dropout(config.resid_pdrop)
        scale = 1 / math.sqrt(config.n_embd // config.n_head) if config.scale_attn_weights else 1.0
        self.scale = scale / (layer + 1) if config.scale_attn_by_inverse_layer_idx else scale

    def forward(
        self, x: Tensor, mask: Tensor | None, cache: KVCache | None, attentions: list[Tensor] | None
    ) -> Tensor:
        B, T, C = x.shape
        q, k, v = SplitHeads.apply(self.c_attn(x), self.num_heads)  # (B, H, T, D) each
        if cache is not None:
            k, v = cache.update(self.layer, k, v)
        dropout = self.attn_pdrop if self.training else 0.0
        if attentions is None:
            is_causal = mask is None and T > 1
            y = F.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal, scale=self.scale)
        else:
            y, weights = attention_with_weights(q, k, v, mask, dropout, self.scale)
            attentions.append(weights)
        return self.resid_dropout(self.c_proj(y.transpose(1, 2).reshape(B, T, C)))


class GPT2MLP(nn.Module):
    """Two linear layers with an activation between them, on each token alone."""

    def __init__(self, config: GPT2Config) -> None:
        super().__init__()
        inner = config.n_inner or 4 * config.n_embd
        self.c_fc = Conv1D(config.n_embd, inner, bias=config.bias)
        self.c_proj = Conv1D(inner, config.n_embd, bias=config.bias)
        self.act = ACTIVATIONS[config.activation_function]
        self.dropout = nn.Dropout(config.resid_pdrop)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.c_proj(activated_linear(self.act, self.c_fc, x)))


class GPT2Block(nn.Module):
    """Attention and MLP, each added to the residual stream."""

    def __init__(self, config: GPT2Config, layer: int) -> None:
        super().__init__()
        eps = config.layer_norm_epsilon
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=eps, bias=config.bias)
        self.attn = GPT2Attention(config, layer)
        self.ln_2 = nn.LayerNorm(config.n_embd, eps=eps, bias=config.bias)
        self.mlp = GPT2MLP(config)

    def forward(
        self, x: Tensor, mask: Tensor | None, cache: KVCache | None, attentions: list[Tensor] | None
    ) -> Tensor:
        x = x + self.attn(self.ln_1(x), mask, cache, attentions)
        return x + self.mlp(self.ln_2(x))

    def is_plain(self) -> bool:
        """Return whether nothing in this block was hooked or put in another's place."""
        attn, mlp = self.attn, self.mlp
        return (
            plain(self, GPT2Block)
            and plain(attn, GPT2Attention)
            and plain(mlp, GPT2MLP)
            and plain(self.ln_1, nn.LayerNorm)
            and plain(self.ln_2, nn.LayerNorm)
            and all(plain_linear(part, Conv1D) for part in (attn.c_attn, attn.c_proj, mlp.c_fc, mlp.c_proj))
        )

    def one_token(self, x: Array, mask: Array | None, cache: KVCache) -> Array:
        """Do what ``forward`` does for one new token a row, on arrays: (B, C) -> (B, C)."""
        attn, mlp = self.attn, self.mlp
        B, C = x.shape
        qkv = through(attn.c_attn, normalized(self.ln_1, x)).reshape(B, 3, attn.num_heads, 1, C // attn.num_heads)
        held = cache.append(attn.layer, qkv[:, 1], qkv[:, 2])
        y = attend(qkv[:, 0], *held, attn.scale, mask).reshape(B, C)
        x = x + through(attn.c_proj, y)
        h = through(mlp.c_fc, normalized(self.ln_2, x))
        x += through(mlp.c_proj, activated(mlp.act, h))
        return x


class GPT2PretrainedModel(PretrainedModel):
    """What GPT-2 with and without a head have in common: settings, files, initial weights."""

    config_class = GPT2Config
    base_model_prefix = "transformer"
    input_embeddings = "wte"

    def _init_weights(self, module: nn.Module) -> None:
        config = self.config
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=config.initializer_range)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, (GPT2Attention, GPT2MLP)):
            # The residual stream sums 2 n_layer parts: their last layers start smaller (GPT-2, section 2.3).
            std = config.initializer_range / math.sqrt(2 * config.n_layer)
            nn.init.normal_(module.c_proj.weight, std=std)

    @property
    def max_length(self) -> int:
        """The longest text, in tokens."""
        return int(self.config.n_positions)

    def start_cache(self, max_length: int | None = None) -> KVCache:
        """Return an empty cache, with room for so many tokens (the longest text by default)."""
        return KVCache(self.config.n_layer, min(max_length or self.max_length, self.max_length))


class GPT2Model(Stack, GPT2PretrainedModel):
    """The stack of blocks: tokens in, hidden states out.

    Example:
        >>> import minillm
        >>> model = GPT2Model(GPT2Config(vocab_size=65, n_positions=16, n_embd=32, n_layer=2, n_head=4))
        >>> model(minillm.zeros(2, 8, dtype="int64")).last_hidden_state.shape
        (2, 8, 32)
    """

    def __init__(self, config: GPT2Config) -> None:
        super().__init__(config)
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.n_positions, config.n_embd)
        self.drop = nn.Dropout(config.embd_pdrop)
        self.h = nn.ModuleList([GPT2Block(config, layer) for layer in range(config.n_layer)])
        self.ln_f = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon, bias=config.bias)
        self.apply(self._init_weights)

    def forward(
        self,
        input_ids: Tensor | None = None,
        past_key_values: KVCache | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> ModelOutput | tuple[Any, ...]:
        """Return the hidden states.

        Args:
            input_ids: tokens, (B, T).
            past_key_values: the tokens read before, from :meth:`start_cache`; these are added to it.
            attention_mask: (B, T) or (B, past + T), 1 for tokens and 0 for padding.
            token_type_ids: (B, T), tokens whose embeddings are added, to tell parts of a text apart.
            position_ids: (B, T) or (1, T); counted on from the tokens read before by default.
            inputs_embeds: (B, T, C), embeddings in the place of ``input_ids``.
            use_cache: return a cache although none was given.
            output_attentions: return the attention weights of every block.
            output_hidden_states: return the hidden states before every block, and the last ones.
            return_dict: False returns a plain tuple; for this and the two above, None is as the config says.

        Returns:
            ``last_hidden_state`` (B, T, C), and where asked for ``past_key_values``, ``hidden_states`` (a
            tuple of n_layer + 1) and ``attentions`` (a tuple of n_layer, (B, H, T, past + T) each).
        """
        output_attentions, output_hidden_states = self._shown(output_attentions, output_hidden_states)
        given = one_of_both(self, input_ids, inputs_embeds)
        B, T = given.shape[:2]
        cache = past_key_values
        if cache is None and use_cache:
            cache = self.start_cache()
        past = cache.length if cache is not None else 0
        if past + T > self.config.n_positions:
            raise OperationError(
                f"GPT2Model: {past + T} tokens are more than the {self.config.n_positions} positions that it "
                "has; give it fewer, or a model with larger n_positions"
            )
        if position_ids is None:
            position_ids = ops.arange(past, past + T, device=given.device).reshape(1, T)
        if cache is not None:
            seen = cache.seen(attention_mask, B, T)
        else:
            seen = None if attention_mask is None else KVCache(0, T).seen(attention_mask, B, T)
        mask = causal_mask(seen, past, T, given.device, always=output_attentions)

        x = self.wte(input_ids) if inputs_embeds is None else inputs_embeds
        x = x + self.wpe(position_ids)
        if token_type_ids is not None:
            x = x + self.wte(token_type_ids)
        x = self.drop(x)
        hidden_states = [x]
        attentions: list[Tensor] | None = [] if output_attentions else None
        told = output_hidden_states or output_attentions
        if T == 1 and cache is not None and not told and self._is_plain(x):
            row = x.array.reshape(B, self.config.n_embd)
            for block in self.h:
                row = block.one_token(row, None if mask is None else mask.array, cache)
            x = wrap(row.reshape(B, 1, self.config.n_embd))
        else:
            plain = cache is None and attentions is None
            for block in self.h:
                x = self.caller(block, plain)(x, mask, cache, attentions)
                if output_hidden_states:
                    hidden_states.append(x)
        if cache is not None:
            cache.advance(T)
        x = self.ln_f(x)
        return ModelOutput(
            last_hidden_state=x,
            past_key_values=cache,
            hidden_states=(*hidden_states[:-1], x) if output_hidden_states else None,
            attentions=tuple(attentions) if attentions is not None else None,
        ).unless_tuple(self._returns_dict(return_dict))

    def _is_plain(self, x: Tensor) -> bool:
        """Return whether the blocks may run on arrays: nothing is recorded, dropped, hooked or replaced."""
        return (
            not self.training
            and not is_grad_enabled()
            and x.dtype.itemsize > 2  # half precision adds up in float32, which the layers see to
            and all(block.is_plain() for block in self.h)
        )


class GPT2LMHeadModel(CausalLM, GPT2PretrainedModel):
    """GPT-2 with its language-model head.

    Example:
        >>> import minillm
        >>> config = GPT2Config(vocab_size=65, n_positions=16, n_embd=32, n_layer=2, n_head=4)
        >>> model = GPT2LMHeadModel(config)
        >>> model(minillm.zeros(2, 8, dtype="int64")).logits.shape
        (2, 8, 65)
    """

    def __init__(self, config: GPT2Config) -> None:
        super().__init__(config)
        self.transformer = GPT2Model(config)
        self._add_head(config.n_embd, config.vocab_size)
