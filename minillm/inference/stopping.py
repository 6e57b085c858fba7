"""What ends a text beside its last token and its length: functions of the tokens so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minillm import ops
from minillm.backend import to_numpy
from minillm.inference.context import Tokens
from minillm.ops import Tensor


def stopped_by(criteria: Sequence[Callable[[Any, Any], Any]], tokens: Tokens) -> Tokens:
    """Return which rows of tokens, (B, T), end by any of the criteria: (B,) booleans.

    Args:
        criteria: each is called with the tokens, a tensor, and None, and returns a boolean for all rows, or one
            for each.
        tokens: (B, T).

    Example:
        >>> stopped_by([lambda tokens, _: tokens[:, -1] == 7], np.array([[1, 7], [7, 1]]))
        array([ True, False])
    """
    stopped = np.zeros(len(tokens), bool)
    given = ops.tensor(tokens) if criteria else None
    for criterion in criteria:
        result = criterion(given, None)
        stopped |= to_numpy(result.array) if isinstance(result, Tensor) else np.asarray(result, bool)
    return stopped
