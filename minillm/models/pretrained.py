"""``PretrainedModel``: a model that is read from and written to Hugging Face's files.

A directory holds ``config.json`` (the settings) and ``model.safetensors`` (the weights, by the names of the
parameters). What minillm writes, the ``transformers`` library reads, and the other way round.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from minillm import nn
from minillm.interop.model_files import ModelFiles, write_model_files
from minillm.interop.safetensors import Entry
from minillm.models.config import Config
from minillm.models.weights import copy_into, misshapen, missing_names, once, stored_arrays, transposed_names
from minillm.nn.module import StateDictError

M = TypeVar("M", bound="PretrainedModel")

logger = logging.getLogger("minillm")


class PretrainedModel(nn.Module):
    """Base of the models that have a ``config`` and files.

    Attributes:
        config_class: of its settings.
        base_model_prefix: the attribute that holds the model proper, inside a model with a head; files of
            one may be read into the other.
        renamed: endings of names in old files, and what they are called now.
    """

    config_class: ClassVar[type[Config]] = Config
    base_model_prefix: ClassVar[str] = ""
    renamed: ClassVar[dict[str, str]] = {}
    config: Any  # of ``config_class``

    def __init__(self, config: Any) -> None:
        super().__init__()
        if not isinstance(config, self.config_class):
            raise TypeError(
                f"{type(self).__name__}: got {type(config).__name__}; it needs a {self.config_class.__name__}"
            )
        self.config = config

    def _init_weights(self, module: nn.Module) -> None:
        """Give one module inside this model its initial weights."""

    def save_pretrained(
        self,
        directory: str | os.PathLike[str],
        *,
        dtype: str | None = None,
        max_shard_bytes: int | None = None,
    ) -> None:
        """Write ``config.json`` and ``model.safetensors`` into a directory.

        Args:
            directory: it is made if it is missing.
            dtype: of the floats in the file: ``float32``, ``float16``, ``bfloat16``; their own by default.
            max_shard_bytes: cut the weights into files of at most so many bytes.

        Raises:
            OSError: the disk is full, or the directory cannot be written to.
        """
        directory = Path(directory)
        if directory.is_file():
            raise NotADirectoryError(f"{directory}: this is a file; save_pretrained needs a directory")
        arrays = stored_arrays(self)
        write_model_files(directory, arrays, dtype, max_shard_bytes)
        kind = dtype or str(next((a.dtype for a in arrays.values() if a.dtype.kind == "f"), "float32"))
        self.config.save_pretrained(directory, architectures=[type(self).__name__], dtype=kind)

    @classmethod
    def from_pretrained(
        cls: type[M],
        path: str | os.PathLike[str],
        *,
        config: Config | None = None,
        dtype: str | None = None,
        output_loading_info: bool = False,
        **changes: Any,
    ) -> Any:
        """Return a model with the settings and weights of a directory, ready for use (in ``eval`` mode).

        Weights that the files lack, such as a new head, keep their initial values, and their names are
        logged as a warning. Arrays that the model has no place for are left out.

        Args:
            path: a directory with ``config.json`` and weights, or a safetensors file beside its config.
            config: the settings, in place of those in the file.
            dtype: of the weights in memory; float32 by default.
            output_loading_info: return the model, and ``missing_keys`` and ``unexpected_keys`` by name.
            changes: settings that replace those of the file.

        Raises:
            FileNotFoundError: there is no such directory or file; the message says how to get the files.
            SafetensorsError: a file is truncated, no safetensors file, or a pickle.
            StateDictError: shapes differ from those that the settings ask for.
            ValueError: the settings are of another kind of model.
        """
        with ModelFiles(path) as files:
            if config is None:
                config = cls.config_class.from_pretrained(files.directory, **changes)
            elif changes:
                raise TypeError(
                    f"from_pretrained: got a config and also {', '.join(changes)}; give one of both"
                )
            layers = getattr(config, "num_hidden_layers", 0)
            if layers > len(files.entries):  # before memory is taken for them
                raise StateDictError(
                    f"{path}: the settings ask for {layers:,} layers, and the files hold "
                    f"{len(files.entries):,} arrays"
                )
            with nn.init.skipped():
                model = cls(config)
            names = model._names_here(files.entries, model.state_dict(keep_vars=True))
            if missing_names(model.state_dict(keep_vars=True), names):
                model = cls(config)  # with initial weights for those that the files lack
            info = model._read(files, names, path)
        if dtype is not None:
            model.to(dtype)
        model.eval()
        return (model, info) if output_loading_info else model

    def _read(
        self, files: ModelFiles, names: Mapping[str, str], path: str | os.PathLike[str]
    ) -> dict[str, list[str]]:
        """Copy the weights in; return what was missing and what has no place here."""
        own = self.state_dict(keep_vars=True)
        given: Mapping[str, Entry] = {here: files.entries[there] for here, there in names.items()}
        if problems := misshapen(self, own, given):
            raise StateDictError(f"{path} does not fit {type(self).__name__}:\n  " + "\n  ".join(problems))
        turned = transposed_names(self)
        for name, tensor in once(own, given).items():
            copy_into(tensor, files.read(names[name]), name in turned)
        missing = missing_names(own, given)
        if missing:
            logger.warning(
                "%s: %s has no weights for %s; they keep their initial values and need training",
                type(self).__name__, path, ", ".join(missing),
            )  # fmt: skip
        return {"missing_keys": missing, "unexpected_keys": sorted(set(given) - set(own))}

    def _names_here(self, there: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, str]:
        """Return, for each name of this model, the name that the files know it by."""
        prefix = self.base_model_prefix + "."
        names = {}
        for name in there:
            here = name
            for old, new in self.renamed.items():
                if here.endswith(old):
                    here = here[: -len(old)] + new
            if here not in own:
                if prefix + here in own:  # files of the model proper, and this one has a head
                    here = prefix + here
                elif here.startswith(prefix) and here[len(prefix) :] in own:
                    here = here[len(prefix) :]
            names[here] = name
        return names
