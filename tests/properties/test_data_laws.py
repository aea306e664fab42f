"""Laws of data sources that are read in epochs: no loss, no double reading, splits apart."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.examples import examples
from wavevit.data import LabelledPictures, UnreadablePictureError, WindowCutter
from wavevit.data.epochs import batch_places
from wavevit.data.splits import divide, part_of, take_share

SEEDS = st.integers(0, 2**31)


class Numbers(LabelledPictures):
    """Pictures of 9 x 9 pixels whose value is their index; some cannot be read."""

    def __init__(self, length: int, bad: frozenset[int] = frozenset(), **options: Any) -> None:
        self.bad = bad
        fixed = {"mean": 0.0, "std": 1.0, "least_side": 1}
        labels = [index % 3 for index in range(length)]
        super().__init__("train", 8, 0, ("a", "b", "c"), labels, **{**fixed, **options})

    def read(self, index: int) -> Tensor:
        if index in self.bad:
            raise UnreadablePictureError(self.name(index), "damaged")
        return torch.full((1, 9, 9), float(index))

    def name(self, index: int) -> str:
        return f"picture {index}"


def indices(batch: dict[str, Any]) -> list[int]:
    return batch["images"][:, 0, 0, 0].int().tolist()


@given(length=st.integers(1, 40), count=st.integers(1, 12), seed=SEEDS)
@examples(daily=15)
def test_every_picture_is_seen_once_an_epoch(length: int, count: int, seed: int) -> None:
    source, epochs = Numbers(length), 3
    steps = -(-epochs * length // count)
    seen = [i for step in range(steps) for i in indices(source.epoch_batch(count, seed, step))]
    for epoch in range(epochs):
        assert sorted(seen[epoch * length : (epoch + 1) * length]) == list(range(length))


class Ramps(Numbers):
    """Pictures of 64 x 64 different pixels, from their index to the next one."""

    def read(self, index: int) -> Tensor:
        return torch.arange(4096.0).reshape(1, 64, 64) / 4096 + index


@given(
    length=st.integers(1, 40),
    count=st.integers(1, 12),
    repeats=st.integers(1, 4),
    seed=SEEDS,
)
@examples(daily=25)
def test_repeated_pictures_fill_an_epoch_of_the_same_length(
    length: int, count: int, repeats: int, seed: int
) -> None:
    """Each comes `repeats` times and the last one what is left, whatever the batches are."""
    steps = -(-2 * length // count)
    places = [
        place for step in range(steps) for place in batch_places(count, step, length, repeats)
    ]
    seen = Counter(places)
    for epoch in range(2):
        for place in range(-(-length // repeats)):
            assert seen.pop((epoch, place)) == min(repeats, length - place * repeats)
    assert all(epoch >= 2 for epoch, _ in seen)  # the end of the last batch
    assert batch_places(count, 3, length) == [
        divmod(number, length) for number in range(3 * count, 4 * count)
    ]
    source = Numbers(length)
    for epoch in range(2):  # a batch that is the epoch
        pictures = indices(source.epoch_batch(length, seed, epoch, repeats=repeats))
        counts = Counter(pictures).values()
        assert sorted(counts, reverse=True) == _counts(length, repeats)


def _counts(length: int, repeats: int) -> list[int]:
    """How often the pictures of an epoch come, from the most to the least."""
    rest = length % repeats
    return [repeats] * (length // repeats) + [rest] * (rest > 0)


@given(
    groups=st.integers(2, 5),
    batches=st.integers(1, 4),
    repeats=st.integers(2, 4),
    step=st.integers(0, 6),
    seed=SEEDS,
)
@examples(daily=25)
def test_repeats_of_a_picture_are_in_one_batch_and_never_neighbours(
    groups: int, batches: int, repeats: int, step: int, seed: int
) -> None:
    """Where batches are multiples of the repeats, and epochs of batches."""
    count = groups * repeats
    batch = indices(Numbers(count * batches).epoch_batch(count, seed, step, 0, 1, repeats))
    assert set(Counter(batch).values()) == {repeats}
    assert all(one != other for one, other in itertools.pairwise(batch))


@given(count=st.integers(4, 16), repeats=st.integers(2, 4), step=st.integers(0, 6), seed=SEEDS)
@examples(daily=25)
def test_neighbours_are_of_different_pictures_where_repeats_are_in_two_batches(
    count: int, repeats: int, step: int, seed: int
) -> None:
    count = max(count, 2 * repeats)
    batch = indices(Numbers(count * 8).epoch_batch(count, seed, step, 0, 1, repeats))
    assert all(one != other for one, other in itertools.pairwise(batch))
    assert max(Counter(batch).values()) == repeats


def test_repeats_of_a_picture_have_windows_of_their_own() -> None:
    images = Ramps(30).epoch_batch(24, 0, 0, 0, 1, 4)["images"]
    assert set(Counter(images[:, 0, 0, 0].int().tolist()).values()) == {4}
    assert len({float(one[0, 0, 0]) for one in images}) == 24


@pytest.mark.parametrize("repeats", [0, 1.5, "3"])
def test_bad_repeats_are_refused(repeats: Any) -> None:
    with pytest.raises(ValueError, match="repeats: expected an integer of at least 1"):
        Numbers(9).epoch_batch(6, 0, 0, 0, 1, repeats)


@given(
    length=st.integers(1, 40),
    own=st.integers(1, 4),
    world=st.integers(1, 4),
    repeats=st.integers(1, 3),
    seed=SEEDS,
)
@examples(daily=25)
def test_parts_of_ranks_are_the_batch_of_one_process(
    length: int, own: int, world: int, repeats: int, seed: int
) -> None:
    count, step = own * world, 5
    whole = Ramps(length).epoch_batch(count, seed, step, repeats=repeats)
    # A source of its own for each rank, as in processes of their own.
    parts = [
        Ramps(length).epoch_batch(count, seed, step, rank, world, repeats) for rank in range(world)
    ]
    for name, value in whole.items():
        assert torch.equal(torch.cat([part[name] for part in parts]), value)


def test_epochs_have_other_orders_and_seeds_other_ones() -> None:
    source = Numbers(30)
    orders = {tuple(indices(source.epoch_batch(30, seed, e))) for seed in (0, 1) for e in (0, 1)}
    assert len(orders) == 4


def test_unreadable_pictures_are_replaced_counted_and_named() -> None:
    source = Numbers(30, bad=frozenset({3, 4, 17}))
    batch = source.epoch_batch(30, 0, 0)
    assert sorted(indices(batch)) == sorted([*set(range(30)) - {3, 4, 17}, 5, 5, 18])
    assert torch.equal(batch["labels"], torch.tensor(indices(batch)) % 3)
    assert source.report()["unreadable"] == 3
    assert source.report()["unreadable_names"]["picture 17"] == "damaged"
    other = Numbers(30)
    other.load_state(source.state())
    assert other.report() == source.report()


def test_a_source_without_readable_pictures_ends_the_run() -> None:
    source = Numbers(30, bad=frozenset(range(30)))
    with pytest.raises(UnreadablePictureError, match="damaged"):
        source.epoch_batch(2, 0, 0)


def test_threads_change_no_batch() -> None:
    one, several = Numbers(30, memory=0), Numbers(30, workers=3)
    for step in range(3):
        pair = [source.epoch_batch(16, 0, step)["images"] for source in (one, several)]
        assert torch.equal(*pair)


@given(labels=st.lists(st.integers(0, 3), min_size=1, max_size=60), seed=st.integers(0, 99))
@examples(daily=15)
def test_splits_are_apart_and_shares_are_nested(labels: list[int], seed: int) -> None:
    names = [f"n{index}" for index in range(len(labels))]
    train, test, fit, validation = (
        set(part_of(split, names, labels, seed)) for split in ("train", "test", "fit", "validation")
    )
    assert train | test == set(range(len(labels)))
    assert fit | validation == train
    assert not train & test
    assert not fit & validation
    for label in set(labels):
        own = {index for index, value in enumerate(labels) if value == label}
        assert abs(len(own & test) - len(own) / 5) < 1
    few, more = (set(take_share(names, labels, share, seed)) for share in (0.1, 0.5))
    assert few <= more
    assert {labels[index] for index in few} == set(labels)


def test_another_order_of_the_names_gives_the_same_parts() -> None:
    names, labels = [f"n{index}" for index in range(40)], [index % 2 for index in range(40)]
    first, _ = divide(names, labels, 0.3)
    turned, _ = divide(names[::-1], labels[::-1], 0.3)
    assert {names[index] for index in first} == {names[::-1][index] for index in turned}


@given(
    side=st.integers(5, 40), margin=st.integers(0, 4), draw=st.tuples(*[st.floats(0, 0.999)] * 3)
)
@examples(daily=25)
def test_windows_of_large_pictures_are_their_pixels(
    side: int, margin: int, draw: tuple[float, float, float]
) -> None:
    cutter = WindowCutter(8, margin, random=True)
    picture = torch.arange(side * (side + 3), dtype=torch.float32).reshape(1, side, side + 3)
    window = cutter.cut(picture, draw)
    assert window.shape == (1, 8 + 2 * margin, 8 + 2 * margin)
    if side >= max(cutter.window, 12):
        columns, rows = window[0, :, 1:] - window[0, :, :-1], window[0, 1:] - window[0, :-1]
        assert bool((columns == 1).all())
        assert bool((rows == side + 3).all())


def test_small_pictures_have_one_scale_with_and_without_margin() -> None:
    """A bar two pixels wide stays as wide in a crop with a margin as without one."""
    picture = torch.zeros(1, 8, 8)
    picture[:, :, 3:5] = 1
    crops = [
        WindowCutter(8, margin, random=False).cut(picture, (0, 0, 0))[..., margin : margin + 8, :]
        for margin in (0, 2)
    ]
    assert torch.equal(crops[0], crops[1][..., 2:10])
    with pytest.raises(ValueError, match=r"short_side: expected 0 or at least 12 \(the window\)"):
        WindowCutter(8, 2, random=True, short_side=10)
