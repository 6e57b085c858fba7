"""Models on disk: a ``.keras`` file is a zip of JSON and safetensors, and nothing in it that could be run.

    metadata.json                who wrote it
    config.json                  layers and settings, as Keras 3 writes them, and what ``compile`` was given
    model.weights.safetensors    the weights in Keras' layouts under Keras' paths, as layers/dense/vars/0, and what
                                 the optimizer remembers

Keras' own ``.keras`` files hold ``model.weights.h5`` in the place of the latter. They are read too, without the state
of the optimizer, where h5py is installed (``pip install minillm[h5]``). So are ``.weights.h5`` files, which can be
written too, for Keras to read. Models of old Keras in one HDF5 file are not offered.
"""

from __future__ import annotations

import io
import json
import tempfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minillm.data.whole_files import write_whole
from minillm.interop.safetensors import read_arrays, write_arrays
from minillm.keras.layers import Bidirectional, Layer, TimeDistributed, to_json
from minillm.keras.layers.layer import HostArray, Weight, write_weights
from minillm.keras.layers.recurrent import Recurrent
from minillm.keras.naming import snake_case
from minillm.keras.sequential import Sequential

WEIGHTS, KERAS_WEIGHTS = "model.weights.safetensors", "model.weights.h5"
MOST_JSON_BYTES = 50_000_000


def weights_by_path(model: Sequential, prefix: str = "") -> Iterator[tuple[str, Weight]]:
    """Yield the weights of a model with their paths in Keras' files.

    Example:
        >>> from minillm.keras.layers import LSTM, Dense
        >>> model = Sequential([LSTM(2, input_shape=(5, 3)), Dense(1)])
        >>> [path for path, _ in weights_by_path(model)][2:4]
        ['layers/lstm/cell/vars/2', 'layers/dense/vars/0']
    """
    used: Counter[str] = Counter()
    for layer in model.layers:
        name = snake_case(type(layer).__name__)
        number = used[name]
        used[name] += 1
        yield from _paths(layer, f"{prefix}layers/{name}_{number}" if number else f"{prefix}layers/{name}")


def _paths(layer: Layer, path: str) -> Iterator[tuple[str, Weight]]:
    if isinstance(layer, Sequential):
        yield from weights_by_path(layer, f"{path}/")
    elif isinstance(layer, Bidirectional):
        yield from _paths(layer.forward_layer, f"{path}/forward_layer")
        yield from _paths(layer.backward_layer, f"{path}/backward_layer")
    elif isinstance(layer, TimeDistributed):
        yield from _paths(layer.layer, f"{path}/layer")
    else:
        if isinstance(layer, Recurrent):
            path = f"{path}/cell"
        for number, weight in enumerate(layer.weights):
            yield f"{path}/vars/{number}", weight


# -- whole models -----------------------------------------------------------------------------------


def save_model(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Write a model, whole or not at all.

    Args:
        model: a built ``Sequential``.
        filepath: ends in ``.keras``.
        overwrite: whether a file that is there may be replaced.

    Raises:
        ValueError: the model has no weights yet, or the file another ending.
        FileExistsError: the file is there, and ``overwrite`` is False.

    Example:
        >>> from minillm.keras.layers import Dense
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model = Sequential([Dense(3, input_shape=(2,))])
        ...     model.save(f"{folder}/model.keras")
        ...     load_model(f"{folder}/model.keras").count_params()
        9
    """
    path = _target(filepath, overwrite, "save", (".keras",))
    _need_weights(model, "save")
    config = {**to_json(model), "compile_config": _compile_config(model)}
    texts = {"metadata.json": json.dumps({"keras_version": "3", "written_by": "minillm"})}
    texts["config.json"] = json.dumps(config)
    arrays = {name: weight.numpy() for name, weight in weights_by_path(model)}
    metadata = {}
    if config["compile_config"] is not None and model.optimizer.inner is not None:
        metadata["iterations"] = str(model.optimizer.iterations)
        for number, state in model.optimizer.inner.state_dict()["state"].items():
            for name, value in state.items():
                if hasattr(value, "numpy"):
                    arrays[f"optimizer/{number}/{name}"] = np.asarray(value)
    with tempfile.TemporaryDirectory() as folder, write_whole(path) as file:
        write_arrays(Path(folder, WEIGHTS), arrays, metadata)
        with zipfile.ZipFile(file, "w") as archive:
            for name, text in texts.items():
                archive.writestr(name, text)
            archive.write(Path(folder, WEIGHTS), WEIGHTS)


def _compile_config(model: Any) -> dict[str, Any] | None:
    """Return what the model was compiled with, None where a file cannot hold it."""
    if not model.compiled:
        return None
    try:
        optimizer = model.optimizer
        record: dict[str, Any] = {
            "optimizer": {
                "module": "keras.optimizers",
                "class_name": type(optimizer).__name__,
                "config": optimizer.get_config(),
                "registered_name": None,
            }
        }
        for name, given in model.compiled_with.items():
            several = isinstance(given, (list, tuple))
            record[name] = [_plain(one) for one in given] if several else _plain(given)
    except ValueError as error:
        warnings.warn(f"save: the model is saved without what it was compiled with: {error}", stacklevel=4)
        return None
    return record


def _plain(given: Any) -> Any:
    if given is None or isinstance(given, str):
        return given
    if hasattr(given, "get_config"):
        return given.get_config()
    raise ValueError(f"{given!r} is a function, which a file cannot hold")


def load_model(filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True) -> Sequential:
    """Read a model that ``save`` wrote, here or in Keras 3.

    Args:
        filepath: of a ``.keras`` file.
        custom_objects: not offered; has to be empty.
        compile: compile it as it was, the state of the optimizer included.
        safe_mode: without effect: nothing that is read is ever run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, no ``.keras`` file, or holds what is not offered here.
    """
    path = Path(filepath)
    if not path.exists():
        raise FileNotFoundError(f"load_model: {path}: there is no such file")
    if custom_objects:
        raise ValueError("load_model: custom_objects are not offered: only layers of minillm.keras can be read")
    try:
        with zipfile.ZipFile(path) as archive:
            config = _json_of(archive, "config.json", path)
            model = model_of_config(config, str(path))
            arrays, metadata = _arrays_of(archive, model, path)
    except (zipfile.BadZipFile, IsADirectoryError, EOFError) as error:
        hint = "; it is an HDF5 file, as old Keras wrote them" if _is_hdf5(path) else ""
        raise ValueError(f"load_model: {path} is damaged or no .keras file{hint}: {error}") from error
    fill(model, arrays, str(path))
    compiled = config.get("compile_config")
    if compile and compiled:
        model.compile(**{name: compiled.get(name) for name in ("optimizer", "loss", "metrics", "weighted_metrics")})
        _restore_optimizer(model, arrays, metadata)
    return model


def model_of_config(config: Any, where: str) -> Sequential:
    """Make a model, with new weights, of Keras' JSON.

    Raises:
        ValueError: the JSON is none of a model, or of one that is not offered here.
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("config"), Mapping):
        raise ValueError(f"load_model: {where} holds no description of a model")
    if config.get("class_name") != "Sequential":
        kind = config.get("class_name")
        raise ValueError(f"load_model: {where} holds a model of the class {kind!r}; Sequential is what is offered")
    inner = config["config"]
    if not isinstance(inner.get("layers"), list):
        raise ValueError(f"load_model: {where} holds a Sequential without layers")
    try:
        return Sequential.from_config(dict(inner))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"load_model: {where} describes a layer that makes no sense: {error}") from error


def _json_of(archive: zipfile.ZipFile, name: str, path: Path) -> Any:
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise ValueError(f"load_model: {path} is no .keras file: it lacks {name}") from None
    if info.file_size > MOST_JSON_BYTES:
        raise ValueError(f"load_model: {path}: its {name} announces {info.file_size:,} bytes, too many to be true")
    try:
        return json.loads(archive.read(info))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"load_model: {path}: its {name} is no valid JSON: {error}") from error


def _arrays_of(
    archive: zipfile.ZipFile, model: Sequential, path: Path
) -> tuple[dict[str, HostArray], dict[str, str]]:
    """Return the arrays of a file, of no more bytes than the model and an optimizer can need."""
    names = archive.namelist()
    name = next((name for name in (WEIGHTS, KERAS_WEIGHTS) if name in names), None)
    if name is None:
        raise ValueError(f"load_model: {path} is no .keras file: it lacks {WEIGHTS} and {KERAS_WEIGHTS}")
    size, most = archive.getinfo(name).file_size, 32 * model.count_params() + 10_000_000
    if size > most:
        raise ValueError(f"load_model: {path}: its {name} announces {size:,} bytes; the model needs {most:,} at most")
    if name == KERAS_WEIGHTS:
        return read_h5(io.BytesIO(archive.read(name)), str(path)), {}
    with tempfile.TemporaryDirectory() as folder:
        return read_arrays(archive.extract(name, folder))


def fill(model: Sequential, arrays: Mapping[str, HostArray], where: str) -> None:
    """Write arrays by path into a model.

    Raises:
        ValueError: one is missing or has another shape; nothing has been changed then.
    """
    wanted = dict(weights_by_path(model))
    missing = [name for name in wanted if name not in arrays]
    if missing:
        raise ValueError(f"{where} does not fit the model: it lacks {', '.join(missing)}")
    write_weights(f"model {model.name!r}", list(wanted.values()), [arrays[name] for name in wanted], model.built)


def _restore_optimizer(model: Any, arrays: Mapping[str, HostArray], metadata: Mapping[str, str]) -> None:
    states: dict[int, dict[str, Any]] = {}
    steps = int(metadata.get("iterations", 0))
    for path, array in arrays.items():
        if path.startswith("optimizer/") and path.count("/") == 2:
            _, number, name = path.split("/")
            states.setdefault(int(number), {"step": steps})[name] = array
    if not metadata.get("iterations") or not model.trainable_weights:
        return
    model.optimizer.build(model.trainable_weights)
    inner = model.optimizer.inner
    if states:
        inner.load_state_dict({"state": states, "param_groups": inner.state_dict()["param_groups"]})
    model.optimizer.iterations = steps


# -- weights alone ----------------------------------------------------------------------------------


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Write the weights alone: to a ``.safetensors`` file, or a ``.weights.h5`` file that Keras reads.

    Raises:
        ValueError: the model has no weights yet, or the file another ending.
        ImportError: h5py is needed and is not installed.
    """
    path = _target(filepath, overwrite, "save_weights", (".weights.h5", ".safetensors"))
    _need_weights(model, "save_weights")
    arrays = {name: weight.numpy() for name, weight in weights_by_path(model)}
    if path.name.endswith(".safetensors"):
        write_arrays(path, arrays)
        return
    buffer = io.BytesIO()
    with _h5py(str(path)).File(buffer, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
    with write_whole(path) as target:
        target.write(buffer.getvalue())


def load_weights(model: Any, filepath: Any) -> None:
    """Read weights from a ``.weights.h5``, ``.safetensors`` or ``.keras`` file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, or the weights are others than the model's; nothing has been changed then.
    """
    path = Path(filepath)
    if not path.exists():
        raise FileNotFoundError(f"load_weights: {path}: there is no such file")
    _need_weights(model, "load_weights")
    if path.name.endswith(".safetensors"):
        fill(model, read_arrays(path)[0], str(path))
    elif path.name.endswith(".keras"):
        model.set_weights(load_model(path, compile=False).get_weights())
    elif path.name.endswith(".h5"):
        fill(model, read_h5(path, str(path)), str(path))
    else:
        raise ValueError(f"load_weights: {path} needs to end in .weights.h5, .safetensors or .keras")


def read_h5(source: Any, where: str) -> dict[str, HostArray]:
    """Return the weights of an HDF5 file of Keras 3 by path.

    Raises:
        ImportError: h5py is not installed.
        ValueError: the file is damaged, or none of Keras 3's.
    """
    h5py = _h5py(where)
    arrays: dict[str, HostArray] = {}
    try:
        with h5py.File(source, "r") as file:
            def take(name: str, item: Any) -> None:
                if isinstance(item, h5py.Dataset) and name.startswith("layers/") and item.dtype.kind in "fiu":
                    arrays[name] = np.asarray(item)

            file.visititems(take)
    except OSError as error:
        raise ValueError(f"{where} is damaged or no HDF5 file: {error}") from error
    return arrays


def _h5py(where: str) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f"{where} holds its weights in HDF5, which needs h5py: pip install minillm[h5]; or use .safetensors"
        ) from error
    return h5py


def _target(filepath: Any, overwrite: bool, operation: str, endings: tuple[str, ...]) -> Path:
    path = Path(filepath)
    if not path.name.endswith(endings):
        raise ValueError(f"{operation}: got the file name {path.name!r}; it needs to end in {' or '.join(endings)}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{operation}: {path} is there already; overwrite=True replaces it")
    return path


def _need_weights(model: Any, operation: str) -> None:
    if not model.built:
        raise ValueError(f"{operation}: model {model.name!r} has no weights yet: build it, or fit it first")


def _is_hdf5(path: Path) -> bool:
    return path.is_file() and path.read_bytes()[:8] == b"\x89HDF\r\n\x1a\n"
