"""Epochs kept on the disk: the same batches to the bit, whole files or none, and no harm where there is no room."""

import resource
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_compare import GRID, Listener, without_emulator  # noqa: F401  (fixture)
from test_training import corpus, data, plain  # noqa: F401  (fixtures)

from kws_training import kept
from kws_training.augment import BUSY, GENTLE, MODERATE
from kws_training.compare.grid import Cell, read_grid
from kws_training.compare.measure import Options
from kws_training.compare.run import compare
from kws_training.dataset import TrainingData
from kws_training.kept import KeptEpochs


def same(one, other) -> bool:
    return len(one) == len(other) and all(
        a.dtype == b.dtype and torch.equal(a, b)
        for x, y in zip(one, other, strict=True)
        for a, b in zip(x, y, strict=True)
    )


def batches(draw: np.random.Generator, count: int, size: int) -> list:
    return [
        (
            torch.from_numpy(draw.normal(size=(size, 4, 3)).astype(np.float32)),
            torch.from_numpy(draw.integers(-1, 9, size)),
            torch.from_numpy(draw.integers(-1, 9, size)),
        )
        for _ in range(count)
    ]


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 7))
def test_what_is_kept_comes_back_to_the_bit(tmp_path_factory, seed, count, size):
    folder = tmp_path_factory.mktemp("kept") / "new"
    made = batches(np.random.default_rng(seed), count, size)
    made[0][0][0, 0, 0] = float("nan")
    store = KeptEpochs(folder)
    first = list(store.epoch({"seed": seed}, size, count, (4, 3), iter(made)))
    assert all(a is b for a, b in zip(first, made, strict=True))
    again = list(store.epoch({"seed": seed}, size, count, (4, 3), iter([])))
    assert same([(x.nan_to_num(7.0), y, z) for x, y, z in again], [(x.nan_to_num(7.0), y, z) for x, y, z in made])
    assert again[0][0].isnan().sum() == 1
    # What is read may be changed in place and is no one else's.
    again[0][0].zero_()
    assert not same(list(store.epoch({"seed": seed}, size, count, (4, 3), iter([]))), again)


def test_an_epoch_that_was_broken_off_is_not_kept(tmp_path):
    made = batches(np.random.default_rng(0), 3, 2)
    store = KeptEpochs(tmp_path)
    drawn = store.epoch({}, 2, 3, (4, 3), iter(made))
    next(drawn)
    assert len(list(tmp_path.iterdir())) == 1
    drawn.close()
    assert list(tmp_path.iterdir()) == []
    assert same(list(store.epoch({}, 2, 3, (4, 3), iter(made))), made)


def test_without_room_the_batches_are_drawn_all_the_same(tmp_path):
    made = batches(np.random.default_rng(0), 3, 2)
    occupied = tmp_path / "file"
    occupied.write_text("")
    assert same(list(KeptEpochs(occupied).epoch({}, 2, 3, (4, 3), iter(made))), made)
    # Room for two of three batches, and for half of the third.
    limit = 5 * (4 * 3 * 4 + 16)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        drawn = []
        for batch in KeptEpochs(tmp_path / "full").epoch({}, 2, 3, (4, 3), iter(made)):
            drawn.append(batch)
            assert len(list((tmp_path / "full").iterdir())) == (len(drawn) < 3)
        assert same(drawn, made)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert list((tmp_path / "full").iterdir()) == []


def test_clips_that_differ_in_anything_are_kept_apart(data, tmp_path):  # noqa: F811
    own = TrainingData.__new__(TrainingData)
    own.__dict__.update(data.__dict__)
    own.kept = KeptEpochs(tmp_path)
    draws = [(1, 3, 16, 0.1, MODERATE), (1, 4, 16, 0.1, MODERATE), (2, 3, 16, 0.1, MODERATE), (1, 3, 8, 0.1, MODERATE)]
    draws += [(1, 3, 16, 0.2, MODERATE), (1, 3, 16, 0.1, GENTLE), (1, 3, 16, 0.1, BUSY)]
    for number, draw in enumerate(draws, 1):
        plainly = list(data.epoch(*draw))
        assert same(list(own.epoch(*draw)), plainly)
        assert len(list(tmp_path.iterdir())) == number
        assert same(list(own.epoch(*draw)), plainly)
    own.seed = 5
    list(own.epoch(*draws[0]))
    own.temper = 0.0
    list(own.epoch(*draws[0]))
    own.hash = "another"
    list(own.epoch(*draws[0]))
    own.identities = own.identities[::-1].copy()
    list(own.epoch(*draws[0]))
    own.task = replace(own.task, words=("high", "low"))
    list(own.epoch(*draws[0]))
    assert len(list(tmp_path.iterdir())) == len(draws) + 5


def test_cells_that_read_each_others_clips_end_with_the_same_weights(corpus, tmp_path, monkeypatch):  # noqa: F811
    torch.set_num_threads(1)
    grid = read_grid(GRID)
    cells = tuple(Cell("bifsmn", 1, binarizer, 64, 2, 0, "answers") for binarizer in ("bireal", "lpb"))
    made = []
    epoch = TrainingData._epoch
    monkeypatch.setattr(
        TrainingData, "_epoch", lambda self, *draw: (made.append(draw[:2]), (yield from epoch(self, *draw)))
    )
    found = {}
    for name, store in (("plain", None), ("kept", tmp_path / "store")):
        made.clear()
        out = tmp_path / name
        compare(replace(grid, cells=cells), corpus, out, Listener(), plain, Options(False, 0.1), store)
        found[name] = [torch.load(out / grid.folder(cell) / "student.pt")["network"] for cell in cells], len(made)
    # One epoch of each of the three stages; the second network reads what the first has made.
    assert (found["plain"][1], found["kept"][1]) == (5, 3)
    for plainly, read in zip(found["plain"][0], found["kept"][0], strict=True):
        assert all(torch.equal(plainly[key], read[key]) for key in plainly)


def test_clips_of_another_version_are_not_read(tmp_path, monkeypatch):
    made = batches(np.random.default_rng(0), 3, 2)
    list(KeptEpochs(tmp_path).epoch({}, 2, 3, (4, 3), iter(made)))
    monkeypatch.setattr(kept, "VERSION", kept.VERSION + 1)
    assert list(KeptEpochs(tmp_path).epoch({}, 2, 3, (4, 3), iter([]))) == []


@pytest.mark.parametrize("size", [0, 1, 100, -64, -128])
def test_a_damaged_file_is_made_anew(tmp_path, size):
    """Empty, of no whole clip, and short of a clip or of a batch, as a power cut may leave it."""
    made, store = batches(np.random.default_rng(0), 3, 2), KeptEpochs(tmp_path)
    list(store.epoch({}, 2, 3, (4, 3), iter(made)))
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:size])
    assert same(list(store.epoch({}, 2, 3, (4, 3), iter(made))), made)
    assert path.read_bytes() == content and list(tmp_path.iterdir()) == [path]
