"""LoRA: fine-tuning by a low-rank change of some weights, which alone is trained and saved.

    y = W x + b + (alpha / r) B A dropout(x),   A: (r, in), B: (out, r), r small

W and b stay as they are. B begins as zeros, so that the model does; after training B A can be added to W.

Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2022). Files are those of Hugging Face's
PEFT: ``adapter_config.json`` and ``adapter_model.safetensors``.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minillm import nn
from minillm.autograd import no_grad
from minillm.data.json_readers import read_json
from minillm.data.whole_files import write_whole
from minillm.interop.safetensors import read_arrays, write_arrays
from minillm.models.config import positive
from minillm.ops import Tensor
from minillm.ops import tensor as as_tensor

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."  # of names in PEFT's files

# Which layers are adapted where nothing is said, by the model's type; PEFT's choice.
TARGETS = {
    "bert": ("query", "value"),
    "gpt2": ("c_attn",),
    "llama": ("q_proj", "v_proj"),
    "marian": ("q_proj", "v_proj"),
}

# Settings of PEFT that change what is computed, with the values that are offered.
_OFFERED: dict[str, Any] = {
    "peft_type": {"LORA"}, "bias": {"none"}, "use_dora": {False}, "rank_pattern": {}, "alpha_pattern": {},
    "lora_bias": {False}, "layers_to_transform": {None}, "layers_pattern": {None}, "exclude_modules": {None},
    "target_parameters": {None}, "trainable_token_indices": {None}, "use_qalora": {False},
}  # fmt: skip


@dataclasses.dataclass
class LoraConfig:
    """The settings of an adapter; the names are PEFT's.

    Attributes:
        r: the rank: how many numbers stand between ``in`` and ``out``.
        lora_alpha: the change is multiplied by ``lora_alpha / r``.
        target_modules: ends of the names of linear layers to adapt; a text is a pattern that whole names match, and
            ``"all-linear"`` means all but the head. By default the ones that suit the kind of model.
        lora_dropout: of what enters A.
        modules_to_save: ends of the names of modules that are trained whole, such as a new head.
        use_rslora: multiply by ``lora_alpha / sqrt(r)``.
        task_type: what the adapter is for: ``SEQ_CLS``, ``TOKEN_CLS``, ``CAUSAL_LM``, ``QUESTION_ANS``, ...
        base_model_name_or_path: of the model that it was trained for.

    Raises:
        ValueError: a value that makes no sense.
    """

    r: int = 8
    lora_alpha: float = 8
    target_modules: tuple[str, ...] | str | None = None
    lora_dropout: float = 0.0
    modules_to_save: tuple[str, ...] | None = None
    use_rslora: bool = False
    task_type: str | None = None
    base_model_name_or_path: str | None = None

    def __post_init__(self) -> None:
        positive(self, r=self.r)
        if not math.isfinite(self.lora_alpha):
            raise ValueError(f"LoraConfig: lora_alpha is {self.lora_alpha!r}; it needs a finite number")
        if not 0 <= self.lora_dropout < 1:
            raise ValueError(f"LoraConfig: lora_dropout is {self.lora_dropout}; it needs to lie in [0, 1)")
        for name in ("target_modules", "modules_to_save"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                setattr(self, name, tuple(value))

    @property
    def scaling(self) -> float:
        """What the change is multiplied by."""
        return self.lora_alpha / (math.sqrt(self.r) if self.use_rslora else self.r)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as ``adapter_config.json`` holds them."""
        values = dataclasses.asdict(self)
        for name, value in values.items():
            values[name] = list(value) if isinstance(value, tuple) else value
        return {"peft_type": "LORA", "bias": "none", "inference_mode": True, **values}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> LoraConfig:
        """Return the settings from those of a file.

        Raises:
            ValueError: the file asks for something that is not offered.
        """
        for name, offered in _OFFERED.items():
            value = values.get(name)
            if value and value not in offered:
                raise ValueError(f"{CONFIG}: {name} is {value!r}, which is not offered")
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


class LoraLinear(nn.Module):
    """A linear layer and its low-rank change."""

    def __init__(self, base_layer: nn.Linear, config: LoraConfig) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.lora_A = nn.Linear(base_layer.in_features, config.r, bias=False)
        self.lora_B = nn.Linear(config.r, base_layer.out_features, bias=False)
        nn.init.zeros_(self.lora_B.weight)
        self.drop = nn.Dropout(config.lora_dropout)
        self.scaling = config.scaling
        self.to(base_layer.weight.device)
        self.train(base_layer.training)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.base_layer(x) + self.lora_B(self.lora_A(self.drop(x))) * self.scaling
        return y

    def change(self) -> Tensor:
        """Return what is added to the weight, (out, in)."""
        change: Tensor = (self.lora_B.weight @ self.lora_A.weight) * self.scaling
        return change


def apply_lora(model: Any, config: LoraConfig | None = None) -> list[str]:
    """Put adapters into a model, in place, and freeze all the rest but ``modules_to_save``.

    Args:
        model: one of :mod:`minillm.models`, or any module with linear layers.
        config: the settings.

    Returns:
        The names of the adapted layers.

    Raises:
        ValueError: no linear layer matches, or the model has adapters already.

    Example:
        >>> from minillm.models import BertConfig, BertForSequenceClassification
        >>> model = BertForSequenceClassification(BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1,
        ...     num_attention_heads=2, intermediate_size=32))
        >>> apply_lora(model, LoraConfig(r=2, modules_to_save=("classifier",)))
        ['bert.encoder.layer.0.attention.self.query', 'bert.encoder.layer.0.attention.self.value']
        >>> model.num_parameters(only_trainable=True)  # 2 x 2 x (16 + 16), and the head's 16 x 2 + 2
        162
    """
    config = LoraConfig() if config is None else config
    if any(True for _ in lora_layers(model)):
        raise ValueError("apply_lora: the model has adapters already; merge_lora() makes them part of it")
    if config.target_modules is None:
        kind = getattr(getattr(model, "config", None), "model_type", None)
        if kind not in TARGETS:
            raise ValueError(
                f"apply_lora: it is not known which layers to adapt in {type(model).__name__}; give target_modules"
            )
        config = dataclasses.replace(config, target_modules=TARGETS[kind])
    saved = [name for name, _ in model.named_modules() if _ends_with(name, config.modules_to_save or ())]
    if config.modules_to_save and not saved:  # PEFT names the heads of several kinds of models
        raise ValueError(f"apply_lora: no module is called as modules_to_save says, {config.modules_to_save!r}")
    layers = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and _is_target(model, name, module, config) and not _inside(name, saved)
    ]
    if not layers:
        linear = sorted({name.rpartition(".")[2] for name, m in model.named_modules() if isinstance(m, nn.Linear)})
        raise ValueError(
            f"apply_lora: no linear layer matches target_modules {config.target_modules!r}; there are "
            f"{', '.join(linear)}"
        )
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for name in saved:
        for parameter in model.get_submodule(name).parameters():
            parameter.requires_grad_(True)
    for name in layers:
        _replace(model, name, LoraLinear(model.get_submodule(name), config))
    model.lora_config = config
    return layers


def lora_layers(model: nn.Module) -> Iterator[tuple[str, LoraLinear]]:
    """Yield the adapted layers of a model, by name."""
    return ((name, module) for name, module in model.named_modules() if isinstance(module, LoraLinear))


def merge_lora(model: Any) -> Any:
    """Add the changes to the weights, and take the adapters out; return the model, which computes the same.

    Raises:
        ValueError: the model has no adapters.
    """
    layers = _adapted("merge_lora", model)
    with no_grad():
        for name, layer in layers:
            layer.base_layer.weight.add_(layer.change().to(dtype=layer.base_layer.weight.dtype))
            _replace(model, name, layer.base_layer)
    del model.lora_config
    return model


def save_lora(model: Any, directory: str | os.PathLike[str]) -> None:
    """Write the adapters alone into a directory, in PEFT's format.

    Raises:
        ValueError: the model has no adapters.
    """
    layers = _adapted("save_lora", model)
    directory = Path(directory)
    arrays = {}
    for name, layer in layers:
        for part in ("lora_A", "lora_B"):
            arrays[f"{PREFIX}{name}.{part}.weight"] = getattr(layer, part).weight.array
    for name in _saved_modules(model):
        for key, tensor in model.get_submodule(name).state_dict(keep_vars=True).items():
            arrays[f"{PREFIX}{name}.{key}"] = tensor.array
    directory.mkdir(parents=True, exist_ok=True)
    write_arrays(directory / WEIGHTS, arrays, {"format": "pt"})
    with write_whole(directory / CONFIG) as file:
        turned = any(getattr(layer.base_layer, "stored_transposed", False) for _, layer in layers)
        values = {**model.lora_config.to_dict(), "fan_in_fan_out": turned}
        file.write((json.dumps(values, indent=2) + "\n").encode())


def load_lora(model: Any, directory: str | os.PathLike[str]) -> list[str]:
    """Put the adapters of a directory into a model, in place; return the names of the adapted layers.

    Args:
        model: of the kind, and with the weights, that the adapters were trained for.
        directory: that :func:`save_lora` or PEFT wrote.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the adapters do not fit the model, or ask for something that is not offered.
    """
    directory = Path(directory)
    for file in (CONFIG, WEIGHTS):
        if not (directory / file).is_file():
            raise FileNotFoundError(f"{directory / file}: there is no such file; an adapter has {CONFIG} and {WEIGHTS}")
    values = read_json(directory / CONFIG)
    if not isinstance(values, dict):
        raise ValueError(f"{directory / CONFIG}: it holds {type(values).__name__}; it needs an object")
    found, _ = read_arrays(directory / WEIGHTS)
    arrays = {name.removeprefix(PREFIX): array for name, array in found.items()}
    names = apply_lora(model, LoraConfig.from_dict(values))
    own = {f"{name}.{part}.weight": getattr(layer, part).weight
           for name, layer in lora_layers(model) for part in ("lora_A", "lora_B")}  # fmt: skip
    for name in _saved_modules(model):
        for key, parameter in model.get_submodule(name).state_dict(keep_vars=True).items():
            own[f"{name}.{key}"] = parameter
    if missing := sorted(set(own) - set(arrays)):
        raise ValueError(f"{directory / WEIGHTS}: it lacks {', '.join(missing[:4])}{', ...' * (len(missing) > 4)}")
    if stray := sorted(set(arrays) - set(own)):
        raise ValueError(f"{directory / WEIGHTS}: the model has no place for {', '.join(stray[:4])}")
    for name, tensor in own.items():
        if tuple(arrays[name].shape) != tuple(tensor.shape):
            raise ValueError(
                f"{directory / WEIGHTS}: {name} has shape {tuple(arrays[name].shape)}, and the model's has "
                f"{tuple(tensor.shape)}"
            )
        with no_grad():
            tensor.copy_(as_tensor(arrays[name], device=tensor.device))
    return names


def _adapted(asker: str, model: Any) -> list[tuple[str, LoraLinear]]:
    layers = list(lora_layers(model))
    if not layers:
        raise ValueError(f"{asker}: the model has no adapters; apply_lora() puts them in")
    return layers


def _saved_modules(model: Any) -> list[str]:
    ends = model.lora_config.modules_to_save or ()
    return [name for name, _ in model.named_modules() if _ends_with(name, ends)]


def _is_target(model: Any, name: str, layer: nn.Linear, config: LoraConfig) -> bool:
    targets = config.target_modules
    if targets == "all-linear":
        head = getattr(model, "output_embeddings", None)
        return name != head
    if isinstance(targets, str):
        return re.fullmatch(targets, name) is not None
    return _ends_with(name, targets or ())


def _ends_with(name: str, ends: tuple[str, ...]) -> bool:
    return any(name == end or name.endswith("." + end) for end in ends)


def _inside(name: str, modules: list[str]) -> bool:
    return any(name == module or name.startswith(module + ".") for module in modules)


def _replace(model: Any, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent) if parent else model, child, module)
