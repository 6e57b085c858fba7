"""A stand-in for CuPy, device "strict": NumPy's results under CuPy's rules, on any machine.

Code that runs on NumPy may still fail on CuPy, or worse, run and be wrong there. The stand-in makes
such code fail in an everyday test:

- arrays of the stand-in and of NumPy do not mix, and nothing is copied to the host unless `.get()`
  is called (numbers, NumPy's scalars and index arrays pass, as in CuPy);
- reductions and single elements are 0-d arrays, never scalars, and views stay views;
- functions, methods and arguments that CuPy lacks are missing, and the error says so.

Where CuPy goes on silently with a wrong or undefined result, the stand-in raises an error:

- an index out of range (CuPy wraps it around);
- an assignment that names one place twice (which value stays is undefined in CuPy);
- memory of `empty` that is read before it is written (filled with NaN here);
- `add.at`, whose sum depends on the order in which threads arrive, and `add.reduceat`, which CuPy
  takes as a difference of cumulative sums: it loses digits, and one NaN spreads to all that
  follows. Both are missing here: call `minillm.backend.scatter_add`.

It is stricter than CuPy in that `numpy.exp(x)` is refused: call `xp_of(x).exp(x)`.

What CuPy offers was read from version 14.2: its signatures, its sources and its documentation
(https://docs.cupy.dev/en/stable/user_guide/difference.html).
"""

from __future__ import annotations

import minillm.backend.strict.methods  # noqa: F401  puts operators and methods on StrictArray
from minillm.backend.strict.array import StrictArray
from minillm.backend.strict.functions import strict_xp

__all__ = ["StrictArray", "strict_xp"]
