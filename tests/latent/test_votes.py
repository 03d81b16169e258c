"""Votes, their entropy and their p-value, by hand."""

from __future__ import annotations

import json
from math import comb

import numpy as np
import pytest

from starkin.latent.votes import majority_votes, vote_columns, vote_counts
from starkin.spectra.errors import StarkinError


def test_vote_by_hand():
    types = ["C*", "C*", "C*", "RGB*", "", "RGB*", "RGB*", "EB*", None, "RGB*"]
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1, -1, -1])
    carbon, giants = majority_votes(types, labels)
    assert (carbon.winner, carbon.votes, carbon.matched, carbon.unmatched) == ("C*", 3, 4, 1)
    assert carbon.counts == {"C*": 3, "RGB*": 1}
    assert carbon.entropy == pytest.approx(-(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)))
    # Eight stars are matched, three of them carbon stars: all three among four drawn.
    assert carbon.p == pytest.approx(comb(5, 1) / comb(8, 4))
    assert (carbon.excess, carbon.excess_p) == ("C*", pytest.approx(3 * carbon.p))
    # Giants win in population 1, but an eclipsing binary is the greater surprise.
    assert giants.winner == "RGB*"
    # Four of eight are giants: at least two among three drawn.
    at_least_two = comb(4, 2) * comb(4, 1) + comb(4, 3)
    assert giants.p == pytest.approx(at_least_two / comb(8, 3))
    assert giants.excess == "EB*"


def test_grouping():
    votes = majority_votes(
        ["RGB*", "RC*", "EB*"],
        np.zeros(3, dtype=int),
        grouping=lambda code: "binary" if code == "EB*" else "giant",
    )
    assert votes[0].counts == {"giant": 2, "binary": 1}
    assert votes[0].p == pytest.approx(1)


def test_nobody_matched():
    vote = majority_votes(np.ma.masked_array(["x", "y"], [True, True]), np.zeros(2, dtype=int))[0]
    assert (vote.winner, vote.matched, vote.unmatched) == ("", 0, 2)
    assert np.isnan(vote.entropy)
    assert np.isnan(vote.p)


def test_agreement_has_no_entropy():
    vote = majority_votes(["a"] * 4, np.array([0, 0, 1, 1]))[0]
    assert vote.entropy == 0


def test_columns_and_counts():
    votes = majority_votes(["a", "b", ""], np.array([0, 0, 0]))
    assert vote_columns(votes)["simbad_type"] == ["a"]
    assert json.loads(json.dumps(vote_counts(votes))) == {"0": {"a": 1, "b": 1, "unmatched": 1}}


def test_lengths_must_match():
    with pytest.raises(StarkinError, match="object types"):
        majority_votes(["a"], np.zeros(2, dtype=int))


def test_p_is_calibrated():
    rng = np.random.default_rng(0)
    types = np.repeat(["a", "b"], [30, 70])
    labels = np.repeat([0, -1], [20, 80])
    p = []
    for _ in range(400):
        vote = majority_votes(rng.permutation(types), labels)[0]
        p.append(vote.p)
    # A discrete p-value is conservative: never below its level too often.
    assert np.mean(np.array(p) <= 0.05) < 0.08
