"""R² of conditions and abundances from latents, on functions with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.latent.disentanglement import explained_variance
from starkin.spectra import StarkinError


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1500, 4))
    targets = {
        "linear": z @ [1.0, -2.0, 0.5, 0.0],
        "noisy": z[:, 0] + rng.normal(size=1500),  # half of the variance is noise
        "square": z[:, 0] ** 2,
        "step": np.where(np.floor(2 * z[:, 1]) % 2 == 0, 1.0, -1.0),
        "nothing": rng.normal(size=1500),
    }
    return z, targets, explained_variance(z, targets)


def test_each_probe_sees_what_it_can(world):
    _, _, found = world
    assert found["linear"].linear > 0.999
    assert found["noisy"].best == pytest.approx(0.5, abs=0.06)
    assert found["square"].linear < 0.05
    assert found["square"].r2["quadratic"] > 0.99
    assert found["square"].probe == "quadratic"
    assert found["step"].probe == "trees"
    assert found["step"].best > 0.5
    assert -0.1 < found["nothing"].best < 0.02
    assert found["square"].to_dict()["r2"] == found["square"].best


def test_r2_by_hand():
    # A target that the latents do not know is best guessed by its mean: R² is about 0, and
    # below it by the cost of fitting; a constant target has no variance to explain.
    z = np.random.default_rng(1).normal(size=(60, 2))
    found = explained_variance(z, {"constant": np.ones(60)}, probes=("linear",))
    assert np.isnan(found["constant"].linear)


def test_each_target_is_fitted_as_if_alone(world):
    # Side by side in one matrix, but with a penalty and with missing stars of its own.
    z, targets, found = world
    alone = explained_variance(z, {"noisy": targets["noisy"]}, probes=("linear", "quadratic"))
    for probe in ("linear", "quadratic"):
        assert alone["noisy"].r2[probe] == pytest.approx(found["noisy"].r2[probe], abs=1e-12)
    holes = np.where(np.arange(1500) < 700, np.nan, targets["linear"])
    mixed = explained_variance(z, {"h": holes, "noisy": targets["noisy"]}, probes=("linear",))
    assert list(mixed) == ["h", "noisy"]
    assert mixed["h"].linear > 0.999
    assert mixed["noisy"].linear == pytest.approx(found["noisy"].linear, abs=1e-12)


def test_twins_do_not_betray_each_other():
    # Twins share an abundance and a latent that is otherwise noise: without groups a probe
    # would learn it by heart from the twin in another fold.
    rng = np.random.default_rng(2)
    pair = np.repeat(np.arange(400), 2)
    z = rng.normal(size=(400, 1))[pair] + 1e-6 * rng.normal(size=(800, 1))
    abundance = rng.normal(size=400)[pair]
    apart = explained_variance(z, {"mg_h": abundance}, probes=("trees",))
    together = explained_variance(z, {"mg_h": abundance}, groups=pair, probes=("trees",))
    assert together["mg_h"].best < 0.05
    assert apart["mg_h"].best > together["mg_h"].best + 0.05


def test_missing_stars_are_left_out_and_time_is_bounded(world):
    z, targets, found = world
    z, y = z.copy(), targets["linear"].copy()
    z[3], y[5] = np.nan, np.nan
    groups = np.full(1500, -1)
    fewer = explained_variance(z, {"t": y}, groups=groups, probes=("linear",), max_stars=200)
    assert fewer["t"].linear > 0.99
    assert found["linear"].linear != fewer["t"].linear
    with pytest.raises(StarkinError, match="Only 2 stars have latents and teff"):
        explained_variance(z[:2], {"teff": y[:2]})
