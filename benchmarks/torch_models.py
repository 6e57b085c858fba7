"""PyTorch's side of the workloads: modules as one writes them by hand today, in PyTorch's best everyday form.

They do without what transformers' models do around the same arithmetic, and were at least as fast here. Names of
parameters are those of minillm's models, except BERT's query, key and value, which are one linear layer.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class GPTAttention(nn.Module):
    """Causal self-attention; with a cache, of the newest tokens to all."""

    def __init__(self, width: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(width, 3 * width, bias=bias)
        self.c_proj = nn.Linear(width, width, bias=bias)

    def forward(self, x: torch.Tensor, cache: Any = None, past: int = 0) -> torch.Tensor:
        B, T, C = x.shape
        q, k, v = (part.view(B, T, self.heads, C // self.heads).transpose(1, 2) for part in self.c_attn(x).split(C, 2))
        if cache is not None:
            cache[0][:, :, past : past + T] = k
            cache[1][:, :, past : past + T] = v
            k, v = cache[0][:, :, : past + T], cache[1][:, :, : past + T]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=T > 1)
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))


class GPTMLP(nn.Module):
    def __init__(self, width: int, bias: bool) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width, bias=bias)
        self.c_proj = nn.Linear(4 * width, width, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class GPTBlock(nn.Module):
    def __init__(self, width: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width, bias=bias), nn.LayerNorm(width, bias=bias)
        self.attn, self.mlp = GPTAttention(width, heads, bias), GPTMLP(width, bias)

    def forward(self, x: torch.Tensor, cache: Any = None, past: int = 0) -> torch.Tensor:
        x = x + self.attn(self.ln_1(x), cache, past)
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """GPT-2 as nanoGPT has it, with a cache of keys and values in memory that is taken once."""

    def __init__(self, layers: int, heads: int, width: int, block_size: int, vocab_size: int, bias: bool) -> None:
        super().__init__()
        self.heads, self.width = heads, width
        parts = {"wte": nn.Embedding(vocab_size, width), "wpe": nn.Embedding(block_size, width)}
        blocks = nn.ModuleList([GPTBlock(width, heads, bias) for _ in range(layers)])
        self.transformer = nn.ModuleDict({**parts, "h": blocks, "ln_f": nn.LayerNorm(width, bias=bias)})
        self.lm_head = nn.Linear(width, vocab_size, bias=False)
        self.apply(self._init_weights)
        for name, p in self.named_parameters():
            if name.endswith("c_proj.weight"):
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * layers))
        self.lm_head.weight = self.transformer["wte"].weight

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def hidden(self, x: torch.Tensor, caches: Any = None, past: int = 0) -> torch.Tensor:
        parts = self.transformer
        y = parts["wte"](x) + parts["wpe"](torch.arange(past, past + x.shape[1]))
        for layer, block in enumerate(parts["h"]):
            y = block(y, None if caches is None else caches[layer], past)
        return parts["ln_f"](y)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        logits = self.lm_head(self.hidden(x))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), y.reshape(-1))

    @torch.inference_mode()
    def write(self, prompt: torch.Tensor, count: int) -> list[int]:
        """Greedy decoding with a cache, batch 1."""
        past, x = 0, prompt
        room = (1, self.heads, prompt.shape[1] + count, self.width // self.heads)
        dtype = self.transformer["wte"].weight.dtype
        caches = [(torch.empty(room, dtype=dtype), torch.empty(room, dtype=dtype)) for _ in self.transformer["h"]]
        tokens = []
        for _ in range(count):
            logits = self.lm_head(self.hidden(x, caches, past)[:, -1])
            past += x.shape[1]
            x = logits.argmax(-1, keepdim=True)
            tokens.append(int(x))
        return tokens


class BertLayer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.attention = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm_1, self.norm_2 = nn.LayerNorm(width, eps=1e-12), nn.LayerNorm(width, eps=1e-12)
        self.intermediate, self.output = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        B, T, C = x.shape
        q, k, v = (part.view(B, T, self.heads, C // self.heads).transpose(1, 2) for part in self.qkv(x).split(C, 2))
        y = F.scaled_dot_product_attention(q, k, v)
        x = self.norm_1(x + self.attention(y.transpose(1, 2).contiguous().view(B, T, C)))
        return self.norm_2(x + self.output(F.gelu(self.intermediate(x))))


class Bert(nn.Module):
    """BERT that labels a text, without dropout."""

    def __init__(self, layers: int, heads: int, width: int, places: int, vocab_size: int, num_labels: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(vocab_size, width, padding_idx=0)
        self.position_embeddings = nn.Embedding(places, width)
        self.token_type_embeddings = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.layer = nn.ModuleList([BertLayer(width, heads) for _ in range(layers)])
        self.pooler, self.classifier = nn.Linear(width, width), nn.Linear(width, num_labels)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        y = self.word_embeddings(x) + self.token_type_embeddings.weight[0]
        y = self.norm(y + self.position_embeddings.weight[: x.shape[1]])
        for layer in self.layer:
            y = layer(y)
        return F.cross_entropy(self.classifier(torch.tanh(self.pooler(y[:, 0]))), labels)


BERT_NAMES = {
    "bert.embeddings.LayerNorm": "norm",
    "bert.embeddings.": "",
    "bert.encoder.": "",
    "bert.pooler.dense": "pooler",
    "attention.output.dense": "attention",
    "attention.output.LayerNorm": "norm_1",
    "output.LayerNorm": "norm_2",
    "intermediate.dense": "intermediate",
    "output.dense": "output",
}


def bert_names(arrays: dict[str, Any]) -> dict[str, Any]:
    """Return arrays by the names of :class:`Bert`, from those of Hugging Face's files."""
    named: dict[str, Any] = {}
    for name, array in arrays.items():
        for theirs, ours in BERT_NAMES.items():
            name = name.replace(theirs, ours)
        part = next((p for p in ("query", "key", "value") if f".attention.self.{p}." in name), None)
        if part is None:
            named[name] = array
        else:
            named.setdefault(name.replace(f"attention.self.{part}", "qkv"), []).append(array)
    return {
        name: torch.cat([torch.as_tensor(a) for a in array]).numpy() if isinstance(array, list) else array
        for name, array in named.items()
    }


class RecurrentLM(nn.Module):
    """Embedding, recurrent layer, linear layer over the vocabulary."""

    def __init__(self, cell: str, width: int, vocab_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        self.rnn = {"lstm": nn.LSTM, "rnn": nn.RNN}[cell](width, width, batch_first=True)
        self.head = nn.Linear(width, vocab_size)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        logits = self.head(self.rnn(self.embedding(x))[0])
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), y.reshape(-1))
