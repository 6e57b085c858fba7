"""Saved objects come back as they were; what is no data, and what PyTorch pickled, is refused with the reason."""

from __future__ import annotations

import pickle
from collections import Counter, OrderedDict

import numpy as np
import pytest
import safetensors.numpy

import minillm
from minillm import nn
from minillm.interop.safetensors import SafetensorsError, read_arrays, write_arrays
from minillm.interop.saving import KEY

OBJECTS = [
    None,
    True,
    3,
    2.5,
    float("inf"),
    10**30,
    "text, \u00e4 \U0001f600",
    [],
    {},
    (),
    [1, 2.0, "a", None, [False]],
    (1, (2, [3])),
    {"a": {"b": [1, {"c": (2,)}]}, 3: "three", (1, "x"): 0, None: True, 0.5: 1},
    {1, 2, 3},
    frozenset(["a"]),
    OrderedDict([("b", 1), ("a", 2)]),
    Counter("abca"),
    {"dict": 1, "tensor": "weight"},
    np.dtype("float16"),
    minillm.device("cpu"),
]


def through(tmp_path, obj, **options):
    minillm.save(obj, tmp_path / "a.pt")
    return minillm.load(tmp_path / "a.pt", **options)


@pytest.mark.parametrize("obj", OBJECTS, ids=repr)
def test_plain_objects_come_back_as_they_were(tmp_path, obj):
    back = through(tmp_path, obj)
    assert back == obj
    assert type(back) is type(obj)
    assert repr(back) == repr(obj)  # the order, and 1 against 1.0 and True


def test_not_a_number_comes_back(tmp_path):
    assert np.isnan(through(tmp_path, [float("nan")])[0])


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"])
def test_tensors_and_arrays_of_every_type(tmp_path, dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    given = {"t": minillm.tensor(array).T, "a": array, "n": array[1, 1], "empty": minillm.zeros(0, 3, dtype=dtype)}
    back = through(tmp_path, given)
    assert isinstance(back["t"], minillm.Tensor)
    assert type(back["a"]) is np.ndarray
    assert type(back["n"]) is type(array[1, 1])
    for name, value in given.items():
        assert back[name].dtype == value.dtype
        assert back[name].shape == value.shape
        np.testing.assert_array_equal(np.asarray(back[name]), np.asarray(value))


def test_parameters_and_gradients(tmp_path):
    asked = minillm.ones(2, requires_grad=True)
    frozen = minillm.nn.Parameter(minillm.ones(1), requires_grad=False)
    parameter, back, still, result = through(tmp_path, [nn.Parameter(minillm.ones(2)), asked, frozen, asked * 2])
    assert [isinstance(t, nn.Parameter) for t in (parameter, back, still, result)] == [True, False, True, False]
    assert [t.requires_grad for t in (parameter, back, still, result)] == [True, True, False, True]  # as in PyTorch
    assert result.is_leaf
    (back * 3).sum().backward()
    assert back.grad.tolist() == [3, 3]


def test_a_training_run_goes_on(tmp_path):
    def make():
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        optimizer = minillm.optim.AdamW(model.parameters(), lr=0.1)
        return model, optimizer, minillm.optim.lr_scheduler.StepLR(optimizer, 2)

    def train(model, optimizer, scheduler, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            scheduler.step()
        return loss.item()

    x = minillm.randn(5, 3)
    run = make()
    train(*run, 3)
    names = ["model", "optimizer", "scheduler"]
    states = {name: part.state_dict() for name, part in zip(names, run, strict=True)}
    minillm.save({"epoch": 3, **states}, tmp_path / "run.pt")
    saved = minillm.load(tmp_path / "run.pt")
    other = make()
    for name, part in zip(names, other, strict=True):
        part.load_state_dict(saved[name])
    assert saved["epoch"] == 3
    assert train(*other, 3) == train(*run, 3)


def test_tied_weights_are_written_once_and_tied_again(tmp_path):
    weight = minillm.randn(4, 2)
    back = through(tmp_path, {"wte": weight, "head": weight, "same memory": weight.detach(), "other": weight.clone()})
    assert sorted(read_arrays(tmp_path / "a.pt")[0]) == ["other", "wte"]
    back["wte"][0, 0] = 7
    assert back["head"][0, 0] == back["same memory"][0, 0] == 7
    assert back["other"][0, 0] == weight[0, 0]


def test_other_programs_read_a_state_dict(tmp_path):
    model = nn.Linear(2, 3)
    minillm.save(model.state_dict(), tmp_path / "model.pt")
    theirs = safetensors.numpy.load_file(tmp_path / "model.pt")
    assert sorted(theirs) == ["bias", "weight"]
    np.testing.assert_array_equal(theirs["weight"], model.weight.detach().numpy())


def test_names_that_meet_in_the_file_stay_apart(tmp_path):
    one, two, three, four, five = map(minillm.tensor, range(1, 6))
    given = {"a.b": one, "a": {"b": two}, "a.b#2": three, "": [four], "__metadata__": five}
    back = through(tmp_path, given)
    assert [back["a.b"], back["a"]["b"], back["a.b#2"], back[""][0], back["__metadata__"]] == [1, 2, 3, 4, 5]


def test_any_safetensors_file_is_a_dictionary_of_tensors(tmp_path):
    write_arrays(tmp_path / "a.safetensors", {"x": np.ones(2, np.float32)}, {"format": "pt"})
    back = minillm.load(tmp_path / "a.safetensors")
    assert list(back) == ["x"]
    assert isinstance(back["x"], minillm.Tensor)


def test_where_tensors_go(tmp_path):
    minillm.save({"x": minillm.ones(2, device="strict")}, tmp_path / "a.pt")

    def device(map_location):
        return minillm.load(tmp_path / "a.pt", map_location=map_location)["x"].device.type

    assert device(None) == "strict"
    assert device("cpu") == device(minillm.device("cpu")) == "cpu"
    assert device({"strict": "cpu"}) == "cpu"
    assert device({"cuda:0": "cpu"}) == "strict"
    assert device(lambda tensor, place: tensor) == "cpu"
    assert device(lambda tensor, place: tensor.to(place)) == "strict"
    assert device(lambda tensor, place: None) == "strict"


def test_a_gpu_that_is_not_there(tmp_path):
    if minillm.cuda.is_available():
        pytest.skip("there is a GPU")
    structure = '{"tensor": "x", "device": "cuda:0"}'
    write_arrays(tmp_path / "a", {"x": np.ones(2)}, {KEY: structure})
    with pytest.raises(RuntimeError, match="device 'cuda' needs"):
        minillm.load(tmp_path / "a")
    assert minillm.load(tmp_path / "a", map_location="cpu").tolist() == [1, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Linear(2, 2), r"the object is a Linear, no data; save its state_dict\(\)"),
        (lambda: {"net": [nn.Linear(2, 2)]}, r"what stands at \['net'\]\[0\] is a Linear, no data"),
        (lambda: minillm.optim.SGD([minillm.ones(1)], lr=1.0), r"is a SGD, no data; save its state_dict\(\)"),
        (lambda: {"f": print}, r"what stands at \['f'\] is a builtin_function_or_method; it needs tensors"),
        (lambda: b"bytes", "the object is a bytes; it needs"),
        (lambda: np.array(["a"]), "the object is an array of <U1; it needs numbers"),
        (lambda: 1j, "the object is a complex"),
    ],
)
def test_what_is_no_data_is_refused_and_leaves_the_file_alone(tmp_path, make, message):
    minillm.save("before", tmp_path / "a.pt")
    with pytest.raises(TypeError, match=message):
        minillm.save(make(), tmp_path / "a.pt")
    assert minillm.load(tmp_path / "a.pt") == "before"


def test_an_object_that_holds_itself(tmp_path):
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(TypeError, match="holds itself"):
        minillm.save(loop, tmp_path / "a.pt")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_of_pytorch_is_refused_and_converts_as_the_message_says(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("safetensors.torch")
    weights = {"w": torch.arange(3.0)}
    torch.save(weights, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(SafetensorsError, match=r"a pickle of torch\.save.*save_file\(torch\.load\(f, weights_only"):
        minillm.load(tmp_path / "a.pt")
    theirs.save_file(torch.load(tmp_path / "a.pt", weights_only=True), tmp_path / "weights.safetensors")
    assert minillm.load(tmp_path / "weights.safetensors")["w"].tolist() == [0, 1, 2]


def test_a_bare_pickle_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(pickle.dumps({"a": 1}, protocol=4))
    with pytest.raises(SafetensorsError, match="a pickle"):
        minillm.load(tmp_path / "a")


@pytest.mark.parametrize("length", [0x280, 0x380, 0x480, 0x580])
def test_headers_whose_length_looks_like_a_pickle(tmp_path, length):
    def size(filler):
        minillm.save(["x" * filler], tmp_path / "a")
        return int.from_bytes((tmp_path / "a").read_bytes()[:8], "little")

    filler = length - size(0)
    assert size(filler) == length
    assert minillm.load(tmp_path / "a") == ["x" * filler]


@pytest.mark.parametrize(
    "structure",
    ["{", "{}", '{"unknown": 1}', '{"tensor": "y"}', '{"dict": [1]}', '{"dtype": "float3"}', '{"tuple": 5}',
     '{"dict": [[{"dict": []}, 1]]}', "[" * 100_000],
)  # fmt: skip
def test_damaged_structures(tmp_path, structure):
    write_arrays(tmp_path / "a", {"x": np.ones(2)}, {KEY: structure})
    with pytest.raises(SafetensorsError, match="does not fit its tensors"):
        minillm.load(tmp_path / "a")


def test_paths(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        minillm.load(tmp_path / "nothing.pt")
    (tmp_path / "a").write_bytes(b"abc")
    with pytest.raises(SafetensorsError, match="no safetensors file"):
        minillm.load(tmp_path / "a")
    with open(tmp_path / "b", "wb") as file, pytest.raises(TypeError, match="it needs the path of a file"):
        minillm.save(1, file)
    with open(tmp_path / "b", "rb") as file, pytest.raises(TypeError, match="it needs the path of a file"):
        minillm.load(file)
