"""What PyTorch's functions of networks and modules refuse is refused, with an error that names the operation."""

from __future__ import annotations

import pytest

import minillm

torch = pytest.importorskip("torch")


def ones(library, *shape, dtype="float32"):
    return library.ones(shape, dtype=getattr(library, dtype))


def double(library, *shape):
    return ones(library, *shape, dtype="float64")


def index(library, *values):
    return library.tensor(list(values), dtype=library.int64)


# Each takes the library and its functions; the name is that in the message.
FUNCTIONS = {
    "relu": [lambda t, F: F.relu(ones(t, 2, dtype="bool"))],
    "gelu": [lambda t, F: F.gelu(ones(t, 2), approximate="sigmoid"),
        lambda t, F: F.gelu(index(t, 1), approximate="tanh")],
    "glu": [lambda t, F: F.glu(ones(t, 3)), lambda t, F: F.glu(ones(t)), lambda t, F: F.glu(ones(t, 4), 1),
        lambda t, F: F.glu(ones(t, 2, 4), -3)],
    "softmax": [lambda t, F: F.softmax(ones(t, 2), 1), lambda t, F: F.softmax(index(t, 1), 0)],
    "log_softmax": [lambda t, F: F.log_softmax(ones(t, 2), -2), lambda t, F: F.log_softmax(index(t, 1), 0)],
    "dropout": [lambda t, F: F.dropout(ones(t, 2), 1.5), lambda t, F: F.dropout(ones(t, 2), -0.1, False)],
    "linear": [lambda t, F: F.linear(ones(t, 2, 3), ones(t, 4, 2)),
        lambda t, F: F.linear(ones(t, 2, 3), ones(t, 4, 3), ones(t, 3)),
        lambda t, F: F.linear(ones(t, 2, 3), double(t, 4, 3)),
        lambda t, F: F.linear(ones(t, 2, 3), ones(t, 4, 3), double(t, 4)),
        lambda t, F: F.linear(index(t, 1, 2), ones(t, 4, 2)), lambda t, F: F.linear(ones(t), ones(t, 2, 1)),
        lambda t, F: F.linear(ones(t, 2, 3), ones(t, 2, 4, 3))],
    "embedding": [lambda t, F: F.embedding(index(t, 4), ones(t, 4, 2)),
        lambda t, F: F.embedding(index(t, -1), ones(t, 4, 2)), lambda t, F: F.embedding(ones(t, 2), ones(t, 4, 2)),
        lambda t, F: F.embedding(ones(t, 2, dtype="bool"), ones(t, 4, 2)),
        lambda t, F: F.embedding(index(t, 0), ones(t, 4)),
        lambda t, F: F.embedding(index(t, 0), ones(t, 4, 2), padding_idx=4),
        lambda t, F: F.embedding(index(t, 0), ones(t, 4, 2), padding_idx=-5)],
    "one_hot": [lambda t, F: F.one_hot(ones(t, 2)), lambda t, F: F.one_hot(index(t, 0, 3), 3),
        lambda t, F: F.one_hot(index(t, -1)), lambda t, F: F.one_hot(index(t)),
        lambda t, F: F.one_hot(index(t, 0), 0), lambda t, F: F.one_hot(index(t, 0), -2)],
    "layer_norm": [lambda t, F: F.layer_norm(ones(t, 2, 3), (2,)), lambda t, F: F.layer_norm(ones(t, 3), (2, 3)),
        lambda t, F: F.layer_norm(ones(t, 2, 3), (3,), ones(t, 2)),
        lambda t, F: F.layer_norm(ones(t, 2, 3), (3,), ones(t, 3), ones(t, 1)),
        lambda t, F: F.layer_norm(ones(t, 2, 3), ()), lambda t, F: F.layer_norm(index(t, 1, 2), (2,)),
        lambda t, F: F.layer_norm(ones(t, 2, 3), (3,), double(t, 3))],
    "rms_norm": [lambda t, F: F.rms_norm(ones(t, 2, 3), (2,)), lambda t, F: F.rms_norm(ones(t, 3), (2, 3)),
        lambda t, F: F.rms_norm(ones(t, 2, 3), (3,), ones(t, 2)), lambda t, F: F.rms_norm(ones(t, 2, 3), ())],
    "batch_norm": [lambda t, F: F.batch_norm(ones(t, 1, 3), None, None, training=True),
        lambda t, F: F.batch_norm(ones(t, 2, 3), None, None),
        lambda t, F: F.batch_norm(ones(t, 2, 3), ones(t, 2), ones(t, 3)),
        lambda t, F: F.batch_norm(ones(t, 2, 3), ones(t, 3), ones(t, 3), ones(t, 2)),
        lambda t, F: F.batch_norm(ones(t, 2, 3), ones(t, 3), ones(t, 3), None, ones(t, 4)),
        lambda t, F: F.batch_norm(ones(t, 2, 3, dtype="int64"), None, None, training=True)],
    "normalize": [lambda t, F: F.normalize(ones(t, 2), dim=1), lambda t, F: F.normalize(index(t, 1, 2), dim=0)],
    "pad": [lambda t, F: F.pad(ones(t, 2), (1,)), lambda t, F: F.pad(ones(t, 2), (1, 1, 1, 1)),
        lambda t, F: F.pad(ones(t, 2), (-2, -1)), lambda t, F: F.pad(ones(t, 2), (1, 1), "mirror"),
        lambda t, F: F.pad(ones(t, 1, 2), (2, 0), "reflect"), lambda t, F: F.pad(ones(t, 1, 2), (3, 0), "circular"),
        lambda t, F: F.pad(ones(t, 1, 2), (1, 0), "reflect", 1.0)],
    "scaled_dot_product_attention": [
        lambda t, F: F.scaled_dot_product_attention(ones(t, 2, 3, 4), ones(t, 2, 3, 5), ones(t, 2, 3, 5)),
        lambda t, F: F.scaled_dot_product_attention(ones(t, 2, 3, 4), ones(t, 2, 5, 4), ones(t, 2, 3, 4)),
        lambda t, F: F.scaled_dot_product_attention(ones(t, 3, 3, 4), ones(t, 2, 3, 4), ones(t, 2, 3, 4)),
        lambda t, F: F.scaled_dot_product_attention(ones(t, 4), ones(t, 4), ones(t, 4)),
        lambda t, F: F.scaled_dot_product_attention(ones(t, 2, 3, 4), double(t, 2, 3, 4), ones(t, 2, 3, 4)),
        lambda t, F: F.scaled_dot_product_attention(*[ones(t, 2, 3, 4)] * 3, ones(t, 3, 2)),
        lambda t, F: F.scaled_dot_product_attention(*[ones(t, 2, 3, 4)] * 3, ones(t, 3, 3), is_causal=True),
        lambda t, F: F.scaled_dot_product_attention(*[ones(t, 2, 3, 4)] * 3, ones(t, 3, 3, dtype="int64")),
        lambda t, F: F.scaled_dot_product_attention(*[ones(t, 2, 3, 4)] * 3, dropout_p=1.5)],
    "conv1d": [lambda t, F: F.conv1d(ones(t, 2, 3, 5), ones(t, 4, 2, 3)),
        lambda t, F: F.conv1d(ones(t, 3, 5), ones(t, 4, 3)), lambda t, F: F.conv1d(ones(t, 5), ones(t, 4, 1, 3)),
        lambda t, F: F.conv1d(ones(t, 3, 5), ones(t, 4, 3, 6)),
        lambda t, F: F.conv1d(ones(t, 3, 5), ones(t, 4, 3, 2), ones(t, 3)),
        lambda t, F: F.conv1d(ones(t, 3, 5), ones(t, 4, 3, 2), stride=0),
        lambda t, F: F.conv1d(ones(t, 3, 5), ones(t, 4, 3, 2), padding=-1),
        lambda t, F: F.conv1d(ones(t, 3, 5), ones(t, 4, 3, 2), dilation=0),
        lambda t, F: F.conv1d(ones(t, 3, 5), ones(t, 4, 3, 2), groups=2),
        lambda t, F: F.conv1d(ones(t, 3, 5), ones(t, 4, 3, 2), groups=0),
        lambda t, F: F.conv1d(ones(t, 3, 5), ones(t, 4, 3, 2), padding="all"),
        lambda t, F: F.conv1d(ones(t, 3, 5), ones(t, 4, 3, 2), padding="same", stride=2),
        lambda t, F: F.conv1d(ones(t, 3, 5), double(t, 4, 3, 2)),
        lambda t, F: F.conv1d(ones(t, 3, 5), ones(t, 4, 3, 2), stride=(1, 1))],
    "conv2d": [lambda t, F: F.conv2d(ones(t, 2, 3, 5, 5), ones(t, 4, 2, 3, 3)),
        lambda t, F: F.conv2d(ones(t, 5, 5), ones(t, 4, 1, 3, 3)),
        lambda t, F: F.conv2d(ones(t, 3, 2, 5), ones(t, 4, 3, 3, 3)),
        lambda t, F: F.conv2d(ones(t, 3, 5, 5), ones(t, 4, 3, 3, 3), stride=(1, 0)),
        lambda t, F: F.conv2d(ones(t, 3, 5, 5), ones(t, 4, 3, 3, 3), ones(t, 2)),
        lambda t, F: F.conv2d(ones(t, 3, 5, 5), ones(t, 4, 3, 3, 3), stride=(1, 1, 1))],
    "max_pool1d": [lambda t, F: F.max_pool1d(ones(t, 3), 2), lambda t, F: F.max_pool1d(ones(t, 2, 3), 4),
        lambda t, F: F.max_pool1d(ones(t, 2, 3), 2, padding=2), lambda t, F: F.max_pool1d(ones(t, 2, 3), 0),
        lambda t, F: F.max_pool1d(ones(t, 2, 3), 2, stride=-1),
        lambda t, F: F.max_pool1d(ones(t, 2, 3), 2, dilation=0)],
    "max_pool2d": [lambda t, F: F.max_pool2d(ones(t, 3, 3), 2), lambda t, F: F.max_pool2d(ones(t, 1, 3, 3), 4),
        lambda t, F: F.max_pool2d(ones(t, 1, 3, 3), 2, padding=2),
        lambda t, F: F.max_pool2d(ones(t, 1, 3, 3), (2, 2, 2))],
    "avg_pool1d": [lambda t, F: F.avg_pool1d(ones(t, 3), 2), lambda t, F: F.avg_pool1d(ones(t, 2, 3), 4),
        lambda t, F: F.avg_pool1d(ones(t, 2, 3), 2, padding=2), lambda t, F: F.avg_pool1d(ones(t, 2, 3), 2, 0)],
    "avg_pool2d": [lambda t, F: F.avg_pool2d(ones(t, 3, 3), 2), lambda t, F: F.avg_pool2d(ones(t, 1, 3, 3), 4),
        lambda t, F: F.avg_pool2d(ones(t, 1, 3, 3), 2, padding=2),
        lambda t, F: F.avg_pool2d(ones(t, 1, 3, 3), 2, divisor_override=0)],
    "kl_div": [lambda t, F: F.kl_div(ones(t, 2), ones(t, 2), reduction="average"),
        lambda t, F: F.kl_div(ones(t, 2, 3), ones(t, 2))],
    "smooth_l1_loss": [lambda t, F: F.smooth_l1_loss(ones(t, 2), ones(t, 2), beta=-1.0)],
    "huber_loss": [lambda t, F: F.huber_loss(ones(t, 2), ones(t, 2), delta=0.0)],
    "cross_entropy": [lambda t, F: F.cross_entropy(ones(t, 2, 3), index(t, 0)),
        lambda t, F: F.cross_entropy(ones(t, 2, 3), index(t, 0, 3)),
        lambda t, F: F.cross_entropy(ones(t, 2, 3), index(t, 0, -1)),
        lambda t, F: F.cross_entropy(ones(t, 2, 3), ones(t, 3, 3)),
        lambda t, F: F.cross_entropy(ones(t, 2, 3), ones(t, 2)), lambda t, F: F.cross_entropy(ones(t), index(t, 0)),
        lambda t, F: F.cross_entropy(ones(t, 2, 3), index(t, 0, 1), ones(t, 2)),
        lambda t, F: F.cross_entropy(ones(t, 2, 3), index(t, 0, 1), reduction="average"),
        lambda t, F: F.cross_entropy(ones(t, 2, 3), index(t, 0, 1), label_smoothing=1.5),
        lambda t, F: F.cross_entropy(ones(t, 2, 3, dtype="int64"), index(t, 0, 1)),
        lambda t, F: F.cross_entropy(ones(t, 2, 3, 4), ones(t, 2, 3, dtype="int64"))],
    "nll_loss": [lambda t, F: F.nll_loss(ones(t, 2, 3), index(t, 0)),
        lambda t, F: F.nll_loss(ones(t, 2, 3), index(t, 0, 3)), lambda t, F: F.nll_loss(ones(t, 2, 3), ones(t, 2)),
        lambda t, F: F.nll_loss(ones(t, 2, 3), ones(t, 2, 3)),
        lambda t, F: F.nll_loss(ones(t, 2, 3), index(t, 0, 1), ones(t, 2)),
        lambda t, F: F.nll_loss(ones(t, 2, 3), index(t, 0, 1), reduction="average")],
    "binary_cross_entropy": [lambda t, F: F.binary_cross_entropy(ones(t, 2), ones(t, 3)),
        lambda t, F: F.binary_cross_entropy(ones(t, 2) * 2, ones(t, 2)),
        lambda t, F: F.binary_cross_entropy(ones(t, 2), ones(t, 2), reduction="average"),
        lambda t, F: F.binary_cross_entropy(ones(t, 2), ones(t, 2), ones(t, 3)),
        lambda t, F: F.binary_cross_entropy(ones(t, 2), index(t, 0, 1))],
    "binary_cross_entropy_with_logits": [lambda t, F: F.binary_cross_entropy_with_logits(ones(t, 2), ones(t, 3)),
        lambda t, F: F.binary_cross_entropy_with_logits(ones(t, 2), ones(t, 2, 1)),
        lambda t, F: F.binary_cross_entropy_with_logits(ones(t, 2), ones(t, 2), reduction="average"),
        lambda t, F: F.binary_cross_entropy_with_logits(ones(t, 2), ones(t, 2), ones(t, 3)),
        lambda t, F: F.binary_cross_entropy_with_logits(ones(t, 2), ones(t, 2), pos_weight=ones(t, 3))],
    "cosine_similarity": [lambda t, F: F.cosine_similarity(ones(t, 2, 3), ones(t, 2, 4)),
        lambda t, F: F.cosine_similarity(ones(t, 2), ones(t, 2), 1),
        lambda t, F: F.cosine_similarity(index(t, 1), index(t, 1), 0)],
    "cosine_embedding_loss": [lambda t, F: F.cosine_embedding_loss(ones(t, 2, 3), ones(t, 2, 3), ones(t, 3)),
        lambda t, F: F.cosine_embedding_loss(ones(t, 2, 3), ones(t, 3), ones(t, 2)),
        lambda t, F: F.cosine_embedding_loss(ones(t, 2, 3), ones(t, 2, 3), ones(t, 2), reduction="average")],
}  # fmt: skip

MODULES = {
    "Linear": [lambda t: t.nn.Linear(-1, 2), lambda t: t.nn.Linear(2, 3)(ones(t, 3)),
        lambda t: t.nn.Linear(2, 3)(double(t, 2)), lambda t: t.nn.Linear(2, 3)(index(t, 1, 2)),
        lambda t: t.nn.Linear(2, 2).get_submodule("inner"), lambda t: t.nn.Linear(2, 2).get_parameter("scale"),
        lambda t: setattr(t.nn.Linear(2, 2), "weight", ones(t, 2, 2)), lambda t: t.nn.Linear(2, 2).to(t.int64)],
    "Embedding": [lambda t: t.nn.Embedding(3, 2)(index(t, 3)), lambda t: t.nn.Embedding(3, 2, padding_idx=3),
        lambda t: t.nn.Embedding(-1, 2), lambda t: t.nn.Embedding(3, 2)(ones(t, 2)),
        lambda t: t.nn.Embedding(3, 2, _weight=ones(t, 2, 2)), lambda t: t.nn.Embedding.from_pretrained(ones(t, 3))],
    "LayerNorm": [lambda t: t.nn.LayerNorm(3)(ones(t, 2)), lambda t: t.nn.LayerNorm((2, 3))(ones(t, 3))],
    "RMSNorm": [lambda t: t.nn.RMSNorm(3)(ones(t, 2))],
    "BatchNorm1d": [lambda t: t.nn.BatchNorm1d(3)(ones(t, 3)), lambda t: t.nn.BatchNorm1d(3)(ones(t, 2, 4)),
        lambda t: t.nn.BatchNorm1d(3)(ones(t, 1, 3)), lambda t: t.nn.BatchNorm1d(3)(ones(t, 2, 3, 4, 5)),
        lambda t: t.nn.BatchNorm1d(3)(double(t, 2, 3))],
    "Dropout": [lambda t: t.nn.Dropout(-0.1), lambda t: t.nn.Dropout(2.0)],
    "Flatten": [lambda t: t.nn.Flatten(3)(ones(t, 2, 3)), lambda t: t.nn.Flatten(1, 0)(ones(t, 2, 3))],
    "GELU": [lambda t: t.nn.GELU("sigmoid")(ones(t, 2))],
    "Conv1d": [lambda t: t.nn.Conv1d(3, 4, 2, groups=2), lambda t: t.nn.Conv1d(4, 3, 2, groups=2),
        lambda t: t.nn.Conv1d(4, 4, 2, groups=0), lambda t: t.nn.Conv1d(4, 4, 2, padding="all"),
        lambda t: t.nn.Conv1d(4, 4, 2, padding="same", stride=2),
        lambda t: t.nn.Conv1d(4, 4, 2, padding_mode="mirror"), lambda t: t.nn.Conv1d(4, 4, 2)(ones(t, 3, 5)),
        lambda t: t.nn.Conv1d(4, 4, 7)(ones(t, 4, 5))],
    "Conv2d": [lambda t: t.nn.Conv2d(3, 4, 2, groups=2), lambda t: t.nn.Conv2d(4, 4, 2, padding_mode="mirror"),
        lambda t: t.nn.Conv2d(4, 4, 2)(ones(t, 4, 5))],
    "MaxPool1d": [lambda t: t.nn.MaxPool1d(4)(ones(t, 2, 3)), lambda t: t.nn.MaxPool1d(2, padding=2)(ones(t, 2, 3))],
    "AvgPool2d": [lambda t: t.nn.AvgPool2d(4)(ones(t, 2, 3, 3))],
    "CrossEntropyLoss": [lambda t: t.nn.CrossEntropyLoss(reduction="average")(ones(t, 2, 3), index(t, 0, 1)),
        lambda t: t.nn.CrossEntropyLoss()(ones(t, 2, 3), index(t, 0, 5))],
    "MSELoss": [lambda t: t.nn.MSELoss(reduction="average")(ones(t, 2), ones(t, 2))],
    "SmoothL1Loss": [lambda t: t.nn.SmoothL1Loss(beta=-1.0)(ones(t, 2), ones(t, 2))],
    "MultiheadAttention": [lambda t: t.nn.MultiheadAttention(8, 3), lambda t: t.nn.MultiheadAttention(0, 1),
        lambda t: t.nn.MultiheadAttention(8, 0), lambda t: t.nn.MultiheadAttention(8, 2)(*[ones(t, 5, 3, 6)] * 3),
        lambda t: t.nn.MultiheadAttention(8, 2)(*[ones(t, 8)] * 3),
        lambda t: t.nn.MultiheadAttention(8, 2)(*[ones(t, 5, 3, 8)] * 3, attn_mask=ones(t, 4, 5)),
        lambda t: t.nn.MultiheadAttention(8, 2)(*[ones(t, 5, 3, 8)] * 3, key_padding_mask=ones(t, 3, 4) > 0),
        lambda t: t.nn.MultiheadAttention(8, 2)(ones(t, 5, 3, 8), ones(t, 5, 2, 8), ones(t, 5, 2, 8)),
        lambda t: t.nn.MultiheadAttention(8, 2)(ones(t, 5, 3, 8), ones(t, 5, 3, 8), ones(t, 4, 3, 8)),
        lambda t: t.nn.MultiheadAttention(8, 2)(*[ones(t, 5, 3, 8)] * 3, is_causal=True),
        lambda t: t.nn.TransformerEncoderLayer(8, 3)],
    "GRU": [lambda t: t.nn.GRU(3, 4)(ones(t, 5, 2, 3), ones(t, 1, 3, 4)),
        lambda t: t.nn.GRU(3, 4)(ones(t, 5, 3), ones(t, 1, 1, 4)),
        lambda t: t.nn.GRU(3, 4)(ones(t, 5, 2, 3), ones(t, 2, 2, 4)), lambda t: t.nn.GRU(3, 4, proj_size=2)],
    "LSTM": [lambda t: t.nn.LSTM(3, 4)(ones(t, 5, 2, 3), (ones(t, 1, 2, 4), ones(t, 1, 2, 3))),
        lambda t: t.nn.LSTM(3, 4, proj_size=4), lambda t: t.nn.LSTM(3, 4, proj_size=-1)],
    "RNN": [lambda t: t.nn.RNN(3, 4, nonlinearity="gelu")],
    "RNNCell": [lambda t: t.nn.RNNCell(3, 4)(ones(t, 2, 4)),
        lambda t: t.nn.RNNCell(3, 4)(ones(t, 2, 3), ones(t, 2, 3)),
        lambda t: t.nn.RNNCell(3, 4, nonlinearity="gelu")(ones(t, 3)),
        lambda t: t.nn.RNNCell(3, 4)(ones(t, 5, 2, 3))],
    "GRUCell": [lambda t: t.nn.GRUCell(3, 4)(ones(t, 2, 4)),
        lambda t: t.nn.GRUCell(3, 4)(ones(t, 2, 3), ones(t, 1, 4))],
    "LSTMCell": [lambda t: t.nn.LSTMCell(3, 4)(ones(t, 2, 4)),
        lambda t: t.nn.LSTMCell(3, 4)(ones(t, 2, 3), (ones(t, 2, 3), ones(t, 2, 4)))],
    "TransformerEncoderLayer": [lambda t: t.nn.TransformerEncoderLayer(8, 2, activation="swish"),
        lambda t: t.nn.TransformerEncoderLayer(8, 2)(ones(t, 5, 3, 6))],
    "Transformer": [lambda t: t.nn.Transformer(8, 2, 1, 1)(ones(t, 5, 3, 6), ones(t, 4, 3, 8)),
        lambda t: t.nn.Transformer(8, 2, 1, 1)(ones(t, 5, 2, 8), ones(t, 4, 3, 8)),
        lambda t: t.nn.Transformer(8, 2, 1, 1)(ones(t, 5, 8), ones(t, 4, 3, 8))],
    "Module": [lambda t: t.nn.Module()(1)],
    "register_buffer": [lambda t: t.nn.Linear(2, 2).register_buffer("a.b", ones(t, 1))],
    "register_parameter": [lambda t: t.nn.Linear(2, 2).register_parameter("w", ones(t, 1))],
    "add_module": [lambda t: t.nn.Linear(2, 2).add_module("m", 3), lambda t: t.nn.Sequential(3),
        lambda t: t.nn.ModuleList([3]), lambda t: t.nn.ModuleDict({"a": 3})],
    "train": [lambda t: t.nn.Linear(2, 2).train("yes")],
    "load_state_dict": [lambda t: t.nn.Linear(2, 2).load_state_dict({}),
        lambda t: t.nn.Linear(2, 2).load_state_dict({"weight": ones(t, 2, 3), "bias": ones(t, 2)}),
        lambda t: t.nn.Linear(2, 2).load_state_dict([])],
    "Sequential": [lambda t: t.nn.Sequential(t.nn.ReLU())[1]],
    "ModuleList": [lambda t: t.nn.ModuleList([t.nn.ReLU()])[2], lambda t: t.nn.ModuleList([t.nn.ReLU()])(1)],
    "ParameterList": [lambda t: t.nn.ParameterList([t.nn.Parameter(ones(t, 1))])[1]],
    "init": [lambda t: t.nn.init.xavier_uniform_(ones(t, 3)), lambda t: t.nn.init.kaiming_normal_(ones(t, 3))],
    "kaiming": [lambda t: t.nn.init.kaiming_normal_(ones(t, 3, 2), mode="fan")],
    "calculate_gain": [lambda t: t.nn.init.kaiming_normal_(ones(t, 3, 2), nonlinearity="swish"),
        lambda t: t.nn.init.calculate_gain("swish"), lambda t: t.nn.init.calculate_gain("leaky_relu", True)],
    "eye_": [lambda t: t.nn.init.eye_(ones(t, 3))],
    "orthogonal_": [lambda t: t.nn.init.orthogonal_(ones(t, 3))],
    "vector_to_parameters": [lambda t: t.nn.utils.vector_to_parameters([1.0], [ones(t, 1)])],
    "pack_padded_sequence": [lambda t: t.nn.utils.rnn.pack_padded_sequence(ones(t, 4, 2), [2, 4]),
        lambda t: t.nn.utils.rnn.pack_padded_sequence(ones(t, 4, 2), [4, 0]),
        lambda t: t.nn.utils.rnn.pack_padded_sequence(ones(t, 4, 2), [4]),
        lambda t: t.nn.utils.rnn.pack_sequence([ones(t, 1), ones(t, 2)])],
    "pad_packed_sequence": [
        lambda t: t.nn.utils.rnn.pad_packed_sequence(
            t.nn.utils.rnn.pack_padded_sequence(ones(t, 4, 2), [4, 2]), total_length=3)],
}  # fmt: skip

# The same for each of these names.
ALIKE = [
    (("gelu", "silu", "softplus", "leaky_relu", "elu", "logsigmoid", "glu"), [
        lambda F, name, t: getattr(F, name)(index(t, 1, 2)),
        lambda F, name, t: getattr(F, name)(ones(t, 2, dtype="bool")),
    ]),
    (("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div"), [
        lambda F, name, t: getattr(F, name)(ones(t, 2), ones(t, 2), reduction="average"),
        lambda F, name, t: getattr(F, name)(ones(t, 2, 3), ones(t, 2)),
    ]),
    (("RNN", "GRU", "LSTM"), [
        lambda F, name, t: getattr(t.nn, name)(3, 0), lambda F, name, t: getattr(t.nn, name)(3, 4, 0),
        lambda F, name, t: getattr(t.nn, name)(3, 4, dropout=1.5), lambda F, name, t: getattr(t.nn, name)(3, 4.0),
        lambda F, name, t: getattr(t.nn, name)(3, 4)(ones(t, 5, 2, 4)),
        lambda F, name, t: getattr(t.nn, name)(3, 4)(ones(t, 3)),
        lambda F, name, t: getattr(t.nn, name)(3, 4)(double(t, 5, 2, 3)),
        lambda F, name, t: getattr(t.nn, name)(3, 4)(ones(t, 0, 2, 3)),
    ]),
]  # fmt: skip


def calls():
    """Return name -> functions of a library."""
    found = {}
    for name, cases in FUNCTIONS.items():
        found[name] = [lambda t, call=call: call(t, t.nn.functional) for call in cases]
    for name, cases in MODULES.items():
        found.setdefault(name, []).extend(cases)
    for alike, cases in ALIKE:
        for name in alike:
            found.setdefault(name, []).extend(
                lambda t, call=call, name=name: call(t.nn.functional, name, t) for call in cases
            )
    return found


CALLS = calls()


@pytest.mark.parametrize("name", CALLS)
def test_refused(name, device):
    for number, call in enumerate(CALLS[name]):
        with pytest.raises(Exception):  # noqa: B017, PT011
            call(torch)
        try:
            call(minillm)
        except Exception as error:
            message = str(error)
        else:
            pytest.fail(f"call {number} of {name} was accepted")
        assert name in message, (number, message)
        assert len(message) > len(name) + 15, (number, message)
