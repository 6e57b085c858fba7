"""W4: greedy decoding with a cache of keys and values, batch 1, by a GPT-2 of 124 M parameters (random weights).

Each token reads all weights once, 495 MB in float32, so all are bound by the memory; weights of fewer bytes are
read in less time, and may change the tokens. Both libraries have them: ``quantize_dynamic`` of minillm and of
PyTorch, and a PyTorch module in bfloat16.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from benchmarks.products import reading
from benchmarks.workload import BASE, Arrays, Contestant, Disagreement, Workload, kernel_set, use_kernels

SMALL = ("bfloat16", "int8")


def small_dtype(name: str) -> str | None:
    """Return the dtype of the weights of a contestant, if it is not float32."""
    return next((dtype for dtype in SMALL if name.endswith(f", {dtype}")), None)


@dataclasses.dataclass
class Decode(Workload):
    layers: int = 12
    heads: int = 12
    width: int = 768
    block_size: int = 1024
    vocab_size: int = 50257
    prompt: int = 32
    per: int = 64  # tokens
    rounds: int = 6
    targets: dict[str, float] = dataclasses.field(default_factory=dict)

    unit: ClassVar[str] = "token"

    @property
    def title(self) -> str:
        return (
            f"GPT-2, {self.layers} layers, {self.heads} heads, {self.width} wide, vocabulary {self.vocab_size}: "
            f"{self.prompt} tokens read, {self.per} written greedily, batch 1"
        )

    def tiny(self) -> Decode:
        return dataclasses.replace(
            self, layers=1, heads=2, width=16, block_size=32, vocab_size=50, prompt=4, per=6
        )

    def names(self) -> list[str]:
        kinds = [f"{name}, {dtype}" for name in ("torch", "minillm numba") for dtype in SMALL]
        return ["torch", "torch, compiled", "minillm numpy", "minillm numba", *kinds]

    def _minillm_model(self) -> Any:
        from minillm.models import GPT2Config, GPT2LMHeadModel

        config = GPT2Config(
            vocab_size=self.vocab_size, n_positions=self.block_size, n_embd=self.width, n_layer=self.layers,
            n_head=self.heads,
        )  # fmt: skip
        return GPT2LMHeadModel(config).eval()

    def weights(self) -> Arrays:
        import minillm

        minillm.manual_seed(0)
        return {name: np.array(p.numpy()) for name, p in self._minillm_model().state_dict().items()}

    def tokens(self) -> np.ndarray:
        return np.random.default_rng(0).integers(0, self.vocab_size, (1, self.prompt))

    def build(self, name: str, weights: Arrays | None = None) -> Contestant:
        prompt = self.tokens()
        if not name.startswith("torch"):
            import minillm
            from minillm.inference import generate
            from minillm.inference.quantization import quantize_dynamic

            use_kernels(kernel_set(name))
            model = self._minillm_model()
            if weights is not None:
                model.load_state_dict({key: minillm.tensor(array) for key, array in weights.items()})
            dtype = small_dtype(name)
            if dtype is not None:
                model = quantize_dynamic(model, dtype, inplace=True)
            return Contestant(
                run=lambda: generate(model, prompt, self.per)[0, self.prompt :].tolist(),
                prepare=lambda: use_kernels(kernel_set(name)),
            )
        import torch

        from benchmarks.torch_models import GPT

        module = GPT(self.layers, self.heads, self.width, self.block_size, self.vocab_size, bias=True).eval()
        if weights is not None:
            module.load_state_dict({key: torch.tensor(array) for key, array in weights.items()})
        if name == "torch, compiled":
            module.hidden = torch.compile(module.hidden, dynamic=True)
        if small_dtype(name) == "bfloat16":
            module = module.bfloat16()
        if small_dtype(name) == "int8":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the function has moved to another package, which few have
                layers = {torch.nn.Linear}
                torch.ao.quantization.quantize_dynamic(module, layers, dtype=torch.qint8, inplace=True)
        return Contestant(run=lambda: module.write(torch.tensor(prompt), self.per))

    def check(self, contestants: dict[str, Contestant]) -> dict[str, str]:
        written = {}
        for name, contestant in contestants.items():
            contestant.prepare()
            written[name] = contestant.run()
        said = {}
        for name, tokens in written.items():
            equal = sum(a == b for a, b in zip(tokens, written[BASE], strict=True))
            said[name] = f"{equal} of {self.per} tokens are equal"
            if equal < self.per and small_dtype(name) is None:
                raise Disagreement(f"{self.title}: {name} and {BASE} disagree: {said[name]}")
        return said

    def floor(self) -> Callable[[], Any]:
        return reading(12 * self.width * self.layers + self.vocab_size, self.width, self.per)
