"""Applying merges to one piece: always the pair of lowest rank, and of those the leftmost.

Byte-pair encoding rebuilds a word as training would have (Sennrich et al. 2016, section 3.2): it
begins with single bytes and joins, again and again, the neighbouring pair that was learned first.
`merge_short` says just that. It looks at all n pairs for each merge, which is n^2 in all: the
quickest way for the dozen bytes of a word, hopeless for a million. `merge_long` keeps the pairs in
a heap and the tokens in a linked list: n log n. Both give the same tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise

Pair = tuple[int, int]

#: The rank of a pair that is not merged: higher than all ranks.
UNRANKED = 1 << 60

#: Pieces of more bytes than this go to `merge_long`; at about this length both take equally long.
LONG = 256


def merge(ids: list[int], ranks: Mapping[Pair, int], merged: Sequence[int]) -> list[int]:
    """Return the tokens of one piece.

    Args:
        ids: The ids of the piece's bytes; the list may be written to.
        ranks: The rank of each pair that is merged.
        merged: For each rank the id of the token that the merge makes.

    Example:
        >>> merge([1, 2, 1, 2, 3], {(1, 2): 0, (10, 3): 1}, [10, 11])
        [10, 11]
    """
    return (merge_short if len(ids) <= LONG else merge_long)(ids, ranks, merged)


def merge_short(ids: list[int], ranks: Mapping[Pair, int], merged: Sequence[int]) -> list[int]:
    """Merge a short piece: search all pairs for the lowest rank, as often as there are merges."""
    rank_of = ranks.get
    pair_ranks = [rank_of(pair, UNRANKED) for pair in pairwise(ids)]
    while pair_ranks:
        lowest = min(pair_ranks)
        if lowest == UNRANKED:
            break
        place = pair_ranks.index(lowest)
        token = merged[lowest]
        ids[place : place + 2] = [token]
        del pair_ranks[place]
        if place > 0:
            pair_ranks[place - 1] = rank_of((ids[place - 1], token), UNRANKED)
        if place < len(pair_ranks):
            pair_ranks[place] = rank_of((token, ids[place + 1]), UNRANKED)
    return ids


def merge_long(ids: list[int], ranks: Mapping[Pair, int], merged: Sequence[int]) -> list[int]:
    """Merge a piece of any length with a heap of pairs and a linked list of tokens."""
    rank_of = ranks.get
    length = len(ids)
    after = list(range(1, length + 1))  # the place of the next token; `length` behind the last
    before = list(range(-1, length - 1))
    # A heap entry is rank * length + place, one number: it orders by rank, then from the left.
    heap = [
        rank * length + place
        for place, pair in enumerate(pairwise(ids))
        if (rank := rank_of(pair)) is not None
    ]
    heapify(heap)
    while heap:
        rank, place = divmod(heappop(heap), length)
        right = after[place]
        # An entry is stale if one of its tokens has been merged with another neighbour since.
        if right == length or rank_of((ids[place], ids[right])) != rank:
            continue
        token = ids[place] = merged[rank]
        ids[right] = -1
        after[place] = beyond = after[right]
        if beyond < length:
            before[beyond] = place
            if (new_rank := rank_of((token, ids[beyond]))) is not None:
                heappush(heap, new_rank * length + place)
        left = before[place]
        if left >= 0 and (new_rank := rank_of((ids[left], token))) is not None:
            heappush(heap, new_rank * length + left)
    return [token for token in ids if token >= 0]
