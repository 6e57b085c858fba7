# %% [markdown]
# # 7. Attention, step by step
#
# You will build the operation that every large language model is made of: each word looks at the other words and takes
# from them what it needs. It is three matrix products and a softmax, and every piece is there for a reason; you will
# leave each one out and measure what goes wrong.
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
from minillm.nn import functional as F
from minillm.testing import exercise

try:
    import torch
except ImportError:
    torch = None  # the comparisons with PyTorch are left out then
    print("PyTorch is not installed; this step runs without it.")

PICTURES = Path(os.environ.get("MINILLM_PICTURES", "pictures"))
PICTURES.mkdir(parents=True, exist_ok=True)
BLUE, ORANGE, GREEN, GREY = "#3b6ea5", "#c8641b", "#3a8a5f", "#8a8f98"

# %% [markdown]
# ## A dictionary that answers a little
#
# A Python dictionary compares your *query* with its *keys* and hands you the *value* of the one that is equal. Nothing
# in it can learn: a key is equal or it is not, and "equal" has no derivative. So we soften it. A query and the keys are
# vectors, their **dot product** says how well they match, and the answer is a mean of *all* values, in which a value
# counts for more the better its key matches (Bahdanau, Cho and Bengio, 2014,
# [arXiv:1409.0473](https://arxiv.org/abs/1409.0473)):
#
# $$ y = \sum_j w_j v_j, \qquad w_j \ge 0, \qquad \sum_j w_j = 1 . $$
#
# Our sentence has eight words. In a network, queries, keys and values are learned; here we write them by hand, to see
# what they are for. A **key** says what a word offers, a **query** what a word looks for, and both use the same four
# features. A **value** is what a word hands over.

# %%
words = ["the", "cat", "drank", "milk", "because", "it", "was", "thirsty"]

#                living, liquid, doing, small word
K = np.array([[0, 0, 0, 2],  # the
              [2, 0, 0, 0],  # cat
              [0, 0, 2, 0],  # drank
              [0, 2, 0, 0],  # milk
              [0, 0, 0, 1],  # because
              [0, 0, 0, 1],  # it
              [0, 0, 1, 0],  # was
              [0, 0, 1, 0]], dtype=float)  # thirsty  # fmt: skip

Q = np.array([[0, 0, 0, 0],  # the:     looks for nothing
              [0, 0, 0, 4],  # cat:     for its article
              [4, 0, 0, 0],  # drank:   who?
              [0, 0, 4, 0],  # milk:    what was done to it?
              [0, 0, 4, 0],  # because: what happened?
              [4, 1, 0, 0],  # it:      stands for something that lives, perhaps for a thing
              [4, 0, 0, 0],  # was:     who?
              [4, 0, 0, 0]], dtype=float)  # thirsty: who?  # fmt: skip

#                alive, drinkable
V = np.array([[0, 0], [1, 0], [0, 0], [0, 1], [0, 0], [0, 0], [0, 0], [0.5, 0]])

it = words.index("it")
print("how well each key matches the query of 'it':")
for word, score in zip(words, K @ Q[it], strict=True):
    print(f"  {word:>8} {score:4.0f}")

# %% [markdown]
# ## Why softmax?
#
# The scores have to become weights: positive, with the sum 1. Dividing them by their sum does give the sum 1. But a
# score may be negative, and so may be a weight then; and when the scores cancel, we divide by almost nothing:

# %%
scores = np.array([2.0, 1.0, -2.9])
divided = scores / scores.sum()
print("divided by the sum:", divided.round(1))


def softmax(scores):
    """Along the last dimension. The shift cancels, and keeps exp from overflowing."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


print("softmax:           ", softmax(scores).round(3))

assert divided.min() < -20  # no weights of a mean
assert divided.max() > 15
assert softmax(scores).min() > 0
assert math.isclose(softmax(scores).sum(), 1.0)
assert np.allclose(softmax(scores + 100), softmax(scores))  # only the differences count

# %% [markdown]
# Softmax, which you know from step 4 as the maker of probabilities, takes any scores. It prefers the best match clearly
# and still lets the others through a little, so that each of them gets a gradient and can learn. A real maximum
# ("take the best") would give every other word the gradient zero.
#
# ## The formula
#
# For all words at once, with a query in each row of $Q$, a key in each row of $K$, a value in each row of $V$, and $d$
# features in a query (Vaswani and others, 2017, *Attention is all you need*,
# [arXiv:1706.03762](https://arxiv.org/abs/1706.03762), equation 1):
#
# $$ \text{Attention}(Q, K, V) = \text{softmax}\!\left(\frac{Q K^\top}{\sqrt d}\right) V . $$
#
# $Q K^\top$ is a table: in row $i$ and column $j$ stands how well the query of word $i$ matches the key of word $j$.
# Softmax works along each row. The square root has its own section, in a minute.


# %%
def attention_weights(Q, K):
    return softmax(Q @ K.T / math.sqrt(Q.shape[-1]))


def attention(Q, K, V):
    return attention_weights(Q, K) @ V


W = attention_weights(Q, K)
Y = attention(Q, K, V)
print("what 'it' looks at: ", {word: round(float(w), 2) for word, w in zip(words, W[it], strict=True)})
print("what 'it' is now:    alive {:.2f}, drinkable {:.2f}".format(*Y[it]))

assert W.shape == (8, 8)
assert np.allclose(W.sum(axis=1), 1)
assert words[W[it].argmax()] == "cat"
by_hand = math.exp(4) / (math.exp(4) + math.exp(1) + 6)  # scores 8 and 2 are divided by sqrt(4); six words score 0
assert math.isclose(W[it, 1], by_hand)
assert np.allclose(W[0], 1 / 8)  # "the" looks for nothing: every word counts the same


# %% [markdown]
# Before, the value of "it" was 0, 0: a word without a meaning of its own. Now it carries "alive". Look at the whole
# table; a row is a word that looks, a column a word that is looked at.


# %%
def draw_weights(axes, weights, rows, columns, title, numbers=True):
    axes.imshow(weights, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_title(title)
    for i, row in enumerate(weights):
        for j, w in enumerate(row):
            if numbers and w >= 0.005:
                axes.text(j, i, f"{w:.2f}", ha="center", va="center", fontsize=8, color="white" if w > 0.5 else "black")


figure, axes = plt.subplots(figsize=(6.2, 5.6), layout="constrained")
draw_weights(axes, W, words, words, "who looks at whom")
axes.set(ylabel="the word that looks (query)", xlabel="the word that is looked at (key)")
figure.savefig(PICTURES / "07_who_looks_at_whom.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# ## Why the square root?
#
# A dot product of $d$ features is a sum of $d$ products. If features are independent with mean 0 and variance 1, each
# product has variance 1, and the sum has variance $d$: scores of size $\sqrt d$. Large models have $d = 64$ to 128 in
# a query, and scores that lie 10 apart would be nothing special. What does softmax do with them? It puts everything
# on one key, and its derivative
#
# $$ \frac{\partial w_i}{\partial s_j} = w_i(\delta_{ij} - w_j) $$
#
# vanishes, for each $w$ is almost 0 or almost 1: nothing more is learned. Division by $\sqrt d$ gives the scores the
# variance 1 again, whatever $d$. Let us measure: random queries, 16 keys each.

# %%
rng = np.random.default_rng(0)
sizes = [1, 4, 16, 64, 256, 1024]
spread, best, steepness = [], {True: [], False: []}, {True: [], False: []}
for d in sizes:
    q = rng.normal(size=(400, 1, d))
    k = rng.normal(size=(400, 16, d))
    scores = (q @ k.transpose(0, 2, 1))[:, 0]  # (400, 16)
    spread.append(scores.std())
    for scaled in (True, False):
        w = softmax(scores / math.sqrt(d) if scaled else scores)
        best[scaled].append(w.max(axis=1).mean())
        steepness[scaled].append((w * (1 - w)).sum(axis=1).mean())  # of all weights to their own scores

print("   d   size of the scores   largest weight: plain, scaled   derivative: plain, scaled")
for i, d in enumerate(sizes):
    print(f"{d:4d} {spread[i]:20.2f} {best[False][i]:23.2f} {best[True][i]:7.2f}", end="")
    print(f" {steepness[False][i]:20.3f} {steepness[True][i]:7.3f}")

assert all(abs(s / math.sqrt(d) - 1) < 0.15 for s, d in zip(spread, sizes, strict=True))
assert best[False][-1] > 0.93
assert best[True][-1] < 0.45
assert steepness[False][-1] < 0.1
assert steepness[True][-1] > 0.7

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
left.loglog(sizes, spread, "o-", color=ORANGE, label="measured")
left.loglog(sizes, np.sqrt(sizes), ":", color="black", label="√d")
left.set(xlabel="d, features of a query", ylabel="standard deviation", title="how large a dot product becomes")
for scaled, color, label in ((False, ORANGE, "q·k"), (True, BLUE, "q·k / √d")):
    right.semilogx(sizes, steepness[scaled], "o-", color=color, label=label)
right.set(xlabel="d, features of a query", ylabel="sum of w (1 − w)", title="what is left of softmax's derivative")
for axes in (left, right):
    axes.set_xticks(sizes, sizes)
    axes.minorticks_off()
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
figure.savefig(PICTURES / "07_square_root.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# ## A formula to beware of
#
# Some articles on the internet print attention without the word softmax, like this:
#
# $$ \frac{\exp(Q K^\top / \sqrt d)}{K^\top K + \varepsilon}\, V \qquad \textbf{(wrong)} $$
#
# It looks learned: an exponential, a square root, an epsilon. Let us take it at its word.


# %%
def printed(Q, K, V, eps=1e-6):
    return np.exp(Q @ K.T / math.sqrt(Q.shape[-1])) / (K.T @ K + eps) @ V


# %% [markdown]
# **1. The shapes.** With $n$ words of $d$ features, $Q K^\top$ is $n \times n$ and $K^\top K$ is $d \times d$. Eight
# words, four features:

# %%
try:
    printed(Q, K, V)
except ValueError as error:
    refusal = str(error)
print("NumPy:", refusal)

assert "broadcast" in refusal

# %% [markdown]
# That is the good case. It does run whenever $n = d$, and then it divides the score of words $i$ and $j$ by a number
# that belongs to *features* $i$ and $j$. Words and features have nothing to do with each other.
#
# **2. The weights.** Four words, four features, so that it runs. First random numbers, then our own first four words:

# %%
rng = np.random.default_rng(3)
q, k, v = rng.normal(size=(3, 4, 4))
wrong = np.exp(q @ k.T / 2) / (k.T @ k + 1e-6)
right = attention_weights(q, k)
print("printed formula, the sums of the rows:", wrong.sum(axis=1).round(2), " smallest weight:", wrong.min().round(2))
print("softmax,         the sums of the rows:", right.sum(axis=1).round(2), " smallest weight:", right.min().round(2))

few = printed(Q[:4], K[:4], V[:4])
print(f"'the cat drank milk': the printed formula answers up to {np.abs(few).max():.0e}")

assert wrong.min() < 0  # negative weights: K^T K may have any sign
assert np.abs(wrong.sum(axis=1) - 1).max() > 1  # and their sum is anything
assert np.abs(few).max() > 1e5  # features that never occur together: division by eps

# %% [markdown]
# Where two features never occur together, $K^\top K$ is 0 there, and $\varepsilon$, put there to be harmless, decides
# everything: a million times the value. Where they are opposed, the weight is negative.
#
# **3. A mean of equal things.** If all values are 5, every mean of them is 5. That is a good test for anything that
# calls itself attention:

# %%
fives = np.full((4, 1), 5.0)
print("softmax:        ", attention(q, k, fives).ravel())
print("printed formula:", printed(q, k, fives).ravel().round(1))

assert np.allclose(attention(q, k, fives), 5)
assert not np.allclose(printed(q, k, fives), 5, atol=3)

# %% [markdown]
# **4. The future.** $K^\top K$ is a sum over *all* words. Change the last word, and the denominator of the first one
# changes too. A model that writes from left to right must not know what comes later (next section), and with this
# formula, no mask could keep it from knowing:

# %%
later = k.copy()
later[-1] += 1.0  # another last word
first, first_again = (np.exp(q[0] @ keys[0] / 2) / (keys.T @ keys + 1e-6)[0, 0] for keys in (k, later))
print(f"the weight of the first word for itself: {first:.2f}, and with another last word {first_again:.2f}")

assert abs(first - first_again) > 0.1

# %% [markdown]
# **The right denominator** is the one that makes each row a mean: the sum of the row's own exponentials, which depends
# on the query, too. Written out, softmax is nothing else:
#
# $$ y_i = \frac{\sum_j \exp(q_i \cdot k_j / \sqrt d)\, v_j}{\sum_j \exp(q_i \cdot k_j / \sqrt d)} . $$

# %%
powers = np.exp(q @ k.T / math.sqrt(4))
denominator = powers.sum(axis=1, keepdims=True)  # (4, 1): one number a query
assert np.allclose(powers / denominator @ v, attention(q, k, v))

figure, panels = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
tables = [
    (powers, "exp(QKᵀ / √d)"),
    (wrong, "divided by KᵀK + ε: wrong"),
    (powers / denominator, "divided by its row's sum: right"),
]
for axes, (table, title) in zip(panels, tables, strict=True):
    axes.imshow(table, cmap="RdBu", vmin=-3, vmax=3)
    for i, j in np.ndindex(table.shape):
        color = "white" if abs(table[i, j]) > 1.7 else "black"
        axes.text(j, i, f"{table[i, j]:.2f}", ha="center", va="center", fontsize=9, color=color)
    for i, total in enumerate(table.sum(axis=1)):
        axes.text(3.65, i, f"Σ = {total:.2f}", va="center", fontsize=9)
    axes.set(title=title, xticks=[], yticks=[], xlabel="key", ylabel="query")
figure.savefig(PICTURES / "07_the_wrong_denominator.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# By the way, there is an honest formula with $K^\top K$ in it: **least squares**. Look for the matrix $M$ with
# $K M \approx V$, and answer $Q M$:
#
# $$ Y = Q\,(K^\top K + \varepsilon I)^{-1} K^\top V . $$
#
# It has an inverse, not a division, and no exponential, and its shapes fit for any number of words. It is a memory of
# another kind: ask with one of the keys, and it gives back the value of that key.

# %%
memory = np.linalg.solve(k.T @ k + 1e-9 * np.eye(4), k.T @ v)
print("asked with its keys, least squares gives back the values, off by", f"{np.abs(k @ memory - v).max():.0e}")

assert np.allclose(k @ memory, v, atol=1e-4)

# %% [markdown]
# ## The causal mask
#
# A language model predicts the next word from those before. Training shows it whole sentences, and word $i$ must not
# look at word $i + 1$: that would be the answer. So scores of keys that come later are set to $-\infty$ **before**
# softmax; $e^{-\infty} = 0$, and the rest of the row still has the sum 1.


# %%
def causal_weights(Q, K):
    scores = Q @ K.T / math.sqrt(Q.shape[-1])
    seen = np.tril(np.ones(scores.shape, dtype=bool))  # True on the diagonal and to its left
    return softmax(np.where(seen, scores, -np.inf))


causal = causal_weights(Q, K)
too_late = np.tril(W)  # masking after softmax instead
print("row sums, masked before softmax:", causal.sum(axis=1).round(2))
print("row sums, masked after it:      ", too_late.sum(axis=1).round(2))

assert np.allclose(causal.sum(axis=1), 1)
assert np.allclose(causal, np.tril(causal))
assert too_late.sum(axis=1).min() < 0.2

changed = K.copy()
changed[-1] = [9, 9, 9, 9]  # another last word
assert np.array_equal(causal_weights(Q, changed)[:-1], causal[:-1])  # no word before it has noticed
assert not np.allclose(np.tril(attention_weights(Q, changed))[:-1], too_late[:-1])  # masked too late: they have

# %%
figure, panels = plt.subplots(1, 2, figsize=(11, 5.2), layout="constrained")
draw_weights(panels[0], W, words, words, "everybody sees everybody")
draw_weights(panels[1], causal, words, words, "causal: nobody sees what comes later")
figure.savefig(PICTURES / "07_causal_mask.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# Masking after softmax is an easy mistake to make. It does not just break the sums: the forbidden words still stand in
# the denominator, and through it the future leaks into the past, which the last assertion has shown.
#
# ## The same in minillm
#
# `F.scaled_dot_product_attention(query, key, value)` is the whole formula as one operation; `is_causal=True` masks.
# It computes long sentences in tiles and never holds the whole table of weights then, but the numbers
# are ours. PyTorch has it under the same name.

# %%
mQ, mK, mV = (minillm.tensor(x, dtype=minillm.float64, requires_grad=True) for x in (Q, K, V))
with_minillm = F.scaled_dot_product_attention(mQ, mK, mV, is_causal=True)
print("minillm, 'it':", with_minillm[it].tolist())
print("NumPy,   'it':", (causal @ V)[it].tolist())

assert np.allclose(with_minillm.numpy(force=True), causal @ V)
assert np.allclose(F.scaled_dot_product_attention(mQ, mK, mV).numpy(force=True), Y)

if torch is not None:
    tQ, tK, tV = (torch.tensor(x, requires_grad=True) for x in (Q, K, V))
    with_torch = torch.nn.functional.scaled_dot_product_attention(tQ, tK, tV, is_causal=True)
    with_minillm.sum().backward()
    with_torch.sum().backward()
    assert np.allclose(with_minillm.numpy(force=True), with_torch.detach().numpy())
    for ours, theirs in ((mQ, tQ), (mK, tK), (mV, tV)):
        assert np.allclose(ours.grad.numpy(force=True), theirs.grad.numpy())
    print("PyTorch gives the same numbers, and the same gradients to queries, keys and values.")

# %% [markdown]
# And step 3 taught us to trust no gradient that was not checked:

# %%
minillm.manual_seed(0)
small = [minillm.randn(3, 2, dtype=minillm.float64, requires_grad=True) for _ in range(3)]
assert minillm.autograd.gradcheck(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), small)

# %% [markdown]
# ## Attention does not know the order
#
# Mix up the words, and every word still gets what it got before: the sums run over a *set*. "Dog bites man" and "man
# bites dog" are the same to it. (The causal mask is the only thing in it that knows of an order.)

# %%
mixed = np.random.default_rng(1).permutation(8)
assert np.allclose(attention(Q[mixed], K[mixed], V[mixed]), Y[mixed])

# %% [markdown]
# So a model has to tell each word *where* it stands, for example by adding a learned vector for the place to the
# embedding of the word. That is what GPT does, in step 8; in exercise 2 below, places are all that keys consist of.
#
# ## Several heads
#
# One softmax makes one mean. A word that needs two things, say *who* and *what*, gets a mixture of both and cannot tell
# any more which was which. **Multi-head attention** cuts the $E$ features into $H$ parts of $E/H$, lets each part do
# its own attention, puts the answers side by side, and mixes them with one more matrix (the same article, 3.2.2):
#
# $$ \text{head}_h = \text{Attention}(X W^Q_h,\; X W^K_h,\; X W^V_h), \qquad
# y = [\text{head}_1, \dots, \text{head}_H]\, W^O . $$
#
# When queries, keys and values are all made from the same $X$, as here, it is called *self-attention*. Heads cost no
# parameters: the matrices of all of them together are as large as that of one. In code, a head is one more
# dimension, in front:


# %%
def multi_head(x, w_q, w_k, w_v, w_out, heads):
    """x is (n, E); each matrix is (E, E), with a row for each output, as in nn.Linear."""
    n, E = x.shape

    def split(table):  # (n, E) -> (heads, n, E / heads)
        return table.reshape(n, heads, E // heads).transpose(1, 0, 2)

    q, k, v = (split(x @ w.T) for w in (w_q, w_k, w_v))
    weights = softmax(q @ k.transpose(0, 2, 1) / math.sqrt(E // heads))  # (heads, n, n)
    together = (weights @ v).transpose(1, 0, 2).reshape(n, E)
    return together @ w_out.T, weights


# %% [markdown]
# In minillm this is `nn.MultiheadAttention(E, heads)`. Its `in_proj_weight` holds the three matrices one below the
# other. It returns the answer and the weights, the mean over the heads unless told otherwise.

# %%
minillm.manual_seed(4)
layer = nn.MultiheadAttention(8, 2, batch_first=True)
x = minillm.randn(1, 5, 8)  # a batch of one sentence, five words, eight features
y, weights = layer(x, x, x, average_attn_weights=False)

w_q, w_k, w_v = np.split(layer.in_proj_weight.numpy(force=True), 3)
w_out = layer.out_proj.weight.numpy(force=True)
y_hand, weights_hand = multi_head(x[0].numpy(force=True), w_q, w_k, w_v, w_out, heads=2)
assert np.allclose(y[0].numpy(force=True), y_hand, atol=1e-5)  # its biases start at zero
assert np.allclose(weights[0].numpy(force=True), weights_hand, atol=1e-5)
print("weights of two heads, of five words to five words:", weights[0].shape)

if torch is not None:
    their_layer = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    state = {name: torch.tensor(value.numpy(force=True)) for name, value in layer.state_dict().items()}
    their_layer.load_state_dict(state)
    tx = torch.tensor(x.numpy(force=True))
    their_y, _ = their_layer(tx, tx, tx)
    assert np.allclose(y.numpy(force=True), their_y.detach().numpy(), atol=1e-5)
    print("PyTorch's layer, with the same weights under the same names, gives the same numbers.")

# %% [markdown]
# One trap, which minillm shares with PyTorch for the sake of programs written for it: in
# `F.scaled_dot_product_attention`, a mask of booleans says `True` where a key **may be seen**; in
# `nn.MultiheadAttention`, `True` marks what is **left out**.

# %%
may_see = minillm.ones(5, 5, dtype=minillm.bool).tril()
hidden, _ = layer(x, x, x, attn_mask=~may_see)
changed = x.clone()
changed[0, -1] = 9.0  # another last word
hidden_again, _ = layer(changed, changed, changed, attn_mask=~may_see)
assert np.allclose(hidden[0, :-1].numpy(force=True), hidden_again[0, :-1].numpy(force=True), atol=1e-6)

# %% [markdown]
# ## Let it learn
#
# Nobody wrote the queries of a language model by hand. Here is a small world in which we can watch them being learned.
# A shelf has six boxes; on each is a letter, in each a digit. We ask for **two** letters, and want both digits, in the
# order of our question:
#
# | shelf | question | answer |
# | --- | --- | --- |
# | D4 A7 K1 B9 F0 C3 | B, A | 9, 7 |
#
# The keys are made from the letters, the values from the digits, the query from the question. `nn.Embedding` of step 5
# turns each letter and digit into a vector. One model gets one head, the other two; both have 32 features and exactly
# the same number of parameters. What do you expect?

# %%
LETTERS, DIGITS, BOXES, WIDTH = 12, 10, 6, 32


def draw_shelves(n, rng):
    """Letters and digits, (n, 6); the two letters that are asked for and the right answers, (n, 2)."""
    letters = np.argsort(rng.random((n, LETTERS)), axis=1)[:, :BOXES]  # all different
    digits = rng.integers(0, DIGITS, (n, BOXES))
    places = np.argsort(rng.random((n, BOXES)), axis=1)[:, :2]
    rows = np.arange(n)[:, None]
    tensors = [minillm.tensor(table) for table in (letters, digits, letters[rows, places], digits[rows, places])]
    return *tensors, places


class Shelf(nn.Module):
    def __init__(self, heads):
        super().__init__()
        self.letter = nn.Embedding(LETTERS, WIDTH)
        self.digit = nn.Embedding(DIGITS, WIDTH)
        self.first = nn.Embedding(LETTERS, WIDTH)  # a letter that is asked for first
        self.second = nn.Embedding(LETTERS, WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, heads, batch_first=True)
        self.answer = nn.Linear(WIDTH, 2 * DIGITS)

    def forward(self, letters, digits, asked):
        query = (self.first(asked[:, 0]) + self.second(asked[:, 1])).unsqueeze(1)  # (n, 1, WIDTH): one word that looks
        y, weights = self.attention(query, self.letter(letters), self.digit(digits), average_attn_weights=False)
        return self.answer(y[:, 0]).reshape(-1, 2, DIGITS), weights[:, :, 0]  # the weights: (n, heads, 6)


def train(heads, steps=400):
    minillm.manual_seed(0)
    rng = np.random.default_rng(0)
    model = Shelf(heads)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(steps):
        letters, digits, asked, right, _ = draw_shelves(64, rng)
        logits, _ = model(letters, digits, asked)
        loss = F.cross_entropy(logits.reshape(-1, DIGITS), right.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


letters, digits, asked, right, places = draw_shelves(1000, np.random.default_rng(99))  # never seen in training
runs = {}
for heads in (1, 2):
    model, losses = train(heads)
    logits, weights = model(letters, digits, asked)
    accuracy = (logits.argmax(-1) == right).float().mean().item()
    runs[heads] = losses, accuracy, weights.numpy(force=True)
    print(f"{heads} head{'s' * (heads > 1)}: {accuracy:.0%} of the digits are right, loss {losses[-1]:.4f}")

assert 0.4 < runs[1][1] < 0.75
assert np.mean(runs[1][0][-100:]) > 0.6
assert runs[2][1] > 0.97

# %% [markdown]
# The loss begins near $\ln 10 \approx 2.3$, guessing among ten digits. With one head it gets stuck above
# $\ln 2 \approx 0.7$: the model found both boxes and does not know which is which, a toss of a coin. Two heads answer
# (almost) without a mistake. Here is what they look at, in the first eight shelves; a ring marks the box that is asked
# for first, a square the second.

# %%
widths = {"width_ratios": [1.5, 1, 1, 1]}
figure, panels = plt.subplots(1, 4, figsize=(13, 4.4), layout="constrained", gridspec_kw=widths)
for heads, color in ((1, ORANGE), (2, BLUE)):
    panels[0].plot(runs[heads][0], color=color, label=f"{heads} head{'s' * (heads > 1)}")
panels[0].axhline(math.log(2), color=GREY, linestyle=":", label="ln 2, a toss of a coin")
panels[0].set(xlabel="step", ylabel="cross-entropy", title="learning to find two boxes")
panels[0].legend(frameon=False)
panels[0].spines[["top", "right"]].set_visible(False)
looks = [(runs[1][2][:8, 0], "the only head"), (runs[2][2][:8, 0], "head 1 of 2"), (runs[2][2][:8, 1], "head 2 of 2")]
for axes, (table, title) in zip(panels[1:], looks, strict=True):
    axes.imshow(table, cmap="Blues", vmin=0, vmax=1)
    axes.plot(places[:8, 0], range(8), "o", markersize=15, markerfacecolor="none", markeredgecolor=ORANGE)
    axes.plot(places[:8, 1], range(8), "s", markersize=13, markerfacecolor="none", markeredgecolor=GREEN)
    axes.set(title=title, xlabel="box", ylabel="shelf", xticks=range(BOXES), yticks=range(8))
figure.savefig(PICTURES / "07_two_boxes.png", dpi=110)
plt.show()
plt.close(figure)

one, two = runs[1][2], runs[2][2]
on_asked = np.take_along_axis(one[:, 0], places, axis=1).sum(axis=1).mean()  # of the only head, on both boxes
looked = two.argmax(axis=2)  # (1000, 2): the box that each head looks at
each_its_own = max((looked == places).mean(), (looked == places[:, ::-1]).mean())
print(f"the only head: {on_asked:.0%} of its weight lies on the two boxes")
print(f"two heads: each looks at its own box in {each_its_own:.0%} of the shelves")

assert on_asked > 0.6
assert each_its_own > 0.9

# %% [markdown]
# Nobody told the heads to share the work. They do because one of them alone cannot bring the loss down, and the
# gradient knows it.
#
# ## Exercises
#
# **Exercise 1.** Sentences of different length are filled up with padding (step 5), and nobody may look at it. Write
# `padded_weights(scores, lengths)`: `scores` is an array (batch, queries, keys), `lengths` says how many keys of each
# sentence are real. Return the weights. Use NumPy and the function `softmax` above.


# %%
def padded_weights(scores, lengths): ...  # your code here


# %% tags=["solution"]
def padded_weights_solution(scores, lengths):
    real = np.arange(scores.shape[-1]) < np.asarray(lengths)[:, None]  # (batch, keys)
    return softmax(np.where(real[:, None, :], scores, -np.inf))


# %%
def check_padded_weights(f):
    scores = np.random.default_rng(0).normal(size=(2, 3, 4)) * 3
    weights = f(scores, [4, 2])
    assert weights.shape == scores.shape, f"the shape of the scores, {scores.shape}; yours is {weights.shape}"
    assert (weights[1, :, 2:] == 0).all(), "the second sentence has two words, but somebody looks at its padding"
    sums = weights.sum(axis=-1)
    assert np.allclose(sums, 1), f"each row needs the sum 1; yours go down to {sums.min():.2f}: mask before softmax"
    assert np.allclose(weights[0], softmax(scores[0])), "the first sentence has no padding, its weights stay the same"


exercise(padded_weights, check_padded_weights, padded_weights_solution, hint="compare np.arange(keys) with lengths.")

# %% [markdown]
# **Exercise 2.** Attention can find a *place*, too. Write `look_back(n)`, which returns queries and keys of shape
# (n, n) such that `causal_weights(queries, keys)` puts more than 99 % of each word's weight on the word before it. (The
# first word has only itself.) Such heads are found in real models; a second head behind
# it can look for "what came after this word last time" and continue the pattern (Olsson and others, 2022,
# [arXiv:2209.11895](https://arxiv.org/abs/2209.11895)).


# %%
def look_back(n): ...  # your code here


# %% tags=["solution"]
def look_back_solution(n):
    keys = np.eye(n)  # key j: "I stand at place j"
    queries = 20 * math.sqrt(n) * np.eye(n, k=-1)  # query i: "who stands at place i - 1?"; the factor makes it sharp
    return queries, keys


# %%
def check_look_back(f):
    for n in (3, 8):
        queries, keys = f(n)
        assert np.shape(queries) == np.shape(keys) == (n, n), f"two arrays of shape ({n}, {n}) are asked for"
        weights = causal_weights(queries, keys)
        for i in range(1, n):
            w = weights[i, i - 1]
            assert w > 0.99, f"with n = {n}, word {i} gives word {i - 1} the weight {w:.3f}; make the match better"


exercise(look_back, check_look_back, look_back_solution, hint="np.eye(n, k=-1) has its ones one place to the left.")

# %% [markdown]
# **Exercise 3.** Write the two halves of multi-head attention for minillm's tensors with a batch:
# `split_heads(x, heads)` from $(B, n, E)$ to $(B, H, n, E/H)$, and its way back. Fill in the class. `reshape` and
# `transpose(1, 2)`, which exchanges two dimensions, are all that you need.


# %%
class Heads:
    def split(x, heads): ...  # your code here

    def merge(x): ...  # your code here


# %% tags=["solution"]
class HeadsSolution:
    def split(x, heads):
        batch, n, features = x.shape
        return x.reshape(batch, n, heads, features // heads).transpose(1, 2)

    def merge(x):
        batch, heads, n, features = x.shape
        return x.transpose(1, 2).reshape(batch, n, heads * features)


# %%
def check_heads(c):
    x = minillm.arange(48).reshape(2, 3, 8).float()
    parts = c.split(x, 4)
    assert parts.shape == (2, 4, 3, 2), f"(batch, heads, words, features) is (2, 4, 3, 2); yours is {parts.shape}"
    got = parts[1, 2, 0].tolist()
    assert got == [28.0, 29.0], f"head 2 of the first word has the features 4 and 5, [28, 29]; yours are {got}"
    back = c.merge(parts)
    assert back.shape == (2, 3, 8), f"merged, the shape is (2, 3, 8) again; yours is {back.shape}"
    assert back.tolist() == x.tolist(), "split and merge must give back what went in: mind the order of dimensions"


exercise(Heads, check_heads, HeadsSolution, hint="reshape to (B, n, H, E / H) first, exchange dimensions 1 and 2 then.")

# %% [markdown]
# ## Where to go next
#
# * **Step 8** puts this layer into a block, stacks blocks to a GPT, and trains it.
# * `minillm/nn/functional/attention.py` and `minillm/kernels/cpu/` show how it is computed, tile by tile, and what
#   its gradient is.
# * Try three heads for three letters, or one head with twice the width. Which helps?
