"""The losses of :mod:`minillm.nn.functional` as modules, which keep their options."""

from __future__ import annotations

from typing import Any

from minillm.nn import functional as F
from minillm.nn.functional.loss import check_reduction
from minillm.nn.module import Module
from minillm.ops import Tensor


class _Loss(Module):
    """A loss with a reduction."""

    reduction: str

    def __init__(self, size_average: None = None, reduce: None = None, reduction: str = "mean") -> None:
        super().__init__()
        check_reduction(type(self).__name__, "mean", size_average, reduce)  # the loss itself checks the third
        self.reduction = reduction


class _WeightedLoss(_Loss):
    """A loss with a weight for each class or element, which moves with the module."""

    weight: Tensor | None

    def __init__(
        self, weight: Tensor | None = None, size_average: None = None, reduce: None = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class CrossEntropyLoss(_WeightedLoss):
    """Cross-entropy of logits with classes; see :func:`minillm.nn.functional.cross_entropy`.

    Example:
        >>> import minillm
        >>> minillm.nn.CrossEntropyLoss()(minillm.zeros(1, 4), minillm.tensor([2]))
        tensor(1.3863)
    """

    def __init__(
        self, weight: Tensor | None = None, size_average: None = None, ignore_index: int = -100, reduce: None = None,
        reduction: str = "mean", label_smoothing: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )  # fmt: skip


class NLLLoss(_WeightedLoss):
    """Minus the log-probability of the right class; see :func:`minillm.nn.functional.nll_loss`.

    Example:
        >>> import minillm
        >>> minillm.nn.NLLLoss()(minillm.tensor([[-0.5, -2.0]]), minillm.tensor([1]))
        tensor(2.)
    """

    def __init__(
        self, weight: Tensor | None = None, size_average: None = None, ignore_index: int = -100, reduce: None = None,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class MSELoss(_Loss):
    """The mean squared error; see :func:`minillm.nn.functional.mse_loss`.

    Example:
        >>> import minillm
        >>> minillm.nn.MSELoss()(minillm.tensor([1.0, 2.0]), minillm.tensor([1.0, 4.0]))
        tensor(2.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """The mean absolute error; see :func:`minillm.nn.functional.l1_loss`.

    Example:
        >>> import minillm
        >>> minillm.nn.L1Loss()(minillm.tensor([1.0, 2.0]), minillm.tensor([1.0, 4.0]))
        tensor(1.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """Squared error near, absolute error far; see :func:`minillm.nn.functional.smooth_l1_loss`.

    Example:
        >>> import minillm
        >>> minillm.nn.SmoothL1Loss()(minillm.tensor([4.0]), minillm.tensor([1.0]))
        tensor(2.5000)
    """

    def __init__(
        self, size_average: None = None, reduce: None = None, reduction: str = "mean", beta: float = 1.0
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """Squared error near, absolute error far; see :func:`minillm.nn.functional.huber_loss`.

    Example:
        >>> import minillm
        >>> minillm.nn.HuberLoss()(minillm.tensor([4.0]), minillm.tensor([1.0]))
        tensor(2.5000)
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class BCELoss(_WeightedLoss):
    """Cross-entropy of probabilities; see :func:`minillm.nn.functional.binary_cross_entropy`.

    Example:
        >>> import minillm
        >>> minillm.nn.BCELoss()(minillm.tensor([0.5]), minillm.tensor([1.0]))
        tensor(0.6931)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """Cross-entropy of sigmoid(logits); see ``functional.binary_cross_entropy_with_logits``.

    Example:
        >>> import minillm
        >>> minillm.nn.BCEWithLogitsLoss()(minillm.tensor([0.0]), minillm.tensor([1.0]))
        tensor(0.6931)
    """

    pos_weight: Tensor | None

    def __init__(
        self, weight: Tensor | None = None, size_average: None = None, reduce: None = None, reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:  # fmt: skip
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input, target, weight=self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class KLDivLoss(_Loss):
    """The Kullback-Leibler divergence; see :func:`minillm.nn.functional.kl_div`.

    Example:
        >>> import minillm
        >>> half = minillm.tensor([[0.5, 0.5]])
        >>> minillm.nn.KLDivLoss(reduction="batchmean")(half.log(), half)
        tensor(0.)
    """

    def __init__(
        self, size_average: None = None, reduce: None = None, reduction: str = "mean", log_target: bool = False
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class CosineEmbeddingLoss(_Loss):
    """Pulls pairs together or apart; see :func:`minillm.nn.functional.cosine_embedding_loss`.

    Example:
        >>> import minillm
        >>> x = minillm.tensor([[1.0, 0.0]])
        >>> minillm.nn.CosineEmbeddingLoss()(x, x, minillm.tensor([1]))
        tensor(0.)
    """

    def __init__(
        self, margin: float = 0.0, size_average: None = None, reduce: None = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class CosineSimilarity(Module):
    """The cosine of the angle between vectors; see :func:`minillm.nn.functional.cosine_similarity`.

    Example:
        >>> import minillm
        >>> minillm.nn.CosineSimilarity()(minillm.tensor([[1.0, 0.0]]), minillm.tensor([[1.0, 1.0]]))
        tensor([0.7071])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Tensor, x2: Tensor) -> Any:
        return F.cosine_similarity(x1, x2, self.dim, self.eps)
