# %% [markdown]
# # 5. Words into numbers
#
# You will turn text into numbers in three ways, by words, by letters and by the pieces in between that GPTs read, and
# give each of them a place in a space where neighbours mean something similar. Then you will train your first language
# model, a tiny one, and let it invent words.
#
# *Reading time: about 30 minutes. You need: step 4.*

# %%
import math
import os
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minillm
from minillm import nn, optim
from minillm.data import default_corpus, pad_sequences
from minillm.nn import functional as F
from minillm.testing import exercise
from minillm.tokenizers import BPETokenizer, WordTokenizer

try:
    import torch
except ImportError:
    torch = None  # the comparisons with PyTorch are left out then
    print("PyTorch is not installed; this step runs without it.")

PICTURES = Path(os.environ.get("MINILLM_PICTURES", "pictures"))
PICTURES.mkdir(parents=True, exist_ok=True)
BLUE, ORANGE, GREEN, GREY = "#3b6ea5", "#c8641b", "#3a8a5f", "#8a8f98"

# %% [markdown]
# `minillm.tokenizers` holds what cuts text into pieces and numbers them, `minillm.data` what reads text and makes
# tables of it.
#
# ## A number for each word
#
# Networks compute with numbers, so each word gets one, its **id**. The list of all words with their ids is the
# **vocabulary**. We number the words from the most frequent on, and keep two ids for special purposes: 0 for
# *padding* (soon), and 1 for every word that we have never seen.

# %%
sentences = ["The cat sat on the mat.", "The dog sat.", "The cat and the dog sat on the mat"]
counts = Counter(word for sentence in sentences for word in re.findall(r"[a-z]+", sentence.lower()))
vocabulary = {"<pad>": 0, "<unknown>": 1}
for word, _ in counts.most_common():
    vocabulary[word] = len(vocabulary)
print(vocabulary)


def to_ids(sentence):
    return [vocabulary.get(word, vocabulary["<unknown>"]) for word in re.findall(r"[a-z]+", sentence.lower())]


print(to_ids("The cat sat on the sofa"))

# %% [markdown]
# minillm's `WordTokenizer` does the same (its names are those of Keras, where many have met it first).

# %%
tokenizer = WordTokenizer(oov_token="<unknown>")  # oov: "out of vocabulary"
tokenizer.fit_on_texts(sentences)
print(tokenizer.texts_to_sequences(["The cat sat on the sofa"]))

assert tokenizer.texts_to_sequences(sentences) == [to_ids(sentence) for sentence in sentences]
assert to_ids("The cat sat on the sofa")[-1] == 1  # nobody has seen a sofa

# %% [markdown]
# The numbers mean nothing by themselves. That *cat* is 4 and *dog* another number does not make one larger than the
# other; an id is a place in a list, and soon it will be the number of a row in a table.
#
# ## Padding and masks
#
# Sentences have different lengths, and tables do not. So short rows are filled up with 0, and a second table, the
# **mask**, says where the real words are.

# %%
rows = pad_sequences(tokenizer.texts_to_sequences(sentences), padding="post")
mask = rows != 0
print(rows)
print(mask.astype(int))

# %% [markdown]
# Whoever forgets the mask computes with words that are not there. Say each word has a value, and we want the mean of a
# sentence. The right mean counts real words only:
#
# $$ \text{mean} = \frac{\sum_t m_t\, v_t}{\sum_t m_t} . $$

# %%
values = np.arange(len(vocabulary), dtype=float)[rows]  # let the value of a word be its id
wrong = values.mean(axis=1)
right = (values * mask).sum(axis=1) / mask.sum(axis=1)
print("without the mask:", wrong.round(3))
print("with the mask:   ", right.round(3))

# "the dog sat", by hand: three words, whatever else stands in the row
assert math.isclose(right[1], sum(to_ids("the dog sat")) / 3)
assert wrong[1] < right[1]

# %% [markdown]
# Losses need the same care: nobody should learn to predict padding. Cross-entropy has an argument for it: places where
# the right answer is `ignore_index` do not count.

# %%
logits = minillm.tensor([[2.0, 0.5, 0.1], [0.3, 0.2, 1.0], [5.0, 0.0, 0.0]])
answers = minillm.tensor([1, 2, 0])  # the last one is padding
all_three = F.cross_entropy(logits, answers)
first_two = F.cross_entropy(logits, answers, ignore_index=0)
print(f"all three {all_three.item():.4f}, without the padding {first_two.item():.4f}")

assert math.isclose(first_two.item(), F.cross_entropy(logits[:2], answers[:2]).item(), rel_tol=1e-6)
assert all_three.item() < first_two.item()  # easy padding would have made the model look better than it is

# %% [markdown]
# ## Between letters and words: byte-pair encoding
#
# A vocabulary of words is never complete: *unlearnable* is unknown even if *learn* is not. Letters are complete, but a
# text becomes very long, and a letter says little. GPTs read pieces in between, and let the text itself decide which:
#
# > Start with single letters. Find the pair of neighbours that stands in the text most often. Make it one piece. Again.
#
# It began as a way to compress files (Gage, 1994), and Sennrich, Haddow and Birch brought it to language in 2015
# ([arXiv:1508.07909](https://arxiv.org/abs/1508.07909)). Our text is the one that comes with every Python, its own help
# pages; `default_corpus` collects them. The blank before a word belongs to the word, so that pieces can be glued
# together again without guessing.

# %%
words = re.findall(r"[a-z]+", default_corpus().lower())
print(len(words), "words,", len(set(words)), "different ones:", " ".join(words[:12]), "...")


def merge(pieces, pair):
    """Make each `pair` of neighbours one piece."""
    merged = []
    for piece in pieces:
        if merged and (merged[-1], piece) == pair:
            merged[-1] += piece
        else:
            merged.append(piece)
    return merged


print(merge(list(" the tether"), ("t", "h")))


# %% [markdown]
# There is a trap here: with the pair `("a", "a")`, the letters `aaa` must become `aa`, `a`, and the middle one must not
# be used twice. `merge` walks past it, since what has just been glued is `"aa"` and no longer `"a"`.
#
# Counting every occurrence of every word would take long. A word that stands in the text a thousand times is cut up
# once, and counts a thousandfold. Where two pairs are equally frequent, the one whose pieces are older goes first.


# %%
def learn_merges(words, how_many):
    how_often = Counter(" " + word for word in words)
    cut = {word: list(word) for word in how_often}
    age = {piece: n for n, piece in enumerate("abcdefghijklmnopqrstuvwxyz ")}
    merges = []
    for _ in range(how_many):
        pairs = Counter()
        for word, pieces in cut.items():
            for pair in pairwise(pieces):
                pairs[pair] += how_often[word]
        best = max(pairs, key=lambda pair: (pairs[pair], -age[pair[0]], -age[pair[1]]))
        merges.append(best)
        age.setdefault(best[0] + best[1], len(age))
        for word, pieces in cut.items():
            if best[0] + best[1] in word:
                cut[word] = merge(pieces, best)
    return merges


merges = learn_merges(words, 60)
print(" | ".join(first + second for first, second in merges))

# %% [markdown]
# Read them in order: first the commonest pairs of letters, soon whole little words (with their blank), then endings
# like *ing*. Nobody told it any grammar.
#
# minillm's `BPETokenizer` learns the same merges, quicker, and from *bytes* rather than letters: all text in the world
# is made of 256 bytes, so that nothing is ever unknown. In its vocabulary a blank is written `Ġ`, as in GPT-2's.

# %%
text = " " + " ".join(words)
learned = BPETokenizer.train_from_iterator([text], vocab_size=256 + 60, show_progress=False)
theirs = [(first.replace("Ġ", " "), second.replace("Ġ", " ")) for first, second in learned.merges]

assert theirs == merges  # sixty merges, in the same order

# %% [markdown]
# How a sentence is cut when there are no merges, sixty, some hundred, or two thousand:

# %%
sentence = " every function returns a number or raises an unforgivable exception"
cuts = {}
for how_many in [0, 60, 400, 2000]:
    bpe = BPETokenizer.train_from_iterator([text], vocab_size=256 + how_many, show_progress=False)
    ids = bpe.encode(sentence)
    assert bpe.decode(ids) == sentence  # nothing is lost, not even by a word that the text does not hold
    cuts[how_many] = [token.replace("Ġ", " ") for token in bpe.convert_ids_to_tokens(ids)]
    print(f"{how_many:5} merges: {len(sentence) / len(ids):.2f} letters a token")

lengths = [len(pieces) for pieces in cuts.values()]
assert lengths == sorted(lengths, reverse=True)
assert lengths[0] == len(sentence) > 2.5 * lengths[-1]

figure, axes = plt.subplots(figsize=(11, 2.6), layout="constrained")
for row, (how_many, pieces) in enumerate(cuts.items()):
    place = 0
    for number, piece in enumerate(pieces):
        color = ["#cfdff0", "#f6d9c3", "#cfe8d9"][number % 3]
        axes.add_patch(plt.Rectangle((place, -row), len(piece), 0.8, facecolor=color, edgecolor="white", linewidth=1.5))
        for letter in piece:
            axes.text(place + 0.5, 0.4 - row, letter, ha="center", va="center", family="monospace", fontsize=11)
            place += 1
    axes.text(-1, 0.4 - row, f"{how_many} merges", ha="right", va="center", color=GREY)
    axes.text(place + 1, 0.4 - row, f"{len(pieces)} tokens", ha="left", va="center", color=GREY)
axes.set(xlim=(-11, len(sentence) + 10), ylim=(-3.1, 0.9))
axes.axis("off")
figure.savefig(PICTURES / "05_byte_pairs.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# Common words become one token. A rare word stays in several pieces, and is readable all the same.
#
# ## Embeddings: a row of numbers for each id
#
# A network cannot do much with the number 4. So each id gets a row of numbers of its own in a table, its **embedding**,
# and these numbers are *learned*. Looking up row $i$ is the same as multiplying a row with a single 1 at place $i$
# (*one-hot*) by the table:
#
# $$ \text{onehot}(i)\; E = E_i . $$
#
# That tells us the gradient: each lookup hands what arrives to *its* row. A row that was looked up twice gets both,
# added (step 1: sharing adds up), and one that was not looked up gets nothing.

# %%
table = np.array([[0.0, 0.1], [1.0, 1.1], [2.0, 2.1], [3.0, 3.1]])
ids = np.array([2, 0, 2])
one_hot = np.eye(4)[ids]
assert np.array_equal(one_hot @ table, table[ids])

arriving = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])  # the rates at the three rows that came out
by_hand = np.zeros_like(table)
for i, rate in zip(ids, arriving, strict=True):
    by_hand[i] += rate
print(by_hand)

assert by_hand.tolist() == [[2, 20], [0, 0], [4, 40], [0, 0]]  # row 2 was looked up twice: 1 + 3 and 10 + 30
assert np.array_equal(by_hand, one_hot.T @ arriving)  # what the product says

# %% [markdown]
# `nn.Embedding(4, 2)` is such a table, with four rows of two numbers. In minillm and PyTorch:


# %%
def gradient_of_lookup(library, layers):
    layer = layers.Embedding(4, 2)  # its own numbers are random, and do not matter here
    out = layer(library.tensor(ids))
    (out * library.tensor(arriving.astype("float32"))).sum().backward()
    return layer.weight.grad


print(gradient_of_lookup(minillm, nn))
assert np.array_equal(gradient_of_lookup(minillm, nn).numpy(force=True), by_hand)
if torch is not None:
    assert np.array_equal(gradient_of_lookup(torch, torch.nn).numpy(force=True), by_hand)

# %% [markdown]
# ## The smallest language model
#
# A language model says how likely each next token is. The smallest one looks at a single letter and guesses the next
# (a *bigram* model; Markov did it with pencil and paper for Pushkin's *Onegin* in 1913). We let it learn how words are
# made.
#
# Andrej Karpathy's [makemore](https://github.com/karpathy/makemore) does it with 32 033 first names. If you put its
# `names.txt` where you run this step (or its path into the variable `MINILLM_NAMES`), you get names; otherwise the
# model learns from the different words in Python's help. `.` marks where a word begins and ends.

# %%
names_file = Path(os.environ.get("MINILLM_NAMES", "names.txt"))
has_names = names_file.exists()
items = names_file.read_text(encoding="utf-8").split() if has_names else sorted({w for w in words if len(w) > 2})
print(len(items), "names" if has_names else "words", "such as", ", ".join(items[:: len(items) // 6][:6]))

LETTERS = ".abcdefghijklmnopqrstuvwxyz"
pairs = np.array([(LETTERS.index(a), LETTERS.index(b)) for w in items for a, b in zip(f".{w}", f"{w}.", strict=True)])
N = np.zeros((27, 27))
np.add.at(N, (pairs[:, 0], pairs[:, 1]), 1)  # N[i, j]: how often letter j follows letter i
print(len(pairs), "pairs of letters")

# %% [markdown]
# **By counting.** The best guess for "what follows *q*" is how often each letter did. One is added to each count, so
# that a pair that happened not to occur is rare, not impossible (Laplace). The loss is cross-entropy again, the mean of
# $-\ln p$ over all pairs; a guess among 27 has $\ln 27 \approx 3.2958$.


# %%
def table_loss(P):
    """The mean of −ln p over all pairs. There are at most 729 kinds, so each counts as often as it occurs."""
    return -(N * np.log(np.where(N > 0, P, 1))).sum() / N.sum()


by_counting = table_loss((N + 1) / (N + 1).sum(axis=1, keepdims=True))
floor = table_loss(N / np.maximum(N.sum(axis=1, keepdims=True), 1))
print(f"counting: {by_counting:.4f}; no table of 27 × 27 can go below {floor:.4f}; guessing: {math.log(27):.4f}")

assert floor <= by_counting < floor + 0.02
assert by_counting < math.log(27) - 0.3
if has_names and len(items) == 32033:
    assert f"{floor:.4f} {by_counting:.4f}" == "2.4540 2.4546"

# %% [markdown]
# **By learning.** An embedding with 27 rows of 27 numbers: row $i$ holds the logits of what follows letter $i$. That is
# a whole network, and we train it as in step 4. To save time we use that the mean over all pairs can be taken kind by
# kind, weighted with $N$; the first lines of the cell show that it is the same loss.

# %%
minillm.manual_seed(0)
weight = minillm.tensor(N / N.sum(), dtype=minillm.float32)
every_letter = minillm.arange(27)


def loss_of(model):
    return -(weight * F.log_softmax(model(every_letter), dim=1)).sum()


bigram = nn.Embedding(27, 27)
pair_by_pair = F.cross_entropy(bigram(minillm.tensor(pairs[:, 0])), minillm.tensor(pairs[:, 1]))
assert math.isclose(pair_by_pair.item(), loss_of(bigram).item(), rel_tol=1e-4)

optimizer = optim.SGD(bigram.parameters(), lr=50)  # a huge rate, for rates of change that are tiny: 729 share a loss
curve = []
for _step in range(1001):
    loss = loss_of(bigram)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    curve.append(loss.item())
for step in [0, 10, 100, 1000]:
    print(f"step {step:4}: {curve[step]:.4f}")

assert curve[0] > math.log(27)  # random logits: worse than to guess, since it is sure of nonsense
assert floor - 1e-4 < curve[1000] < floor + 0.02
if has_names and len(items) == 32033:
    assert curve[70] > 2.4765 > curve[100] > 2.465  # the loss that is quoted for this model is passed on the way

# %% [markdown]
# Learning finds what counting found. Then why learn? Because tables of counts stop at pairs: for contexts of ten
# letters there would be $27^{10}$ rows, nearly all of them empty. A network can share what it knows between contexts
# that are alike, and that begins with embeddings that are alike. But first let it talk: draw a letter with the learned
# probabilities (`minillm.multinomial` does that), then one that follows it, until the `.`.


# %%
def invent(P):
    word, letter = "", 0
    while len(word) < 20:
        letter = minillm.multinomial(P[letter], 1).item()
        if letter == 0:
            break
        word += LETTERS[letter]
    return word


with minillm.no_grad():
    P = F.softmax(bigram(every_letter), dim=1)
    print("learned:", ", ".join(invent(P) for _ in range(10)))
    print("guessed:", ", ".join(invent(minillm.full((27, 27), 1 / 27)) for _ in range(5)))

learned_table, counted_table = P.numpy(force=True), (N + 1) / (N + 1).sum(axis=1, keepdims=True)
common = N.sum(axis=1) > 0.02 * N.sum()
assert np.abs(learned_table - counted_table)[common].max() < 0.03  # row by row, the same probabilities

# %%
figure, panels = plt.subplots(1, 2, figsize=(12, 5.2), layout="constrained", width_ratios=[1.1, 1])
image = panels[0].imshow(learned_table, cmap="Blues", vmax=0.5)
panels[0].set(xticks=range(27), yticks=range(27), xticklabels=LETTERS, yticklabels=LETTERS)
panels[0].set(title="Learned: how likely is the next letter?", xlabel="next letter", ylabel="letter")
figure.colorbar(image, ax=panels[0], shrink=0.8)
panels[1].plot(curve, color=BLUE, label="learning")
panels[1].axhline(by_counting, color=ORANGE, linestyle="--", label=f"counting: {by_counting:.4f}")
panels[1].axhline(math.log(27), color=GREY, linestyle=":", label="guessing: 3.2958")
panels[1].set(title="Loss", xlabel="step (logarithmic)", ylabel="cross-entropy", xscale="symlog", xlim=(0, 1000))
panels[1].legend(frameon=False)
figure.savefig(PICTURES / "05_bigrams.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# Find the rows of *q* and of the vowels; find the column of `.`, where words like to end.
#
# ## A space of letters
#
# Now make the model share. Each letter gets only **two** numbers, a place on a map, and one `Linear` layer must guess
# the next letter from the place:
#
# $$ \text{logits} = E_i\, W^\top + b . $$
#
# Two letters on the same spot get the same guesses. So letters that are followed by the same letters should move
# together, though nobody says which ones those are.

# %%
minillm.manual_seed(4)
narrow = nn.Sequential(nn.Embedding(27, 2), nn.Linear(2, 27))
optimizer = optim.Adam(narrow.parameters(), lr=0.02)
for _step in range(1500):
    loss = loss_of(narrow)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"two numbers a letter: {loss.item():.4f}; the whole table: {curve[1000]:.4f}; guessing: {math.log(27):.4f}")

assert floor < loss.item() < math.log(27) - 0.25

places = narrow[0].weight.numpy(force=True)
distance = np.linalg.norm(places[:, None] - places[None], axis=-1)
vowels = [LETTERS.index(v) for v in "aeiou"]
consonants = [LETTERS.index(c) for c in "bcdfghklmnprstvw"]
among_vowels = distance[np.ix_(vowels, vowels)].sum() / 20  # 5 × 4 pairs; the distance to itself is 0
to_consonants = distance[np.ix_(vowels, consonants)].mean()
print(f"from vowel to vowel {among_vowels:.2f} on average, from vowel to consonant {to_consonants:.2f}")

assert among_vowels < 0.9 * to_consonants

# %%
figure, axes = plt.subplots(figsize=(6.4, 5.6), layout="constrained")
for letter, (x, y) in zip(LETTERS, places, strict=True):
    color = ORANGE if letter in "aeiou" else GREY if letter == "." else BLUE
    axes.scatter(x, y, s=330, color=color, alpha=0.18, linewidth=0)
    axes.text(x, y, letter, ha="center", va="center", color=color, fontsize=14, weight="bold")
axes.set(title="Where the letters went (vowels in orange)", xlabel="first number", ylabel="second number")
figure.savefig(PICTURES / "05_letters.png", dpi=110)
plt.show()
plt.close(figure)

# %% [markdown]
# The vowels have gathered on one side of the map, mostly (in English words, *e* may keep apart: it is followed by so
# many endings). All that the model ever saw were numbers from 0 to 26.
#
# Words work the same way, with more numbers each. Let 300 frequent words have 16, and guess the next word. Which words
# are near each other? We compare directions, by the cosine of the angle between two rows, as one does with word vectors
# (Mikolov and others, 2013, [arXiv:1301.3781](https://arxiv.org/abs/1301.3781)).

# %%
frequent = [word for word, _ in Counter(words).most_common(300)]
place_of = {word: place for place, word in enumerate(frequent)}
follows = np.zeros((300, 300))
for a, b in pairwise(words):
    if a in place_of and b in place_of:
        follows[place_of[a], place_of[b]] += 1

minillm.manual_seed(4)
weight_of_words = minillm.tensor(follows / follows.sum(), dtype=minillm.float32)
word_model = nn.Sequential(nn.Embedding(300, 16), nn.Linear(16, 300))
optimizer = optim.Adam(word_model.parameters(), lr=0.02)
every_word = minillm.arange(300)
for _step in range(300):
    loss = -(weight_of_words * F.log_softmax(word_model(every_word), dim=1)).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

vectors = word_model[0].weight.numpy(force=True)
vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
for word in ["is", "a", "may", "in", "list", "called"]:
    if word in place_of:
        nearest = np.argsort(-(vectors @ vectors[place_of[word]]))[1:5]
        print(f"{word:>8}: {', '.join(frequent[i] for i in nearest)}")

assert loss.item() < 0.85 * math.log(300)

# %% [markdown]
# ## Exercises
#
# **Exercise 1.** Write the mean over real words for vectors: `vectors` has the shape (rows, words, numbers), `mask` the
# shape (rows, words) with `True` at real words, both NumPy arrays. The result has the shape (rows, numbers). A row
# without any word gives zeros, and no warning about a division by zero.


# %%
def masked_mean(vectors, mask): ...  # your code here


# %% tags=["solution"]
def masked_mean_solution(vectors, mask):
    total = (vectors * mask[:, :, None]).sum(axis=1)
    return total / np.maximum(mask.sum(axis=1), 1)[:, None]


# %%
def check_masked_mean(f):
    v = np.arange(12.0).reshape(2, 3, 2)
    m = np.array([[True, True, False], [False, False, False]])
    with np.errstate(all="raise"):
        got = np.asarray(f(v, m))
        longer = np.asarray(f(np.pad(v, ((0, 0), (0, 4), (0, 0)), constant_values=99), np.pad(m, ((0, 0), (0, 4)))))
    assert got.shape == (2, 2), f"a vector for each row has the shape (2, 2), yours is {got.shape}"
    assert np.allclose(got[0], [1, 2]), f"the mean of [0, 1] and [2, 3] is [1, 2], yours is {got[0]}"
    assert np.allclose(got[1], 0), f"a row without words gives zeros, yours gives {got[1]}"
    assert np.allclose(got, longer), "four more places of padding change your result"


exercise(masked_mean, check_masked_mean, masked_mean_solution, hint="mask[:, :, None] meets vectors by broadcasting.")

# %% [markdown]
# **Exercise 2.** Merges are learned once and used forever. Write `cut_word(word, merges)`: start with single letters,
# and apply the merges one after the other, in the order in which they were learned (`merge` from above does one).


# %%
def cut_word(word, merges): ...  # your code here


# %% tags=["solution"]
def cut_word_solution(word, merges):
    pieces = list(word)
    for pair in merges:
        pieces = merge(pieces, pair)
    return pieces


# %%
def check_cut_word(f):
    few = [("t", "h"), ("th", "e"), (" ", "the")]
    assert f(" the", few) == [" the"], f"' the' should become one piece, yours is {f(' the', few)}"
    assert f(" with", few) == [" ", "w", "i", "th"], f"' with' ends with the piece 'th', yours is {f(' with', few)}"
    for word in [" therefore", " function", " unforgivable"]:
        expected = [token.replace("Ġ", " ") for token in learned.tokenize(word)]
        assert f(word, merges) == expected, f"{word!r} should be cut {expected}, yours is {f(word, merges)}"


exercise(cut_word, check_cut_word, cut_word_solution, hint="What merge gives back goes into the next merge.")

# %% [markdown]
# **Exercise 3.** Which amount to add to each count is best? Judge it on words that were not counted. Write
# `held_out_loss(seen, unseen, extra)`: make probabilities from the counts `seen` with `extra` added to each, and return
# the mean of $-\ln p$ over the pairs in `unseen` (counts as well, of the same shape). `extra` is greater than zero.


# %%
def held_out_loss(seen, unseen, extra): ...  # your code here


# %% tags=["solution"]
def held_out_loss_solution(seen, unseen, extra):
    P = (seen + extra) / (seen + extra).sum(axis=1, keepdims=True)
    return -(unseen * np.log(P)).sum() / unseen.sum()


# %%
def check_held_out(f):
    seen, unseen = np.array([[3.0, 0.0], [1.0, 1.0]]), np.array([[1.0, 1.0], [0.0, 2.0]])
    got = f(seen, unseen, 1)
    expected = -(math.log(4 / 5) + math.log(1 / 5) + 2 * math.log(1 / 2)) / 4
    assert math.isclose(got, expected), f"the four pairs have 4/5, 1/5, 1/2, 1/2, so {expected:.4f}; yours is {got:.4f}"
    assert abs(f(N, N, 1) - by_counting) < 1e-9, f"on the pairs that were counted it is {by_counting:.4f}"
    assert abs(f(N, N, 1e9) - math.log(27)) < 1e-3, "with a huge extra nothing is left but guessing, ln 27"


exercise(held_out_loss, check_held_out, held_out_loss_solution, hint="It is by_counting above, with two tables.")

# %% [markdown]
# ## Where to go next
#
# * **Step 6** gives the model a memory, so that the guess may depend on all that was read and not on one letter.
# * In minillm, `minillm/tokenizers/bpe_training.py` is `learn_merges` made fast, `minillm/tokenizers/word.py` the word
#   vocabulary, and `minillm/nn/embedding.py` the table that learns.
# * Bengio, Ducharme, Vincent and Jauvin,
#   [*A neural probabilistic language model*](https://www.jmlr.org/papers/v3/bengio03a.html), 2003: embeddings for
#   several words of context, the step from here to everything after it.
