"""Learning merges: join the most frequent pair of neighbouring tokens, again and again.

Byte-pair encoding (Gage 1994; for words, Sennrich et al. 2016, algorithm 1) counts how often each
pair of tokens stands side by side in the training words, makes the most frequent pair a new token
everywhere, and repeats until the vocabulary is full:

    l o w     x 5                    lo w     x 5                    low     x 5
    l o w e r x 2    -- l + o -->    lo w e r x 2    -- lo + w -->   low e r x 2

Done as it reads, each merge goes over all words. Here each different word is kept once, with its
count; merging a pair visits only the places where it stands, from an index of places; and the
counts of its neighbours are corrected on the spot. A heap gives the most frequent pair; an entry
whose count has changed since is put back with the right one. The whole costs n log n for n
characters of different words.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from heapq import heapify, heappop, heappush
from itertools import chain, pairwise

from minillm.tokenizers.bpe_merge import Pair


def count_pieces(
    texts: Iterable[str], split: Callable[[str], Iterable[str]], *, show_progress: bool
) -> Counter[str]:
    """Count the pieces that `split` cuts `texts` into, each text on its own."""
    from tqdm import tqdm

    watched = tqdm(texts, desc="Counting words", unit=" texts", delay=1, disable=not show_progress)
    return Counter(chain.from_iterable(map(split, watched)))


def learn_merges(
    words: Mapping[tuple[int, ...], int],
    tokens: list[str],
    vocab_size: int,
    *,
    min_frequency: int = 0,
    join: Callable[[str, str], str] = str.__add__,
    show_progress: bool = True,
) -> list[Pair]:
    """Learn merges until there are `vocab_size` tokens, or no pair is left that is frequent enough.

    Of pairs that are equally frequent the one with the lower ids is merged first (the first token's
    id decides, then the second's), so the same words always give the same merges. That is the rule
    of Hugging Face's `tokenizers` too.

    Args:
        words: The words as ids of single characters, and how often each stands in the text.
        tokens: The text of each id. New tokens are appended to the list.
        vocab_size: How many tokens there are to be.
        min_frequency: Pairs that stand in the text less often than this are not merged.
        join: Makes the text of a new token from those of its parts.
        show_progress: Show a progress bar if it takes longer than a second.

    Returns:
        The merged pairs of ids in the order in which they were learned.

    Example:
        >>> tokens = ["e", "l", "o", "r", "w"]
        >>> learn_merges({(1, 2, 4): 5, (1, 2, 4, 0, 3): 2}, tokens, 7)
        [(1, 2), (5, 4)]
        >>> tokens[5:]
        ['lo', 'low']
    """
    from tqdm import tqdm

    # All words in one row, with a wall (an id that no pair has) before, between and behind them.
    wall, gone = -1, -2
    ids: list[int] = [wall]
    weights: list[int] = [0]  # of each place: how often its word stands in the text
    for word, count in words.items():
        ids += word
        ids.append(wall)
        weights += [count] * (len(word) + 1)
    before = list(range(-1, len(ids) - 1))
    after = list(range(1, len(ids) + 1))

    counts: dict[Pair, int] = defaultdict(int)
    places: dict[Pair, list[int]] = defaultdict(list)
    for place, pair in enumerate(pairwise(ids)):
        if pair[0] != wall and pair[1] != wall:
            counts[pair] += weights[place]
            places[pair].append(place)

    heap = [(-count, pair) for pair, count in counts.items()]
    heapify(heap)
    id_of = {token: token_id for token_id, token in enumerate(tokens)}
    merges: list[Pair] = []
    progress = tqdm(
        total=vocab_size - len(tokens),
        desc="Learning merges",
        unit=" tokens",
        delay=1,
        disable=not show_progress,
    )

    while heap and len(tokens) < vocab_size:
        negative_count, pair = heappop(heap)
        count = counts.get(pair, 0)
        if count != -negative_count:
            if count > 0:
                heappush(heap, (-count, pair))
            continue
        if count < max(1, min_frequency):
            break

        first, second = pair
        token = join(tokens[first], tokens[second])
        # Two pairs can spell the same: (a, bc) and (ab, c). Both are merges, of one token.
        new = id_of.setdefault(token, len(tokens))
        if new == len(tokens):
            tokens.append(token)
            progress.update()
        merges.append(pair)

        del counts[pair]
        touched: set[Pair] = set()
        for place in sorted(places.pop(pair)):
            right = after[place]
            if ids[place] != first or ids[right] != second:
                continue  # in `aaa` the second pair went with the first
            weight = weights[place]
            beyond, left = after[right], before[place]
            ids[place], ids[right] = new, gone
            after[place], before[beyond] = beyond, place
            if ids[left] != wall:
                if (old := (ids[left], first)) in counts:
                    counts[old] -= weight
                fresh = (ids[left], new)
                counts[fresh] += weight
                places[fresh].append(left)
                touched.add(fresh)
            if ids[beyond] != wall:
                if (old := (second, ids[beyond])) in counts:
                    counts[old] -= weight
                fresh = (new, ids[beyond])
                counts[fresh] += weight
                places[fresh].append(place)
                touched.add(fresh)
        for fresh in touched:
            if counts[fresh] > 0:
                heappush(heap, (-counts[fresh], fresh))
    progress.close()
    return merges
