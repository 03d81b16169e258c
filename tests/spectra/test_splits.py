"""Splits that stay put."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from starkin.spectra import Split, StarkinError, assign_splits

ids = arrays(np.int64, st.integers(1, 40), elements=st.integers(0, 2**62), unique=True)


@given(ids, st.integers(0, 2**31), st.data())
def test_a_star_keeps_its_split_whatever_company_it_is_in(source_id, seed, data):
    split = Split(seed=seed)
    whole = assign_splits(source_id, split)
    order = data.draw(st.permutations(range(source_id.size)))
    some = np.array(order[: data.draw(st.integers(1, source_id.size))])
    part = assign_splits(source_id[some], split)
    for name in whole:
        np.testing.assert_array_equal(part[name], whole[name][some])


@given(ids, st.floats(0, 1), st.floats(0, 1))
def test_every_star_is_in_exactly_one_split(source_id, train, share):
    parts = assign_splits(source_id, Split(train, (1 - train) * share))
    np.testing.assert_array_equal(sum(p.astype(int) for p in parts.values()), 1)


@given(ids, st.floats(0, 0.5), st.floats(0, 0.5))
def test_more_training_takes_no_star_out_of_training(source_id, train, more):
    before = assign_splits(source_id, Split(train, 0.1))["train"]
    after = assign_splits(source_id, Split(min(train + more, 0.9), 0.1))["train"]
    assert not (before & ~after).any()


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.sampled_from([0, 35, 45]))
def test_fractions_hold_for_consecutive_and_for_healpix_like_ids(seed, shift):
    source_id = (np.arange(20_000, dtype=np.int64) << shift) + (1 << 44)
    parts = assign_splits(source_id, Split(0.7, 0.2, seed))
    # Five standard deviations of the binomial.
    for name, expected in (("train", 0.7), ("validation", 0.2), ("test", 0.1)):
        sigma = np.sqrt(expected * (1 - expected) / source_id.size)
        assert abs(parts[name].mean() - expected) < 5 * sigma


def test_seeds_give_independent_splits():
    source_id = np.arange(50_000)
    first = assign_splits(source_id, Split(0.5, 0.5, seed=0))["train"]
    second = assign_splits(source_id, Split(0.5, 0.5, seed=1))["train"]
    assert abs((first & second).mean() - 0.25) < 0.01


def test_these_splits_are_for_ever():
    """Written down once: a release that moves stars between splits must not go unnoticed."""
    train = assign_splits(np.arange(16), Split(0.5, 0.25))["train"]
    assert train.astype(int).tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 1, 1, 0]


def test_groups_stay_together():
    rng = np.random.default_rng(0)
    source_id = np.arange(3000)
    groups = rng.integers(0, 300, source_id.size)
    for keys in (groups, np.array([f"cluster {g}" for g in groups])):
        train = assign_splits(source_id, groups=keys)["train"]
        for group in np.unique(groups):
            assert len(set(train[groups == group])) == 1
        assert 0.7 < train.mean() < 0.9


def test_no_test_split_when_none_is_left():
    parts = assign_splits(np.arange(1000), Split(0.9, 0.1))
    assert not parts["test"].any()
    assert parts["validation"].sum() > 50


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"train": -0.1}, "Split.train must lie in"),
        ({"validation": 1.5}, "Split.validation must lie in"),
        ({"train": 0.8, "validation": 0.3}, "must not exceed 1"),
        ({"seed": -1}, "Split.seed"),
    ],
)
def test_senseless_settings_are_refused(settings_, message):
    with pytest.raises(StarkinError, match=message):
        Split(**settings_)
    with pytest.raises(StarkinError, match="2 groups for 3 stars"):
        assign_splits(np.arange(3), groups=np.arange(2))
    with pytest.raises(StarkinError, match="not by float64"):
        assign_splits(np.arange(2), groups=np.array([0.5, 1.5]))
