"""The arguments of ``from_pretrained`` that say how files are read, as programs for Transformers give them."""

from __future__ import annotations

from typing import Any

from minillm.backend import is_available

# Where files come from and how others' machines hold them: without effect, as nothing is downloaded here.
WITHOUT_EFFECT = {
    "attn_implementation", "cache_dir", "force_download", "local_files_only", "low_cpu_mem_usage", "proxies",
    "resume_download", "revision", "token", "trust_remote_code", "use_auth_token", "use_safetensors", "weights_only",
}  # fmt: skip
REFUSED = {
    "load_in_4bit": "quantized weights are not offered",
    "load_in_8bit": "quantized weights are not offered",
    "quantization_config": "quantized weights are not offered",
    "gguf_file": "only safetensors files are read",
    "from_tf": "only safetensors files are read",
    "from_flax": "only safetensors files are read",
}
_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "float32"}


def settings_among(model: str, options: dict[str, Any], known: set[str]) -> dict[str, Any]:
    """Return the options that change settings; leave out those without effect, and refuse the rest.

    Args:
        model: its name, for errors.
        options: by name.
        known: the names of its settings.

    Raises:
        TypeError: a name that is no setting and no option.
    """
    changes = {name: value for name, value in options.items() if name not in WITHOUT_EFFECT}
    for name, value in changes.items():
        if name in REFUSED and value:
            raise TypeError(f"{model}.from_pretrained: got {name}; {REFUSED[name]}")
        if name not in known and name not in REFUSED:
            raise TypeError(f"{model}.from_pretrained: got {name}, which is no setting of this kind of model")
    return {name: value for name, value in changes.items() if name not in REFUSED}


def dtype_for(dtype: Any, entries: Any) -> Any:
    """Return the dtype to compute in: for ``"auto"`` that of the files (float32 for bfloat16)."""
    if dtype != "auto":
        return dtype
    kinds = [entry.dtype for entry in entries if entry.dtype in _DTYPES]
    return _DTYPES[kinds[0]] if kinds else None


def device_for(device_map: Any) -> Any:
    """Return the one device that ``device_map`` names: ``"auto"`` is a GPU where there is one.

    Raises:
        ValueError: parts of the model on different devices.
    """
    if isinstance(device_map, dict):
        if len(set(device_map.values())) != 1:
            raise ValueError(f"from_pretrained: device_map is {device_map}; a model lies on one device here")
        device_map = next(iter(device_map.values()))
    if device_map in ("auto", "balanced", "sequential"):
        return "cuda" if is_available("cuda") else "cpu"
    return f"cuda:{device_map}" if isinstance(device_map, int) else device_map
