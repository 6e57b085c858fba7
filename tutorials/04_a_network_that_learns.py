# %% [markdown]
# # 4. A network that learns
#
# You will build a neural network that tells three spirals apart: first in plain NumPy with every derivative written by
# hand, then in a few lines of minillm. And you will see it go wrong, learning its examples by heart instead of
# learning what they have in common, and cure it in four ways.
#
# *Reading time: about 30 minutes. You need: steps 1 to 3.*

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
COLORS = [BLUE, ORANGE, GREEN]

# %% [markdown]
# `nn` holds the building blocks of networks, `optim` the rules by which they learn, and `F` (its full name is
# `minillm.nn.functional`) the same blocks as plain functions.
#
# ## The neuron
#
# A neuron weighs its inputs, adds a number of its own, and bends the result:
#
# $$ y = f(w_1 x_1 + w_2 x_2 + \dots + w_n x_n + b) . $$
#
# The **weights** $w$ and the **bias** $b$ are what it learns. The bend $f$, the *activation*, matters more than it
# seems to: without it, layers of neurons on layers of neurons would still be one weighted sum, and could only ever draw
# straight lines. Three bends have made history, each with a derivative that is cheap once the value is known:
#
# | bend | formula | derivative |
# | --- | --- | --- |
# | sigmoid | $\sigma(z) = 1 / (1 + e^{-z})$ | $\sigma(z)\,(1 - \sigma(z))$ |
# | tanh | $(e^z - e^{-z}) / (e^z + e^{-z})$ | $1 - \tanh^2 z$ |
# | ReLU | $\max(0, z)$ | $1$ where $z > 0$, else $0$ |


# %%
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def relu(z):
    return np.maximum(z, 0)


bends = {
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z)), F.sigmoid),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2, F.tanh),
    "ReLU": (relu, lambda z: (z > 0).astype(float), F.relu),
}

z = np.linspace(-5, 5, 400)
figure, panels = plt.subplots(1, 3, figsize=(10, 2.9), layout="constrained")
for axes, (name, (bend, derivative, theirs)) in zip(panels, bends.items(), strict=True):
    axes.plot(z, bend(z), color=BLUE, label="value")
    axes.plot(z, derivative(z), color=ORANGE, label="derivative")
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.set(title=name, xlabel="z", ylim=(-1.2, 2))
    axes.legend(frameon=False, loc="upper left")

    mz = minillm.tensor(z, dtype=minillm.float64, requires_grad=True)
    theirs(mz).sum().backward()  # the sum hands each element the rate 1
    assert np.allclose(mz.grad.numpy(force=True), derivative(z)), f"{name}: not the derivative that minillm finds"
figure.savefig(PICTURES / "04_bends.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# The cell also asked minillm for the derivatives and found the same. (`.numpy(force=True)` takes the numbers out of a
# tensor, wherever it lives.) Look at the orange curves: far from zero, sigmoid and tanh hardly pass a rate on, and
# sigmoid never more than a quarter of it. A neuron out there learns slowly; one says that it is *saturated*. ReLU
# passes rates whole, or not at all.
#
# ## Something to learn
#
# Three arms of a spiral, in three colours (an example from Stanford's course
# [CS231n](https://cs231n.github.io/neural-networks-case-study/)). No straight line parts them. Half of the points are
# for learning; the other half, the *validation* points, the network never learns from: they tell us whether it
# understood.


# %%
def spirals(points_per_arm, noise, seed):
    """Points of three arms, shape (n, 2), and the arm of each, shape (n,)."""
    rng = np.random.default_rng(seed)
    points, arms = [], []
    for arm in range(3):
        radius = np.linspace(0.08, 1, points_per_arm)
        angle = 4 * (arm + np.linspace(0, 1, points_per_arm)) + noise * rng.normal(size=points_per_arm)
        points.append(np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1))
        arms.append(np.full(points_per_arm, arm))
    return np.concatenate(points), np.concatenate(arms)


x_train, y_train = spirals(100, noise=0.2, seed=1)
x_valid, y_valid = spirals(100, noise=0.2, seed=2)
print("learning from", x_train.shape, "and judged on", x_valid.shape)

# %% [markdown]
# ## How wrong is it? Two losses
#
# For each point our network will give three numbers, one an arm, called **logits**. *Softmax* makes probabilities of
# them, positive and with the sum 1:
#
# $$ p_k = \frac{e^{z_k}}{\sum_j e^{z_j}} . $$
#
# Let $t$ be 1 for the right arm and 0 for the others. The **mean squared error** asks how far $p$ is from $t$, the
# **cross-entropy** how surprised we are by the truth (Shannon, 1948):
#
# $$ \text{MSE} = \frac{1}{3}\sum_k (p_k - t_k)^2, \qquad \text{CE} = -\sum_k t_k \ln p_k = -\ln p_\text{right} . $$
#
# A network that knows nothing gives each arm 1/3, and its cross-entropy is $\ln 3 \approx 1.0986$. Remember that
# number; a new network should start near it.


# %%
def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))  # the shift cancels, and keeps exp from overflowing
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(logits, right):
    return -np.log(softmax(logits)[np.arange(len(right)), right]).mean()


def mean_squared_error(logits, right):
    return ((softmax(logits) - np.eye(3)[right]) ** 2).mean()


print("knowing nothing:", round(cross_entropy(np.zeros((300, 3)), y_train), 4))
assert math.isclose(cross_entropy(np.zeros((300, 3)), y_train), math.log(3))

# %% [markdown]
# Which one to take? Look at what arrives at a logit. Cross-entropy after softmax has a derivative of rare beauty; the
# logarithm undoes the exponential, and what stays is *guess minus truth*:
#
# $$ \frac{\partial\,\text{CE}}{\partial z_k} = p_k - t_k . $$
#
# So the more wrong, the stronger the push. The squared error has to come back through softmax, which is saturated when
# the network is sure of itself. Let a network be more and more sure of a wrong answer:

# %%
right = minillm.tensor([1])
print("sure of the wrong arm by   push of MSE   push of CE   p - t")
pushes = []
for sure in [0.0, 2.0, 5.0, 10.0]:
    logits = np.array([[sure, 0.0, 0.0]])
    for_mse = minillm.tensor(logits, dtype=minillm.float64, requires_grad=True)
    for_ce = minillm.tensor(logits, dtype=minillm.float64, requires_grad=True)
    F.mse_loss(F.softmax(for_mse, dim=1), F.one_hot(right, 3).double()).backward()
    F.cross_entropy(for_ce, right).backward()  # minillm's takes logits: softmax is inside
    push_mse, push_ce = for_mse.grad[0, 1].item(), for_ce.grad[0, 1].item()
    by_hand = softmax(logits)[0, 1] - 1
    pushes.append((push_mse, push_ce))
    print(f"{sure:22.0f} {push_mse:15.5f} {push_ce:12.5f} {by_hand:8.5f}")
    assert math.isclose(push_ce, by_hand, rel_tol=1e-9)

assert abs(pushes[-1][0]) < 0.001  # squared error has given up
assert pushes[-1][1] < -0.99  # cross-entropy pushes with full force

# %% [markdown]
# At 10 the squared error hardly moves the network that needs it most. That is why classifiers, and every language
# model after this step, learn with cross-entropy; MSE is for predicting quantities.
#
# ## From nothing
#
# Two layers: 32 neurons with tanh, then one output for each arm. All points go through at once, as a table with a row
# for each point; one matrix product is a whole layer.
#
# $$ H = \tanh(X W_1 + b_1), \qquad Z = H W_2 + b_2 . $$
#
# Backwards it is the chain rule of step 1, written for tables. From $G = (P - T)/n$ at the logits:
#
# $$ \bar W_2 = H^\top G, \quad \bar b_2 = \textstyle\sum_\text{rows} G, \quad \bar H = G W_2^\top, \quad
# \bar A = \bar H \odot (1 - H^2), \quad \bar W_1 = X^\top \bar A, \quad
# \bar b_1 = \textstyle\sum_\text{rows} \bar A . $$


# %%
def first_weights(seed, hidden=32):
    """Small random weights: neurons that start equal would stay equal."""
    rng = np.random.default_rng(seed)
    return {
        "W1": rng.normal(size=(2, hidden)),
        "b1": np.zeros(hidden),
        "W2": rng.normal(size=(hidden, 3)) / math.sqrt(hidden),
        "b2": np.zeros(3),
    }


def loss_and_gradients(w, x, right):
    hidden = np.tanh(x @ w["W1"] + w["b1"])
    logits = hidden @ w["W2"] + w["b2"]

    g_logits = (softmax(logits) - np.eye(3)[right]) / len(x)
    g_hidden = g_logits @ w["W2"].T
    g_before = g_hidden * (1 - hidden**2)
    gradients = {
        "W1": x.T @ g_before,
        "b1": g_before.sum(axis=0),
        "W2": hidden.T @ g_logits,
        "b2": g_logits.sum(axis=0),
    }
    return cross_entropy(logits, right), gradients


# %% [markdown]
# Learning is walking downhill, as in the second exercise of step 1: every number moves a little against its rate.
# That is **gradient descent**, $w \leftarrow w - \eta\, \bar w$, with the *learning rate* $\eta$. (When each step looks
# at a random part of the data only, it is *stochastic* gradient descent, SGD; Robbins and Monro, 1951. Our data is
# small enough to look at all of it.)

# %%
w = first_weights(seed=0)
by_hand = []
for _ in range(300):
    loss, gradients = loss_and_gradients(w, x_train, y_train)
    by_hand.append(loss)
    for name in w:
        w[name] -= 0.5 * gradients[name]
print(f"NumPy, by hand: the loss falls from {by_hand[0]:.4f} to {by_hand[-1]:.4f}")

assert by_hand[-1] < 0.85 < by_hand[0]

# %% [markdown]
# ## The same in minillm
#
# `nn.Linear(2, 32)` is a layer of 32 neurons with two inputs each (it keeps its weights with a row for each neuron, so
# ours go in turned over). `nn.Sequential` passes a table through one layer after the other. `model.parameters()` are
# all the numbers to be learned, and `optim.SGD` moves them. `load_state_dict` puts given weights in place of the random
# ones that a new layer has, here the ones that our network by hand began with.
#
# The four lines in the loop stand in every training program, whatever its size. `zero_grad` is there because `backward`
# *adds* to `.grad`; you saw that at the end of step 1.


# %%
def train_like_by_hand(library, layers, device_tensor):
    start = first_weights(seed=0)
    model = layers.Sequential(layers.Linear(2, 32), layers.Tanh(), layers.Linear(32, 3))
    model.load_state_dict(
        {
            "0.weight": device_tensor(start["W1"].T.astype("float32")),
            "0.bias": device_tensor(start["b1"].astype("float32")),
            "2.weight": device_tensor(start["W2"].T.astype("float32")),
            "2.bias": device_tensor(start["b2"].astype("float32")),
        }
    )
    x, right = device_tensor(x_train.astype("float32")), device_tensor(y_train)
    optimizer = library.optim.SGD(model.parameters(), lr=0.5)
    losses = []
    for _ in range(300):
        loss = layers.functional.cross_entropy(model(x), right)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


with_minillm = train_like_by_hand(minillm, nn, minillm.tensor)
print(f"minillm: from {with_minillm[0]:.4f} to {with_minillm[-1]:.4f}")
assert np.allclose(with_minillm, by_hand, atol=1e-3)  # 300 losses, each the same to three digits

if torch is not None:
    with_torch = train_like_by_hand(torch, torch.nn, torch.tensor)
    print(f"PyTorch: from {with_torch[0]:.4f} to {with_torch[-1]:.4f}")
    assert np.allclose(with_torch, by_hand, atol=1e-3)

# %% [markdown]
# Three programs, one curve. The function did not even need to know which library it was given.
#
# ## Faster downhill: momentum and Adam
#
# A loss is a landscape with long narrow valleys. Plain gradient descent bounces between the walls and creeps along the
# floor. **Momentum** (Polyak, 1964) keeps a velocity, so that pushes in one direction add up and those to and fro
# cancel:
#
# $$ v \leftarrow \mu v + g, \qquad w \leftarrow w - \eta v . $$
#
# **Adam** (Kingma and Ba, 2014, [arXiv:1412.6980](https://arxiv.org/abs/1412.6980)) also keeps, for each number, the
# usual size of its rate, and divides by it: every number then moves at its own pace, about $\eta$ a step.
#
# $$ m \leftarrow \beta_1 m + (1 - \beta_1)\,g, \qquad s \leftarrow \beta_2 s + (1 - \beta_2)\,g^2, \qquad
# w \leftarrow w - \eta\, \frac{m / (1 - \beta_1^t)}{\sqrt{s / (1 - \beta_2^t)} + \varepsilon} . $$
#
# The divisions by $1 - \beta^t$ make up for $m$ and $s$ starting at zero. In code it is no longer than in formulas:


# %%
class AdamByHand:
    def __init__(self, rate=0.01, beta1=0.9, beta2=0.999, eps=1e-8):
        self.rate, self.beta1, self.beta2, self.eps = rate, beta1, beta2, eps
        self.m, self.s, self.t = 0.0, 0.0, 0

    def step(self, w, g):
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.s = self.beta2 * self.s + (1 - self.beta2) * g**2
        m_hat = self.m / (1 - self.beta1**self.t)
        s_hat = self.s / (1 - self.beta2**self.t)
        return w - self.rate * m_hat / (np.sqrt(s_hat) + self.eps)


w, adam = np.array([5.0, -3.0]), AdamByHand(rate=0.1)
mw = minillm.tensor(w, dtype=minillm.float64, requires_grad=True)
their_adam = optim.Adam([mw], lr=0.1)
for _ in range(20):  # downhill on w1² + 100 w2²: a valley that is ten times as long as it is wide
    w = adam.step(w, np.array([2.0, 200.0]) * w)
    their_adam.zero_grad()
    (mw * mw * minillm.tensor([1.0, 100.0], dtype=minillm.float64)).sum().backward()
    their_adam.step()
print("by hand:", w, " minillm:", mw.numpy(force=True))

assert np.allclose(w, mw.numpy(force=True), rtol=1e-9)

# %% [markdown]
# Now the spirals, with each of the three. From here on a function does the training, and also notes the loss on the
# validation points. `model.train()` and `model.eval()` tell layers that behave differently in the two situations which
# one it is (we will meet one), and inside `minillm.no_grad()` nothing is remembered, since nothing will be learned.

# %%
X, Y = minillm.tensor(x_train, dtype=minillm.float32), minillm.tensor(y_train)
X_VALID, Y_VALID = minillm.tensor(x_valid, dtype=minillm.float32), minillm.tensor(y_valid)


def validate(model, x, right):
    """Loss and accuracy (the share of points whose greatest logit is the right one)."""
    model.eval()
    with minillm.no_grad():
        logits = model(x)
        accuracy = (logits.argmax(dim=1) == right).float().mean().item()
        return F.cross_entropy(logits, right).item(), accuracy


def train(model, optimizer, steps, x=X, right=Y, penalty=None, every=10):
    """Train, and return the losses: (step, on the training points, on the validation points)."""
    history = []
    for step in range(steps + 1):
        if step % every == 0:
            history.append((step, validate(model, x, right)[0], validate(model, X_VALID, Y_VALID)[0]))
        model.train()
        loss = F.cross_entropy(model(x), right)
        if penalty is not None:
            loss = loss + penalty(model)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return np.array(history)


def small_network():
    minillm.manual_seed(1)  # the same random weights each time
    return nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3))


rules = {
    "SGD, rate 0.1": lambda parameters: optim.SGD(parameters, lr=0.1),
    "SGD with momentum 0.9": lambda parameters: optim.SGD(parameters, lr=0.1, momentum=0.9),
    "Adam, rate 0.01": lambda parameters: optim.Adam(parameters, lr=0.01),
}
histories, networks = {}, {}
for name, rule in rules.items():
    networks[name] = small_network()
    histories[name] = train(networks[name], rule(networks[name].parameters()), steps=400)
    loss, accuracy = validate(networks[name], X_VALID, Y_VALID)
    print(f"{name:22}  validation loss {loss:.3f}, accuracy {accuracy:.1%}")

plain, momentum, adam = (history[-1, 1] for history in histories.values())
assert max(momentum, adam) < 0.3 * plain
assert validate(networks["Adam, rate 0.01"], X_VALID, Y_VALID)[1] > 0.95


# %%
def draw_regions(axes, model, x, right, title):
    """Colour the plane by what the model says about each place."""
    model.eval()
    side = np.linspace(-1.25, 1.25, 160)
    places = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    with minillm.no_grad():
        p = F.softmax(model(minillm.tensor(places, dtype=minillm.float32)), dim=1).numpy(force=True)
    shades = np.array([[0.23, 0.43, 0.65], [0.78, 0.39, 0.11], [0.23, 0.54, 0.37]])
    picture = 1 - 0.6 * (1 - p @ shades)  # the colours mix where it is not sure
    axes.imshow(picture.reshape(160, 160, 3), origin="lower", extent=(-1.25, 1.25, -1.25, 1.25))
    for arm in range(3):
        chosen = x[right == arm]
        axes.scatter(chosen[:, 0], chosen[:, 1], s=14, color=COLORS[arm], edgecolor="white", linewidth=0.5)
    axes.set(title=title, xticks=[], yticks=[])


figure, panels = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
for (name, history), color in zip(histories.items(), [GREY, BLUE, ORANGE], strict=True):
    panels[0].plot(history[:, 0], history[:, 1], color=color, label=name)
panels[0].axhline(math.log(3), color=GREY, linewidth=0.8, linestyle=":")
panels[0].set(title="Loss on the training points", xlabel="step", ylabel="cross-entropy", ylim=(0, 1.2))
panels[0].legend(frameon=False)
draw_regions(panels[1], networks["SGD, rate 0.1"], x_valid, y_valid, "SGD, 400 steps")
draw_regions(panels[2], networks["Adam, rate 0.01"], x_valid, y_valid, "Adam, 400 steps")
figure.savefig(PICTURES / "04_descent.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# The dotted line is $\ln 3$, where a network that knows nothing stands. After 400 steps plain SGD has still cut the
# plane with almost straight lines. Adam has wound the regions around each other; the points shown are ones that it
# never learned from.
#
# ## Learning by heart
#
# Now make it hard: only 20 points an arm, noisier than before, and a network with ten thousand weights. It has room to
# remember every point, and that is what it does.

# %%
x_few, y_few = spirals(20, noise=0.6, seed=3)
x_valid, y_valid = spirals(200, noise=0.6, seed=4)
X_FEW, Y_FEW = minillm.tensor(x_few, dtype=minillm.float32), minillm.tensor(y_few)
X_VALID, Y_VALID = minillm.tensor(x_valid, dtype=minillm.float32), minillm.tensor(y_valid)


def large_network(dropout=0.0):
    minillm.manual_seed(2)
    return nn.Sequential(
        nn.Linear(2, 100), nn.ReLU(), nn.Dropout(dropout), nn.Linear(100, 100), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(100, 3),
    )  # fmt: skip


overfitted = large_network()
by_heart = train(overfitted, optim.Adam(overfitted.parameters(), lr=0.01), 600, X_FEW, Y_FEW)
best = by_heart[:, 2].argmin()
print(f"training loss {by_heart[-1, 1]:.3f}, validation loss {by_heart[-1, 2]:.3f}")
print(f"the validation loss was lowest at step {by_heart[best, 0]:.0f}, with {by_heart[best, 2]:.3f}")

assert by_heart[-1, 1] < 0.1  # the points it learned from: by heart
assert by_heart[-1, 2] > 1.5 * by_heart[best, 2]  # the others: worse than it once was

# %% [markdown]
# Training loss falling while validation loss rises: that is **overfitting**. Four cures:
#
# * **L2**, or *weight decay*: add $\lambda \sum w^2$ to the loss. Its rate $2 \lambda w$ pulls every weight towards
#   zero, large ones most; the function becomes smoother. (`SGD` and `Adam` take it as `weight_decay`, which adds
#   $\text{weight decay} \cdot w$ to the rate; we write it out.)
# * **L1**: add $\lambda \sum |w|$. The pull has the same strength at every size, so that weights that are of little use
#   go all the way to zero (Tibshirani, 1996).
# * **Dropout** (Srivastava and others, 2014): while training, switch off each neuron with probability $p$, and divide
#   the others by $1 - p$, so that the sum stays the same on average. No neuron can rely on another one. With `eval()`
#   all of them work.
# * **Early stopping**: keep the weights of the step where the validation loss was lowest.


# %%
def weights(model):
    return [p for p in model.parameters() if p.ndim == 2]  # biases are left free


def l2(model):
    return 0.002 * sum((w * w).sum() for w in weights(model))


def l1(model):
    return 0.002 * sum(w.abs().sum() for w in weights(model))


cures = {"L2": (0.0, l2), "L1": (0.0, l1), "dropout 0.5": (0.5, None)}
cured = {}
for name, (dropout, penalty) in cures.items():
    model = large_network(dropout)
    cured[name] = model, train(model, optim.Adam(model.parameters(), lr=0.01), 600, X_FEW, Y_FEW, penalty)

stopped = large_network()
train(stopped, optim.Adam(stopped.parameters(), lr=0.01), int(by_heart[best, 0]) - 1, X_FEW, Y_FEW)
models = {"by heart": overfitted, **{name: model for name, (model, _) in cured.items()}, "early stopping": stopped}


def near_zero(name):
    every = np.concatenate([w.numpy(force=True).ravel() for w in weights(models[name])])
    return np.mean(np.abs(every) < 0.005)  # Adam's steps of 0.01 keep even useless weights trembling a little


results = {name: validate(model, X_VALID, Y_VALID) for name, model in models.items()}
for name, (loss, accuracy) in results.items():
    print(f"{name:15} validation loss {loss:.3f}, accuracy {accuracy:.1%}, weights near zero {near_zero(name):.0%}")

for name in ["L2", "L1", "dropout 0.5", "early stopping"]:
    assert results[name][0] < 0.8 * results["by heart"][0], f"{name} should help"
assert near_zero("L1") > 0.8
assert near_zero("by heart") < 0.2

# %%
figure, panels = plt.subplots(2, 3, figsize=(11, 7.4), layout="constrained")
axes = panels[0, 0]
axes.plot(by_heart[:, 0], by_heart[:, 1], color=GREY, label="by heart, training")
axes.plot(by_heart[:, 0], by_heart[:, 2], color=ORANGE, label="by heart, validation")
for (name, (_, history)), color in zip(cured.items(), [BLUE, GREEN, "#8a5fa5"], strict=True):
    axes.plot(history[:, 0], history[:, 2], color=color, linewidth=1, label=f"{name}, validation")
axes.plot(by_heart[best, 0], by_heart[best, 2], "o", color="black", label="stop here", zorder=3)
axes.set(title="Loss", xlabel="step", ylabel="cross-entropy", ylim=(0, min(3.5, by_heart[-1, 2] * 1.1)))
axes.legend(frameon=False, fontsize=8)
for axes, (name, model) in zip(panels.flat[1:], models.items(), strict=True):
    draw_regions(axes, model, x_few, y_few, f"{name}: validation loss {results[name][0]:.2f}")
figure.savefig(PICTURES / "04_cures.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# By heart, the network stretches a green finger and a blue wedge out to single stray points, with hard edges: no doubt
# anywhere, and so it pays dearly for each new point that it gets wrong. In the cured ones the colours mix where nobody
# can know. Dropout alone helps least here, on a plane with two inputs; it was made for wide networks with many. L1 has
# put nearly all of the ten thousand weights out of use, and the few hundred that are left do as well.
#
# Note what we did at the end, though: we chose the step, and the strength of each cure, by the validation points, so
# their loss flatters us a little. Serious work keeps a third set of points, the
# *test* set, that is looked at once.
#
# ## Exercises
#
# **Exercise 1.** Write the gradient of the mean cross-entropy at the logits, $(P - T)/n$. You get `logits` with the
# shape (n, classes) and `right` with the shape (n,), NumPy arrays, and there may be more classes than three.


# %%
def gradient_at_logits(logits, right): ...  # your code here


# %% tags=["solution"]
def gradient_at_logits_solution(logits, right):
    p = softmax(logits)
    p[np.arange(len(right)), right] -= 1
    return p / len(right)


# %%
def check_gradient(f):
    logits, answers = np.random.default_rng(5).normal(size=(6, 5)), np.array([0, 4, 2, 2, 1, 3])
    expected = minillm.tensor(logits, dtype=minillm.float64, requires_grad=True)
    F.cross_entropy(expected, minillm.tensor(answers)).backward()
    expected = expected.grad.numpy(force=True)
    got = np.asarray(f(logits.copy(), answers))
    assert got.shape == (6, 5), f"a rate for each logit has the shape (6, 5), yours is {got.shape}"
    assert not np.allclose(got, 6 * expected), "the loss is a mean over the points: divide by their number"
    assert np.allclose(got, expected), f"the first row should be {expected[0].round(4)}, yours is {got[0].round(4)}"


exercise(gradient_at_logits, check_gradient, gradient_at_logits_solution, hint="Use softmax, take 1 off at the truth.")

# %% [markdown]
# **Exercise 2.** Write SGD with momentum: a function that takes a number `w`, its rate `g`, the velocity `v`, the
# learning rate and $\mu$, and returns the new `w` and the new `v`. The check runs it against `optim.SGD`.


# %%
def momentum_step(w, g, v, rate, mu): ...  # your code here


# %% tags=["solution"]
def momentum_step_solution(w, g, v, rate, mu):
    v = mu * v + g
    return w - rate * v, v


# %%
def check_momentum(f):
    theirs = minillm.tensor([4.0], dtype=minillm.float64, requires_grad=True)
    optimizer = optim.SGD([theirs], lr=0.1, momentum=0.9)
    w, v = 4.0, 0.0
    for step in range(1, 6):
        optimizer.zero_grad()
        (theirs**2).sum().backward()
        optimizer.step()
        result = f(w, 2 * w, v, 0.1, 0.9)
        assert np.shape(result) == (2,), "return two numbers: the new w and the new v"
        w, v = result
        assert math.isclose(w, theirs.item(), rel_tol=1e-9), f"step {step}: w is {theirs.item():.6f}, yours is {w:.6f}"


exercise(momentum_step, check_momentum, momentum_step_solution, hint="First the velocity, then w moves by it.")

# %% [markdown]
# **Exercise 3.** Early stopping in real life does not know the future. Write `early_stop(losses, patience)`: go
# through the validation losses one after the other, and stop as soon as `patience` of them in a row were no better than
# the best so far. Return the place of the best loss and the place where you stopped (the last one, if you never did).


# %%
def early_stop(losses, patience): ...  # your code here


# %% tags=["solution"]
def early_stop_solution(losses, patience):
    best = 0
    for place, loss in enumerate(losses):
        if loss < losses[best]:
            best = place
        elif place - best >= patience:
            return best, place
    return best, len(losses) - 1


# %%
def check_early_stop(f):
    cases = [
        ([3.0, 2.0, 1.0], 2, (2, 2), "it kept getting better: there is no reason to stop"),
        ([3.0, 1.0, 2.0, 2.5, 0.5], 2, (1, 3), "two in a row were worse than 1.0, so the 0.5 is never seen"),
        ([3.0, 1.0, 2.0, 2.5, 0.5], 3, (4, 4), "with more patience the 0.5 is found"),
        ([3.0, 1.0, 1.0, 1.0], 2, (1, 3), "equal is not better"),
    ]
    for losses, patience, expected, why in cases:
        got = f(losses, patience)
        assert got == expected, f"{losses} with patience {patience} gives {expected} ({why}), yours is {got}"


exercise(early_stop, check_early_stop, early_stop_solution, hint="How long ago was the best loss?")

# %% [markdown]
# ## Where to go next
#
# * **Step 5** turns words into numbers, so that a network can read; its model will be trained by the very loop above.
# * In minillm, `minillm/nn/linear.py`, `minillm/nn/dropout.py` and `minillm/optim/adam.py` are what you have written
#   here. `minillm/nn/module.py` is how a model finds its parameters.
# * Change things: the width of the layers, the bend, the rates. At which learning rate does SGD stop learning?
# * Goodfellow, Bengio and Courville, [*Deep Learning*](https://www.deeplearningbook.org), 2016, chapters 6 to 8.
