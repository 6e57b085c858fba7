# %% [markdown]
# # 8. A GPT from its parts
#
# You will build a GPT in sixty lines of NumPy, piece by piece, find the very same numbers in minillm and in PyTorch,
# train it on real text, and let it write. It is the kind of model behind ChatGPT: the large ones have more width, depth
# and text, and are taught afterwards to answer, but they are made of these parts.
#
# *Reading time: about 30 minutes. You need: steps 1 to 7.*

# %%
import math
import os
import re
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minillm
from minillm import nn
from minillm.data import TokenBatches, default_corpus
from minillm.inference import Sampling, generate_text, stream_tokens
from minillm.models import GPT2Config, GPT2LMHeadModel
from minillm.testing import exercise
from minillm.tokenizers import BPETokenizer
from minillm.training.config import TrainingConfig
from minillm.training.trainer import Trainer

try:
    import torch
except ImportError:
    torch = None  # the comparisons with PyTorch are left out then
    print("PyTorch is not installed; this step runs without it.")

PICTURES = Path(os.environ.get("MINILLM_PICTURES", "pictures"))
PICTURES.mkdir(parents=True, exist_ok=True)
BLUE, ORANGE, GREEN, GREY = "#3b6ea5", "#c8641b", "#3a8a5f", "#8a8f98"

# %% [markdown]
# ## Text, cut into tokens
#
# The text is half a megabyte about Python, which every Python carries with it. Byte pairs (step 5) cut it into tokens;
# 512 different ones are few (GPT-2 has 50257), but then the model stays small enough to train while you wait.

# %%
text = default_corpus()
tokenizer = BPETokenizer.train_from_iterator([text], vocab_size=512, show_progress=False)
tokens = np.array(tokenizer.encode(text))
cut = int(0.95 * len(tokens))
train_tokens, validation_tokens = tokens[:cut], tokens[cut:]
V = len(tokenizer)
print(f"{len(text):,} letters, {len(tokens):,} tokens, {len(text) / len(tokens):.1f} letters a token")

counts = np.bincount(train_tokens, minlength=V) + 1.0
guess = math.log(V)  # the loss of a model that finds all tokens alike
by_counts = -np.log(counts / counts.sum())[validation_tokens].mean()  # ... and of one that knows how frequent they are
print(f"to beat: {guess:.2f} by guessing, {by_counts:.2f} by counting tokens")

assert by_counts < guess

# %% [markdown]
# ## The residual stream
#
# A GPT is a stack of parts: attention, small networks, attention, ... If each part *replaced* what it gets,
# $x \leftarrow f(x)$, then the gradient would pass through all of them, and each factor smaller than 1 makes it shrink:
# the same trouble as in step 6, with layers instead of time. The remedy is as old as 2015 (He and others,
# *Deep residual learning*, [arXiv:1512.03385](https://arxiv.org/abs/1512.03385)) and one plus sign long:
#
# $$ x \leftarrow x + f(x), \qquad \frac{\partial}{\partial x}\bigl(x + f(x)\bigr) = 1 + f'(x) . $$
#
# The 1 lets the gradient through unharmed, however deep the stack. We measure how much of a gradient of size 1 at the
# top arrives at the bottom. `nn.GELU` is a smooth ReLU, $x\,\Phi(x)$ with the normal distribution's $\Phi$.


# %%
def gradient_at_the_bottom(depth, residual):
    minillm.manual_seed(1)
    parts = [nn.Sequential(nn.Linear(32, 128), nn.GELU(), nn.Linear(128, 32)) for _ in range(depth)]
    first = minillm.randn(16, 32, requires_grad=True)
    x = first
    for part in parts:
        x = x + part(x) if residual else part(x)
    at_the_top = minillm.randn(16, 32)
    x.backward(at_the_top)
    top, bottom = (t.numpy(force=True).astype(np.float64) for t in (at_the_top, first.grad))
    return np.linalg.norm(bottom) / np.linalg.norm(top)


depths = [1, 2, 4, 8, 16, 32]
arrives = {residual: [gradient_at_the_bottom(d, residual) for d in depths] for residual in (False, True)}
print("depth    x = f(x)    x = x + f(x)")
for depth, plain, with_plus in zip(depths, arrives[False], arrives[True], strict=True):
    print(f"{depth:5} {plain:11.1e} {with_plus:15.2f}")

assert arrives[False][-1] < 1e-6
assert all(0.5 < a < 20 for a in arrives[True])

# %% [markdown]
# So think of $x$ as a *stream* that runs from the bottom to the top, $C$ numbers for each token. Nobody overwrites it;
# a part reads it, and adds what it has found. (Elhage and others, 2021, look at
# [what the parts write to each other](https://transformer-circuits.pub/2021/framework/index.html).)
#
# ## Layer norm
#
# A stream into which everybody adds grows. So before a part reads it, each token's numbers are brought to mean 0 and
# variance 1, then scaled and moved by learned $w$ and $b$ (Ba, Kiros and Hinton, 2016,
# [arXiv:1607.06450](https://arxiv.org/abs/1607.06450)):
#
# $$ \text{LN}(x) = \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} \cdot w + b . $$
#
# The mean runs over the $C$ numbers of *one* token: no token sees another, and a batch of one works like one of 100.


# %%
def layer_norm(x, w, b):
    mean = x.mean(axis=-1, keepdims=True)
    variance = x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * w + b


rng = np.random.default_rng(0)
x = rng.normal(3, 50, size=(4, 64)).astype(np.float32)
normal = layer_norm(x, 1, 0)
print("before:", x.mean(axis=1).round(1), x.std(axis=1).round(1))
print("after: ", np.abs(normal.mean(axis=1)).round(1), normal.std(axis=1).round(1))

assert np.allclose(normal, layer_norm(10 * x + 7, 1, 0), atol=1e-4)  # how large the stream is does not matter
assert np.allclose(normal, nn.LayerNorm(64)(minillm.tensor(x)).numpy(force=True), atol=1e-5)

# %% [markdown]
# ## The block
#
# A block is two parts: **attention**, where tokens look at one another (step 7), and a **small network**, where each
# token thinks for itself about what it saw. Both read the stream through a layer norm and add to it:
#
# $$ x \leftarrow x + \text{attention}(\text{LN}_1(x)), \qquad x \leftarrow x + \text{MLP}(\text{LN}_2(x)) . $$
#
# That is GPT-2's block (Radford and others, 2019). We write it in NumPy. All weights live in one dictionary `p`, under
# the names that GPT-2's files use: `c_attn` makes queries, keys and values, `c_proj` is a part's last layer, which
# writes into the stream.


# %%
def linear(x, p, name):
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def gelu(x):  # with a tanh in the place of Φ, as GPT-2 has it
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def attention(x, p, name, heads):
    T, C = x.shape
    qkv = linear(x, p, f"{name}.c_attn")  # (T, 3 C)
    q, k, v = (part.reshape(T, heads, C // heads).transpose(1, 0, 2) for part in np.split(qkv, 3, axis=1))
    scores = q @ k.transpose(0, 2, 1) / math.sqrt(C // heads)  # (heads, T, T)
    scores = np.where(np.tril(np.ones((T, T), dtype=bool)), scores, -np.inf)  # nobody sees what comes later
    y = softmax(scores) @ v
    return linear(y.transpose(1, 0, 2).reshape(T, C), p, f"{name}.c_proj")


def mlp(x, p, name):
    return linear(gelu(linear(x, p, f"{name}.c_fc")), p, f"{name}.c_proj")  # C -> 4 C -> C


def block(x, p, name, heads):
    x = x + attention(layer_norm(x, p[f"{name}.ln_1.weight"], p[f"{name}.ln_1.bias"]), p, f"{name}.attn", heads)
    return x + mlp(layer_norm(x, p[f"{name}.ln_2.weight"], p[f"{name}.ln_2.bias"]), p, f"{name}.mlp")


# %% [markdown]
# Around the blocks: at the bottom, each token becomes its embedding (`wte`), plus an embedding of its place (`wpe`),
# since attention alone does not know the order. At the top, a last layer norm; then the stream is compared with the
# embeddings of all tokens, by a dot product, and the best match is the best guess for the next token. Bottom and top
# share one table (Press and Wolf, 2016, [arXiv:1608.05859](https://arxiv.org/abs/1608.05859)).


# %%
def gpt(ids, p, layers, heads):
    """The logits of the next token at each place: (T,) -> (T, V)."""
    x = p["transformer.wte.weight"][ids] + p["transformer.wpe.weight"][: len(ids)]
    for layer in range(layers):
        x = block(x, p, f"transformer.h.{layer}", heads)
    x = layer_norm(x, p["transformer.ln_f.weight"], p["transformer.ln_f.bias"])
    return x @ p["transformer.wte.weight"].T


# %% [markdown]
# And its weights. Matrices start as small random numbers, biases at 0, the scales of layer norms at 1. The layers
# called `c_proj` start smaller, we see why in a minute.


# %%
def initial_weights(V, T, C, layers, std, rng, smaller=True):
    p = {"transformer.wte.weight": rng.normal(0, std, (V, C)), "transformer.wpe.weight": rng.normal(0, std, (T, C))}
    last = std / math.sqrt(2 * layers) if smaller else std
    for layer in range(layers):
        name = f"transformer.h.{layer}"
        for part, rows, columns, size in (
            ("attn.c_attn", 3 * C, C, std),
            ("attn.c_proj", C, C, last),
            ("mlp.c_fc", 4 * C, C, std),
            ("mlp.c_proj", C, 4 * C, last),
        ):
            p[f"{name}.{part}.weight"] = rng.normal(0, size, (rows, columns))
            p[f"{name}.{part}.bias"] = np.zeros(rows)
        for norm in ("ln_1", "ln_2"):
            p[f"{name}.{norm}.weight"], p[f"{name}.{norm}.bias"] = np.ones(C), np.zeros(C)
    p["transformer.ln_f.weight"], p["transformer.ln_f.bias"] = np.ones(C), np.zeros(C)
    return {name: value.astype(np.float32) for name, value in p.items()}


T, C, LAYERS, HEADS = 64, 64, 2, 4
p = initial_weights(V, T, C, LAYERS, 0.02, np.random.default_rng(0))
ids = tokens[:T]
logits = gpt(ids, p, LAYERS, HEADS)
print(f"{sum(value.size for value in p.values()):,} parameters; {len(ids)} tokens give logits {logits.shape}")

changed = ids.copy()
changed[40:] = 0  # another end of the text
assert np.allclose(gpt(changed, p, LAYERS, HEADS)[:40], logits[:40], atol=1e-5)  # what came before has not noticed

# %% [markdown]
# ## The same in minillm
#
# `GPT2LMHeadModel` is this model, with its settings in a `GPT2Config` ("LM head" is the table at the top, which makes
# it a language model). Weights go by name, so ours fit in. `lm_head.weight` is the shared table's second name. For the
# test, every weight gets some noise: zeros and ones would hide mistakes.

# %%
settings = {"vocab_size": V, "n_positions": T, "n_embd": C, "n_layer": LAYERS, "n_head": HEADS}
no_dropout = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
model = GPT2LMHeadModel(GPT2Config(**settings, **no_dropout)).eval()
rng = np.random.default_rng(1)
noisy = {name: (value + rng.normal(0, 0.1, value.shape)).astype(np.float32) for name, value in p.items()}
state = {name: minillm.tensor(value) for name, value in noisy.items()}
state["lm_head.weight"] = state["transformer.wte.weight"]
print(model.load_state_dict(state))


def minillm_logits(model, ids):
    with minillm.no_grad():
        return model(minillm.tensor(ids[None])).logits[0].numpy(force=True)


difference = np.abs(minillm_logits(model, ids) - gpt(ids, noisy, LAYERS, HEADS)).max()
print(f"the largest difference of {V * T:,} logits: {difference:.0e}")

assert difference < 2e-3

x = np.random.default_rng(2).normal(size=(10, C)).astype(np.float32)  # and one block alone
one_block = model.transformer.h[1](minillm.tensor(x[None]), None, None, None)[0].numpy(force=True)
assert np.allclose(one_block, block(x, noisy, "transformer.h.1", HEADS), atol=1e-3)

# %% [markdown]
# ## And in PyTorch
#
# The same once more, as PyTorch's modules. They get the same names, so that the weights find their places.

# %%
if torch is not None:
    tnn = torch.nn

    class TorchBlock(tnn.Module):
        def __init__(self):
            super().__init__()
            self.ln_1, self.ln_2 = tnn.LayerNorm(C), tnn.LayerNorm(C)
            self.attn = tnn.ModuleDict({"c_attn": tnn.Linear(C, 3 * C), "c_proj": tnn.Linear(C, C)})
            self.mlp = tnn.ModuleDict({"c_fc": tnn.Linear(C, 4 * C), "c_proj": tnn.Linear(4 * C, C)})

        def forward(self, x):
            B, T, C = x.shape
            qkv = self.attn["c_attn"](self.ln_1(x)).chunk(3, dim=-1)
            q, k, v = (part.reshape(B, T, HEADS, C // HEADS).transpose(1, 2) for part in qkv)
            y = tnn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.attn["c_proj"](y.transpose(1, 2).reshape(B, T, C))
            inner = tnn.functional.gelu(self.mlp["c_fc"](self.ln_2(x)), approximate="tanh")
            return x + self.mlp["c_proj"](inner)

    class TorchGPT(tnn.Module):
        def __init__(self):
            super().__init__()
            self.transformer = tnn.ModuleDict(
                {
                    "wte": tnn.Embedding(V, C),
                    "wpe": tnn.Embedding(T, C),
                    "h": tnn.ModuleList([TorchBlock() for _ in range(LAYERS)]),
                    "ln_f": tnn.LayerNorm(C),
                }
            )

        def forward(self, ids):
            t = self.transformer
            x = t["wte"](ids) + t["wpe"](torch.arange(ids.shape[1]))
            for one in t["h"]:
                x = one(x)
            return t["ln_f"](x) @ t["wte"].weight.T

    their_model = TorchGPT()
    their_model.load_state_dict({name: torch.tensor(value) for name, value in noisy.items()})
    with torch.no_grad():
        theirs = their_model(torch.tensor(ids[None]))[0].numpy()
    print(f"PyTorch: the largest difference is {np.abs(minillm_logits(model, ids) - theirs).max():.0e}")
    assert np.abs(minillm_logits(model, ids) - theirs).max() < 2e-3

# %% [markdown]
# ## How large at the start?
#
# A model that knows nothing should say so: all tokens alike, loss $\ln V$. Too large weights make it sure of nonsense,
# and it spends its first steps on unlearning that. Too small ones make all tokens alike inside, too, and there is
# little to learn from. GPT-2's 0.02 was chosen for 768 numbers a token. A sum of $C$ products grows like $\sqrt C$, so
# the rule behind it is $0.02 \approx 0.55 / \sqrt{768}$, and for our 64 that is 0.07.


# %%
def first_loss(p):
    logits = gpt(tokens[:T], p, LAYERS, HEADS)
    return -np.log(softmax(logits)[np.arange(T), tokens[1 : T + 1]] + 1e-30).mean()


STD = 0.55 / math.sqrt(C)
first = {std: first_loss(initial_weights(V, T, C, LAYERS, std, np.random.default_rng(0))) for std in (0.02, STD, 1.0)}
for std, loss in first.items():
    print(f"standard deviation {std:.2f}: loss {loss:6.2f} at the start; ln V is {guess:.2f}")

assert abs(first[0.02] - guess) < 0.1
assert abs(first[STD] - guess) < 0.6
assert first[1.0] > 3 * guess

# %% [markdown]
# Then, depth. Every block adds twice to the stream, and $2L$ independent additions of variance $s^2$ make
# $2L s^2$: the deeper the model, the more the embeddings at the bottom drown. GPT-2 starts the last layer of each part
# smaller by $1/\sqrt{2L}$, so that all of them *together* add as much as one. Measured, in a model of twelve blocks:

# %%
deep, stream = 12, {}
for smaller in (True, False):
    q = initial_weights(V, T, C, deep, STD, np.random.default_rng(0), smaller)
    x = q["transformer.wte.weight"][ids] + q["transformer.wpe.weight"]
    stream[smaller] = [x.std()]
    for layer in range(deep):
        x = block(x, q, f"transformer.h.{layer}", HEADS)
        stream[smaller].append(x.std())
growth = {smaller: sizes[-1] / sizes[0] for smaller, sizes in stream.items()}
print(f"the stream grows {growth[False]:.1f}-fold, and {growth[True]:.1f}-fold with smaller last layers")

assert growth[False] > 1.8 * growth[True]

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for residual, color, label in ((True, BLUE, "x + f(x)"), (False, ORANGE, "f(x)")):
    left.loglog(depths, arrives[residual], "o-", color=color, label=label)
left.set(xlabel="parts in the stack", ylabel="gradient at the bottom", title="one plus sign")
left.set_xticks(depths, depths)
left.minorticks_off()
for smaller, color, label in ((False, ORANGE, "all layers alike"), (True, BLUE, "last layers / √(2L)")):
    right.plot(range(deep + 1), stream[smaller], "o-", color=color, label=label)
right.set(xlabel="after block", ylabel="standard deviation", title="how large the stream becomes", ylim=0)
for axes in (left, right):
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
figure.savefig(PICTURES / "08_residual_stream.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# ## Training
#
# The loop of step 4 with the habits of people who train GPTs: AdamW, a learning rate that rises at first (`warmup`) and
# then falls along a cosine, gradients that are cut down to norm 1 when they are longer. minillm's `Trainer` does it; a
# `TrainingConfig` holds the settings. It draws windows of 64 tokens, and each place in a window is an example: 8
# windows make 512 guesses a step. (On the strict stand-in for a GPU, which checks every operation and is slow, we take
# fewer steps.)

# %%
SLOW = str(minillm.get_default_device()) != "cpu"
STEPS = 60 if SLOW else 900


def new_model(std):
    model = GPT2LMHeadModel(GPT2Config(**settings, **no_dropout))
    p = initial_weights(V, T, C, LAYERS, std, np.random.default_rng(0))
    state = {name: minillm.tensor(value) for name, value in p.items()}
    model.load_state_dict({**state, "lm_head.weight": state["transformer.wte.weight"]})
    return model


config = TrainingConfig(
    steps=STEPS,
    batch_size=8,
    block_size=T,
    lr=5e-3,
    min_lr=5e-4,
    warmup=20,
    eval_interval=STEPS // 6,
    eval_windows=32,
    log_interval=1,
    seed=1,
)
model = new_model(STD)
trainer = Trainer(model, train_tokens, validation_tokens, config)
result = trainer.train()
losses = np.array([record["loss"] for record in trainer.history if "loss" in record])
validation = [(r["step"], r["val_loss"]) for r in trainer.history if "val_loss" in r and not r.get("final")]
print(f"{result.step} steps, {result.tokens:,} tokens: validation loss {result.evaluation.loss:.2f}")
print(f"at each token it hesitates as if between {math.exp(result.evaluation.loss):.0f} equal ones; at first, {V}")

assert len(losses) == STEPS
if SLOW:
    assert result.evaluation.loss < by_counts + 0.1
else:
    assert 2.7 < result.evaluation.loss < 4.0
    assert result.evaluation.loss < by_counts - 1

# %% [markdown]
# The exponential of the loss is called **perplexity**. Two comparisons for the loss curve. First PyTorch: the same
# initial weights, the same windows, AdamW with the same settings (weight decay for matrices only). Then our model again
# with GPT-2's own 0.02.

# %%
SHORT = min(STEPS, 120)
their_losses = []
if torch is not None:
    p = initial_weights(V, T, C, LAYERS, STD, np.random.default_rng(0))
    their_model.load_state_dict({name: torch.tensor(value) for name, value in p.items()})
    weights = list(their_model.parameters())
    groups = [
        {"params": [w for w in weights if w.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [w for w in weights if w.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=config.betas)
    batches, generator = TokenBatches(train_tokens, T, config.batch_size), minillm.Generator(config.seed)
    for step in range(SHORT):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate(step)
        x, y = (torch.tensor(part) for part in batches.batch(step, generator))
        loss = torch.nn.functional.cross_entropy(their_model(x).reshape(-1, V), y.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, config.grad_clip)
        optimizer.step()
        their_losses.append(loss.item())
    apart = np.abs(losses[:SHORT] - their_losses)
    print(f"minillm and PyTorch: apart by {apart[:20].max():.0e} in 20 steps, by {apart.max():.0e} in {SHORT}")
    assert apart[:20].max() < 1e-3  # rounding differs, and training amplifies it
    assert apart.max() < 0.1

small_start = Trainer(new_model(0.02), train_tokens, None, config)
small_losses = [small_start.step() for _ in range(SHORT)]
with_small, with_ours = np.mean(small_losses[-10:]), losses[SHORT - 10 : SHORT].mean()
print(f"after {SHORT} steps, started with 0.02: {with_small:.2f}, with {STD:.2f}: {with_ours:.2f}")

assert with_small > with_ours

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4), layout="constrained")
left.plot(range(STEPS), losses, color=BLUE, alpha=0.35, linewidth=1)
width = min(25, STEPS // 4)
smooth = np.convolve(losses, np.ones(width) / width, mode="valid")
left.plot(np.arange(len(smooth)) + width // 2, smooth, color=BLUE, label="training, and its moving mean")
left.plot(*zip(*validation, strict=True), "o", color=GREEN, label="validation")
left.axhline(guess, color=GREY, linestyle=":", label="guessing")
left.axhline(by_counts, color=GREY, linestyle="--", label="counting tokens")
left.set(xlabel="step", ylabel="cross-entropy", title="learning to write")
right.plot(losses[:SHORT], color=BLUE, linewidth=3, alpha=0.5, label="minillm")
if their_losses:
    right.plot(their_losses, color="black", linestyle=(0, (3, 3)), linewidth=1, label="PyTorch")
right.plot(small_losses, color=ORANGE, linewidth=1, label="minillm, started with 0.02")
right.set(xlabel="step", title=f"the first {SHORT} steps")
for axes in (left, right):
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
figure.savefig(PICTURES / "08_loss.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# ## From probabilities to text
#
# The model gives a probability for each token. Which one do we write? Always the most probable one (**greedy**) sounds
# right and ends in loops. A **draw** from all of them is honest and now and then picks nonsense, since the many
# improbable tokens are probable together. The strategies between:
#
# * **temperature** $\tau$: draw with softmax(logits / $\tau$). Below 1 the probable become more so, above 1 less.
# * **top-k**: draw among the $k$ most probable (Fan, Lewis and Dauphin, 2018,
#   [arXiv:1805.04833](https://arxiv.org/abs/1805.04833)).
# * **top-p**: among the fewest that have the probability $p$ together (Holtzman and others, 2019,
#   [arXiv:1904.09751](https://arxiv.org/abs/1904.09751)): few where the model is sure, many where it is not.
# * **min-p**: among those at least `min_p` times as probable as the best (Nguyen and others, 2024,
#   [arXiv:2407.01082](https://arxiv.org/abs/2407.01082)).

# %%
PROMPT = "The value of"
logits = minillm_logits(model, np.array(tokenizer.encode(PROMPT)))[-1]


def with_temperature(logits, temperature):
    return softmax(logits / temperature)


def with_top_k(logits, k):
    return softmax(np.where(logits >= np.sort(logits)[-k], logits, -np.inf))


chances = {
    "all tokens": softmax(logits),
    "temperature 0.5": with_temperature(logits, 0.5),
    "temperature 2": with_temperature(logits, 2.0),
    "top-k, k = 5": with_top_k(logits, 5),
    "top-p, p = 0.7": softmax(Sampling(top_p=0.7).filtered(logits[None])[0]),
    "min-p, 0.05": softmax(Sampling(min_p=0.05).filtered(logits[None])[0]),
}
best = np.argsort(-logits)[:16]
print(f"after {PROMPT!r}: ", [tokenizer.decode([int(i)]) for i in best])

assert np.allclose(chances["temperature 0.5"], softmax(Sampling(temperature=0.5).filtered(logits[None])[0]))
assert np.allclose(chances["top-k, k = 5"], softmax(Sampling(top_k=5).filtered(logits[None])[0]))
assert (chances["top-k, k = 5"] > 0).sum() == 5
nucleus = chances["top-p, p = 0.7"] > 0
assert chances["all tokens"][nucleus].sum() >= 0.699  # enough, and without the last one it would not be
assert chances["all tokens"][nucleus].sum() - chances["all tokens"][nucleus].min() < 0.701

# %%
figure, panels = plt.subplots(2, 3, figsize=(12, 5.4), layout="constrained", sharex=True, sharey=True)
names = [tokenizer.decode([int(i)]).replace(" ", "␣").replace("\n", "⏎") for i in best]
for axes, (title, chance) in zip(panels.flat, chances.items(), strict=True):
    axes.bar(range(16), chance[best], color=BLUE)
    axes.set(title=f"{title} (tokens left: {(chance > 0).sum()})")
    rest = 1 - chance[best].sum()
    axes.text(0.98, 0.9, f"all others: {rest:.0%}", ha="right", va="top", color=GREY, transform=axes.transAxes)
    axes.set_xticks(range(16), names, rotation=70, fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
figure.suptitle(f"the next token after “{PROMPT}”")
figure.savefig(PICTURES / "08_next_token.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# Now the texts, side by side. `generate_text` encodes the prompt, draws token after token, and decodes. The prompt and
# the seed are the same for all.

# %%
strategies = {
    "greedy": {"do_sample": False},
    "temperature 0.5": {"temperature": 0.5},
    "temperature 1": {"temperature": 1.0},
    "temperature 2": {"temperature": 2.0},
    "top-k 20": {"top_k": 20},
    "top-p 0.8": {"top_p": 0.8},
    "min-p 0.1": {"min_p": 0.1},
}
prompts = [PROMPT, "If the class", "A list is", "This function returns", "The statement", "When an exception"]
LENGTH, TIMES = (15, 1) if SLOW else (48, 4)
known = set(re.findall(r"[a-z]{3,}", text.lower()))
written, real, fresh = {}, {}, {}
for name, options in strategies.items():
    texts = generate_text(model, tokenizer, prompts * TIMES, max_new_tokens=LENGTH, seed=3, **options)
    written[name] = texts
    words = [word for one in texts for word in re.findall(r"[a-z]{3,}", one.lower())[1:-1]]
    real[name] = sum(word in known for word in words) / max(len(words), 1)
    pieces = [[one[i : i + 12] for i in range(len(one) - 11)] for one in texts]
    fresh[name] = sum(len(set(row)) for row in pieces) / max(sum(len(row) for row in pieces), 1)
    print(f"{name:>16}: {PROMPT} ... {' '.join(written[name][0].split())}")

# %% [markdown]
# Two numbers say what you see: how many of its words are words of the corpus, and how much of a text (in pieces
# of twelve letters) was not written in it already. Four texts for each of six prompts:

# %%
print("                  real words   not repeated")
for name in strategies:
    print(f"{name:>16} {real[name]:12.0%} {fresh[name]:13.0%}")

if not SLOW:  # after so few steps, there is nothing to compare
    assert fresh["greedy"] < fresh["temperature 2"]
    assert real["temperature 0.5"] > real["temperature 2"]

# %%
figure, axes = plt.subplots(figsize=(7, 4.6), layout="constrained")
for name, mark in zip(strategies, "Dvo^spX", strict=True):
    color = ORANGE if name.startswith("temp") else BLUE if name != "greedy" else GREEN
    axes.plot(fresh[name], real[name], mark, color=color, alpha=0.8, markersize=10, linestyle="", label=name)
axes.set(xlabel="share of the text that does not repeat", ylabel="share of real words", title="sense against variety")
axes.margins(0.1)
axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
axes.spines[["top", "right"]].set_visible(False)
figure.savefig(PICTURES / "08_strategies.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# There is no best strategy, only a choice between sense and variety. Top right is where one wants to be.
#
# ## The KV cache
#
# To write one token, the model reads the whole text; to write the next, the whole text again, and a token more. But
# nothing changed for the earlier tokens: the causal mask keeps them from seeing the new one. All that the new token
# needs from them are their **keys and values**. If we keep those, only the new token passes through the model. Here is
# one attention, for the last of ten tokens:

# %%
p = {name: value.numpy(force=True) for name, value in model.state_dict().items()}
name = "transformer.h.0.attn"
x = np.random.default_rng(5).normal(size=(10, C)).astype(np.float32)
everything = attention(x, p, name, HEADS)  # ten queries, ten keys


def into_heads(part):
    return part.reshape(-1, HEADS, C // HEADS).transpose(1, 0, 2)


_, kept_k, kept_v = (into_heads(part) for part in np.split(linear(x[:9], p, f"{name}.c_attn"), 3, axis=1))  # the cache
q, k, v = (into_heads(part) for part in np.split(linear(x[9:], p, f"{name}.c_attn"), 3, axis=1))  # the new token
k, v = np.concatenate([kept_k, k], axis=1), np.concatenate([kept_v, v], axis=1)
y = softmax(q @ k.transpose(0, 2, 1) / math.sqrt(C // HEADS)) @ v  # one query, ten keys
only_the_new = linear(y.transpose(1, 0, 2).reshape(1, C), p, f"{name}.c_proj")

assert np.allclose(only_the_new[0], everything[9], atol=1e-5)

# %% [markdown]
# What does it save? We count the tokens that pass through the model. For a prompt of $P$ tokens and $n$ new ones:
#
# $$ \text{without: } \sum_{i=0}^{n-1} (P + i) = nP + \tfrac{n(n-1)}{2}, \qquad \text{with: } P + n - 1 . $$
#
# The first grows with the square, the second in a straight line. A *hook* is a function that a module calls each time
# it is used, so it can count; `stream_tokens` yields token by token, so we can look at the clock.


# %%
def write(n, use_cache):
    passed, read, clock, new = 0, [], [], []

    def count(_module, arguments):
        nonlocal passed
        passed += arguments[0].shape[1]

    hook = model.register_forward_pre_hook(count)
    start = time.perf_counter()
    for (token,) in stream_tokens(model, [prompt], max_new_tokens=n, use_cache=use_cache):
        new.append(token)
        read.append(passed)
        clock.append(time.perf_counter() - start)
    hook.remove()
    return new, read, clock


prompt = tokenizer.encode(PROMPT)[:8]
P, n = len(prompt), 20 if SLOW else T - len(prompt)
slow_text, slow_read, slow_clock = write(n, use_cache=False)
fast_text, fast_read, fast_clock = write(n, use_cache=True)
print(f"{n} tokens after {P}: {slow_read[-1]} passed through the model without a cache, {fast_read[-1]} with it")
print(f"time: {slow_clock[-1] * 1000:.0f} ms without, {fast_clock[-1] * 1000:.0f} ms with")

assert slow_text == fast_text  # the same text
assert slow_read[-1] == n * P + n * (n - 1) // 2
assert fast_read[-1] == P + n - 1

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for read, clock, color, label in (
    (slow_read, slow_clock, ORANGE, "everything anew"),
    (fast_read, fast_clock, BLUE, "with a KV cache"),
):
    left.plot(range(1, n + 1), read, color=color, label=label)
    right.plot(range(1, n + 1), 1000 * np.array(clock), color=color, label=label)
left.set(xlabel="tokens written", title="tokens that passed through the model", ylim=0)
right.set(xlabel="tokens written", title="milliseconds (of this small model, on this machine)", ylim=0)
for axes in (left, right):
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
figure.savefig(PICTURES / "08_kv_cache.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# The price is memory: a key and a value of $C$ numbers, for each token, in each layer. For the smallest GPT-2 with 1024
# tokens in float32 that is $2 \cdot 12 \cdot 1024 \cdot 768 \cdot 4$ bytes:

# %%
cache_bytes = 2 * 12 * 1024 * 768 * 4
print(f"{cache_bytes / 1e6:.0f} MB for one text")
assert 75e6 < cache_bytes < 76e6

# %% [markdown]
# ## Exercises
#
# **Exercise 1.** How many parameters has a GPT-2? Write `count_parameters(V, T, C, L)` for a vocabulary of V tokens, T
# places, width C and L blocks. Count the shared table once.


# %%
def count_parameters(V, T, C, L): ...  # your code here


# %% tags=["solution"]
def count_parameters_solution(V, T, C, L):
    attention_part = (C * 3 * C + 3 * C) + (C * C + C)
    mlp_part = (C * 4 * C + 4 * C) + (4 * C * C + C)
    norms = 2 * (2 * C)
    return V * C + T * C + L * (attention_part + mlp_part + norms) + 2 * C


# %%
def check_count_parameters(f):
    bare = f(10, 5, 4, 0)
    assert bare == 68, f"without any block: two tables and the last layer norm, 40 + 20 + 8 = 68; yours is {bare}"
    one = f(0, 0, 1, 1) - f(0, 0, 1, 0)
    assert one == 25, f"a block of width 1 has 12 weights, 9 biases and 4 for layer norms, 25; yours is {one}"
    ours = sum(value.size for value in initial_weights(V, T, C, LAYERS, STD, np.random.default_rng(0)).values())
    assert f(V, T, C, LAYERS) == ours, f"the model above has {ours}; yours is {f(V, T, C, LAYERS)}"
    smallest = f(50257, 1024, 768, 12)
    assert smallest == 124_439_808, f"the smallest GPT-2 has 124,439,808; yours is {smallest:,}"


exercise(
    count_parameters,
    check_count_parameters,
    count_parameters_solution,
    hint="a linear layer from a to b numbers has a * b + b; a block has four of them and two layer norms.",
)

# %% [markdown]
# **Exercise 2.** Write top-p for one row of probabilities: `keep_top_p(probabilities, p)` returns the probabilities
# with 0 for all but the fewest most probable tokens whose sum reaches p, and with the sum 1 again.


# %%
def keep_top_p(probabilities, p): ...  # your code here


# %% tags=["solution"]
def keep_top_p_solution(probabilities, p):
    order = np.argsort(-probabilities)
    total = np.cumsum(probabilities[order])
    how_many = np.searchsorted(total, p) + 1  # the first place where the sum reaches p, and all before it
    kept = np.zeros_like(probabilities)
    kept[order[:how_many]] = probabilities[order[:how_many]]
    return kept / kept.sum()


# %%
def check_keep_top_p(f):
    chance = np.array([0.1, 0.5, 0.15, 0.25])
    got = f(chance, 0.7)
    assert np.shape(got) == (4,), f"four probabilities come back, your shape is {np.shape(got)}"
    assert (got > 0).tolist() == [False, True, False, True], f"0.5 + 0.25 reaches 0.7, these two stay; yours: {got}"
    assert math.isclose(got.sum(), 1, rel_tol=1e-6), f"the sum is 1 again; yours is {got.sum():.2f}"
    assert np.allclose(got, [0, 2 / 3, 0, 1 / 3]), f"the two keep their proportion, 2 : 1; yours: {got}"
    assert (f(chance, 0.01) > 0).sum() == 1, "at least the most probable one stays"
    expected = chances["top-p, p = 0.7"]
    assert np.allclose(f(chances["all tokens"], 0.7), expected, atol=1e-5), "it differs from minillm's after the prompt"


exercise(keep_top_p, check_keep_top_p, keep_top_p_solution, hint="np.argsort(-probabilities), then np.cumsum.")

# %% [markdown]
# **Exercise 3.** Write greedily with a cache, by hand. `model.start_cache()` makes an empty one;
# `model(ids, past_key_values=cache)` with `ids` of shape (1, T) reads these tokens and adds them to it; `.logits` of
# what comes back has the shape (1, T, V). Write `write_greedily(model, prompt, n)`, which returns a list of n new
# tokens. Only P + n - 1 tokens may pass through the model.


# %%
def write_greedily(model, prompt, n): ...  # your code here


# %% tags=["solution"]
def write_greedily_solution(model, prompt, n):
    cache, ids, new = model.start_cache(), list(prompt), []
    with minillm.no_grad():
        for _ in range(n):
            logits = model(minillm.tensor([ids]), past_key_values=cache).logits
            ids = [logits[0, -1].argmax().item()]  # the only token that is new to the model
            new += ids
    return new


# %%
def check_write_greedily(f):
    passed = []
    hook = model.register_forward_pre_hook(lambda _module, arguments: passed.append(arguments[0].shape[1]))
    try:
        got = f(model, prompt, 10)
    finally:
        hook.remove()
    if got is None:
        raise AssertionError("a list of ten tokens is asked for")
    assert len(got) == 10, f"ten tokens are asked for, yours are {len(got)}"
    assert got == fast_text[:10], f"the model prefers {fast_text[:10]}, yours is {got}"
    assert sum(passed) == P + 9, f"{P + 9} tokens suffice, with yours {sum(passed)} passed: give it only the new ones"


exercise(
    write_greedily,
    check_write_greedily,
    write_greedily_solution,
    hint="the first call reads the prompt; each later call reads the one token that was chosen last.",
)

# %% [markdown]
# ## Where to go next
#
# * Train longer and larger, on a text of your own: `python -m minillm train --help`. All that you need to know to
#   change the model stands in `minillm/models/gpt2.py`, which you can read now from top to bottom.
# * `minillm/models/cache.py` is the cache, `minillm/inference/sampling.py` the strategies,
#   `minillm/training/trainer.py` the loop with checkpoints that a power cut does not hurt.
# * Radford and others, 2019, *Language models are unsupervised multitask learners*, and Karpathy's
#   [nanoGPT](https://github.com/karpathy/nanoGPT) and [lecture](https://www.youtube.com/watch?v=kCc8FmEbY1o), which
#   builds a GPT from nothing.
# * Then look at `minillm/models/llama.py`: rotary places, RMS norm, gates in the MLP. The stream is the same.
