"""Models on disk: what is saved comes back, files of the real Keras are read, damaged ones are named."""

from __future__ import annotations

import json
import sys
import zipfile

import numpy as np
import pytest

from minillm import keras
from minillm.interop.safetensors import read_arrays
from minillm.keras import layers


def reader(k):
    return k.Sequential([
        k.layers.Embedding(30, 6, mask_zero=True),
        k.layers.Bidirectional(k.layers.LSTM(4, return_sequences=True)),
        k.layers.TimeDistributed(k.layers.Dense(5, activation="relu", kernel_initializer="he_normal")),
        k.layers.GRU(4, return_sequences=True),
        k.layers.SimpleRNN(4, return_sequences=True),
        k.layers.LayerNormalization(),
        k.layers.Dropout(0.3),
        k.layers.LSTM(3),
        k.layers.BatchNormalization(),
        k.layers.Dense(4, activation="tanh", kernel_regularizer=k.regularizers.L2(0.01)),
        k.layers.Dense(1, activation="sigmoid", name="out"),
    ])  # fmt: skip


def convolutions(k):
    return k.Sequential([
        k.layers.Input((9, 4)),
        k.layers.Conv1D(5, 3, padding="same", activation="relu"),
        k.layers.MaxPooling1D(2),
        k.layers.Conv1D(5, 2, dilation_rate=2),
        k.layers.AveragePooling1D(2),
        k.layers.Activation("softplus"),
        k.layers.Flatten(),
        k.layers.Reshape((5, -1)),
        k.layers.GlobalAveragePooling1D(),
    ])  # fmt: skip


@pytest.fixture
def examples(draw):
    return draw.integers(0, 30, size=(6, 7)), draw.integers(2, size=6).astype("float32")


@pytest.fixture
def trained(examples):
    model = reader(keras)
    metrics = ["accuracy", keras.metrics.AUC(name="auc")]
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=metrics)
    model.fit(*examples, epochs=2, batch_size=3, verbose=0)
    return model


def test_a_model_comes_back_and_trains_on(trained, examples, tmp_path):
    trained.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(examples[0], verbose=0), trained.predict(examples[0], verbose=0))
    assert [layer.name for layer in again.layers] == [layer.name for layer in trained.layers]
    assert again.optimizer.iterations == trained.optimizer.iterations == 4
    histories = []
    for model in (trained, again):
        import minillm

        minillm.manual_seed(1)  # of the dropout
        histories.append(model.fit(*examples, epochs=2, shuffle=False, verbose=0).history)
    assert histories[0] == histories[1]
    for got, expected in zip(again.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_model_comes_back_without_compile(trained, tmp_path):
    trained.save(tmp_path / "m.keras")
    assert not keras.models.load_model(tmp_path / "m.keras", compile=False).compiled


def test_what_a_function_was_compiled_with_is_left_out_with_a_warning(tmp_path):
    model = keras.Sequential([layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", lambda y, p: (y - p) ** 2)
    with pytest.warns(UserWarning, match="without what it was compiled with"):
        model.save(tmp_path / "m.keras")
    assert not keras.models.load_model(tmp_path / "m.keras").compiled


@pytest.mark.parametrize("ending", ["safetensors", "weights.h5"])
def test_weights_alone(trained, tmp_path, ending):
    if ending == "weights.h5":
        pytest.importorskip("h5py")
    trained.save_weights(tmp_path / f"w.{ending}")
    other = reader(keras)
    with pytest.raises(ValueError, match="has no weights yet"):
        other.load_weights(tmp_path / f"w.{ending}")
    other.build((None, 7))
    other.load_weights(tmp_path / f"w.{ending}")
    for got, expected in zip(other.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_model_in_json():
    model = convolutions(keras)
    again = keras.models.model_from_json(model.to_json())
    assert again.output_shape == model.output_shape
    assert [w.shape for w in again.get_weights()] == [w.shape for w in model.get_weights()]


@pytest.mark.parametrize(("make", "shape"), [(reader, (7,)), (convolutions, (9, 4))])
def test_files_of_the_real_keras_are_read(real, tmp_path, draw, make, shape):
    pytest.importorskip("h5py")
    x = draw.integers(0, 30, size=(5, *shape)) if len(shape) == 1 else draw.normal(size=(5, *shape)).astype("float32")
    theirs = make(real)
    theirs.compile("adam", "mse", metrics=["mae"])
    y = theirs.predict(x, verbose=0)
    theirs.fit(x, 0 * y, verbose=0)
    theirs.save(tmp_path / "real.keras")
    theirs.save_weights(tmp_path / "real.weights.h5")
    ours = keras.models.load_model(tmp_path / "real.keras")
    expected = theirs.predict(x, verbose=0)
    np.testing.assert_allclose(ours.predict(x, verbose=0), expected, atol=1e-5)
    assert ours.compiled
    assert type(ours.optimizer).__name__ == "Adam"
    other = make(keras)
    other.build((None, *shape))
    other.load_weights(tmp_path / "real.weights.h5")
    np.testing.assert_allclose(other.predict(x, verbose=0), expected, atol=1e-5)


@pytest.mark.parametrize(("make", "shape"), [(reader, (7,)), (convolutions, (9, 4))])
def test_the_real_keras_reads_our_weights_and_layers(real, tmp_path, draw, make, shape):
    pytest.importorskip("h5py")
    x = draw.integers(0, 30, size=(5, *shape)) if len(shape) == 1 else draw.normal(size=(5, *shape)).astype("float32")
    ours = make(keras)
    expected = ours.predict(x, verbose=0)
    ours.save_weights(tmp_path / "ours.weights.h5")
    theirs = real.models.model_from_json(ours.to_json())
    theirs.build((None, *shape))
    theirs.load_weights(tmp_path / "ours.weights.h5")
    np.testing.assert_allclose(theirs.predict(x, verbose=0), expected, atol=1e-5)


# -- bad files --------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path):
    model = keras.Sequential([layers.Dense(3, input_shape=(2,))])
    model.save(tmp_path / "m.keras")
    return tmp_path / "m.keras"


def rewritten(path, **changes):
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts = {name: changes.get(name.split(".")[0], data) for name, data in parts.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            if data is not None:
                archive.writestr(name, data)


def test_missing_and_damaged_files(small, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        keras.models.load_model(tmp_path / "none.keras")
    with pytest.raises(ValueError, match=r"damaged or no \.keras file"):
        keras.models.load_model(tmp_path)
    whole = small.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        small.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"damaged or no \.keras file"):
            keras.models.load_model(small)
    (tmp_path / "old.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(ValueError, match="HDF5 file, as old Keras wrote"):
        keras.models.load_model(tmp_path / "old.h5")
    (tmp_path / "text.keras").write_text("hello")
    with pytest.raises(ValueError, match=r"damaged or no \.keras file"):
        keras.models.load_model(tmp_path / "text.keras")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": None}, "lacks config.json"),
        ({"model": None}, "lacks model.weights"),
        ({"config": b"{"}, "no valid JSON"),
        ({"config": b"[" * 100_000}, "no valid JSON"),
        ({"config": b"[]"}, "no description of a model"),
        ({"config": b'{"class_name": "Functional", "config": {}}'}, "'Functional'; Sequential is what"),
        ({"config": b'{"class_name": "Sequential", "config": {}}'}, "without layers"),
        ({"config": b'{"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense"}]}}'}, "no sense"),
        (
            {"config": b'{"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda", "config": {}}]}}'},
            "unknown layer 'Lambda'; known are: Activation",
        ),
        ({"model": b"nothing"}, "no safetensors file"),
        ({"model": bytes(20_000_000)}, "announces 20,000,000 bytes"),
    ],
)
def test_foreign_contents(small, changes, message):
    rewritten(small, **changes)
    with pytest.raises(ValueError, match=message):
        keras.models.load_model(small)


def test_a_flipped_bit_is_found(small):
    data = bytearray(small.read_bytes())
    data[data.index(keras.models.load_model(small).get_weights()[0].tobytes())] ^= 1
    small.write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        keras.models.load_model(small)


def test_settings_that_are_not_offered_are_named(small):
    with zipfile.ZipFile(small) as archive:
        config = json.loads(archive.read("config.json"))
    config["config"]["layers"][0]["config"]["kernel_constraint"] = "max_norm"
    rewritten(small, config=json.dumps(config).encode())
    with pytest.raises(ValueError, match=r"Dense 'dense.*': kernel_constraint='max_norm' is not offered here"):
        keras.models.load_model(small)


def test_weights_of_another_model_change_nothing(small, tmp_path):
    model = keras.Sequential([layers.Dense(4, input_shape=(2,)), layers.Dense(1)])
    before = model.get_weights()
    keras.models.load_model(small).save_weights(tmp_path / "w.safetensors")
    assert list(read_arrays(tmp_path / "w.safetensors")[0]) == ["layers/dense/vars/0", "layers/dense/vars/1"]
    with pytest.raises(ValueError, match="lacks layers/dense_1/vars/0"):
        model.load_weights(tmp_path / "w.safetensors")
    model.pop()
    with pytest.raises(ValueError, match=r"weight 0 of model .* is kernel of shape \(2, 4\); got \(2, 3\)"):
        model.load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_names_of_files(small, tmp_path):
    model = keras.models.load_model(small)
    with pytest.raises(ValueError, match=r"needs to end in \.keras"):
        model.save(tmp_path / "m.h5")
    with pytest.raises(ValueError, match=r"needs to end in \.weights\.h5 or \.safetensors"):
        model.save_weights(tmp_path / "m.bin")
    with pytest.raises(FileExistsError, match="is there already"):
        model.save(small, overwrite=False)
    with pytest.raises(ValueError, match="custom_objects are not offered"):
        keras.models.load_model(small, custom_objects={"a": 1})
    with pytest.raises(FileNotFoundError, match="no such file"):
        model.load_weights(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="has no weights yet"):
        keras.Sequential([layers.Dense(1)]).save(tmp_path / "n.keras")
    assert not (tmp_path / "n.keras").exists()


def test_without_h5py_the_message_says_what_to_install(small, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"pip install minillm\[h5\]"):
        keras.models.load_model(small).save_weights(tmp_path / "w.weights.h5")
