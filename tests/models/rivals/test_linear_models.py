"""PCA, polynomial removal and RSCA beside what they are made of, and worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA as PlainPCA
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import PolynomialFeatures

from starkin.models.rivals import PCA, RSCA, PCAConfig, PolynomialPCA, PolynomialPCAConfig
from starkin.models.rivals.linear_config import RSCAConfig
from starkin.models.rivals.rsca import relative_scale
from starkin.spectra import SpectrumSet, StarkinError

from ..worlds import conditional_spectra

TRAIN, NEW = conditional_spectra(400, 1), conditional_spectra(200, 2)
PLAIN = {"n_latent": 5, "weighted": False, "whiten": False}


def test_plain_pca_gives_scikit_learn_s_scores():
    model = PCA(PCAConfig(**PLAIN), threads=1).fit(TRAIN, NEW)
    plain = PlainPCA(5).fit(TRAIN.values)
    found, expected = model.encode(NEW).mean, plain.transform(NEW.values)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-5)
    np.testing.assert_allclose(
        model.decode(found).values, plain.inverse_transform(expected), atol=1e-5
    )
    white = PCA(PCAConfig(n_latent=5, weighted=False), threads=1).fit(TRAIN, NEW)
    np.testing.assert_allclose(white.encode(TRAIN).mean.std(0, ddof=1), 1, rtol=1e-3)


@pytest.mark.parametrize("degree", [2, 4])
def test_polynomial_removal_is_a_regression_of_every_pixel(degree: int):
    model = PolynomialPCA(PolynomialPCAConfig(**PLAIN, degree=degree), threads=1).fit(TRAIN, NEW)

    def features(spectra: SpectrumSet) -> np.ndarray:
        u = np.column_stack([(spectra.label("teff") - 4750) / 400, spectra.label("logg") - 2])
        return PolynomialFeatures(degree).fit_transform(u)

    regression = LinearRegression(fit_intercept=False).fit(features(TRAIN), TRAIN.values)
    plain = PlainPCA(5).fit(TRAIN.values - regression.predict(features(TRAIN)))
    expected = plain.transform(NEW.values - regression.predict(features(NEW)))
    np.testing.assert_allclose(np.abs(model.encode(NEW).mean), np.abs(expected), atol=1e-4)


def test_what_a_polynomial_explains_is_gone():
    """Spectra that are quadratic in the labels: nothing is left at degree 2, much at 1."""
    u = np.column_stack([(TRAIN.label("teff") - 4750) / 433, (TRAIN.label("logg") - 2) / 0.87])
    shape = np.random.default_rng(3).normal(size=(3, TRAIN.n_pixels)) * 0.05
    values = 0.8 + u @ shape[:2] + (u[:, :1] * u[:, 1:]) * shape[2]
    quadratic = TRAIN.replace(values=values)
    sizes = []
    for degree in (1, 2):
        settings = PolynomialPCAConfig(**(PLAIN | {"n_latent": 1}), degree=degree)
        model = PolynomialPCA(settings, threads=1).fit(quadratic)
        sizes.append(model.encode(quadratic).mean.std())
    assert sizes[1] < 1e-4 * sizes[0]


def test_relative_scale_by_hand():
    np.testing.assert_allclose(relative_scale(np.array([0.6, 0.8])), [0.75, 4 / 3])
    assert relative_scale(np.array([1.0, 1.3])).min() > 1000  # Such an axis drops out.


def _first(latents: np.ndarray) -> float:
    """Share of stars whose twin, the other of rows 2i and 2i + 1, is the nearest."""
    distance = ((latents[:, None] - latents[None]) ** 2).sum(-1)
    np.fill_diagonal(distance, np.inf)
    return float(np.mean(distance.argmin(1) == np.arange(len(latents)) ^ 1))


@pytest.mark.parametrize("robust", [True, False])
def test_rsca_finds_the_axes_that_groups_share(robust: bool):
    """Alone, without a polynomial: PPCA mixes temperature and composition, RSCA parts them."""
    settings = {"n_latent": 8, "degree": 0, "conditions": (), "robust": robust}
    model = RSCA(RSCAConfig(**settings, n_groups=0), threads=1).fit(TRAIN)
    ppca = PCA(PCAConfig(n_latent=8), threads=1).fit(TRAIN)
    latents = model.encode(NEW).mean
    assert _first(latents) > 2 * _first(ppca.encode(NEW).mean)
    # Along each axis the variance of all stars is (1 − σ²)/σ² and within groups 1 − σ².
    total = latents.var(0)
    within = (latents[::2] - latents[1::2]).var(0) / 2
    kept = total > 0.5
    assert 2 <= kept.sum() <= 5
    np.testing.assert_allclose(within[kept], (total / (1 + total))[kept], rtol=0.35)


def test_rsca_s_twin_prior_is_the_covariance_within_and_between():
    model = RSCA(RSCAConfig(n_latent=5, n_groups=0, robust=False), threads=1).fit(TRAIN)
    prior = model.twin_prior()
    latents = model.encode(TRAIN)
    noise = latents.covariance_matrices().mean(0)
    half = (latents.mean[::2] - latents.mean[1::2]) / np.sqrt(2)
    np.testing.assert_allclose(
        np.diag(prior.within + noise), (half**2).mean(0), rtol=0.1, atol=1e-6
    )
    np.testing.assert_allclose(
        np.diag(prior.within + prior.between + noise), latents.mean.var(0), rtol=0.1, atol=1e-6
    )
    for matrix in (prior.within, prior.between):
        assert np.linalg.eigvalsh(matrix).min() > 0


def test_rsca_uses_as_many_groups_as_allowed_and_needs_enough():
    few = RSCA(RSCAConfig(n_latent=5, n_groups=8), threads=1).fit(TRAIN, NEW, seed=1)
    all_ = RSCA(RSCAConfig(n_latent=5, n_groups=0), threads=1).fit(TRAIN, NEW, seed=1)
    assert not np.allclose(few.encode(NEW).mean, all_.encode(NEW).mean)
    group = TRAIN.label("composition_id")
    group[6:] = -1
    with pytest.raises(StarkinError, match="'composition_id' of the training spectra has 6 in 3"):
        RSCA(RSCAConfig(n_latent=5)).fit(TRAIN.with_labels(composition_id=group))
    # A star without a group changes nothing of the groups.
    only = TRAIN.label("composition_id")
    only[100:] = np.nan
    RSCA(RSCAConfig(n_latent=5), threads=1).fit(TRAIN.with_labels(composition_id=only))


def test_more_latents_than_stars_or_pixels_are_refused():
    with pytest.raises(StarkinError, match=r"PCAConfig\.n_latent is 60"):
        PCA(PCAConfig(n_latent=60)).fit(TRAIN)
    with pytest.raises(StarkinError, match="degree must be 0"):
        PolynomialPCAConfig(conditions=())
    with pytest.raises(StarkinError, match="conditions must be different"):
        PolynomialPCAConfig(conditions=("teff", "teff"))
