"""Classifiers and their metrics by hand."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.latent.classification import (
    METRICS,
    Classification,
    compare,
    confusion_metrics,
    cross_validate,
    feature_matrix,
)
from starkin.spectra import StarkinError


def _judged(confusion, name="x", seed=0) -> Classification:
    (tn, fp), (fn, tp) = confusion
    truth = np.repeat([False, False, True, True], [tn, fp, fn, tp])
    predicted = np.repeat([False, True, False, True], [tn, fp, fn, tp])
    return Classification(name, truth, predicted, predicted.astype(float), seed)


def test_metrics_by_hand():
    """tn 50, fp 10, fn 5, tp 35: accuracy 85/100, recalls 5/6 and 7/8, F1 = 70/85."""
    found = confusion_metrics(np.array([[50, 10], [5, 35]]))
    assert found["accuracy"] == pytest.approx(0.85)
    assert found["balanced_accuracy"] == pytest.approx((5 / 6 + 7 / 8) / 2)
    assert found["mcc"] == pytest.approx((35 * 50 - 10 * 5) / np.sqrt(45 * 40 * 60 * 55))
    assert found["f1"] == pytest.approx(70 / 85)


def test_metrics_agree_with_scikit_learn():
    from sklearn import metrics

    rng = np.random.default_rng(0)
    truth, predicted = rng.uniform(size=200) < 0.3, rng.uniform(size=200) < 0.4
    found = Classification("x", truth, predicted, predicted * 1.0)
    ours = confusion_metrics(found.confusion)
    np.testing.assert_array_equal(found.confusion, metrics.confusion_matrix(truth, predicted))
    assert ours["balanced_accuracy"] == pytest.approx(
        metrics.balanced_accuracy_score(truth, predicted)
    )
    assert ours["mcc"] == pytest.approx(metrics.matthews_corrcoef(truth, predicted))
    assert ours["f1"] == pytest.approx(metrics.f1_score(truth, predicted))


def test_always_the_majority_scores_nothing_but_accuracy():
    found = confusion_metrics(np.array([[72, 0], [28, 0]]))
    assert found["accuracy"] == pytest.approx(0.72)
    assert found["balanced_accuracy"] == pytest.approx(0.5)
    assert found["mcc"] == 0
    assert found["f1"] == 0


def test_intervals_are_binomial():
    """Accuracy 0.8 of 400 stars: 95 % interval ± 1.96 √(0.16/400) = ± 0.0392."""
    found = _judged([[160, 40], [40, 160]]).metrics(n_resamples=8000)
    assert set(found) == set(METRICS)
    accuracy = found["accuracy"]
    assert accuracy.value == pytest.approx(0.8)
    assert accuracy.high - accuracy.low == pytest.approx(2 * 0.0392, rel=0.06)


def test_two_classifiers_of_the_same_stars_are_compared_in_pairs():
    """They differ on 20 of 400 stars, all won by the first: 0.05 ± 1.96 √(0.05·0.95/400)."""
    better, other = _judged([[200, 0], [40, 160]]), _judged([[200, 0], [60, 140]])
    found = compare(better, other, n_resamples=8000)["accuracy"]
    assert found.value == pytest.approx(0.05)
    assert found.high - found.low == pytest.approx(2 * 1.96 * np.sqrt(0.05 * 0.95 / 400), rel=0.06)
    same = compare(better, better)["balanced_accuracy"]
    assert (same.value, same.low, same.high) == (0, 0, 0)
    with pytest.raises(StarkinError, match="same stars"):
        compare(better, _judged([[100, 0], [140, 160]]))


def test_features_of_a_star_stay_with_the_star():
    """Published mistake: (n_columns, n_stars) reshaped to (n_stars, n_columns) mixes stars."""
    teff, logg = np.array([4000.0, 5000.0, 6000.0]), np.array([1.0, 2.0, 3.0])
    found = feature_matrix({"teff": teff, "logg": logg})
    np.testing.assert_array_equal(found, [[4000, 1], [5000, 2], [6000, 3]])
    scrambled = np.array([teff, logg]).reshape(3, 2)
    assert scrambled.shape == found.shape
    assert not np.array_equal(scrambled, found)
    with pytest.raises(StarkinError, match="one number a star"):
        feature_matrix({"teff": teff, "logg": logg[:2]})


def test_predictions_are_out_of_fold():
    """Features that are pure chance: a classifier that saw its test stars would do better."""
    rng = np.random.default_rng(1)
    truth = rng.uniform(size=300) < 0.5
    for classifier in ("rbf", "boosting", "linear"):
        found = cross_validate(rng.normal(size=(300, 8)), truth, classifier=classifier)
        assert abs(found.metrics()["accuracy"].value - 0.5) < 0.1, classifier


def test_groups_stay_in_one_fold():
    """Twins with equal features and labels: seen apart they would be recognised perfectly."""
    rng = np.random.default_rng(2)
    truth = np.repeat(rng.uniform(size=150) < 0.5, 2)
    features = np.repeat(rng.normal(size=(150, 3)), 2, axis=0)
    groups = np.repeat(np.arange(150), 2)
    apart = cross_validate(features, truth, classifier="boosting")
    together = cross_validate(features, truth, classifier="boosting", groups=groups)
    assert apart.metrics()["accuracy"].value > 0.7
    assert together.metrics()["accuracy"].value < 0.6


def test_classes_that_a_plane_parts_are_parted():
    rng = np.random.default_rng(3)
    features = rng.normal(size=(200, 2))
    truth = features[:, 0] > 0
    for classifier in ("linear", "rbf", "boosting"):
        found = cross_validate(features, truth, classifier=classifier)
        assert found.metrics()["balanced_accuracy"].value > 0.93
        # The score orders stars as the classes do.
        assert np.median(found.score[truth]) > np.median(found.score[~truth])
    none = cross_validate(features, truth, classifier="majority")
    assert none.metrics()["mcc"].value == 0


def test_bad_input_is_refused():
    features, truth = np.zeros((20, 2)), np.arange(20) < 3
    with pytest.raises(StarkinError, match="rarer class has 3"):
        cross_validate(features, truth)
    with pytest.raises(StarkinError, match="finite"):
        cross_validate(np.full((20, 2), np.nan), np.arange(20) % 2 == 0)
    with pytest.raises(StarkinError, match="no classifier"):
        cross_validate(features, np.arange(20) % 2 == 0, classifier="oracle")  # type: ignore[arg-type]
