"""A module's weights on disk: one layout for checkpoints and for Hugging Face's files.

A tensor that stands under two names, as tied embeddings do, is written once. The weight of a module whose
``stored_transposed`` is true lies in files as (in, out), as GPT-2's do, and in memory as (out, in).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from minillm import nn, ops
from minillm.autograd import no_grad
from minillm.interop.safetensors import Entry, SafetensorsFile, read_arrays, write_arrays
from minillm.nn.module import StateDictError
from minillm.ops import Tensor

__all__ = ["load_weights", "read_arrays", "save_weights", "write_arrays"]

PathLike = str | os.PathLike[str]


def stored_arrays(module: nn.Module) -> dict[str, Any]:
    """Return the arrays of a module's parameters and buffers as files hold them, each once."""
    turned = transposed_names(module)
    arrays: dict[str, Any] = {}
    seen: set[int] = set()
    for name, tensor in module.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            arrays[name] = tensor.array.T if name in turned else tensor.array
    return arrays


def transposed_names(module: nn.Module) -> set[str]:
    """Return the names of the weights that files hold as (in, out)."""
    return {
        f"{path}.weight" if path else "weight"
        for path, part in module.named_modules(remove_duplicate=False)
        if getattr(part, "stored_transposed", False)
    }


def save_weights(module: nn.Module, path: PathLike, dtype: str | None = None) -> None:
    """Write the parameters and buffers of a module to a safetensors file, whole or not at all.

    Args:
        module: any module.
        path: of the file.
        dtype: of the floats in the file; their own by default.

    Raises:
        OSError: the disk is full, or the folder cannot be written to; what stood there before is intact.

    Example:
        >>> import pathlib, tempfile
        >>> a, b = nn.Linear(2, 3), nn.Linear(2, 3)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_weights(a, pathlib.Path(folder, "model.safetensors"))
        ...     load_weights(b, pathlib.Path(folder, "model.safetensors"))
        >>> bool((a.weight == b.weight).all())
        True
    """
    # "pt" is what Hugging Face's reader asks for.
    write_arrays(path, stored_arrays(module), {"format": "pt"}, dtype)


def load_weights(module: nn.Module, path: PathLike) -> None:
    """Read the parameters and buffers of a module from a safetensors file that :func:`save_weights` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        SafetensorsError: the file is truncated, or no safetensors file; the module is as it was.
        StateDictError: names are missing or unexpected, or shapes differ; the module is as it was.
    """
    with SafetensorsFile(path) as file:
        own = module.state_dict(keep_vars=True)
        missing = missing_names(own, file.entries)
        unexpected = [name for name in file.entries if name not in own]
        problems = [f"missing: {', '.join(missing)}"] if missing else []
        problems += [f"unexpected: {', '.join(unexpected)}"] if unexpected else []
        problems += misshapen(module, own, file.entries).values()
        if problems:
            raise StateDictError(f"{path} does not fit {type(module).__name__}:\n  " + "\n  ".join(problems))
        turned = transposed_names(module)
        for name, tensor in once(own, file.entries).items():
            copy_into(tensor, file.read(name), name in turned)


def missing_names(own: Mapping[str, Tensor], given: Mapping[str, Any]) -> list[str]:
    """Return the names that are not given, neither themselves nor by another name of the same tensor."""
    found = {id(own[name]) for name in given if name in own}
    return [name for name, tensor in own.items() if id(tensor) not in found]


def once(own: Mapping[str, Tensor], given: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors to read, by the first given name of each: a tied head follows its embedding."""
    chosen: dict[int, str] = {}
    for name, tensor in own.items():
        if name in given:
            chosen.setdefault(id(tensor), name)
    return {name: own[name] for name in chosen.values()}


def misshapen(
    module: nn.Module, own: Mapping[str, Tensor], entries: Mapping[str, Entry]
) -> dict[str, str]:
    """Return the names whose shapes in the file do not fit the module, and of each a line for an error."""
    turned = transposed_names(module)
    lines = {}
    for name, entry in entries.items():
        if name in own:
            shape = own[name].shape[::-1] if name in turned else own[name].shape
            if entry.shape != shape:
                lines[name] = f"{name}: the file has shape {entry.shape}, the model {shape}"
    return lines


def copy_into(tensor: Tensor, array: Any, transposed: bool) -> None:
    """Write an array from a file into a parameter or buffer, in its dtype and on its device."""
    with no_grad():
        tensor.copy_(ops.from_numpy(array.T if transposed else array).to(tensor.device))
