"""Each layer against the real one: the same weights give the same outputs, and move both ways."""

from __future__ import annotations

import numpy as np
import pytest

# Each case: the name, how to make the layer in either Keras, and the shape of the input (integers where it is "rows").
FLOATS = [
    ("dense", lambda k: k.layers.Dense(4, activation="relu"), (3, 5)),
    ("dense without bias, on steps", lambda k: k.layers.Dense(4, use_bias=False), (3, 6, 5)),
    ("lstm", lambda k: k.layers.LSTM(4), (3, 6, 5)),
    ("lstm, all steps", lambda k: k.layers.LSTM(4, return_sequences=True), (3, 6, 5)),
    ("lstm, backwards", lambda k: k.layers.LSTM(4, return_sequences=True, go_backwards=True), (3, 6, 5)),
    (
        "lstm, other gates",
        lambda k: k.layers.LSTM(4, activation="relu", recurrent_activation="hard_sigmoid"),
        (3, 6, 5),
    ),
    ("lstm without biases", lambda k: k.layers.LSTM(4, use_bias=False), (3, 6, 5)),
    ("gru", lambda k: k.layers.GRU(4), (3, 6, 5)),
    ("gru, all steps", lambda k: k.layers.GRU(4, return_sequences=True), (3, 6, 5)),
    ("gru, reset before", lambda k: k.layers.GRU(4, reset_after=False, return_sequences=True), (3, 6, 5)),
    ("simple rnn", lambda k: k.layers.SimpleRNN(4), (3, 6, 5)),
    ("simple rnn, relu", lambda k: k.layers.SimpleRNN(4, activation="relu", return_sequences=True), (3, 6, 5)),
    ("bidirectional lstm", lambda k: k.layers.Bidirectional(k.layers.LSTM(4)), (3, 6, 5)),
    (
        "bidirectional gru, all steps",
        lambda k: k.layers.Bidirectional(k.layers.GRU(4, return_sequences=True)),
        (3, 6, 5),
    ),
    *[
        (
            f"bidirectional, {mode}",
            lambda k, mode=mode: k.layers.Bidirectional(k.layers.LSTM(4), merge_mode=mode),
            (3, 6, 5),
        )
        for mode in ("sum", "mul", "ave")
    ],
    ("time distributed", lambda k: k.layers.TimeDistributed(k.layers.Dense(3)), (3, 6, 5)),
    ("conv1d", lambda k: k.layers.Conv1D(4, 3, activation="relu"), (3, 8, 5)),
    ("conv1d, same", lambda k: k.layers.Conv1D(4, 3, strides=2, padding="same"), (3, 8, 5)),
    ("conv1d, causal", lambda k: k.layers.Conv1D(4, 3, padding="causal", dilation_rate=2), (3, 8, 5)),
    ("conv1d, even kernel", lambda k: k.layers.Conv1D(4, 4, padding="same"), (3, 9, 5)),
    ("max pooling", lambda k: k.layers.MaxPooling1D(2), (3, 9, 5)),
    ("max pooling, same", lambda k: k.layers.MaxPooling1D(3, strides=2, padding="same"), (3, 8, 5)),
    ("average pooling", lambda k: k.layers.AveragePooling1D(2), (3, 9, 5)),
    ("global max", lambda k: k.layers.GlobalMaxPooling1D(), (3, 9, 5)),
    ("global average", lambda k: k.layers.GlobalAveragePooling1D(), (3, 9, 5)),
    ("batch normalization", lambda k: k.layers.BatchNormalization(), (3, 9, 5)),
    ("layer normalization", lambda k: k.layers.LayerNormalization(), (3, 9, 5)),
    ("flatten", lambda k: k.layers.Flatten(), (3, 4, 5)),
    ("reshape", lambda k: k.layers.Reshape((2, -1)), (3, 4, 5)),
    ("repeat", lambda k: k.layers.RepeatVector(3), (3, 5)),
    ("dropout, inferring", lambda k: k.layers.Dropout(0.5), (3, 5)),
    *[
        (f"activation {name}", lambda k, name=name: k.layers.Activation(name), (3, 5))
        for name in (
            "relu", "sigmoid", "tanh", "softmax", "linear", "elu", "selu", "gelu", "silu", "swish", "softplus",
            "softsign", "exponential", "hard_sigmoid", "leaky_relu", "relu6", "log_softmax",
        )
    ],
]  # fmt: skip


def close(got, expected, tolerance=1e-5):
    got, expected = (x.detach().numpy() if hasattr(x, "detach") else np.asarray(x) for x in (got, expected))
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def give_other_weights(layer, draw):
    """Weights drawn anew, so that biases and moving values are no zeros."""
    weights = [np.abs(draw.normal(size=w.shape)).astype("float32") - 0.3 * (w.ndim > 1) for w in layer.get_weights()]
    layer.set_weights(weights)
    return weights


@pytest.mark.parametrize(("make", "shape"), [case[1:] for case in FLOATS], ids=[case[0] for case in FLOATS])
def test_layer_gives_the_outputs_of_the_real_one(both, draw, make, shape):
    ours, real = (make(keras) for keras in both)
    x = draw.normal(size=shape).astype("float32")
    ours(x), real(x)  # builds them
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in real.get_weights()]
    weights = give_other_weights(real, draw)
    ours.set_weights(real.get_weights())
    for got, expected in zip(ours.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(got, expected)
    close(ours(x), real(x))
    assert ours.count_params() == real.count_params()
    assert ours.compute_output_shape((None, *shape[1:])) == real.compute_output_shape((None, *shape[1:]))


@pytest.mark.parametrize("training", [True, False])
def test_batch_normalization_moves_as_the_real_one(both, draw, training):
    ours, real = (keras.layers.BatchNormalization(momentum=0.8) for keras in both)
    for _ in range(3):
        x = draw.normal(2.0, 3.0, size=(8, 4)).astype("float32")
        close(ours(x, training=training), real(x, training=training))
    for got, expected in zip(ours.get_weights(), real.get_weights(), strict=True):
        close(got, expected)


MASKED = {
    "lstm": lambda k: k.layers.LSTM(4),
    "lstm, all steps": lambda k: k.layers.LSTM(4, return_sequences=True),
    "lstm, backwards": lambda k: k.layers.LSTM(4, return_sequences=True, go_backwards=True),
    "lstm, step by step": lambda k: k.layers.LSTM(4, activation="relu", return_sequences=True),
    "gru": lambda k: k.layers.GRU(4),
    "simple rnn, all steps": lambda k: k.layers.SimpleRNN(4, return_sequences=True),
    "bidirectional": lambda k: k.layers.Bidirectional(k.layers.LSTM(4)),
    "bidirectional, all steps": lambda k: k.layers.Bidirectional(k.layers.LSTM(4, return_sequences=True)),
    "global average": lambda k: k.layers.GlobalAveragePooling1D(),
}


@pytest.mark.parametrize("make", MASKED.values(), ids=MASKED)
@pytest.mark.parametrize("padding", ["before", "after", "between"])
def test_masked_steps_are_passed_over_as_by_the_real_layer(both, draw, make, padding):
    rows = draw.integers(1, 20, size=(5, 7))
    lengths = [7, 3, 1, 5, 6]
    for row, length in zip(rows, lengths, strict=True):
        where = {"before": slice(0, 7 - length), "after": slice(length, 7), "between": slice(1, 7 - length)}[padding]
        row[where] = 0
    models = [keras.Sequential([keras.layers.Embedding(20, 3, mask_zero=True), make(keras)]) for keras in both]
    ours, real = models
    ours(rows), real(rows)
    give_other_weights(real, draw)
    ours.set_weights(real.get_weights())
    close(ours(rows), real(rows))


def test_a_row_of_padding_alone_leaves_the_state_at_zero(both, draw):
    rows = np.array([[0, 0, 0], [1, 2, 3]])
    ours, real = (
        keras.Sequential([keras.layers.Embedding(5, 3, mask_zero=True), keras.layers.LSTM(4, return_sequences=True)])
        for keras in both
    )
    ours(rows), real(rows)
    ours.set_weights(real.get_weights())
    close(ours(rows), real(rows))
    assert not np.asarray(ours(rows).detach())[0].any()


def test_masking_layer(both, draw):
    x = draw.normal(size=(2, 4, 3)).astype("float32")
    x[0, 2:] = 0
    ours, real = (keras.Sequential([keras.layers.Masking(), keras.layers.GRU(3)]) for keras in both)
    ours(x), real(x)
    ours.set_weights(real.get_weights())
    close(ours(x), real(x))


def test_a_layer_that_knows_no_masks_warns(both):
    for keras in both:
        model = keras.Sequential([keras.layers.Embedding(5, 3, mask_zero=True), keras.layers.Flatten()])
        with pytest.warns(UserWarning, match="does not support masking"):
            model(np.array([[1, 0]]))


@pytest.mark.parametrize(
    "make",
    [
        lambda k: k.layers.Dense(30),
        lambda k: k.layers.Embedding(50, 40),
        lambda k: k.layers.LSTM(20),
        lambda k: k.layers.GRU(20),
        lambda k: k.layers.SimpleRNN(20),
        lambda k: k.layers.Conv1D(30, 3),
        lambda k: k.layers.Dense(60, kernel_initializer="he_normal"),
        lambda k: k.layers.Dense(60, kernel_initializer="glorot_normal"),
        lambda k: k.layers.Dense(60, kernel_initializer="he_uniform"),
        lambda k: k.layers.Dense(60, kernel_initializer="random_normal"),
    ],
)
def test_first_weights_are_spread_as_those_of_the_real_layer(both, make):
    keras, real = both
    keras.utils.set_random_seed(0)
    real.utils.set_random_seed(0)
    layers = [make(keras), make(real)]
    shape = (None, 10) if "Embedding" in type(layers[0]).__name__ else (None, 10, 30)
    for layer in layers:
        layer.build(shape)
    for got, expected in zip(layers[0].get_weights(), layers[1].get_weights(), strict=True):
        assert abs(got.std() - expected.std()) < 0.06 * max(expected.std(), 1e-6) + 1e-6
        assert abs(abs(got).max() - abs(expected).max()) < 0.25 * abs(expected).max() + 1e-6
    if type(layers[0]).__name__ in ("LSTM", "GRU", "SimpleRNN"):
        recurrent = layers[0].get_weights()[1]
        np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(20), atol=1e-5)
    if type(layers[0]).__name__ == "LSTM":
        np.testing.assert_array_equal(layers[0].get_weights()[2], layers[1].get_weights()[2])


def test_dropout_of_the_input_is_the_same_in_all_steps():
    import minillm
    from minillm import keras

    minillm.manual_seed(0)
    layer = keras.layers.LSTM(2, dropout=0.5, return_sequences=True)
    layer.build((None, 4, 50))
    seen = []
    layer.rnn.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach().numpy()))
    layer(np.ones((2, 4, 50)), training=True)
    assert sorted(np.unique(seen[0]).tolist()) == [0.0, 2.0]
    assert (seen[0] == seen[0][:, :1]).all()
    layer(np.ones((2, 4, 50)))
    assert (seen[1] == 1).all()


def test_recurrent_dropout_acts_while_training_alone():
    from minillm import keras

    layer = keras.layers.LSTM(8, recurrent_dropout=0.5)
    x = np.random.default_rng(0).normal(size=(2, 5, 3))
    first = layer(x).tolist()
    assert layer(x).tolist() == first
    assert layer(x, training=True).tolist() != first


def test_average_pooling_does_not_count_what_same_adds():
    """As with TensorFlow; on PyTorch, Keras repeats the edge there."""
    from minillm import keras

    y = keras.layers.AveragePooling1D(3, strides=2, padding="same")(np.arange(8.0).reshape(1, 8, 1))
    assert y.tolist() == [[[1.0], [3.0], [5.0], [6.5]]]


def test_spatial_dropout_drops_whole_features():
    from minillm import keras

    y = np.asarray(keras.layers.SpatialDropout1D(0.5)(np.ones((2, 5, 40)), training=True))
    assert (y == y[:, :1]).all()
    assert set(np.unique(y)) == {0.0, 2.0}
