"""A recurrent language model from its parts.  Usage: rnn_language_model.py WEIGHTS TEXT VOCABULARY WIDTH"""

import sys

import numpy as np
import torch
import torch.nn as nn
from torch.optim import SGD

weights, path, vocabulary, width = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])


class RNNLM(nn.Module):
    def __init__(self, vocab_size=10000, hidden_size=512):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, hidden_size)
        self.rnn = nn.RNN(hidden_size, hidden_size, batch_first=True)
        self.fc = nn.Linear(hidden_size, vocab_size)

    def forward(self, x, hidden=None):
        x = self.embedding(x)
        output, hidden = self.rnn(x, hidden)
        return self.fc(output), hidden


model = RNNLM(vocabulary, width)
with np.load(weights) as arrays:
    model.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays})

with open(path, encoding="utf-8") as file:
    words = file.read().lower().split()
index = {word: number for number, word in enumerate(sorted(set(words))[: vocabulary - 1], 1)}
ids = torch.tensor([index.get(word, 0) for word in words])

criterion = nn.CrossEntropyLoss()
optimizer = SGD(model.parameters(), lr=0.01)
length, batch_size = 8, 4
columns = (len(ids) - 1) // batch_size
x = ids[: batch_size * columns].view(batch_size, columns)
y = ids[1 : batch_size * columns + 1].view(batch_size, columns)

losses = []
model.train()
while len(losses) < 20:
    hidden = None
    for start in range(0, columns - length, length):
        inputs, targets = x[:, start : start + length], y[:, start : start + length]
        output, hidden = model(inputs, hidden)
        hidden = hidden.detach()
        loss = criterion(output.view(-1, vocabulary), targets.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=5.0)
        optimizer.step()
        losses.append(loss.item())
        if len(losses) == 20:
            break

model.eval()
with torch.no_grad():
    output, _ = model(x[:1, :length])
    scores = output.numpy()
    perplexity = torch.exp(criterion(output.view(-1, vocabulary), y[:1, :length].reshape(-1))).item()
    token, hidden, written = x[:1, :1], None, []
    for _ in range(10):
        output, hidden = model(token, hidden)
        token = output[:, -1].argmax(dim=-1, keepdim=True)
        written.append(token.item())
state = {name: value.numpy() for name, value in model.state_dict().items()}
print(f"loss {losses[-1]:.4f}, perplexity {perplexity:.1f}")
