"""What a user gets wrong is named, with what there is instead."""

from __future__ import annotations

import numpy as np
import pytest

from minillm import keras
from minillm.keras import layers

X, Y = np.ones((4, 3)), np.ones(4)


def model(*more, **options):
    built = keras.Sequential([layers.Dense(2, name="first"), *more, layers.Dense(1, name="last")])
    if options.pop("compiled", True):
        built.compile("sgd", "mse", **options)
    return built


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: model(compiled=False).compile("adan"), r"unknown optimizer 'adan'; known are: adam, .*sgd"),
        (lambda: model(compiled=False).compile(loss="msee"), r"unknown loss 'msee'; known are: .*mse"),
        (lambda: model(metrics=["acuracy"]), r"unknown metric 'acuracy'; known are: .*acc, accuracy"),
        (lambda: layers.Dense(1, activation="rellu"), r"unknown activation 'rellu'; known are: .*relu"),
        (lambda: model(layers.Dense(1, kernel_initializer="glorot")).predict(X), r"unknown initializer 'glorot'"),
        (lambda: layers.Dense(1, kernel_regularizer="l3"), r"unknown regularizer 'l3'; known are: .*l2"),
        (lambda: layers.Dense(0), r"Dense: got units=0"),
        (lambda: layers.Dropout(1.5), r"Dropout: got rate=1.5; it needs a number from 0 to 1"),
        (lambda: layers.LSTM(4, return_state=True), r"LSTM: return_state=True is not offered"),
        (lambda: layers.LSTM(4, dropout=1.0), r"LSTM: got dropout=1.0"),
        (lambda: layers.Bidirectional(layers.Dense(2)), r"it needs an LSTM, a GRU or a SimpleRNN"),
        (lambda: layers.Conv1D(2, 3, padding="full"), r"Conv1D: got padding='full'; it needs one of 'valid', 'same'"),
        (lambda: layers.Dense(2, dtype="float16"), r"Dense: got dtype='float16'; float32"),
        (lambda: keras.Sequential([layers.Dense(1, name="a"), layers.Dense(1, name="a")]), r"two layers are named 'a'"),
        (lambda: keras.Sequential().predict(X), r"there are no layers"),
        (lambda: keras.Sequential([layers.Dense(1)]).build(), r"build needs the shape of the input"),
        (lambda: model().fit(X, np.ones(3)), r"fit: x has 4 examples, y has 3; they need as many"),
        (lambda: model().fit(X), r"fit: got no y; a loss needs targets"),
        (lambda: model().fit(X[:0], Y[:0]), r"fit: got no examples"),
        (lambda: model().fit(X, Y, batch_size=0), r"fit: got batch_size=0"),
        (lambda: model().fit([[1, 2], [3]], Y), r"fit: x has rows of different lengths; pad_sequences"),
        (lambda: model().fit(["a", "b"], Y), r"fit: x holds <U1"),
        (lambda: model().fit(iter([]), Y), r"fit: got list_iterator for x"),
        (lambda: model().fit(X, Y, validation_split=1.5), r"validation_split=1.5; it needs a number between"),
        (lambda: model().fit(X, Y, validation_split=0.9), r"0.9 of 4 examples leaves one part empty"),
        (lambda: model().fit(X, Y, validation_data=X), r"validation_data needs to be \(x, y\)"),
        (lambda: model().fit(X, Y, validation_data=(X, Y[:2])), r"fit: validation_data: x has 4 examples, y has 2"),
        (lambda: model().fit(X, Y, class_weight={0: 1}, sample_weight=Y), r"class_weight or sample_weight, not both"),
        (lambda: model().fit(X, Y, sample_weight=Y[:3]), r"x has 4 examples, sample_weight has 3"),
        (lambda: model().fit(X, np.ones((4, 2))), r"mean_squared_error: got y_true of shape \(4, 2\)"),
        (lambda: model().set_weights([]), r"layer .* has no weights yet"),
        (lambda: model().summary(line_length=80) or model().get_layer("none"), r"no layer 'none'; .*first, last"),
        (lambda: keras.optimizers.SGD(momentum=2), r"SGD: got momentum=2"),
        (lambda: keras.optimizers.Adam(-1), r"Adam: got learning_rate=-1"),
        (lambda: keras.optimizers.Adam(clipnorm=1, clipvalue=1), r"Adam: give one of clipnorm"),
        (lambda: keras.losses.Loss(lambda a, b: a, reduction="avg"), r"loss: got reduction='avg'"),
        (lambda: keras.metrics.AUC(curve="PRC"), r"AUC: got curve='PRC'; it needs 'ROC' or 'PR'"),
        (lambda: keras.callbacks.ModelCheckpoint("m.h5"), r"needs to end in .keras"),
        (lambda: keras.callbacks.ReduceLROnPlateau(factor=1.0), r"got factor=1.0"),
        (lambda: keras.utils.to_categorical([0, 5], 3), r"got numbers from 0 to 5 for 3 classes"),
        (lambda: keras.Input(), r"Input: got no shape"),
    ],
)
def test_values(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: keras.Sequential([layers.Dense]), r"which is no layer of minillm.keras.layers; call the class"),
        (lambda: keras.Sequential(["dense"]), r"got 'dense', which is no layer"),
        (lambda: model().fit(X, Y, callbacks=[keras.callbacks.EarlyStopping]), r"call the class: EarlyStopping\(\)"),
        (lambda: keras.callbacks.LambdaCallback(on_epoch=print), r"there is no event 'on_epoch'"),
        (lambda: model(compiled=False).compile("sgd", "mse", loss_weights=[1]), r"loss_weights is not offered"),
    ],
)
def test_types(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_shapes_name_the_layer():
    built = model()
    built.predict(X, verbose=0)
    with pytest.raises(ValueError, match=r"layer 'first' \(Dense\): got an input of shape \(4, 5\); it needs .*3"):
        built.predict(np.ones((4, 5)), verbose=0)
    sequence = keras.Sequential([layers.Dense(2), layers.LSTM(3, name="reader")])
    with pytest.raises(ValueError, match=r"layer 'reader' \(LSTM\): got .* \(None, 2\); it needs \(batch, time"):
        sequence.predict(X, verbose=0)
    narrow = keras.Sequential([layers.Embedding(5, 2, input_length=3)])
    with pytest.raises(ValueError, match=r"\(4, 6\); it needs \(None, 3\), where None stands for any size"):
        narrow.predict(np.ones((4, 6)), verbose=0)
    with pytest.raises(IndexError, match="embedding"):
        narrow.predict(np.full((4, 3), 9), verbose=0)
    short = keras.Sequential([layers.Conv1D(2, 5, name="conv")])
    with pytest.raises(ValueError, match=r"layer 'conv' \(Conv1D\): got .*\(None, 3, 2\); it needs 5 steps at least"):
        short.build((None, 3, 2))


@pytest.mark.parametrize("operation", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_training_needs_compile(operation):
    with pytest.raises(RuntimeError, match=rf"{operation}: call compile"):
        getattr(model(compiled=False), operation)(X, Y)
    without = model(compiled=False)
    without.compile("sgd")
    with pytest.raises(ValueError, match=r"compiled without a loss"):
        getattr(without, operation)(X, Y)


def test_predict_builds_the_model_and_summary_works_before():
    fresh = model(compiled=False)
    lines = []
    fresh.summary(print_fn=lines.append)
    assert "0 (unbuilt)" in lines[0]
    with pytest.raises(ValueError, match="is not built yet"):
        _ = fresh.output_shape
    assert fresh.predict(X, verbose=0).shape == (4, 1)
    assert fresh.output_shape == (None, 1)


def test_weights_of_other_shapes_change_nothing():
    layer = layers.Dense(2)
    with pytest.raises(ValueError, match="has no weights yet"):
        layer.set_weights([np.ones((3, 2)), np.ones(2)])
    layer.build((None, 3))
    before = layer.get_weights()
    with pytest.raises(ValueError, match=r"weight 1 of layer .* is bias of shape \(2,\); got \(3,\)"):
        layer.set_weights([np.ones((3, 2)), np.ones(3)])
    with pytest.raises(ValueError, match=r"got 1 weights; layer .* has 2: kernel \(3, 2\), bias \(2,\)"):
        layer.set_weights([np.ones((3, 2))])
    np.testing.assert_array_equal(layer.get_weights()[0], before[0])


def test_a_number_that_is_not_watched_warns():
    stop = keras.callbacks.EarlyStopping(monitor="val_loss")
    with pytest.warns(UserWarning, match="`val_loss` which is not available. Available metrics are: loss"):
        model().fit(X, Y, verbose=0, callbacks=[stop])
    with pytest.raises(ValueError, match="give mode='min' or mode='max'"):
        model().fit(X, Y, verbose=0, callbacks=[keras.callbacks.EarlyStopping(monitor="other")])


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_lines_of_progress(capsys, verbose):
    trained = model(metrics=["mae"])
    trained.fit(X, Y, epochs=2, batch_size=2, verbose=verbose)
    trained.evaluate(X, Y, verbose=verbose)
    trained.predict(X, verbose=verbose)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == (6 if verbose else 0)
    if verbose:
        assert lines[0] == "Epoch 1/2"
        assert lines[1].startswith("2/2 " + ("━" * 20 if verbose == 1 else "- 0s"))
        assert " - loss: " in lines[1]
        assert lines[1].index("loss") < lines[1].index("mae")
