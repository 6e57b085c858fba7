"""Cutting texts to a length, with overlapping windows over what does not fit.

A long text is cut into windows of `size` tokens, each of which repeats the last `stride` tokens of
the one before (from the other end with ``side="left"``), so that no answer of up to `stride` tokens
is cut in two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minillm.tokenizers.batching import Encoded


def truncate_pair(
    first: Encoded,
    second: Encoded | None,
    room: int,
    *,
    strategy: str,
    stride: int = 0,
    side: str = "right",
) -> list[tuple[Encoded, Encoded | None]]:
    """Cut one text or two to `room` tokens in all.

    Args:
        first: The first text.
        second: The second text, or None.
        room: How many tokens the row has left for text.
        strategy: ``"longest_first"``, ``"only_first"`` or ``"only_second"``.
        stride: How many tokens a window shares with the one before.
        side: The side that loses tokens, ``"right"`` or ``"left"``.

    Returns:
        The windows, the first one being the truncated row itself.

    Raises:
        ValueError: There is no room, or the text that may be cut is too short for it.
    """
    length = len(first.ids)
    other = 0 if second is None else len(second.ids)
    if room < 0:
        raise ValueError(f"tokenizer: max_length leaves {room} tokens for text after the special tokens")
    excess = length + other - room
    if excess <= 0:
        return [(first, second)]

    if room == 0:
        length = other = 0
    elif strategy == "longest_first":
        length, other = (room, 0) if second is None else share(length, other, room)
    elif strategy == "only_first":
        length -= excess
        _check_left(length, "first", excess)
    elif second is None:
        raise ValueError("tokenizer: truncation='only_second' needs a text_pair")
    else:
        other -= excess
        _check_left(other, "second", excess)

    firsts = windows(first, length, stride, side)
    if second is None:
        return [(window, None) for window in firsts]
    seconds = windows(second, other, stride, side)
    # Hugging Face's order: the row itself, the first text's other windows with each of the second,
    # then the first window with the second's others.
    rows: list[tuple[Encoded, Encoded | None]] = [(firsts[0], seconds[0])]
    rows += [(a, b) for a in firsts[1:] for b in seconds]
    rows += [(firsts[0], b) for b in seconds[1:]]
    return rows


def _check_left(length: int, which: str, excess: int) -> None:
    if length <= 0:
        raise ValueError(
            f"tokenizer: truncation='only_{which}' cannot take {excess} tokens from the {which} text "
            "and leave one; raise max_length or truncate 'longest_first'"
        )


def share(first: int, second: int, room: int) -> tuple[int, int]:
    """Share `room` tokens: the shorter text keeps all of its own up to half of the room.

    Example:
        >>> share(10, 3, 8), share(10, 9, 7)
        ((5, 3), (4, 3))
    """
    short, long = sorted((first, second))
    long = short if short > room else max(short, room - short)
    if short + long > room:
        short = room // 2
        long = short + room % 2
    return (long, short) if first > second else (short, long)


def windows(encoded: Encoded, size: int, stride: int, side: str) -> list[Encoded]:
    """Cut a text into windows of `size` tokens, each sharing `stride` with the one before."""
    length = len(encoded.ids)
    if length <= size:
        return [encoded]
    if size == 0:
        return [encoded.window(0, 0), encoded]
    if not 0 <= stride < size:
        raise ValueError(
            f"tokenizer: stride={stride} must be less than the {size} tokens of a window (which "
            "are what max_length leaves after the special tokens and the other text)"
        )
    cuts = []
    start = 0
    while True:
        stop = min(start + size, length)
        cuts.append((start, stop) if side == "right" else (length - stop, length - start))
        if stop == length:
            return [encoded.window(*cut) for cut in cuts]
        start += size - stride
