"""The α test: on toys whose answer is known, and on simulated spectra with α on and off."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.io import Latents
from starkin.latent.bimodality import (
    TOLERANCES,
    _odd_features,
    alpha_baselines,
    alpha_test,
    balance_pairs,
    high_alpha,
    latent_features,
    match_pairs,
    matched_test,
)
from starkin.spectra import StarkinError


def test_the_split_by_hand():
    """x = −0.5: −0.021925 + 0.027975 + 0.06265 + 0.1353 = 0.204."""
    assert high_alpha(np.array([-0.5, -0.5]), np.array([0.2041, 0.2039])).tolist() == [True, False]
    assert high_alpha(np.array([0.0, 0.0]), np.array([0.1354, 0.1352])).tolist() == [True, False]
    assert not high_alpha(np.array([np.nan]), np.array([1.0]))[0]


def test_latents_enter_as_posterior_means():
    """Published mistake: draws from the posterior in place of the mean."""
    mean = np.arange(6.0).reshape(3, 2)
    wide = Latents(np.arange(3), mean, np.full((3, 2), 1e6))
    np.testing.assert_array_equal(latent_features(wide), mean)
    np.testing.assert_array_equal(latent_features(wide), latent_features(wide))


def _world(n: int = 1200, alpha: float = 1.0, seed: int = 0):
    """Labels, class by metallicity and chance, latents that mix labels and α."""
    rng = np.random.default_rng(seed)
    labels = {
        "teff": rng.normal(5000, 300, n),
        "logg": rng.normal(3, 0.5, n),
        "m_h": rng.normal(-0.2, 0.25, n),
    }
    rich = rng.uniform(size=n) < 1 / (1 + np.exp(6 * (labels["m_h"] + 0.3)))
    noise = rng.normal(size=n)
    signal = alpha * np.where(rich, 1.0, -1.0) + 0.8 * noise
    latents = np.column_stack(
        [
            signal + labels["m_h"],
            labels["m_h"] - 0.3 * signal,
            labels["teff"] / 500,
            labels["logg"],
        ]
    )
    return labels, {"bp_rp": 1.1 - labels["teff"] / 8000 + rng.normal(0, 0.02, n)}, rich, latents


def test_latents_with_alpha_beat_every_label():
    labels, colours, rich, latents = _world()
    found = alpha_test(latents, rich, alpha_baselines(labels, colours, rich, n_folds=3), n_folds=3)
    assert found.beats_labels
    assert all(a.value > 0.05 for a in found.advantage().values())
    table = {c["name"]: c for c in found.to_dict()["classifiers"]}
    assert table["majority class"]["mcc"]["value"] == 0
    assert np.sum(table["latents"]["confusion"]) == 1200
    bins = found.by_bins(labels["teff"], [4000, 5000, 6000])
    here = [row for row in bins if row["name"] == "latents"]
    inside = (labels["teff"] >= 4000) & (labels["teff"] < 6000)
    assert sum(row["n"] for row in here) == inside.sum()


def test_latents_without_alpha_do_not_beat_labels():
    """They still classify better than chance, by metallicity; that is no α."""
    labels, colours, rich, latents = _world(alpha=0.0)
    latents[:, 0] = labels["m_h"] + np.random.default_rng(9).normal(size=len(rich))
    latents[:, 1] = labels["m_h"]
    found = alpha_test(latents, rich, alpha_baselines(labels, colours, rich, n_folds=3), n_folds=3)
    assert not found.beats_labels
    assert found.classifications["latents"].metrics()["balanced_accuracy"].low > 0.55


def test_labels_that_hold_alpha_are_refused():
    labels, colours, rich, _ = _world(200)
    with pytest.raises(StarkinError, match="alpha_m"):
        alpha_baselines(labels | {"alpha_m": labels["m_h"]}, colours, rich)
    with pytest.raises(StarkinError, match="m_h"):
        alpha_baselines({"teff": labels["teff"]}, colours, rich)


# --- matched pairs ------------------------------------------------------------------
def test_pairs_by_hand():
    """Low-α 0, 1, 2 and high-α 3, 4: 60 K apart is a pair, 150 K is not."""
    teff = np.array([5000.0, 5200.0, 6000.0, 5060.0, 6150.0])
    truth = np.array([False, False, False, True, True])
    pairs = match_pairs({"teff": teff}, truth, {"teff": 100.0})
    assert pairs.tolist() == [[0, 3]]
    # The standard tolerance is in kelvin: the published 0.2 K would find no pair at all.
    assert TOLERANCES["teff"] == 100.0
    assert match_pairs({"true_teff": teff}, truth).tolist() == [[0, 3]]
    with pytest.raises(StarkinError, match=r"0\.2: is it in another unit"):
        match_pairs({"teff": teff}, truth, {"teff": 0.2})
    with pytest.raises(StarkinError, match="needs a tolerance"):
        match_pairs({"age": teff}, truth)


def test_the_matching_is_the_best_one():
    """Nearest first would pair 0 with 2 and leave 1 alone; both can have a partner."""
    teff = np.array([5000.0, 5100.0, 5040.0, 4930.0])
    truth = np.array([False, False, True, True])
    pairs = match_pairs({"teff": teff}, truth, {"teff": 100.0})
    assert sorted(map(tuple, pairs.tolist())) == [(0, 3), (1, 2)]


def test_a_star_is_in_one_pair_and_within_every_tolerance():
    labels, _, rich, _ = _world(600)
    pairs = match_pairs(labels, rich)
    assert len(pairs) > 80
    assert len(np.unique(pairs)) == pairs.size
    assert not rich[pairs[:, 0]].any()
    assert rich[pairs[:, 1]].all()
    for name, values in labels.items():
        assert np.abs(values[pairs[:, 0]] - values[pairs[:, 1]]).max() <= TOLERANCES[name]


def test_balanced_pairs_leave_labels_nothing_to_tell():
    """Within 0.05 dex the high-α star of a pair is the more metal-poor one, until balanced."""
    labels, _, rich, _ = _world(4000)
    pairs = match_pairs(labels, rich)
    off = np.diff(labels["m_h"][pairs], axis=1)[:, 0]
    assert off.mean() / (off.std() / np.sqrt(len(off))) < -4
    control = np.column_stack(list(labels.values()))
    assert matched_test({"labels": control}, pairs)[0].accuracy.low > 0.55
    balanced = balance_pairs(labels, pairs)
    assert 0.5 * len(pairs) < len(balanced) < len(pairs)
    off = np.diff(labels["m_h"][balanced], axis=1)[:, 0]
    assert abs(off.mean() / (off.std() / np.sqrt(len(off)))) < 3
    assert matched_test({"labels": control}, balanced)[0].p_value > 0.01


def test_only_alpha_tells_pairs_apart():
    labels, _, rich, latents = _world(2400)
    pairs = balance_pairs(labels, match_pairs(labels, rich))
    found = matched_test({"latents": latents}, pairs)[0]
    assert found.accuracy.low > 0.7
    assert found.p_value < 1e-6
    labels, _, rich, latents = _world(2400, alpha=0.0)
    pairs = balance_pairs(labels, match_pairs(labels, rich))
    nothing = matched_test({"latents": latents}, pairs)[0]
    assert nothing.p_value > 0.01
    assert nothing.to_dict()["n"] == len(pairs)


def test_features_of_a_pair_by_hand():
    """Differences 2 and −2 (σ 2), means 1 and 3 (standardised −1 and 1)."""
    first, second = np.array([[0.0], [4.0]]), np.array([[2.0], [2.0]])
    found = _odd_features(first, second)
    assert found == pytest.approx(np.array([[1.0, -1.0], [-1.0, -1.0]]))
    # They turn round with the order of the two stars.
    assert _odd_features(second, first) == pytest.approx(-found)


def test_alpha_is_found_beneath_larger_differences_of_labels():
    """Few pairs, many latents, and label differences ten times as large as what α does."""
    rng = np.random.default_rng(4)
    n, d = 240, 10
    # Either star of a pair as far from their common place: no spread tells which is which.
    place, apart = rng.normal(size=(n, 3)), 0.15 * rng.normal(size=(n, 3))
    labels = np.concatenate([place - apart, place + apart])
    mixing = rng.normal(size=(4, d))
    alpha = 0.01 * np.repeat([-1.0, 1.0], n)
    known = np.column_stack([labels, alpha]) @ mixing
    latents = known + 0.01 * rng.normal(size=known.shape)
    pairs = np.column_stack([np.arange(n), n + np.arange(n)])
    linear = matched_test({"latents": latents}, pairs)[0].accuracy
    kernel = matched_test({"latents": latents}, pairs, classifier="rbf")[0].accuracy
    assert linear.low > 0.7
    assert linear.low > kernel.value + 0.05
    nothing = np.column_stack([labels, 0 * alpha]) @ mixing + 0.01 * rng.normal(size=known.shape)
    assert matched_test({"latents": nothing}, pairs)[0].p_value > 0.01
