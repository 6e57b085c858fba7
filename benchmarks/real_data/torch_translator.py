"""The LSTM encoder-decoder in PyTorch, and its training as minillm's fine-tuner does it: what PyTorch reaches.

Parameters have the names of :class:`minillm.models.LSTMTranslator`, so that both begin with the same weights; the
batches are the same, too. Dropout draws from other generators.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from minillm.backend import Generator
from minillm.data.sampler import BucketBatchSampler
from minillm.training.fine_tuning import FineTuningConfig
from minillm.training.tasks import Translate


class TorchTranslator(nn.Module):
    """The model of a ``LSTMTranslatorConfig`` with one layer, with the weights of minillm's."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        config = model.config
        E, H = config.embedding_dim, config.hidden_size
        self.hidden_size, self.start, self.padding = H, config.decoder_start_token_id, config.pad_token_id
        self.embedding = nn.Embedding(config.vocab_size, E)
        self.target_embedding = nn.Embedding(config.decoder_vocab_size, E)
        self.encoder = nn.LSTM(E, H, batch_first=True, bidirectional=True)
        self.bridge_h, self.bridge_c = nn.Linear(2 * H, H), nn.Linear(2 * H, H)
        self.decoder = nn.LSTM(E, H, batch_first=True)
        self.attention = nn.Linear(2 * H, H, bias=False)
        self.combine = nn.Linear(3 * H, H, bias=False)
        self.head = nn.Linear(H, config.decoder_vocab_size)
        self.drop = nn.Dropout(config.dropout)
        self.load_state_dict({name: torch.tensor(t.numpy()) for name, t in model.state_dict().items()})

    def encode(self, source: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """Return the states of both directions, (B, S, 2H), and the writer's first state."""
        x = self.drop(self.embedding(source))
        packed = pack_padded_sequence(x, mask.sum(1), batch_first=True, enforce_sorted=False)
        memory, _ = pad_packed_sequence(self.encoder(packed)[0], batch_first=True, total_length=x.shape[1])
        H = self.hidden_size
        last = memory[torch.arange(len(x)), mask.sum(1) - 1, :H]
        both = torch.cat([last, memory[:, 0, H:]], dim=1)  # (B, 2H)
        return memory, tuple(torch.tanh(bridge(both)).unsqueeze(0) for bridge in (self.bridge_h, self.bridge_c))

    def decode(self, read: torch.Tensor, memory: torch.Tensor, state: Any, mask: torch.Tensor) -> torch.Tensor:
        """Return the logits of the targets, (B, T, V), for what the writer reads, (B, T)."""
        hidden, _ = self.decoder(self.drop(self.target_embedding(read)), state)
        scores = hidden @ self.attention(memory).transpose(1, 2)  # (B, T, S)
        weights = scores.masked_fill(mask[:, None] == 0, float("-inf")).softmax(-1)
        return self.head(self.drop(torch.tanh(self.combine(torch.cat([weights @ memory, hidden], dim=-1)))))

    def loss(self, source: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        first = torch.full((len(labels), 1), self.start)
        read = torch.cat([first, labels[:, :-1]], dim=1)
        logits = self.decode(read.masked_fill(read < 0, self.padding), *self.encode(source, mask), mask)
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)

    @torch.no_grad()
    def exact(self, source: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor) -> float:
        """Return the share of targets that are written as they should be, each token the likeliest one."""
        self.eval()
        encoded = self.encode(source, mask)
        read = torch.full((len(labels), 1), self.start)
        for _ in range(labels.shape[1]):
            read = torch.cat([read, self.decode(read, *encoded, mask)[:, -1:].argmax(-1)], dim=1)
        self.train()
        return ((read[:, 1:] == labels) | (labels < 0)).all(1).float().mean().item()


def as_torch(task: Translate, features: list[Any]) -> tuple[torch.Tensor, ...]:
    """Return a batch as tensors of PyTorch: source, mask, labels."""
    batch = task.batch(features)
    return tuple(torch.tensor(batch[name].numpy()) for name in ("input_ids", "attention_mask", "labels"))


def trained_in_torch(
    model: Any, task: Translate, parts: dict[str, list[Any]], config: FineTuningConfig
) -> dict[str, float]:
    """Train from the weights of a model; return the exact shares of the epoch that was best in validation.

    Args:
        model: minillm's, not trained yet.
        task: that it is for.
        parts: examples by the names ``train``, ``validation`` and ``test``.
        config: as for a :class:`~minillm.training.fine_tuning.FineTuner` with AdamW.
    """
    torch.manual_seed(config.seed)
    twin = TorchTranslator(model)
    features = task.features(parts["train"])
    unseen = {name: as_torch(task, task.features(parts[name])) for name in ("validation", "test")}
    matrices = [p for p in twin.parameters() if p.ndim > 1]
    vectors = [p for p in twin.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    )
    step, steps = 0, config.epochs * -(-len(features) // config.batch_size)
    best = {"validation": -1.0, "test": 0.0}
    for epoch in range(config.epochs):
        random = Generator(config.seed).at("shuffle", epoch)
        for chosen in BucketBatchSampler([task.length(f) for f in features], config.batch_size, generator=random):
            for group in optimizer.param_groups:
                group["lr"] = config.lr * config.rate(step, steps)
            twin.loss(*as_torch(task, [features[i] for i in chosen])).backward()
            nn.utils.clip_grad_norm_(twin.parameters(), config.grad_clip)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
        scores = {name: twin.exact(*batch) for name, batch in unseen.items()}
        print(f"    torch: epoch {epoch + 1}: validation {scores['validation']:.4f}", flush=True)
        if scores["validation"] >= best["validation"]:
            best = scores
    return best
