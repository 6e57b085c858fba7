"""`DataLoader`: PyTorch's batches, and epochs that go on where they were cut off."""

import json
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minillm
from minillm.backend import Generator, manual_seed
from minillm.data import (
    BucketBatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)


def as_list(batch):
    return list(batch)


def flat(batches):
    return [example for batch in batches for example in batch]


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(10))


class Watched:
    """Numbers that note which of them were fetched."""

    def __init__(self, size):
        self.size = size
        self.fetched = []

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        self.fetched.append(index)
        return index


@pytest.mark.parametrize("workers", [0, 2])
@given(
    size=st.integers(0, 30),
    batch_size=st.one_of(st.none(), st.integers(1, 7)),
    drop_last=st.booleans(),
)
def test_unshuffled_batches_are_those_of_pytorch(workers, size, batch_size, drop_last):
    torch_data = pytest.importorskip("torch.utils.data")
    drop_last = drop_last and batch_size is not None
    arguments = {
        "batch_size": batch_size,
        "drop_last": drop_last,
        "collate_fn": lambda batch: batch,
    }
    ours = DataLoader(range(size), num_workers=workers, **arguments)
    theirs = torch_data.DataLoader(range(size), **arguments)
    assert list(ours) == list(theirs)
    assert len(ours) == len(theirs)


def test_batches_are_tensors():
    data = TensorDataset(np.arange(12, dtype=np.float32).reshape(6, 2), np.arange(6))
    rows, labels = next(iter(DataLoader(data, batch_size=4)))
    assert isinstance(rows, minillm.Tensor)
    assert rows.shape == (4, 2)
    assert labels.numpy().tolist() == [0, 1, 2, 3]


def test_every_epoch_is_shuffled_anew_and_repeats_with_the_seed():
    def epochs(seed, count=3):
        loader = DataLoader(range(40), 8, shuffle=True, collate_fn=as_list, generator=Generator(seed))
        return [flat(loader) for _ in range(count)]

    first = epochs(0)
    assert all(sorted(epoch) == list(range(40)) for epoch in first)
    assert first[0] != first[1] != first[2]
    assert epochs(0) == first
    assert epochs(1) != first


def test_without_a_generator_the_default_one_counts():
    def epoch():
        manual_seed(3)
        return flat(DataLoader(range(20), 4, shuffle=True, collate_fn=as_list))

    assert epoch() == epoch()


LOADERS = {
    "in order": lambda data, seed: DataLoader(data, 3, collate_fn=as_list),
    "shuffled": lambda data, seed: DataLoader(
        data, 3, shuffle=True, collate_fn=as_list, generator=Generator(seed)
    ),
    "own sampler": lambda data, seed: DataLoader(
        data, 3, sampler=RandomSampler(data, generator=Generator(seed)), collate_fn=as_list
    ),
    "weighted": lambda data, seed: DataLoader(
        data,
        3,
        sampler=WeightedRandomSampler(range(1, 12), 11, generator=Generator(seed)),
        collate_fn=as_list,
    ),
    "buckets": lambda data, seed: DataLoader(
        data,
        batch_sampler=BucketBatchSampler(range(11), 3, generator=Generator(seed)),
        collate_fn=as_list,
    ),
    "thread": lambda data, seed: DataLoader(
        data, 3, shuffle=True, collate_fn=as_list, generator=Generator(seed), num_workers=1
    ),
    "single examples": lambda data, seed: DataLoader(
        data, None, shuffle=True, collate_fn=lambda x: x, generator=Generator(seed)
    ),
}


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("cut", [0, 1, 3, 4, 5, 8])
def test_a_run_cut_off_anywhere_goes_on_with_the_batches_that_were_left(name, cut):
    whole = LOADERS[name](range(11), 0)
    expected = [batch for _ in range(3) for batch in whole]

    first, taken = LOADERS[name](range(11), 0), []
    while len(taken) < cut:
        for batch in first:
            taken.append(batch)
            if len(taken) == cut:
                break
    state = json.loads(json.dumps(first.state_dict()))

    second = LOADERS[name](range(11), 99)  # another seed: the stored one must win
    second.load_state_dict(state)
    assert second.state_dict() == state
    while len(taken) < len(expected):
        taken += list(second)
    assert taken == expected


def test_batches_given_before_are_not_loaded_again():
    data = Watched(100)
    loader = DataLoader(data, 10, collate_fn=as_list)
    state = {**loader.state_dict(), "batches": 7}
    loader.load_state_dict(state)
    assert len(list(loader)) == 3
    assert data.fetched == list(range(70, 100))


def test_the_state_counts_batches_handed_out_not_those_prepared():
    loader = DataLoader(range(100), 10, collate_fn=as_list, num_workers=4)
    reader = iter(loader)
    next(reader)
    next(reader)
    assert loader.state_dict()["batches"] == 2
    reader.close()


def test_leaving_an_epoch_early_starts_the_next_one():
    loader = DataLoader(range(20), 5, shuffle=True, collate_fn=as_list, generator=Generator(0))
    next(iter(loader))
    assert sorted(flat(loader)) == list(range(20))
    assert loader.state_dict()["epoch"] == 2


def test_a_stream_is_cut_into_batches_and_resumed():
    loader = DataLoader(Stream(), 4, collate_fn=as_list)
    assert list(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert list(DataLoader(Stream(), 4, collate_fn=as_list, drop_last=True))[-1] == [4, 5, 6, 7]
    assert list(DataLoader(Stream(), None)) == list(range(10))
    with pytest.raises(TypeError):
        len(loader)
    reader = iter(loader)
    next(reader)
    second = DataLoader(Stream(), 4, collate_fn=as_list)
    second.load_state_dict(loader.state_dict())
    assert list(second) == [[4, 5, 6, 7], [8, 9]]


def test_a_dataset_may_fetch_a_batch_at_once():
    class Many(Watched):
        def __getitems__(self, indices):
            return [index * 10 for index in indices]

    assert list(DataLoader(Many(5), 3, collate_fn=as_list)) == [[0, 10, 20], [30, 40]]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_the_dataset_is_the_users_own(workers):
    class Broken(Watched):
        def __getitem__(self, index):
            if index == 4:
                raise OSError("disk gone at row 4")
            return index

    loader = DataLoader(Broken(10), 2, num_workers=workers, collate_fn=as_list)
    batches = iter(loader)
    assert [next(batches), next(batches)] == [[0, 1], [2, 3]]
    with pytest.raises(OSError, match="row 4"):
        next(batches)


def test_the_worker_is_told_its_number():
    told = []
    loader = DataLoader(
        range(3),
        num_workers=1,
        collate_fn=as_list,
        worker_init_fn=lambda worker: told.append((worker, threading.current_thread().name)),
    )
    list(loader)
    assert told == [(0, "minillm prefetch")]


@pytest.mark.parametrize(
    "arguments",
    [
        {"shuffle": True, "sampler": [0]},
        {"batch_sampler": [[0]], "batch_size": 2},
        {"batch_sampler": [[0]], "shuffle": True},
        {"batch_sampler": [[0]], "drop_last": True},
        {"batch_size": 0},
        {"batch_size": None, "drop_last": True},
        {"num_workers": -1},
        {"timeout": -1},
        {"prefetch_factor": 2},
    ],
)
def test_arguments_that_contradict_are_refused_as_by_pytorch(arguments):
    torch_data = pytest.importorskip("torch.utils.data")
    with pytest.raises(ValueError, match="DataLoader"):
        DataLoader(range(5), **arguments)
    with pytest.raises(ValueError):  # noqa: PT011
        torch_data.DataLoader(range(5), **arguments)


@pytest.mark.parametrize("arguments", [{"shuffle": True}, {"sampler": [1]}, {"batch_sampler": [[1]]}])
def test_a_stream_has_no_order_to_choose(arguments):
    with pytest.raises(ValueError, match="no numbered examples"):
        DataLoader(Stream(), **arguments)


def test_a_state_of_another_run_is_refused():
    state = DataLoader(range(10), 2).state_dict()
    with pytest.raises(ValueError, match="num_examples=10, this loader has 12"):
        DataLoader(range(12), 2).load_state_dict(state)
    with pytest.raises(ValueError, match="batch_size=2, this loader has 3"):
        DataLoader(range(10), 3).load_state_dict(state)
    with pytest.raises(ValueError, match=r"needs .*'epoch'"):
        DataLoader(range(10), 2).load_state_dict({"epoch": 1})


def test_the_face_offers_the_names_of_torch_utils_data():
    import minillm.utils.data as face

    torch_data = pytest.importorskip("torch.utils.data")
    assert all(hasattr(torch_data, name) for name in face.__all__)
    assert face.DataLoader is DataLoader
