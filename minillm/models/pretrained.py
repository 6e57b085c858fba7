"""``PretrainedModel``: a model that is read from and written to Hugging Face's files.

A directory holds ``config.json`` (the settings) and ``model.safetensors`` (the weights, by the names of the
parameters). What minillm writes, the ``transformers`` library reads, and the other way round.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from minillm import nn
from minillm.backend import Device, DType
from minillm.interop.model_files import ModelFiles, bytes_of, write_model_files
from minillm.interop.safetensors import Entry
from minillm.models.config import Config, read_config
from minillm.models.loading import device_for, dtype_for, settings_among
from minillm.models.recomputed import Stack
from minillm.models.resizing import resize_embedding, resize_head
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
        input_embeddings: where the model proper has its token embedding.
        output_embeddings: where a model with a head has the layer that scores tokens, if it does.
    """

    config_class: ClassVar[type[Config]] = Config
    base_model_prefix: ClassVar[str] = ""
    renamed: ClassVar[dict[str, str]] = {}
    input_embeddings: ClassVar[str] = ""
    output_embeddings: ClassVar[str | None] = None
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

    def _shown(self, attentions: bool | None, hidden_states: bool | None) -> tuple[bool, bool]:
        """Return whether attentions and hidden states are asked for, by the call or by the config."""
        config = self.config
        return (
            config.output_attentions if attentions is None else attentions,
            config.output_hidden_states if hidden_states is None else hidden_states,
        )

    def _returns_dict(self, return_dict: bool | None) -> bool:
        """Return whether a call returns a ``ModelOutput``, and not a plain tuple."""
        return bool(self.config.return_dict if return_dict is None else return_dict)

    @property
    def base_model(self) -> Any:
        """The model proper, without a head."""
        return getattr(self, self.base_model_prefix, self) if self.base_model_prefix else self

    @property
    def device(self) -> Device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> DType:
        """The dtype of the weights."""
        return next(self.parameters()).dtype

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """Return how many numbers the model has learned; tied ones count once."""
        left_out = {id(m.weight) for m in self.modules() if exclude_embeddings and isinstance(m, nn.Embedding)}
        return sum(
            parameter.numel()
            for parameter in self.parameters()
            if (parameter.requires_grad or not only_trainable) and id(parameter) not in left_out
        )

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: Any = None) -> None:
        """Save memory in training: let backward run each layer again instead of keeping its activations.

        Args:
            gradient_checkpointing_kwargs: the choice between ways that other libraries offer; without effect.

        Raises:
            ValueError: the model has no layers that can be run again.
        """
        self._set_checkpointing(True)

    def gradient_checkpointing_disable(self) -> None:
        """Keep activations again."""
        self._set_checkpointing(False)

    def _set_checkpointing(self, value: bool) -> None:
        stacks = [module for module in self.modules() if isinstance(module, Stack)]
        if not stacks:
            raise ValueError(f"{type(self).__name__}: it has no layers that can be run again in backward")
        for stack in stacks:
            stack.gradient_checkpointing = value

    def get_input_embeddings(self) -> Any:
        """Return the token embedding, an ``nn.Embedding``."""
        return self.base_model.get_submodule(self.input_embeddings)

    def get_output_embeddings(self) -> Any:
        """Return the layer that scores tokens, an ``nn.Linear``; None where there is none."""
        return None if self.output_embeddings is None else self.get_submodule(self.output_embeddings)

    def resize_token_embeddings(
        self, new_num_tokens: int | None = None, pad_to_multiple_of: int | None = None
    ) -> Any:
        """Give the model so many tokens, as after ``tokenizer.add_special_tokens``; optimizers come after it.

        Args:
            new_num_tokens: ``len(tokenizer)``; new rows begin as the mean of the old ones.
            pad_to_multiple_of: round up to a multiple of this, which some processors prefer.

        Returns:
            The token embedding.

        Example:
            >>> from minillm.models import GPT2Config, GPT2LMHeadModel
            >>> model = GPT2LMHeadModel(GPT2Config(vocab_size=10, n_embd=8, n_layer=1, n_head=2))
            >>> model.resize_token_embeddings(12).weight.shape, model.config.vocab_size
            ((12, 8), 12)
        """
        embedding, head = self.get_input_embeddings(), self.get_output_embeddings()
        count = len(embedding.weight) if new_num_tokens is None else new_num_tokens
        if pad_to_multiple_of is not None:
            count = -(-count // pad_to_multiple_of) * pad_to_multiple_of
        if count < 1:
            raise ValueError(f"resize_token_embeddings: got {count} tokens; it needs at least one")
        if count != len(embedding.weight):
            tied = head is not None and head.weight is embedding.weight
            resize_embedding(embedding, count)
            if head is not None:
                resize_head(head, count, embedding.weight if tied else None)
            self.config.vocab_size = count
        return embedding

    def save_pretrained(
        self,
        directory: str | os.PathLike[str],
        *,
        dtype: str | None = None,
        max_shard_bytes: int | None = None,
        max_shard_size: int | str | None = None,
        safe_serialization: bool = True,
    ) -> None:
        """Write ``config.json`` and ``model.safetensors`` into a directory.

        Args:
            directory: it is made if it is missing.
            dtype: of the floats in the file: ``float32``, ``float16``, ``bfloat16``; their own by default.
            max_shard_bytes: cut the weights into files of at most so many bytes.
            max_shard_size: the same as a text, such as ``"200MB"``.
            safe_serialization: False asks for a pickle, which is refused.

        Raises:
            ValueError: a size that is not understood, or a pickle is asked for.
            OSError: the disk is full, or the directory cannot be written to.
        """
        if not safe_serialization:
            raise ValueError("save_pretrained: safe_serialization=False asks for a pickle; only safetensors")
        if max_shard_size is not None:
            max_shard_bytes = bytes_of(max_shard_size)
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
        config: Any = None,
        dtype: Any = None,
        torch_dtype: Any = None,
        device_map: Any = None,
        ignore_mismatched_sizes: bool = False,
        output_loading_info: bool = False,
        **options: Any,
    ) -> Any:
        """Return a model with the settings and weights of a directory, ready for use (in ``eval`` mode).

        Weights that the files lack, such as a new head, keep their initial values, and their names are
        logged as a warning. Arrays that the model has no place for are left out.

        Args:
            path: a directory with ``config.json`` and weights, or a safetensors file beside its config.
            config: the settings, in place of those in the file.
            dtype: of the weights in memory; float32 by default, ``"auto"`` is that of the files.
            torch_dtype: the old name of ``dtype``.
            device_map: the device; ``"auto"`` is a GPU where there is one.
            ignore_mismatched_sizes: weights of another shape keep their initial values, as missing ones do.
            output_loading_info: return the model, and ``missing_keys``, ``unexpected_keys`` and
                ``mismatched_keys`` by name.
            options: settings that replace those of the file; what says where files are downloaded to is
                without effect.

        Raises:
            FileNotFoundError: there is no such directory or file; the message says how to get the files.
            SafetensorsError: a file is truncated, no safetensors file, or a pickle.
            StateDictError: shapes differ from those that the settings ask for.
            ValueError: the settings are of another kind of model.
            TypeError: an option that is no setting.
        """
        with ModelFiles(path) as files:
            config = cls._config_of(files.directory, config, options)
            layers = getattr(config, "num_hidden_layers", 0)
            if layers > len(files.entries):  # before memory is taken for them
                raise StateDictError(
                    f"{path}: the settings ask for {layers:,} layers, and the files hold "
                    f"{len(files.entries):,} arrays"
                )
            try:
                with nn.init.skipped():
                    model = cls(config)
            except MemoryError as error:
                size = sum(math.prod(entry.shape) for entry in files.entries.values())
                raise StateDictError(
                    f"{path}: the settings ask for more than memory holds ({error}), and the files hold {size:,} "
                    "numbers; is config.json that of these weights?"
                ) from error
            own = model.state_dict(keep_vars=True)
            names = model._names_here(files.entries, own)
            mismatched: list[str] = []
            if ignore_mismatched_sizes:
                given = {here: files.entries[there] for here, there in names.items()}
                mismatched = list(misshapen(model, own, given))
                names = {here: there for here, there in names.items() if here not in mismatched}
            if missing_names(own, names):
                model = cls(config)  # with initial weights for those that the files lack
            info = model._read(files, names, path)
            info["mismatched_keys"] = mismatched
            info["missing_keys"] = [name for name in info["missing_keys"] if name not in mismatched]
            dtype = dtype_for(torch_dtype if dtype is None else dtype, files.entries.values())
        if dtype is not None:
            model.to(dtype=dtype)
        if device_map is not None:
            model.to(device_for(device_map))
        model.eval()
        return (model, info) if output_loading_info else model

    @classmethod
    def from_config(cls: type[M], config: Any) -> M:
        """Return a model with these settings and initial weights."""
        return cls(config)

    @classmethod
    def _config_of(cls, directory: Path, config: Any, options: dict[str, Any]) -> Any:
        """Return the settings: those given, or those of a directory with changes."""
        if config is not None:
            if changes := settings_among(cls.__name__, options, set(options)):
                raise TypeError(
                    f"from_pretrained: got a config and also {', '.join(changes)}; give one of both"
                )
            return config
        known = cls.config_class.settings()
        if options and (directory / "config.json").is_file():  # what a file says may be changed, too
            known |= set(read_config(directory / "config.json"))
        return cls.config_class.from_pretrained(directory, **settings_among(cls.__name__, options, known))

    def _read(
        self, files: ModelFiles, names: Mapping[str, str], path: str | os.PathLike[str]
    ) -> dict[str, list[str]]:
        """Copy the weights in; return what was missing and what has no place here."""
        own = self.state_dict(keep_vars=True)
        given: Mapping[str, Entry] = {here: files.entries[there] for here, there in names.items()}
        if problems := misshapen(self, own, given):
            lines = "\n  ".join(problems.values())
            raise StateDictError(f"{path} does not fit {type(self).__name__}:\n  {lines}")
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
