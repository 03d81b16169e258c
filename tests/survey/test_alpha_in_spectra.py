"""Latents that know α beat every label when the spectrum carries it, and do not when it does not.

The same stars are simulated with their α in the spectra and without; a coin decides of which
survey each α-rich star is taken. No label goes with the coin.
"""

from __future__ import annotations

import numpy as np
import pytest

from starkin.latent.bimodality import AlphaTest, alpha_baselines, alpha_test, latent_features
from starkin.models.rivals import PCA, PCAConfig
from starkin.simulate import simulate_survey
from starkin.spectra import SpectrumSet

pytestmark = pytest.mark.science


@pytest.fixture(scope="module")
def surveys() -> dict[bool, SpectrumSet]:
    return {s: simulate_survey(6000, seed=11, alpha_signal=s) for s in (True, False)}


@pytest.fixture(scope="module")
def model(surveys) -> PCA:
    """Label-independent, in closed form: what is tested here is the test."""
    return PCA(PCAConfig(n_latent=10)).fit(surveys[True][:4000], seed=1)


def _contest(model: PCA, heads: SpectrumSet, tails: SpectrumSet, seed: int) -> AlphaTest:
    use = np.flatnonzero(
        (heads.label("true_alpha_m") > 0.15)
        & (heads.label("true_teff") < 6800)
        & (heads.label("true_m_h") > -1.2)
    )
    coin = np.random.default_rng(seed).uniform(size=len(use)) < 0.5
    mixed = SpectrumSet.concatenate([heads[use[coin]], tails[use[~coin]]])
    truth = np.repeat([True, False], [coin.sum(), (~coin).sum()])
    labels = {k: mixed.label(f"true_{k}") for k in ("teff", "logg", "m_h")}
    baselines = alpha_baselines(labels, {"bp_rp": mixed.label("bp_rp")}, truth)
    return alpha_test(latent_features(model.encode(mixed)), truth, baselines)


def test_latents_beat_labels_where_the_spectrum_carries_alpha(surveys, model):
    found = _contest(model, surveys[True], surveys[False], seed=1)
    assert found.beats_labels, {k: v.to_dict() for k, v in found.advantage().items()}
    assert found.classifications["latents"].metrics()["balanced_accuracy"].low > 0.57


def test_latents_do_not_beat_labels_where_it_does_not(surveys, model):
    found = _contest(model, surveys[False], surveys[False], seed=1)
    assert not found.beats_labels
    latents = found.classifications["latents"].metrics()["balanced_accuracy"]
    assert latents.low < 0.52
    assert latents.value < 0.55
