"""Boosted trees on coefficients: calibrated, seeded, kept whole on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("xgboost")

from starkin.latent.selection import selection_curve
from starkin.models.rivals import BoostedClassifier, BoostedConfig
from starkin.models.rivals.boosted import carbon_enhanced
from starkin.spectra import SpectrumSet, StarkinError, XPGrid

from ..worlds import linear_spectra

CONFIG = BoostedConfig(n_trees=120, depth=3, balance=True)


def examples(n: int, seed: int) -> tuple[SpectrumSet, np.ndarray]:
    """Members with a chance of 0.9 where z1 > 1.3 (a tenth of the stars), of 0.01 elsewhere."""
    spectra = linear_spectra(n, seed, labels=True, masked=True)
    z = (spectra.label("teff") - 5000) / 500
    chance = np.where(z > 1.3, 0.9, 0.01)
    return spectra, np.random.default_rng(seed).random(n) < chance


@pytest.fixture(scope="module")
def trained() -> BoostedClassifier:
    return BoostedClassifier(CONFIG).fit(*examples(3000, 1), seed=0)


def test_members_are_found_and_probabilities_mean_what_they_say(trained: BoostedClassifier) -> None:
    spectra, member = examples(3000, 2)
    probability = trained.probability(spectra)
    assert ((probability >= 0) & (probability <= 1)).all()
    curve = selection_curve(probability, member)
    half = np.searchsorted(curve.threshold, 0.5)
    assert curve.completeness[half] > 0.7
    assert curve.contamination[half] < 0.25
    # Balanced weights are undone: the sum of probabilities is the number of members.
    assert probability.sum() == pytest.approx(member.sum(), rel=0.2)


def test_nothing_usable_gives_no_probability(trained: BoostedClassifier) -> None:
    spectra, _ = examples(20, 3)
    mask = spectra.mask.copy()
    mask[4] = True
    found = trained.probability(spectra.replace(mask=mask))
    assert np.isnan(found[4])
    assert np.isfinite(np.delete(found, 4)).all()


def test_seeded_and_saved_without_loss(trained: BoostedClassifier, tmp_path: Path) -> None:
    spectra, _ = examples(200, 4)
    again = BoostedClassifier(CONFIG).fit(*examples(3000, 1), seed=0)
    np.testing.assert_array_equal(again.probability(spectra), trained.probability(spectra))
    trained.save(tmp_path / "cemp")
    loaded = BoostedClassifier.load(tmp_path / "cemp")
    np.testing.assert_array_equal(loaded.probability(spectra), trained.probability(spectra))
    assert loaded.card == trained.card
    trees = tmp_path / "cemp" / "trees.ubj"
    trees.write_bytes(trees.read_bytes()[:-5])
    with pytest.raises(StarkinError, match=r"trees\.ubj is damaged"):
        BoostedClassifier.load(tmp_path / "cemp")


def test_the_probability_is_a_column_that_says_what_it_is() -> None:
    config = BoostedConfig(name="cemp", n_trees=5)
    model = BoostedClassifier(config).fit(*examples(300, 1))
    spectra, _ = examples(20, 2)
    assert model.column == "cemp_probability"
    told = model.probability_column(spectra)
    np.testing.assert_array_equal(told, model.probability(spectra))
    assert "carbon-enhanced" in told.description
    with pytest.raises(StarkinError, match="name"):
        BoostedConfig(name="metal poor")


def test_carbon_enhanced_by_hand() -> None:
    labels = {"m_h": [-2.0, -0.5, -2.0, np.nan], "c_m": [1.0, 1.0, 0.5, 1.0]}
    spectra = linear_spectra(4, 0).with_labels(**labels)
    np.testing.assert_array_equal(carbon_enhanced(spectra), [True, False, False, False])


def test_what_cannot_be_learnt_is_refused(trained: BoostedClassifier) -> None:
    spectra, _ = examples(50, 5)
    with pytest.raises(StarkinError, match="two or more usable members"):
        BoostedClassifier().fit(spectra, np.zeros(50, dtype=bool))
    with pytest.raises(StarkinError, match="not trained"):
        BoostedClassifier().probability(spectra)
    other = SpectrumSet(np.arange(2), np.ones((2, 106)), np.ones((2, 106)), XPGrid(51, 55))
    with pytest.raises(StarkinError, match="51 BP"):
        trained.probability(other)
    with pytest.raises(StarkinError, match="depth"):
        BoostedConfig(depth=0)
