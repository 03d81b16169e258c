"""Principal-component scores of spectra, with and without masked values."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.decomposition import PCA

from starkin.models.compression import Compression
from starkin.models.inputs import Inputs

from .worlds import conditional_spectra


def test_scores_are_those_of_plain_pca_and_masked_values_are_filled_in():
    whole = conditional_spectra(400, 1)
    rows = np.arange(len(whole))
    inputs = Inputs.fit(whole, rows, ("teff", "logg"), centre=0.875, scale=0.25)
    prepared = inputs.prepare(whole)
    compression = Compression.fit(prepared, rows, 12, seed=0)
    y = compression.scores(prepared, rows)
    scaled = 4 * whole.values - 3.5
    plain = PCA(12).fit(scaled)
    np.testing.assert_allclose(np.abs(y.numpy()), np.abs(plain.transform(scaled)), atol=1e-4)
    # Orthonormal axes: squares of scores are squares of spectra along them.
    back = compression.restore(y)
    np.testing.assert_allclose(((back - compression.mean) ** 2).sum(1), (y**2).sum(1), rtol=1e-4)
    mask = np.random.default_rng(2).random(whole.mask.shape) < 0.15
    masked = inputs.prepare(whole.replace(mask=mask))
    filled = compression.scores(masked, rows)
    # The least-squares scores of the pixels that are left.
    for i in range(5):
        axes = compression.axes.numpy()[~mask[i]]
        away = scaled[i][~mask[i]] - compression.mean.numpy()[~mask[i]]
        exact = np.linalg.lstsq(axes, away)[0]
        np.testing.assert_allclose(filled[i].numpy(), exact, atol=0.02 * float(y.abs().max()))
    zeroed = (torch.from_numpy(scaled).float() - compression.mean) * ~torch.from_numpy(mask)
    naive = zeroed @ compression.axes
    assert ((filled - y) ** 2).mean() < 0.1 * ((naive - y) ** 2).mean()
