"""Cases of products of vectors and matrices."""

from __future__ import annotations

from minillm.testing.cases.case import X
from minillm.testing.cases.drawing import I, R, Same, V

INF, NAN = float("inf"), float("nan")

PRODUCTS: dict[str, list[X]] = {
    "matmul": [
        X(R(3, 4), R(4, 2)), X(R(4), R(4)), X(R(3, 4), R(4)), X(R(4), R(4, 2)), X(R(2, 3, 4), R(4, 5)),
        X(R(2, 3, 4), R(2, 4, 5)), X(R(2, 1, 3, 4), R(5, 4, 2)), X(R(2, 3, 4), R(4)), X(R(4), R(2, 4, 3)),
        X(R(0, 4), R(4, 2)), X(R(3, 0), R(0, 2)), X(R(2, 0), R(0)), X(I(3, 4), I(4, 2)), X(R(0), R(0, 3)),
        X(R(3, 4), R(2, 4, 5)), X(R(3, 3), Same(0)), X(R(4), Same(0)), X(R(2, 3, 3), Same(0)),
    ],
    "mm": [X(R(3, 4), R(4, 2)), X(R(3, 0), R(0, 2)), X(R(3, 3), Same(0))],
    "bmm": [X(R(2, 3, 4), R(2, 4, 5)), X(R(0, 3, 4), R(0, 4, 5)), X(R(2, 3, 3), Same(0))],
    "mv": [X(R(3, 4), R(4)), X(R(0, 4), R(4))],
    "dot": [X(R(4), R(4)), X(R(4), Same(0)), X(R(0), R(0)), X(I(3), I(3))],
    "outer": [X(R(3), R(4)), X(R(3), Same(0)), X(R(0), R(4)), X(I(2), R(3))],
    "addmm": [
        X(R(3, 2), R(3, 4), R(4, 2)), X(R(2), R(3, 4), R(4, 2)),
        X(R(), R(3, 4), R(4, 2), beta=0.5, alpha=2), X(V((NAN, NAN)), R(1, 3), R(3, 2), beta=0, order=0),
        X(R(3, 3), Same(0), Same(0)),
    ],
    "einsum": [
        *[X(e, *shapes) for e, *shapes in [
            ("ij->ji", R(3, 4)), ("ij->", R(3, 4)), ("ij->j", R(3, 4)), ("ii->i", R(3, 3)), ("ii", R(3, 3)),
            ("i,i->i", R(3), R(3)), ("i,i", R(3), R(3)), ("i,j->ij", R(3), R(4)),
            ("ij,jk", R(3, 4), R(4, 2)), ("ij,jk->ki", R(3, 4), R(4, 2)),
            ("bij,bjk->bik", R(2, 3, 4), R(2, 4, 5)), ("bhqd,bhkd->bhqk", R(2, 2, 3, 4), R(2, 2, 5, 4)),
            ("bij,kj->bik", R(2, 3, 4), R(5, 4)), ("...ij,...jk->...ik", R(2, 3, 4), R(4, 5)),
            ("...i,i->...", R(2, 3), R(3)), ("...->...", R(2, 3)),
            ("ij,jk,kl->il", R(2, 3), R(3, 4), R(4, 2)), ("i,j,k->kji", R(2), R(3), R(4)),
            ("ij,ij->", R(2, 3), R(2, 3)), ("ij,kl->jl", R(2, 3), R(4, 5)), ("iij->j", R(3, 3, 2)),
            ("ba", R(2, 3)), ("ij,j->i", R(0, 4), R(4)), ("ij,kj->ik", R(2, 1), R(3, 4)),
            ("bi,bi->b", R(1, 3), R(4, 3)),
            (" i j , j -> i ", R(2, 3), R(3)), ("...ij,...ij->...", R(2, 3, 4), R(1, 3, 4)),
            ("i,->i", R(3), R()), ("aBc->cB", R(2, 3, 4)),
        ]],
        X("ij,j->i", [R(3, 4), R(4)]), X("ij,ij->", R(2, 3), Same(0)), X("ij,kj->ik", R(2, 3), Same(0)),
        X("i,j,k->ijk", R(2), Same(0), Same(0)), X("ij,jk,kl->il", R(2, 2), Same(0), Same(0)),
    ],
}  # fmt: skip
