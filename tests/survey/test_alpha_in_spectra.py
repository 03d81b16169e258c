"""The latents of the scatter VAE know α where the spectrum carries it, and not where it does not.

Bright stars are simulated with their α in the spectra and without: the same stars, labels and
places. A model is trained on either survey, label-free, and all three tests of α are made of both
(benchmarks/bench_alpha.py makes them at full size).
"""

from __future__ import annotations

import numpy as np
import pytest

from starkin.latent.bimodality import (
    AlphaTest,
    alpha_baselines,
    alpha_test,
    balance_pairs,
    high_alpha,
    latent_features,
    match_pairs,
    matched_test,
)
from starkin.latent.classification import feature_matrix
from starkin.models import ScatterVAE, ScatterVAEConfig
from starkin.simulate import simulate_survey
from starkin.spectra import SpectrumSet

pytestmark = pytest.mark.science

N, TRAIN = 16_000, 8_000


def _labels(spectra: SpectrumSet) -> dict[str, np.ndarray]:
    """True ones: latents must not win because they know labels better than a catalogue."""
    return {k: spectra.label(f"true_{k}") for k in ("teff", "logg", "m_h")}


def _disc(spectra: SpectrumSet) -> np.ndarray:
    labels = _labels(spectra)
    inside = (labels["m_h"] > -0.8) & (labels["m_h"] < -0.1)
    return inside & (labels["teff"] > 3800) & (labels["teff"] < 6800)


@pytest.fixture(scope="module")
def surveys() -> dict[bool, SpectrumSet]:
    settings = {"g_faint": 14.0, "fractions": {"binary": 0.0}, "track_scatter": 0.01}
    return {s: simulate_survey(N, seed=11, alpha_signal=s, **settings) for s in (True, False)}


@pytest.fixture(scope="module")
def models(surveys) -> dict[bool, ScatterVAE]:
    def trained(survey: SpectrumSet) -> ScatterVAE:
        config = ScatterVAEConfig(epochs=40)
        return ScatterVAE(config).fit(survey[:TRAIN], survey[TRAIN : TRAIN + 800], seed=1)

    return {signal: trained(survey) for signal, survey in surveys.items()}


@pytest.fixture(scope="module")
def stars(surveys) -> dict[bool, SpectrumSet]:
    """Of the disc, not trained on."""
    held_out = {signal: survey[TRAIN + 800 :] for signal, survey in surveys.items()}
    return {signal: survey[_disc(survey)] for signal, survey in held_out.items()}


def _natural(model: ScatterVAE, stars: SpectrumSet) -> AlphaTest:
    labels = _labels(stars)
    rich = high_alpha(labels["m_h"], stars.label("true_alpha_m"))
    baselines = alpha_baselines(labels, {"bp_rp": stars.label("bp_rp")}, rich)
    return alpha_test(latent_features(model.encode(stars)), rich, baselines)


def _pairs(model: ScatterVAE, stars: SpectrumSet):
    labels = _labels(stars) | {"bp_rp": stars.label("bp_rp")}
    rich = high_alpha(labels["m_h"], stars.label("true_alpha_m"))
    pairs = balance_pairs(labels, match_pairs(labels, rich))
    z = latent_features(model.encode(stars))
    return matched_test({"latents": z, "labels": feature_matrix(labels)}, pairs)


def _coin(model: ScatterVAE, heads: SpectrumSet, tails: SpectrumSet) -> AlphaTest:
    use = np.flatnonzero(heads.label("true_alpha_m") > 0.15)
    coin = np.random.default_rng(1).permuted(np.arange(len(use)) % 2).astype(bool)
    mixed = SpectrumSet.concatenate([heads[use[coin]], tails[use[~coin]]])
    truth = np.repeat([True, False], [coin.sum(), (~coin).sum()])
    baselines = alpha_baselines(_labels(mixed), {"bp_rp": mixed.label("bp_rp")}, truth)
    return alpha_test(latent_features(model.encode(mixed)), truth, baselines)


def _told(found: AlphaTest) -> dict[str, float]:
    return {k: c.metrics()["balanced_accuracy"].value for k, c in found.classifications.items()}


def test_natural_latents_beat_every_label_where_spectra_carry_alpha(models, stars):
    found = _natural(models[True], stars[True])
    assert found.beats_labels, _told(found)


def test_natural_latents_do_not_where_spectra_do_not(models, stars):
    found = _natural(models[False], stars[False])
    assert not found.beats_labels, _told(found)
    # They classify all the same, by what goes with α: that is no knowledge of it.
    assert found.classifications["latents"].metrics()["balanced_accuracy"].low > 0.6


def test_matched_pairs_are_told_apart_where_spectra_carry_alpha(models, stars):
    latents, labels = _pairs(models[True], stars[True])
    assert latents.accuracy.n > 40
    assert latents.accuracy.low > 0.6, latents
    assert latents.accuracy.low > labels.accuracy.value, labels
    assert labels.p_value > 0.01


def test_matched_pairs_are_not_where_spectra_do_not(models, stars):
    latents, _ = _pairs(models[False], stars[False])
    assert latents.p_value > 0.01, latents


def test_the_coin_is_seen_in_spectra_that_carry_alpha(models, stars):
    found = _coin(models[True], stars[True], stars[False])
    assert found.beats_labels, _told(found)
    assert found.classifications["latents"].metrics()["balanced_accuracy"].low > 0.65


def test_the_coin_is_not_seen_in_spectra_that_do_not(models, stars):
    found = _coin(models[False], stars[False], stars[False])
    assert not found.beats_labels
    assert found.classifications["latents"].metrics()["balanced_accuracy"].low < 0.53
