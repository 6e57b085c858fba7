"""Training against the real Keras: equal first weights and no shuffling give equal losses, metrics and weights."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest


def twins(both, make, *shape):
    """The model in both, with the same weights."""
    models = [make(keras) for keras in both]
    for model in models:
        model.build((None, *shape))
    models[0].set_weights(models[1].get_weights())
    return models


def assert_alike(models, histories, tolerance=1e-4):
    ours, real = (history.history for history in histories)
    assert list(ours) == list(real)
    for name, values in real.items():
        np.testing.assert_allclose(ours[name], values, rtol=tolerance, atol=tolerance, err_msg=name)
    for got, expected in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def fit_both(models, x, y, **options):
    options = {"epochs": 3, "batch_size": 4, "shuffle": False, "verbose": 0, **options}
    return [model.fit(x, y, **options) for model in models]


def classifier(k):
    return k.Sequential([k.layers.Dense(5, activation="tanh"), k.layers.Dense(1, activation="sigmoid")])


@pytest.fixture
def points(draw):
    x = draw.normal(size=(22, 3)).astype("float32")
    return x, (x.sum(1) > 0).astype("float32")


OPTIMIZERS = {
    "by name": lambda k: "adam",
    "adam": lambda k: k.optimizers.Adam(0.05),
    "adam, amsgrad": lambda k: k.optimizers.Adam(learning_rate=0.05, amsgrad=True, epsilon=1e-3),
    "adam, weight decay": lambda k: k.optimizers.Adam(0.05, weight_decay=0.1),
    "adamw": lambda k: k.optimizers.AdamW(0.05, weight_decay=0.1),
    "adamw by name": lambda k: "adamw",
    "sgd": lambda k: k.optimizers.SGD(0.2),
    "sgd, momentum": lambda k: k.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.1),
    "sgd, nesterov": lambda k: k.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda k: k.optimizers.RMSprop(0.02),
    "rmsprop, centered": lambda k: k.optimizers.RMSprop(0.02, momentum=0.5, centered=True, rho=0.8),
    "clipnorm": lambda k: k.optimizers.SGD(0.5, clipnorm=0.05),
    "clipvalue": lambda k: k.optimizers.SGD(0.5, clipvalue=0.02),
    "global_clipnorm": lambda k: k.optimizers.SGD(0.5, global_clipnorm=0.05),
}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_optimizers_move_weights_as_the_real_ones(both, points, make):
    models = twins(both, classifier, 3)
    for model, keras in zip(models, both, strict=True):
        model.compile(optimizer=make(keras), loss="binary_crossentropy")
    assert_alike(models, fit_both(models, *points))


NETWORKS = {
    "lstm": lambda k: [k.layers.LSTM(5)],
    "two lstm": lambda k: [k.layers.LSTM(5, return_sequences=True), k.layers.LSTM(4)],
    "gru": lambda k: [k.layers.GRU(5)],
    "simple rnn": lambda k: [k.layers.SimpleRNN(5)],
    "bidirectional": lambda k: [k.layers.Bidirectional(k.layers.LSTM(3))],
    "convolution": lambda k: [k.layers.Conv1D(4, 3, activation="relu"), k.layers.GlobalMaxPooling1D()],
    "pooling": lambda k: [k.layers.GlobalAveragePooling1D(), k.layers.Dropout(0.0)],
    "flatten": lambda k: [k.layers.Flatten(), k.layers.BatchNormalization(), k.layers.LayerNormalization()],
}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.filterwarnings("ignore:Layer .* does not support masking")
def test_networks_learn_as_the_real_ones(both, draw, make, masked):
    x = draw.integers(1, 20, size=(12, 6))
    x[::2, :3] = 0
    y = (x[:, -1] > 10).astype("float32")

    def network(k):
        embedding = k.layers.Embedding(20, 4, mask_zero=masked)
        return k.Sequential([embedding, *make(k), k.layers.Dense(1, activation="sigmoid")])

    models = twins(both, network, 6)
    for model, keras in zip(models, both, strict=True):
        model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"])
    assert_alike(models, fit_both(models, x, y, validation_data=(x[:4], y[:4])))


def several(k, units=3, activation="softmax"):
    return k.Sequential([k.layers.Dense(units, activation=activation)])


LOSSES = {
    "binary": ("binary_crossentropy", "sigmoid", "flags"),
    "binary logits": (lambda k: k.losses.BinaryCrossentropy(from_logits=True), None, "flags"),
    "binary smoothed": (lambda k: k.losses.BinaryCrossentropy(label_smoothing=0.2), "sigmoid", "flags"),
    "categorical": ("categorical_crossentropy", "softmax", "one-hot"),
    "categorical logits": (lambda k: k.losses.CategoricalCrossentropy(from_logits=True), None, "one-hot"),
    "categorical smoothed": (lambda k: k.losses.CategoricalCrossentropy(label_smoothing=0.1), "softmax", "one-hot"),
    "sparse": ("sparse_categorical_crossentropy", "softmax", "numbers"),
    "sparse, a column": ("sparse_categorical_crossentropy", "softmax", "column"),
    "sparse logits": (lambda k: k.losses.SparseCategoricalCrossentropy(from_logits=True), None, "numbers"),
    "mse": ("mse", "linear", "flags"),
    "mean squared error": ("mean_squared_error", "linear", "flags"),
    "mae": ("mae", "linear", "flags"),
    "huber": (lambda k: k.losses.Huber(0.5), "linear", "flags"),
}


@pytest.mark.parametrize(("loss", "activation", "targets"), LOSSES.values(), ids=LOSSES)
def test_losses_and_chosen_accuracy_are_those_of_the_real_ones(both, draw, loss, activation, targets):
    x = draw.normal(size=(10, 4)).astype("float32")
    numbers = draw.integers(3, size=10)
    y = {"numbers": numbers, "column": numbers[:, None], "one-hot": np.eye(3)[numbers]}.get(targets)
    if y is None:
        y = (draw.random(size=(10, 3)) > 0.5).astype("float32")
    models = twins(both, lambda k: several(k, 3, activation), 4)
    for model, keras in zip(models, both, strict=True):
        model.compile("sgd", loss(keras) if callable(loss) else loss, metrics=["accuracy", "mae"][: 2 - (y.ndim == 1)])
    if targets == "column":
        for model in models:
            model.compile("sgd", loss, metrics=["acc"])
    assert_alike(models, fit_both(models, x, y))


def test_metrics_of_two_classes(both, points):
    x, y = points
    models = twins(both, classifier, 3)
    for model, keras in zip(models, both, strict=True):
        m = keras.metrics
        chosen = [
            "accuracy", m.AUC(name="auc"), m.AUC(curve="PR", name="pr"), m.AUC(num_thresholds=5, name="few"),
            m.Precision(name="p"), m.Recall(name="r"), m.BinaryAccuracy(threshold=0.3), "mse",
            m.Precision(thresholds=0.7, name="sure"),
        ]  # fmt: skip
        model.compile("adam", "binary_crossentropy", metrics=chosen)
    assert_alike(models, fit_both(models, x, y, validation_data=(x, y[:, None])))


WEIGHTED = {
    "class_weight": {"class_weight": {0: 0.5, 1: 2.0}},
    "sample_weight": {"sample_weight": np.linspace(0, 2, 22)},
    "validation_split": {"validation_split": 0.3},
    "both": {"validation_split": 0.3, "sample_weight": np.linspace(0, 2, 22)},
    "a longer second run": {"initial_epoch": 1, "epochs": 4},
    "validation with weights": {"validation_data": (np.eye(3, dtype="float32"), np.ones(3), np.arange(3.0))},
    "validation now and then": {"validation_data": (np.eye(3, dtype="float32"), np.ones(3)), "validation_freq": 3},
}


@pytest.mark.parametrize("options", WEIGHTED.values(), ids=WEIGHTED)
def test_options_of_fit(both, points, options):
    models = twins(both, classifier, 3)
    for model in models:
        model.compile("adam", "binary_crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy"])
    histories = fit_both(models, *points, **options)
    if "validation_freq" in options:
        assert len(histories[0].history["val_loss"]) == 1
    assert_alike(models, histories)
    assert histories[0].epoch == histories[1].epoch


def test_penalties_on_weights(both, points):
    def make(k):
        first = k.layers.Dense(5, kernel_regularizer=k.regularizers.L2(0.1), bias_regularizer="l1")
        return k.Sequential([first, k.layers.Dense(1, kernel_regularizer=k.regularizers.L1L2(0.01, 0.02))])

    models = twins(both, make, 3)
    for model in models:
        model.compile("sgd", "mse")
    assert_alike(models, fit_both(models, *points))


def test_steps_that_are_masked_do_not_count_in_the_loss(both, draw):
    x = draw.integers(1, 9, size=(8, 5))
    x[:, 3:] = 0
    y = (x > 4).astype("float32")[..., None]

    def make(k):
        lstm = k.layers.LSTM(4, return_sequences=True)
        return k.Sequential([k.layers.Embedding(9, 3, mask_zero=True), lstm, k.layers.Dense(1, activation="sigmoid")])

    models = twins(both, make, 5)
    for model in models:
        model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    assert_alike(models, fit_both(models, x, y))


def test_a_frozen_layer_stays(both, points):
    def make(k):
        return k.Sequential([k.layers.Dense(5, trainable=False), k.layers.BatchNormalization(), k.layers.Dense(1)])

    models = twins(both, make, 3)
    before = models[0].get_weights()[0]
    for model in models:
        model.compile("adam", "mse")
    assert_alike(models, fit_both(models, *points))
    np.testing.assert_array_equal(models[0].get_weights()[0], before)
    assert len(models[0].trainable_weights) == len(models[1].trainable_weights) == 4
    assert len(models[0].non_trainable_weights) == len(models[1].non_trainable_weights) == 4


def test_single_batches_and_evaluate(both, points):
    x, y = points
    models = twins(both, classifier, 3)
    for model in models:
        model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    for _ in range(2):
        got, expected = (model.train_on_batch(x[:5], y[:5]) for model in models)
        assert got == pytest.approx(expected, abs=1e-5)
    got, expected = (model.test_on_batch(x, y, return_dict=True) for model in models)
    assert {k: float(v) for k, v in got.items()} == pytest.approx({k: float(v) for k, v in expected.items()}, abs=1e-5)
    np.testing.assert_allclose(models[0].predict_on_batch(x), models[1].predict_on_batch(x), atol=1e-5)
    np.testing.assert_allclose(*(model.predict(x, batch_size=4, verbose=0) for model in models), atol=1e-5)
    got, expected = (model.evaluate(x, y, batch_size=4, verbose=0) for model in models)
    assert got == pytest.approx(expected, abs=1e-5)


def test_a_loss_without_metrics_is_a_number(both, points):
    models = twins(both, classifier, 3)
    for model in models:
        model.compile("sgd", "mse")
    got, expected = (model.evaluate(*points, verbose=0) for model in models)
    assert isinstance(got, float)
    assert got == pytest.approx(float(expected), abs=1e-5)


# -- callbacks --------------------------------------------------------------------------------------

STOPPERS = {
    "patience": {"patience": 2},
    "best weights": {"patience": 1, "restore_best_weights": True, "min_delta": 0.02},
    "accuracy": {"monitor": "val_accuracy", "patience": 3, "restore_best_weights": True},
    "training loss, min_delta": {"monitor": "loss", "min_delta": 0.01, "patience": 1},
    "baseline": {"monitor": "loss", "baseline": 0.01, "patience": 2, "min_delta": 0.02, "mode": "min"},
    "later": {"patience": 0, "start_from_epoch": 4, "min_delta": 0.02},
}


@pytest.mark.parametrize("options", STOPPERS.values(), ids=STOPPERS)
def test_early_stopping_stops_where_the_real_one_does(both, draw, options):
    x = draw.normal(size=(12, 3)).astype("float32")
    y = draw.integers(2, size=12).astype("float32")
    models = twins(both, classifier, 3)
    histories = []
    for model, keras in zip(models, both, strict=True):
        model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
        stop = keras.callbacks.EarlyStopping(**options)
        data = {"validation_split": 0.3, "epochs": 25, "verbose": 0, "shuffle": False, "batch_size": 4}
        histories.append(model.fit(x, y, callbacks=[stop], **data))
    assert histories[0].epoch == histories[1].epoch
    assert len(histories[0].epoch) < 25
    assert_alike(models, histories, 2e-3)


def test_the_learning_rate_falls_as_with_the_real_callbacks(both, points):
    models = twins(both, classifier, 3)
    histories = []
    for model, keras in zip(models, both, strict=True):
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "binary_crossentropy")
        calls = [keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1, min_delta=0.05, cooldown=1)]
        histories.append(model.fit(*points, epochs=8, shuffle=False, verbose=0, callbacks=calls))
    assert_alike(models, histories)
    assert len(set(histories[0].history["learning_rate"])) > 1
    for model, keras in zip(models, both, strict=True):
        rate = keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.5 if epoch else 0.25)
        histories.append(model.fit(*points, epochs=3, shuffle=False, verbose=0, callbacks=[rate]))
    assert_alike(models, histories[2:])
    assert histories[2].history["learning_rate"] == [0.25, 0.125, 0.0625]


def test_events_come_in_the_order_of_the_real_ones(both, points):
    seen = []
    for keras in both:

        seen.append([])
        base = keras.callbacks.Callback
        events = [name for name in dir(base) if name.startswith("on_") and not name.startswith("on_batch")]
        noted = {name: lambda self, *given, name=name, **named: seen[-1].append(name) for name in events}
        Recorder = type("Recorder", (base,), noted)
        model = classifier(keras)
        model.compile("sgd", "binary_crossentropy")
        x, y = points
        data = {"batch_size": 8, "epochs": 2, "verbose": 0}
        model.fit(x, y, validation_data=(x, y), callbacks=[Recorder()], **data)
    assert seen[0] == seen[1]


def test_checkpoints_and_lambdas(both, points, tmp_path):
    files = []
    for keras, name in zip(both, ("ours", "real"), strict=True):
        model = classifier(keras)
        model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
        ends = []
        calls = [
            keras.callbacks.ModelCheckpoint(str(tmp_path / name / "{epoch:02d}.keras")),
            keras.callbacks.LambdaCallback(on_epoch_end=lambda n, logs, ends=ends: ends.append((n, sorted(logs)))),
            keras.callbacks.CSVLogger(str(tmp_path / f"{name}.csv")),
        ]
        model.fit(*points, epochs=2, verbose=0, callbacks=calls)
        assert ends == [(0, ["accuracy", "loss"]), (1, ["accuracy", "loss"])]
        files.append(sorted(path.name for path in (tmp_path / name).iterdir()))
    assert files[0] == files[1] == ["01.keras", "02.keras"]
    tables = [(tmp_path / f"{name}.csv").read_text().splitlines() for name in ("ours", "real")]
    assert tables[0][0] == tables[1][0]
    assert len(tables[0]) == len(tables[1]) == 3


def test_shuffling_takes_each_example_once_in_orders_of_its_own():
    from minillm import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(1,))])
    model.compile("sgd", "mse")
    seen = []
    step = model._train_step
    model._train_step = lambda batch: (seen.append(batch.x[:, 0].tolist()), step(batch))
    model.fit(np.arange(10.0)[:, None] / 100, np.zeros(10), batch_size=4, epochs=2, verbose=0)
    assert [len(batch) for batch in seen] == [4, 4, 2] * 2
    first, second = (list(itertools.chain(*batches)) for batches in (seen[:3], seen[3:]))
    assert sorted(first) == sorted(second) == (np.arange(10.0) / 100).tolist()
    assert first != second != sorted(first)


def test_summary_counts_as_the_real_one(both):
    def make(k):
        return k.Sequential([
            k.layers.Embedding(50, 8), k.layers.Bidirectional(k.layers.LSTM(4, return_sequences=True)),
            k.layers.GRU(4), k.layers.BatchNormalization(), k.layers.Dropout(0.5), k.layers.Dense(1, trainable=False),
        ], name="reader")  # fmt: skip

    for keras in both:
        keras.backend.clear_session()
    models = [make(keras) for keras in both]
    texts = [[], []]
    for n in range(2):
        for model, lines in zip(models, texts, strict=True):
            if n:
                model.build((None, 7))
                model.compile("adam", "mse")
            model.summary(print_fn=lines.append)
    assert texts[0][1] == texts[1][1]
    assert "0 (unbuilt)" in texts[0][0]
    models[0].fit(np.ones((2, 7)), np.ones(2), verbose=0)
    models[1].fit(np.ones((2, 7)), np.ones(2), verbose=0)
    for model, lines in zip(models, texts, strict=True):
        model.summary(print_fn=lines.append)
    counts = [text[2][text[2].index(" Total"):] for text in texts]
    assert counts[0] == counts[1]


def test_pad_sequences_and_categories_are_those_of_keras(both):
    keras, real = both
    rows = [[1, 2, 3, 4], [5], [], [6, 7]]
    for padding in ("pre", "post"):
        for truncating in ("pre", "post"):
            for maxlen in (None, 2, 6):
                options = {"maxlen": maxlen, "padding": padding, "truncating": truncating, "value": -1}
                got = keras.preprocessing.sequence.pad_sequences(rows, **options)
                expected = real.utils.pad_sequences(rows, **options)
                assert got.dtype == expected.dtype
                np.testing.assert_array_equal(got, expected)
    for labels in ([0, 2, 1], [[0], [2]], np.array([[1, 0], [2, 2]])):
        np.testing.assert_array_equal(keras.utils.to_categorical(labels), real.utils.to_categorical(labels))
    assert math.isclose(keras.backend.epsilon(), real.backend.epsilon())


def test_a_second_compile_without_metrics_keeps_those_of_the_first(both, points):
    models = twins(both, classifier, points[0].shape[1])
    for again in ({}, {"metrics": ["mse"]}, {"metrics": []}):
        for model in models:
            model.compile("sgd", "binary_crossentropy", metrics=["mae"])
            model.compile("adam", "mse", **again)
        got, wanted = (model.evaluate(*points, verbose=0, return_dict=True) for model in models)
        assert got == pytest.approx(wanted, rel=1e-4)
