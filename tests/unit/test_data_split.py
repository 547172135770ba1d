"""Dividing records: disjoint, complete, decided by the seed alone."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui_tuner.data.split import sample, shuffled, split_records
from tui_tuner.errors import TunerError


def test_the_order_is_the_same_for_ever() -> None:
    # Changing this order would change the test rows of every run that is repeated.
    assert shuffled(8, 42) == [1, 7, 3, 2, 0, 5, 4, 6]
    assert shuffled(8, 43) != shuffled(8, 42)


def test_global_generators_are_left_alone() -> None:
    random.seed(1)
    np.random.seed(1)
    split_records(range(50), train=0, valid=0, test=0, seed=3, where="a")
    after = random.random(), np.random.random()
    random.seed(1)
    np.random.seed(1)
    assert after == (random.random(), np.random.random())


@settings(deadline=None)
@given(
    identities=st.lists(st.integers(0, 12), min_size=3, max_size=60),
    train=st.integers(0, 8),
    valid=st.integers(0, 4),
    test=st.integers(0, 4),
    seed=st.integers(0, 2**32),
)
def test_splits_share_nothing_and_lose_nothing(
    identities: list[int], train: int, valid: int, test: int, seed: int
) -> None:
    try:
        split = split_records(identities, train=train, valid=valid, test=test, seed=seed, where="a")
    except TunerError as error:
        assert error.code == "too-few-rows"
        return
    share = max(1, len(identities) // 10)
    assert (len(split.valid), len(split.test)) == (valid or share, test or share)
    everything = [*split.train, *split.valid, *split.test, *split.left_out]
    assert len(everything) == len(set(everything))
    names = [{identities[index] for index in part} for part in (split.train, split.valid, split.test)]
    assert not names[0] & names[1] and not names[0] & names[2] and not names[1] & names[2]
    if train:
        assert len(split.train) == train
    else:
        assert sorted(everything) == list(range(len(identities)))
    assert split == split_records(identities, train=train, valid=valid, test=test, seed=seed, where="a")


def test_the_held_out_records_do_not_depend_on_the_number_of_training_records() -> None:
    few = split_records(range(100), train=5, valid=10, test=10, seed=1, where="a")
    all_ = split_records(range(100), train=0, valid=10, test=10, seed=1, where="a")
    assert (few.valid, few.test) == (all_.valid, all_.test)
    assert few.train == all_.train[:5]


def test_a_tenth_is_held_out_and_at_least_one() -> None:
    split = split_records(range(130), train=0, valid=0, test=0, seed=1, where="a")
    assert (len(split.train), len(split.valid), len(split.test)) == (104, 13, 13)
    split = split_records(range(3), train=0, valid=0, test=0, seed=1, where="a")
    assert (len(split.train), len(split.valid), len(split.test)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("count", "train", "valid", "test", "message"),
    [
        (10, 8, 1, 2, "8 training, 1 validation and 2 test records were asked for, but there are 10"),
        (2, 0, 0, 0, "at least 1 training, 1 validation and 1 test records were asked for, but there are 2"),
        (1200, 1200, 0, 0, "1,200 training, 120 validation and 120 test records were asked for, but there are 1,200"),
    ],
)
def test_too_few_records_name_all_counts(count: int, train: int, valid: int, test: int, message: str) -> None:
    with pytest.raises(TunerError) as caught:
        split_records(range(count), train=train, valid=valid, test=test, seed=1, where="players.json")
    assert caught.value.message == message
    assert caught.value.where == "players.json"


def test_copies_count_once_for_what_is_held_out() -> None:
    with pytest.raises(TunerError, match="there are 20, 2 of them different"):
        split_records([0, 1] * 10, train=0, valid=1, test=1, seed=1, where="a")


def test_a_sample_keeps_the_order() -> None:
    assert sample(10, 10, 1) == list(range(10))
    drawn = sample(100, 10, 1)
    assert drawn == sorted(set(drawn)) and len(drawn) == 10 and drawn != sample(100, 10, 2)
