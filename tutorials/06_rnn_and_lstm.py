# %% [markdown]
# # 6. Memory: RNN and LSTM
#
# You will build a network that reads one letter after the other and remembers, and see by measurement why a plain one
# forgets and what gates do about it. At the end it writes English, letter by letter, and you look into its memory while
# it reads.
#
# *Reading time: about 25 minutes. You need: steps 2 to 5.*

# %%
import math
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minillm
from minillm import nn, optim
from minillm.data import default_corpus
from minillm.nn import functional as F
from minillm.testing import exercise
from minillm.tokenizers import CharTokenizer

try:
    import torch
except ImportError:
    torch = None  # the comparisons with PyTorch are left out then
    print("PyTorch is not installed; this step runs without it.")

PICTURES = Path(os.environ.get("MINILLM_PICTURES", "pictures"))
PICTURES.mkdir(parents=True, exist_ok=True)
BLUE, ORANGE, GREEN, GREY = "#3b6ea5", "#c8641b", "#3a8a5f", "#8a8f98"

# %% [markdown]
# ## A state that is passed on
#
# The bigram model of step 5 saw one letter and had to guess the next. A **recurrent network** (Elman, 1990, *Finding
# structure in time*) sees one letter, too, and has a second input: its own **state** $h$, a vector, from the moment
# before. Everything that it shall know about the past has to be in there.
#
# $$ h_t = \tanh(W x_t + U h_{t-1} + b) $$
#
# $x_t$ is the embedding of the letter. The same $W$, $U$ and $b$ work at each time, however long the text is. In code
# it is a loop:


# %%
def rnn(x, h, W, U, b):
    """x is (T, inputs), h the first state; returns the states at all times, (T, hidden)."""
    states = []
    for x_t in x:
        h = np.tanh(W @ x_t + U @ h + b)
        states.append(h)
    return np.array(states)


rng = np.random.default_rng(0)
T, inputs, hidden = 6, 3, 4
x = rng.normal(size=(T, inputs))
W, U, b = rng.normal(size=(hidden, inputs)), 0.5 * rng.normal(size=(hidden, hidden)), np.zeros(hidden)
states = rnn(x, np.zeros(hidden), W, U, b)
print("six letters, six states of four numbers:", states.shape)

changed = x.copy()
changed[0] += 1.0  # another first letter
effect = np.abs(rnn(changed, np.zeros(hidden), W, U, b) - states).max(axis=1)
print("and how far each state moves if the first letter is another one:", effect.round(4))

assert (effect > 0).all()  # every later state remembers it
assert effect[-1] < effect[0]  # less and less

# %% [markdown]
# **Unrolled**, that is, written out in time, a recurrent network is an ordinary deep network with a layer for each
# letter, in which all layers share their weights. Nothing new is needed for the backward pass: the chain rule walks
# back along the arrows (*backpropagation through time*; Werbos, 1990).

# %%
figure, axes = plt.subplots(figsize=(9, 3.2), layout="constrained")
arrow = {"arrowstyle": "->", "color": GREY, "linewidth": 1.4}
for t, letter in enumerate("memory"):
    axes.text(t, 0, letter, ha="center", va="center", fontsize=13, family="monospace")
    axes.text(t, 1, f"$h_{t + 1}$", ha="center", va="center", fontsize=13,
              bbox={"boxstyle": "round,pad=0.5", "facecolor": "#dbe6f2", "edgecolor": BLUE})  # fmt: skip
    axes.text(t, 2, "next letter?", ha="center", va="center", fontsize=9)
    axes.annotate("", (t, 0.72), (t, 0.18), arrowprops=arrow)
    axes.annotate("", (t, 1.85), (t, 1.28), arrowprops=arrow)
    axes.annotate("", (t - 0.25, 1), (t - 0.75, 1), arrowprops={**arrow, "color": ORANGE, "linewidth": 2})
    axes.text(t + 0.06, 0.42, "W", color=GREY)
    axes.text(t - 0.5, 1.12, "U", color=ORANGE, ha="center")
axes.text(-0.95, 1, "$h_0$", ha="center", va="center", fontsize=13)
axes.set(xlim=(-1.2, 5.6), ylim=(-0.3, 2.3), title="unrolled in time: the same U between every two letters")
axes.axis("off")
figure.savefig(PICTURES / "06_unrolled.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# ## The same in minillm
#
# `nn.RNN(inputs, hidden, batch_first=True)` takes a batch of sequences, (batch, T, inputs), and returns the states at
# all times and the last one. The names of its weights are PyTorch's: `weight_ih_l0` is our $W$ ("input to hidden, layer
# 0"), `weight_hh_l0` our $U$, and there are two biases, which are added.

# %%
weights = {"weight_ih_l0": W, "weight_hh_l0": U, "bias_ih_l0": b, "bias_hh_l0": np.zeros(hidden)}
layer = nn.RNN(inputs, hidden, batch_first=True).double()  # .double(): with float64, as NumPy computes
layer.load_state_dict({name: minillm.tensor(value) for name, value in weights.items()})
output, last = layer(minillm.tensor(x[None]))  # a batch of one
assert np.allclose(output[0].numpy(force=True), states)
assert np.allclose(last[0, 0].numpy(force=True), states[-1])
print("minillm's RNN gives the states of our loop.")

if torch is not None:
    their_layer = torch.nn.RNN(inputs, hidden, batch_first=True).double()
    their_layer.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    assert np.allclose(their_layer(torch.tensor(x[None]))[0][0].detach().numpy(), states)
    print("PyTorch's RNN, too.")

# %% [markdown]
# ## Why it forgets
#
# Let the loss look at the last state. What does it have to say to a state $k$ steps earlier? By the chain rule, one
# factor for each step in between,
#
# $$ \frac{\partial h_T}{\partial h_{T-k}} = \prod_{t=T-k+1}^{T} \text{diag}(1 - h_t^2)\; U , $$
#
# the **same** matrix $U$ again and again, and factors $1 - h^2$ that are never above 1. For single numbers it is plain
# to see what happens:

# %%
print(f"0.9 to the power of 50: {0.9**50:.4f}      1.1 to the power of 50: {1.1**50:.1f}")

assert 0.9**50 < 0.01
assert 1.1**50 > 100

# %% [markdown]
# A little less than one, and the message is gone; a little more, and it drowns everything. These are the **vanishing**
# and the **exploding gradient** (Hochreiter, 1991; Bengio, Simard and Frasconi, 1994). First the product by hand, and
# minillm as a witness:

# %%
product = np.eye(hidden)
for h in states[::-1][:-1]:  # from the last state down to the second
    product = product @ (np.diag(1 - h**2) @ U)
by_hand = (product.T @ np.ones(hidden)) * (1 - states[0] ** 2) @ W  # on to the first letter

mx = minillm.tensor(x[None], requires_grad=True)
layer(mx)[1].sum().backward()  # the sum of the last state
print("the gradient of the first letter, by hand:", by_hand.round(6))
print("                              by minillm: ", mx.grad[0, 0].numpy(force=True).round(6))

assert np.allclose(mx.grad[0, 0].numpy(force=True), by_hand)

# %% [markdown]
# Now measure it: 60 letters (random vectors), 32 hidden numbers, and for $U$ a rotation times a factor, so that we know
# how it stretches. How large is the gradient of the last state by each letter?


# %%
def gradient_by_distance(layer, T=60):
    """The size of the gradient of the last state by each letter, the last letter first."""
    rng = np.random.default_rng(1)
    x = minillm.tensor(0.1 * rng.normal(size=(16, T, 8)), requires_grad=True)
    last = layer(x)[0][:, -1]  # the state at the last time
    (last * minillm.tensor(rng.normal(size=last.shape))).sum().backward()
    return np.linalg.norm(x.grad.numpy(force=True), axis=(0, 2))[::-1]


def rnn_with(factor):
    minillm.manual_seed(0)
    layer = nn.RNN(8, 32, batch_first=True, bias=False).double()
    rotation, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(32, 32)))
    state = layer.state_dict()
    state["weight_hh_l0"] = minillm.tensor(factor * rotation)
    layer.load_state_dict(state)
    return layer


curves = {factor: gradient_by_distance(rnn_with(factor)) for factor in (0.5, 0.9, 1.0, 2.0)}
for factor, curve in curves.items():
    print(f"U stretches by {factor}: after 50 letters, the gradient has {curve[50] / curve[0]:.0e} of its size")

assert curves[0.5][50] / curves[0.5][0] < 1e-12
assert 1e-5 < curves[0.9][50] / curves[0.9][0] < 1e-1
assert curves[2.0][50] / curves[2.0][0] > 30

# %% [markdown]
# (The factors $1 - h^2$ of tanh work against the explosion. That is why a stretch by 2 does not give $2^{50}$, but a
# thousandfold is bad enough: one step with such a gradient throws the weights anywhere.)
#
# Against *exploding* there is a cure of one line. If the gradient of all parameters together is longer than a limit, it
# is shortened to it, and keeps its direction (**clipping**; Pascanu, Mikolov and Bengio, 2013,
# [arXiv:1211.5063](https://arxiv.org/abs/1211.5063)): `nn.utils.clip_grad_norm_(parameters, limit)`, between `backward`
# and `step`. You write your own in exercise 1. Against *vanishing* it helps nothing: there is no direction left to
# keep.
#
# ## Gates
#
# The **LSTM**, long short-term memory (Hochreiter and Schmidhuber, 1997; with the forget gate of Gers, Schmidhuber and
# Cummins, 2000), has a second state $c$, the memory cell. It is not pushed through a matrix at each step, it is *kept*,
# in the part that the **forget gate** $f$ allows:
#
# $$ c_t = f \odot c_{t-1} + i \odot g, \qquad h_t = o \odot \tanh(c_t) , $$
#
# $$ i, f, o = \sigma(W x_t + U h_{t-1} + b), \qquad g = \tanh(W x_t + U h_{t-1} + b), $$
#
# each with weights of its own. The sigmoid of step 4 makes numbers from 0 to 1 of them: gates, from shut to open. $i$
# lets something in, $f$ keeps what is there, $o$ shows it. Now look at the way back: along $c$ the factor of each step
# is $f$ and nothing else. **Where the network sets $f$ near 1, the gradient arrives.**


# %%
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm(x, W, U, b):
    """Return the states, the cells and the gates at all times; rows of W, U, b: those of i, then f, g, o."""
    h = c = np.zeros(U.shape[1])
    states, cells, gates = [], [], []
    for x_t in x:
        i, f, g, o = np.split(W @ x_t + U @ h + b, 4)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        states.append(h)
        cells.append(c)
        gates.append([i, f, o])
    return np.array(states), np.array(cells), np.array(gates)


minillm.manual_seed(3)
layer = nn.LSTM(inputs, hidden, batch_first=True).double()
W4, U4, b_ih, b_hh = (parameter.numpy(force=True) for parameter in layer.parameters())
h_hand, c_hand, _ = lstm(x, W4, U4, b_ih + b_hh)
output, (last_h, last_c) = layer(minillm.tensor(x[None]))
assert np.allclose(output[0].numpy(force=True), h_hand)
assert np.allclose(last_c[0, 0].numpy(force=True), c_hand[-1])
print("minillm's LSTM gives the numbers of our loop.")

if torch is not None:
    their_layer = torch.nn.LSTM(inputs, hidden, batch_first=True).double()
    their_layer.load_state_dict({k: torch.tensor(v.numpy(force=True)) for k, v in layer.state_dict().items()})
    assert np.allclose(their_layer(torch.tensor(x[None]))[0][0].detach().numpy(), h_hand)
    print("PyTorch's LSTM, too.")

# %% [markdown]
# A new LSTM has its gates half open: $f \approx 0.5$, and $0.5^{50}$ is no memory either. So one starts it with a
# larger **bias of the forget gate** (Jozefowicz, Zaremba and Sutskever, 2015): with 3, $f = \sigma(3) \approx 0.95$.


# %%
def open_forget_gate(layer, bias):
    """Add a bias to the forget gate: the second quarter of the rows."""
    size = layer.hidden_size
    with minillm.no_grad():  # a change of the weights, not a step of the computation
        layer.bias_ih_l0[size : 2 * size] = bias
    return layer


def lstm_with(bias):
    minillm.manual_seed(0)
    return open_forget_gate(nn.LSTM(8, 32, batch_first=True).double(), bias)


lstm_curves = {bias: gradient_by_distance(lstm_with(bias)) for bias in (0.0, 3.0, 6.0)}
figure, axes = plt.subplots(figsize=(9, 4.4), layout="constrained")
for (factor, curve), color in zip(curves.items(), ("#f0b98f", "#dd8b4d", ORANGE, "#8a3d0a"), strict=True):
    axes.semilogy(curve / curve[0], color=color, label=f"RNN, U stretches by {factor}")
for (bias, curve), color in zip(lstm_curves.items(), ("#a9c3df", "#6e99c4", BLUE), strict=True):
    axes.semilogy(curve / curve[0], color=color, linestyle="--", label=f"LSTM, forget bias {bias:.0f}")
axes.set(xlabel="how many letters ago", ylabel="size of the gradient (last letter: 1)", ylim=(1e-10, 1e6),
         title="what arrives of the gradient")  # fmt: skip
axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
axes.spines[["top", "right"]].set_visible(False)
figure.savefig(PICTURES / "06_vanishing.png", dpi=110)
plt.show()
plt.close(figure)

for bias, curve in lstm_curves.items():
    print(f"LSTM, forget bias {bias:.0f}: after 50 letters {curve[50] / curve[0]:.0e}")
assert lstm_curves[0.0][50] / lstm_curves[0.0][0] < 1e-8
assert lstm_curves[3.0][50] / lstm_curves[3.0][0] > 1e-3
assert lstm_curves[6.0][50] / lstm_curves[6.0][0] > 0.3

# %% [markdown]
# ## A test of memory
#
# The first letter of a sequence is one of A, B, C, D; then come 29 letters of noise; at the end the network has to say
# which one was the first. By guessing, a quarter is right.
#
# A network whose parts do not stand in one row, as in `nn.Sequential`, is a class: `__init__` makes the parts,
# `forward` says how the input goes through them, and `nn.Module` sees to it that `model.parameters()` finds all.

# %%
LENGTH = 30


class Remember(nn.Module):
    def __init__(self, recurrent):
        super().__init__()
        self.embedding = nn.Embedding(8, 16)  # four letters to remember, four of noise
        self.recurrent = recurrent
        self.answer = nn.Linear(32, 4)

    def forward(self, x):
        states, _ = self.recurrent(self.embedding(x))
        return self.answer(states[:, -1])


def draw_sequences(n, rng):
    x = rng.integers(4, 8, (n, LENGTH))
    x[:, 0] = rng.integers(0, 4, n)
    return minillm.tensor(x), minillm.tensor(x[:, 0])


def trained_accuracy(make, steps=300):
    minillm.manual_seed(0)
    rng = np.random.default_rng(0)
    model = Remember(make())
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    for _ in range(steps):
        x, first = draw_sequences(64, rng)
        loss = F.cross_entropy(model(x), first)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    x, first = draw_sequences(500, rng)
    return (model(x).argmax(-1) == first).float().mean().item()


memory = {
    "RNN": trained_accuracy(lambda: nn.RNN(16, 32, batch_first=True)),
    "LSTM": trained_accuracy(lambda: nn.LSTM(16, 32, batch_first=True)),
    "LSTM, forget bias 3": trained_accuracy(lambda: open_forget_gate(nn.LSTM(16, 32, batch_first=True), 3.0)),
}
for name, accuracy in memory.items():
    print(f"{name:>20}: {accuracy:.0%} right")

assert memory["RNN"] < 0.5
assert memory["LSTM, forget bias 3"] > 0.95

# %% [markdown]
# The two LSTMs are the same network with the same training; the second began with its forget gates open, so that the
# gradient reaches the first letter from the first step on. (With a length of 5, all three learn it.)
#
# ## A language model
#
# Now for real text: the help pages of Python, as in step 5. `CharTokenizer` gives each character an id. The model is a
# column of parts that you know: an embedding, the recurrent layer, and a linear layer whose output is a logit for each
# character that may come next. It learns with cross-entropy and SGD (with the momentum of step 4 and clipping), from
# random windows of 49 characters: the first 48 go in, and at each the next one is the right answer. The last tenth of
# the text is kept aside to judge.

# %%
text = default_corpus()
tokenizer = CharTokenizer.from_text(text)
ids = np.array(tokenizer.encode(text))
VOCABULARY, WINDOW = tokenizer.vocab_size, 48
train_ids, valid_ids = np.split(ids, [len(ids) * 9 // 10])


class LanguageModel(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 64)
        self.recurrent = kind(64, 128, batch_first=True)
        self.head = nn.Linear(128, VOCABULARY)

    def forward(self, ids, state=None):
        states, state = self.recurrent(self.embedding(ids), state)
        return self.head(states), state  # (batch, T, VOCABULARY), and the memory to go on with


def windows(ids, n, rng):
    starts = rng.integers(0, len(ids) - WINDOW, n)
    rows = ids[starts[:, None] + np.arange(WINDOW + 1)]
    return minillm.tensor(rows[:, :-1]), minillm.tensor(rows[:, 1:])


def loss_of(model, x, following):
    logits, _ = model(x)
    return F.cross_entropy(logits.reshape(-1, VOCABULARY), following.reshape(-1))


def train(kind, rate, steps=250):
    minillm.manual_seed(0)
    rng = np.random.default_rng(0)
    model = LanguageModel(kind)
    optimizer = optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    losses = []
    for _ in range(steps):
        loss = loss_of(model, *windows(train_ids, 32, rng))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    with minillm.no_grad():
        valid = loss_of(model, *windows(valid_ids, 200, np.random.default_rng(1))).item()
    return model, losses, valid


counts = np.full((VOCABULARY, VOCABULARY), 0.01)  # the bigram model of step 5, by counting
np.add.at(counts, (train_ids[:-1], train_ids[1:]), 1)
bigram = -np.log((counts / counts.sum(axis=1, keepdims=True))[valid_ids[:-1], valid_ids[1:]]).mean()

models = {"RNN": train(nn.RNN, rate=0.3), "LSTM": train(nn.LSTM, rate=2.0)}
print(f"guessing among {VOCABULARY} characters: {math.log(VOCABULARY):.2f}; bigrams: {bigram:.2f}")
for name, (_, losses, valid) in models.items():
    print(f"{name}: from {losses[0]:.2f} to {np.mean(losses[-20:]):.2f}; on the text that it never saw: {valid:.2f}")
    assert abs(losses[0] - math.log(VOCABULARY)) < 0.3  # a new network guesses
    assert valid < bigram - 0.2  # memory is worth something

# %%
figure, axes = plt.subplots(figsize=(8.5, 4), layout="constrained")
for (name, (_, losses, _)), color in zip(models.items(), (ORANGE, BLUE), strict=True):
    axes.plot(losses, color=color, alpha=0.25)
    axes.plot(range(5, len(losses) - 4), np.convolve(losses, np.full(10, 0.1), "valid"), color=color, label=name)
axes.axhline(bigram, color=GREY, linestyle="--", label="bigrams, counted")
axes.axhline(math.log(VOCABULARY), color=GREY, linestyle=":", label="guessing")
axes.set(xlabel="step", ylabel="cross-entropy for each character", title="learning to spell")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)
figure.savefig(PICTURES / "06_language_model.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# ## Let it write
#
# Give it a character, draw the next one with the probabilities that it gives, give it that one, and so on. The state
# goes along, so each step costs the same, however long the text has become.


# %%
def write(model, start, length, seed):
    rng = np.random.default_rng(seed)
    written, state = tokenizer.encode(start), None
    fresh = written
    with minillm.no_grad():
        for _ in range(length):
            logits, state = model(minillm.tensor([fresh]), state)  # only what the state has not seen yet
            p = F.softmax(logits[0, -1].double(), dim=-1).numpy(force=True)
            fresh = [int(rng.choice(VOCABULARY, p=p / p.sum()))]
            written = written + fresh
    return tokenizer.decode(written)


for seed, (name, (model, _, _)) in enumerate(models.items()):
    sample = write(model, "The ", 240, seed)
    print(f"--- {name}\n{sample}\n")
    assert len(sample) == 244

# %% [markdown]
# It is nonsense, but nonsense with words, with blank lines and the habits of a manual; 250 steps ago it did not know
# a single letter.
#
# ## Looking into the memory
#
# Because our own loop computes what `nn.LSTM` computes, it can show us the gates while the trained network reads.
# Above, the forget gates that move the most: dark is *keep*, light is *forget*. Below, the content of the cells that
# change the slowest: what the network carries along.

# %%
sentence = 'If "x" is a list, the value of the expression is the first item.\n\nNote: see the functions (and classes).'
lstm_model = models["LSTM"][0]
with minillm.no_grad():
    vectors = lstm_model.embedding(minillm.tensor(tokenizer.encode(sentence))).numpy(force=True)
W4, U4, b_ih, b_hh = (p.numpy(force=True).astype(float) for p in lstm_model.recurrent.parameters())
read_states, cells, gates = lstm(vectors, W4, U4, b_ih + b_hh)
forget = gates[:, 1]  # (letters, 128)

with minillm.no_grad():
    theirs, _ = lstm_model.recurrent(minillm.tensor(vectors[None]))
assert np.allclose(theirs[0].numpy(force=True), read_states, atol=1e-4)

liveliest = np.argsort(-forget.std(axis=0))[:16]
change = np.abs(np.diff(np.tanh(cells), axis=0)).mean(axis=0) / np.tanh(cells).std(axis=0)
slowest = np.argsort(change)[:16]
labels = [{"\n": "↵", " ": "␣"}.get(letter, letter) for letter in sentence]
figure, (above, below) = plt.subplots(2, 1, figsize=(15, 7), layout="constrained")
image = above.imshow(forget[:, liveliest].T, cmap="Blues", vmin=0, vmax=1, aspect="auto")
figure.colorbar(image, ax=above, pad=0.01)
above.set(title="forget gates: dark keeps, light forgets", ylabel="unit")
image = below.imshow(np.tanh(cells[:, slowest].T), cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
figure.colorbar(image, ax=below, pad=0.01)
below.set(title="the slowest cells, tanh(c)", ylabel="unit")
for axes, units in ((above, liveliest), (below, slowest)):
    axes.set_xticks(range(len(sentence)), labels, family="DejaVu Sans Mono", fontsize=9)
    axes.set_yticks(range(16), units, fontsize=7)
figure.savefig(PICTURES / "06_gates.png", dpi=110)
plt.show()
plt.close(figure)

ends = np.array([letter in " \n" for letter in sentence])
apart = np.abs(forget[ends].mean(axis=0) - forget[~ends].mean(axis=0))
unit = int(apart.argmax())
print(f"the forget gate of unit {unit} tells blanks from letters:", end=" ")
print(f"{forget[ends, unit].mean():.2f} at blanks, {forget[~ends, unit].mean():.2f} at letters")

assert apart.max() > 0.2

# %% [markdown]
# Look for columns: many gates act together at the blanks between words, where a word is complete and its letters need
# not be remembered. Nobody told the network what a word is. (Karpathy, Johnson and Li, 2015,
# [arXiv:1506.02078](https://arxiv.org/abs/1506.02078), found cells in a larger network that count the length of a line
# or remember an open quotation mark.)
#
# ## What remains
#
# The gates help the gradient, but two things stay. All of the past must fit into one vector; and the letters have to be
# read one after the other, since each step needs the one before. Step 7 lifts both.
#
# ## Exercises
#
# **Exercise 1.** Write `clip(gradients, limit)`: `gradients` is a list of NumPy arrays. If the length of all of them
# together (the root of the sum of all squares) is above the limit, return them scaled down to it, else unchanged.


# %%
def clip(gradients, limit): ...  # your code here


# %% tags=["solution"]
def clip_solution(gradients, limit):
    length = math.sqrt(sum((g**2).sum() for g in gradients))
    return [g * min(1.0, limit / length) for g in gradients]


# %%
def check_clip(f):
    long = [np.array([3.0, 0.0]), np.array([[4.0]])]  # of length 5
    clipped = f(long, 1.0)
    length = math.sqrt(sum((g**2).sum() for g in clipped))
    assert math.isclose(length, 1.0), f"the length of all of them together must be 1; yours is {length:.3f}"
    assert np.allclose(clipped[0], [0.6, 0]), f"the direction must stay; [3, 0] becomes [0.6, 0], yours {clipped[0]}"
    same = f(long, 10.0)
    assert np.allclose(same[0], long[0]), "a gradient that is short enough stays as it is"


exercise(clip, check_clip, clip_solution, hint="one factor for all arrays: min(1, limit / length).")

# %% [markdown]
# **Exercise 2.** The **GRU** (Cho and others, 2014, [arXiv:1406.1078](https://arxiv.org/abs/1406.1078)) does with two
# gates and without a second state. Write one step of it, `gru_step(x, h, W, U, b_W, b_U)`, in NumPy. The rows of the
# weights are those of $r$, then $z$, then $n$, a third each:
#
# $$ r = \sigma(W_r x + b_{W_r} + U_r h + b_{U_r}), \qquad z = \sigma(W_z x + b_{W_z} + U_z h + b_{U_z}), $$
#
# $$ n = \tanh\big(W_n x + b_{W_n} + r \odot (U_n h + b_{U_n})\big), \qquad h' = (1 - z) \odot n + z \odot h . $$


# %%
def gru_step(x, h, W, U, b_W, b_U): ...  # your code here


# %% tags=["solution"]
def gru_step_solution(x, h, W, U, b_W, b_U):
    x_r, x_z, x_n = np.split(W @ x + b_W, 3)
    h_r, h_z, h_n = np.split(U @ h + b_U, 3)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    n = np.tanh(x_n + r * h_n)
    return (1 - z) * n + z * h


# %%
def check_gru(f):
    minillm.manual_seed(5)
    cell = nn.GRUCell(3, 4).double()
    x, h = minillm.randn(1, 3, dtype=minillm.float64), minillm.randn(1, 4, dtype=minillm.float64)
    expected = cell(x, h)[0].numpy(force=True)
    got = f(x[0].numpy(force=True), h[0].numpy(force=True), *(p.numpy(force=True) for p in cell.parameters()))
    assert np.shape(got) == (4,), f"the new state has four numbers; yours has the shape {np.shape(got)}"
    assert np.allclose(got, expected), f"nn.GRUCell says {expected.round(3)}, you say {np.round(got, 3)}"


exercise(gru_step, check_gru, gru_step_solution, hint="np.split(W @ x + b_W, 3) gives the parts of r, z and n.")

# %% [markdown]
# **Exercise 3.** With a forget gate that stays at $f$, a memory fades like $f^k$. Which bias makes it fade to one half
# after `steps` letters, if nothing else comes in ($f = \sigma(\text{bias})$)? Write `forget_bias(steps)`.


# %%
def forget_bias(steps): ...  # your code here


# %% tags=["solution"]
def forget_bias_solution(steps):
    f = 0.5 ** (1 / steps)
    return math.log(f / (1 - f))  # the inverse of the sigmoid


# %%
def check_forget_bias(g):
    for steps in (1, 10, 100):
        left = sigmoid(g(steps)) ** steps
        assert abs(left - 0.5) < 1e-6, f"after {steps} letters one half must be left; with your bias it is {left:.3f}"


exercise(forget_bias, check_forget_bias, forget_bias_solution, hint="f = 0.5 ** (1 / steps); then solve f = σ(bias).")

# %% [markdown]
# ## Where to go next
#
# * **Step 7**: attention, which looks back at every word directly instead of remembering it.
# * `minillm/nn/functional/recurrent.py` has the three recurrences of RNN, LSTM and GRU; the kernels beside
#   `minillm/kernels/cpu/lstm.py` compute all steps of a sequence in one operation.
# * Try a sequence of 60 letters in the test of memory. Which forget bias does it need?
