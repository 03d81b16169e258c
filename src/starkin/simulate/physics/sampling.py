"""Where in wavelength the opacity is sampled, and how samples become pixels.

A low-resolution pixel holds hundreds of lines. Instead of computing all of it for every star,
a few wavelengths and positive weights are chosen in each pixel such that their weighted mean
flux equals the mean over the pixel for a training set of atmospheres that spans the parameter
space (the method of representative wavelengths: Buehler, John & Emde 2010, JQSRT 111, 602).
The choice is made by non-negative least squares on spectra that the engine itself computes
at full resolution, once, and the error on other stars is measured on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.optimize import nnls

from .absorbers import default_columns
from .atmosphere import Atmosphere, build_atmosphere
from .composition import composition
from .emergence import emergent_flux
from .energy import temperature_scale
from .kept import kept_on_disk
from .lines import LineList
from .opacity import OpacityTable

__all__ = ["Sampling", "direct_sampling", "pixel_edges", "sampling_for"]

_SPACING_NM = 0.05  # of the candidates
_MIN_CANDIDATES = 24
_BLOCK_NM = 200.0
_N_TRAINING = 84


@dataclass(frozen=True)
class Sampling:
    """Sample wavelengths, tabulated, and the weights that make pixel means of them.

    Attributes
    ----------
    table : OpacityTable
        On the sample wavelengths, pixel after pixel.
    weights : Tensor, shape (n_pixels, n_per_pixel)
        Non-negative; each row sums to one.
    error : ndarray, shape (n_pixels,)
        Root mean square of the relative error over held-out atmospheres; zero where the
        spectrum is computed at the wavelengths themselves.
    """

    table: OpacityTable
    weights: torch.Tensor
    error: np.ndarray

    @property
    def n_pixels(self) -> int:
        return self.weights.shape[0]

    def reduce(self, flux: torch.Tensor) -> torch.Tensor:
        """Pixel means of sampled fluxes, shape ``(n_stars, n_pixels)``."""
        return torch.einsum(
            "spk,pk->sp", flux.reshape(len(flux), *self.weights.shape), self.weights
        )


def pixel_edges(wavelength_nm: np.ndarray) -> np.ndarray:
    """Mid-points between pixels, extrapolated at both ends."""
    middle = 0.5 * (wavelength_nm[1:] + wavelength_nm[:-1])
    return np.concatenate(
        [[2 * wavelength_nm[0] - middle[0]], middle, [2 * wavelength_nm[-1] - middle[-1]]]
    )


def direct_sampling(
    wavelength_nm: np.ndarray, lines: LineList | None = None, velocity_kms: float = 1.5
) -> Sampling:
    """The spectrum at the wavelengths themselves: for grids that resolve the lines.

    Parameters
    ----------
    wavelength_nm : ndarray, shape (n_wave,)
        Vacuum wavelengths [nm].
    lines : LineList, optional
        In place of the engine's own.
    velocity_kms : float
        Microturbulence.
    """
    columns = default_columns(wavelength_nm.min(), wavelength_nm.max(), lines, velocity_kms)
    table = OpacityTable(columns, wavelength_nm)
    n = wavelength_nm.size
    return Sampling(table, torch.ones(n, 1), np.zeros(n))


def _training_atmospheres(n: int, seed: int = 7) -> Atmosphere:
    """Atmospheres over the whole parameter space, carbon stars and odd mixtures included."""
    rng = np.random.default_rng(seed)
    teff = np.exp(rng.uniform(np.log(3000.0), np.log(11000.0), n))
    logg = np.where(teff < 7000, rng.uniform(0.0, 5.2, n), rng.uniform(2.5, 4.6, n))
    m_h = rng.choice([-3.0, -2.0, -1.2, -0.6, -0.2, 0.0, 0.2, 0.4], n) + rng.normal(0, 0.1, n)
    alpha_m = rng.uniform(-0.2, 0.6, n)
    c_m = np.where(rng.random(n) < 0.25, rng.uniform(0.3, 2.0, n), rng.normal(0, 0.15, n))
    mix = composition(m_h, alpha_m, c_m)
    order = np.argsort(teff)
    t, g, m, a = (torch.from_numpy(x[order]) for x in (teff, logg, m_h, mix))
    return build_atmosphere(t, g, m, a, temperature_scale(t, g, m))


def _choose(flux: np.ndarray, n_keep: int) -> tuple[np.ndarray, np.ndarray]:
    """Candidates and weights whose combination best matches the mean flux of every star.

    Parameters
    ----------
    flux : ndarray, shape (n_stars, n_candidates)
        Emergent fluxes of the training stars.
    n_keep : int
        Most candidates to keep.
    """
    x = flux / flux.mean(1, keepdims=True)
    # A heavy last equation makes the weights sum to one.
    rows = np.vstack([x, np.full((1, x.shape[1]), 30.0)])
    target = np.append(np.ones(len(x)), 30.0)
    weight, _ = nnls(rows, target)
    kept = np.flatnonzero(weight)
    while True:
        kept = kept[np.argsort(weight[kept])[::-1]]
        size = max(n_keep, int(0.7 * kept.size))
        if kept.size > n_keep:
            kept = kept[:size]
        again, _ = nnls(rows[:, kept], target)
        weight = np.zeros(x.shape[1])
        weight[kept] = again
        if kept.size <= n_keep:
            return kept, again / again.sum()


def representative_sampling(
    wavelength_nm: np.ndarray,
    n_per_pixel: int = 6,
    lines: LineList | None = None,
    progress: Callable[[str], None] | None = None,
) -> Sampling:
    """Representative wavelengths for pixels around ``wavelength_nm`` (see the module).

    Parameters
    ----------
    wavelength_nm : ndarray, shape (n_pixels,)
        Centres of contiguous pixels [nm], vacuum.
    n_per_pixel : int
        Wavelengths kept in each.
    lines : LineList, optional
        In place of the engine's own.
    progress : callable, optional
        Told what is being done.
    """
    edges = pixel_edges(wavelength_nm)
    columns = default_columns(edges[0], edges[-1], lines, resolved=False)
    training = _training_atmospheres(_N_TRAINING)
    held_out = np.arange(_N_TRAINING) % 4 == 3
    n_blocks = max(1, int(np.ceil((edges[-1] - edges[0]) / _BLOCK_NM)))
    tables, weights, errors = [], [], []
    for pixels in np.array_split(np.arange(wavelength_nm.size), n_blocks):
        if progress is not None:
            progress(f"sampling {edges[pixels[0]]:.0f}-{edges[pixels[-1] + 1]:.0f} nm")
        counts = [
            max(_MIN_CANDIDATES, int((edges[p + 1] - edges[p]) / _SPACING_NM)) for p in pixels
        ]
        candidates = np.concatenate(
            [
                edges[p] + (edges[p + 1] - edges[p]) * (np.arange(n) + 0.5) / n
                for p, n in zip(pixels, counts, strict=True)
            ]
        )
        table = OpacityTable(columns, candidates)
        flux = emergent_flux(training, table).numpy().astype(float)
        chosen, start = [], 0
        for n in counts:
            own = flux[:, start : start + n]
            kept, weight = _choose(own[~held_out], n_per_pixel)
            model = own[held_out][:, kept] @ weight
            errors.append(np.sqrt(np.mean((model / own[held_out].mean(1) - 1) ** 2)))
            pad = n_per_pixel - kept.size
            chosen.append(np.pad(kept, (0, pad), mode="edge") + start)
            weights.append(np.pad(weight, (0, pad)))
            start += n
        tables.append(table.take(np.concatenate(chosen)))
    return Sampling(
        OpacityTable.join(tables),
        torch.tensor(np.array(weights), dtype=torch.float32),
        np.array(errors),
    )


@lru_cache(maxsize=4)
def _cached(key: bytes) -> Sampling:
    wavelength = np.frombuffer(key).copy()
    # Pixels narrower than a few line widths are spectra in their own right.
    if np.median(np.diff(wavelength)) < 2 * _SPACING_NM * np.median(wavelength) / 500.0:
        return direct_sampling(wavelength)
    edges = pixel_edges(wavelength)

    def make() -> dict[str, np.ndarray]:
        made = representative_sampling(wavelength)
        return {
            "wavelength_nm": made.table.wavelength_nm,
            "cross_sections": made.table.cross_sections,
            "weights": made.weights.numpy(),
            "error": made.error,
        }

    arrays = kept_on_disk("sampling", key, make)
    columns = default_columns(edges[0], edges[-1], resolved=False)
    table = OpacityTable(columns, arrays["wavelength_nm"], arrays["cross_sections"])
    return Sampling(table, torch.from_numpy(arrays["weights"]), arrays["error"])


def sampling_for(wavelength_nm: np.ndarray) -> Sampling:
    """The default sampling of a grid: representative if coarse, direct if fine; built once."""
    return _cached(np.ascontiguousarray(wavelength_nm, dtype=float).tobytes())
