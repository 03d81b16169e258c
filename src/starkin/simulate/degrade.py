"""From noiseless spectra to what a survey delivers, one flaw at a time.

Each function takes a :class:`~starkin.spectra.SpectrumSet` and gives a new one; they compose in
the order written. All that is random comes from the seed: the same seed, the same flaw. What was
done is written down in ``meta["degraded"]``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..spectra import SpectrumSet, StarkinError, WavelengthGrid, columns
from ..spectra.grids import segments

__all__ = [
    "with_continuum_tilt",
    "with_label_errors",
    "with_masked_pixels",
    "with_noise",
    "with_sky_residuals",
]

_ROWS = 2048  # stars at a time, so that random numbers need little memory


def recorded(spectra: SpectrumSet, what: str, **settings: Any) -> dict[str, Any]:
    """``meta`` with one flaw more."""
    before = spectra.meta.get("degraded", [])
    return {**spectra.meta, "degraded": [*before, {"what": what, **settings}]}


def _blocks(n: int, seed: int) -> list[tuple[slice, np.random.Generator]]:
    """Rows and their random stream: the first stars do not depend on how many there are."""
    starts = range(0, n, _ROWS)
    return [
        (slice(s, min(s + _ROWS, n)), np.random.default_rng([seed, i]))
        for i, s in enumerate(starts)
    ]


def _positive(name: str, value: float, high: float = np.inf) -> None:
    if not 0 <= value <= high:
        raise StarkinError(f"{name} must lie in 0..{high:g}, got {value!r}.")


def with_noise(spectra: SpectrumSet, snr: float | np.ndarray, seed: int) -> SpectrumSet:
    """Gaussian noise of 1/S/N of the continuum in every pixel; errors say so.

    Parameters
    ----------
    spectra : SpectrumSet
        What the flaw is added to.
    snr : float or ndarray, shape (n_stars,)
        Signal-to-noise ratio per pixel of the continuum; infinity leaves a star as it is.
    seed : int
        Of all that is random.
    """
    ratio = np.broadcast_to(np.asarray(snr, dtype=float), len(spectra))
    if not (ratio > 0).all():
        raise StarkinError("snr must be positive for every star.")
    sigma = (1 / ratio).astype(np.float32)[:, None]
    values = np.array(spectra.values, dtype=np.float32)
    errors = np.array(spectra.errors, dtype=np.float32)
    for rows, rng in _blocks(len(spectra), seed):
        noise = rng.standard_normal(values[rows].shape, dtype=np.float32)
        values[rows] += sigma[rows] * noise
        np.hypot(errors[rows], sigma[rows], out=errors[rows])
    errors[spectra.mask] = 1.0
    values[spectra.mask] = 0.0
    described = float(snr) if np.ndim(snr) == 0 else "per star"
    noisy = spectra.replace(
        values=values, errors=errors, meta=recorded(spectra, "noise", snr=described, seed=seed)
    )
    known = spectra.label(columns.SNR) if spectra.has_label(columns.SNR) else ratio
    return noisy.with_labels(**{columns.SNR: np.where(np.isfinite(ratio), ratio, known)})


def with_label_errors(
    spectra: SpectrumSet, teff: float = 100.0, logg: float = 0.2, m_h: float = 0.0, *, seed: int
) -> SpectrumSet:
    """Gaussian errors on the labels that a model is told; the truth stays in ``true_…``.

    Parameters
    ----------
    spectra : SpectrumSet
        What the flaw is added to.
    teff, logg, m_h : float
        Standard deviations [K, dex, dex].
    seed : int
        Of all that is random.
    """
    rng = np.random.default_rng(seed)
    new: dict[str, np.ndarray] = {}
    for name, error in ((columns.TEFF, teff), (columns.LOGG, logg), (columns.M_H, m_h)):
        _positive(f"The error of {name}", error)
        value = spectra.label(name)
        if not spectra.has_label(columns.truth(name)):
            new[columns.truth(name)] = value
        new[name] = value + error * rng.standard_normal(len(spectra))
        new[f"{name}_error"] = np.full(len(spectra), float(error))
    told = {"teff": teff, "logg": logg, "m_h": m_h, "seed": seed}
    meta = recorded(spectra, "label errors", **told)
    return spectra.with_labels(**new).replace(meta=meta)


def with_masked_pixels(
    spectra: SpectrumSet, fraction: float = 0.2, *, seed: int, run: int = 5
) -> SpectrumSet:
    """Pixels masked at random in runs, other ones in each star.

    Parameters
    ----------
    spectra : SpectrumSet
        What the flaw is added to.
    fraction : float
        Expected share of masked pixels, 0..0.95.
    run : int
        Pixels next to each other that are lost together (a sky line, a cosmic ray).
    seed : int
        Of all that is random.
    """
    _positive("fraction", fraction, 0.95)
    if run < 1:
        raise StarkinError(f"run must be at least 1, got {run}.")
    mask = spectra.mask.copy()
    n_pixels = spectra.n_pixels
    # A pixel survives if none of the `run` places where a run reaches it is chosen.
    rate = 1 - (1 - fraction) ** (1 / run)
    for rows, rng in _blocks(len(spectra), seed):
        begin = rng.random((mask[rows].shape[0], n_pixels + run - 1), dtype=np.float32) < rate
        for shift in range(run):
            mask[rows] |= begin[:, shift : shift + n_pixels]
    meta = recorded(spectra, "masked pixels", fraction=fraction, run=run, seed=seed)
    return spectra.replace(mask=mask, meta=meta)


def with_continuum_tilt(
    spectra: SpectrumSet, amplitude: float = 0.02, *, seed: int, order: int = 1
) -> SpectrumSet:
    """A continuum that was divided out wrongly: times a smooth curve about one, chip by chip.

    Parameters
    ----------
    spectra : SpectrumSet
        What the flaw is added to.
    amplitude : float
        Standard deviation of each Legendre term, as a share of the flux at the chip's end.
    order : int
        1 for a level and a slope in each chip, 2 for a curvature too.
    seed : int
        Of all that is random.
    """
    _positive("amplitude", amplitude, 0.5)
    if not 1 <= order <= 8:
        raise StarkinError(f"order must lie in 1..8, got {order}.")
    values = np.array(spectra.values, dtype=np.float32)
    chips = chips_of(spectra)
    for rows, rng in _blocks(len(spectra), seed):
        for chip in chips:
            x = np.linspace(-1.0, 1.0, chip.stop - chip.start)
            terms = np.polynomial.legendre.legvander(x, order).T
            weights = amplitude * rng.standard_normal((values[rows].shape[0], order + 1))
            # A level that is off by the full amplitude would be seen and corrected.
            weights[:, 0] *= 0.5
            values[rows, chip] *= (1 + weights @ terms).astype(np.float32)
    meta = recorded(spectra, "continuum tilt", amplitude=amplitude, order=order, seed=seed)
    return spectra.replace(values=values, meta=meta)


def with_sky_residuals(
    spectra: SpectrumSet,
    amplitude: float = 0.03,
    *,
    seed: int,
    n_lines: int = 120,
    width_pixels: float = 1.5,
) -> SpectrumSet:
    """Residuals of badly subtracted sky lines, at fixed places on the sky.

    The lines stand still in the observer's frame; each star's radial velocity (30 km/s scatter
    about zero, as Earth's motion gives) moves them about in the rest frame. The errors do not
    know of them.

    Parameters
    ----------
    spectra : SpectrumSet
        What the flaw is added to.
    amplitude : float
        Standard deviation of the residual at the centre of a line, as a share of the continuum.
    n_lines : int
        Sky lines over the whole range, as many as OH airglow has strong ones in the H band.
    width_pixels : float
        Standard deviation of a residual [pixel].
    seed : int
        Of all that is random.
    """
    _positive("amplitude", amplitude, 1.0)
    if not isinstance(spectra.grid, WavelengthGrid):
        raise StarkinError("Sky residuals need spectra against wavelength, not XP coefficients.")
    log = np.log(spectra.grid.wavelength)
    step = float(np.median(np.diff(log)))
    sky = np.random.default_rng([seed, 2**31]).uniform(log[0], log[-1], n_lines)
    values = np.array(spectra.values, dtype=np.float32)
    reach = int(np.ceil(4 * width_pixels))
    around = np.arange(-reach, reach + 1)
    for rows, rng in _blocks(len(spectra), seed):
        n = values[rows].shape[0]
        shift = 30.0 / 2.99792458e5 * rng.standard_normal((n, 1))
        strength = amplitude * rng.standard_normal((n, n_lines))
        centre = sky + shift
        nearest = np.clip(np.searchsorted(log, centre), 0, log.size - 1)
        pixel = nearest[:, :, None] + around
        inside = (pixel >= 0) & (pixel < log.size)
        pixel = np.clip(pixel, 0, log.size - 1)
        distance = (log[pixel] - centre[:, :, None]) / (width_pixels * step)
        shape = strength[:, :, None] * np.exp(-0.5 * distance**2) * inside
        star = np.broadcast_to(np.arange(n)[:, None, None], pixel.shape)
        flat = np.bincount((star * log.size + pixel).ravel(), shape.ravel(), minlength=n * log.size)
        values[rows] += flat.reshape(n, log.size).astype(np.float32)
    values[spectra.mask] = 0.0
    meta = recorded(spectra, "sky residuals", amplitude=amplitude, n_lines=n_lines, seed=seed)
    return spectra.replace(values=values, meta=meta)


def chips_of(spectra: SpectrumSet) -> list[slice]:
    """Stretches of pixels without a gap.

    Raises
    ------
    StarkinError
        If the spectra are not against wavelength.
    """
    if not isinstance(spectra.grid, WavelengthGrid):
        raise StarkinError("Only spectra against wavelength have chips.")
    return segments(spectra.grid)
