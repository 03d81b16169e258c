"""How well could XP coefficients tell [α/M] at all? Fisher information of the simulator.

The derivatives of noiseless coefficients with [α/M], Teff, log g, [M/H], [C/M] and A_V are taken
by differences at simulated stars of the disc, and set against the covariance that the instrument
has at a magnitude. *All else known* is the error of [α/M] of a star whose other labels are given;
*nothing known* leaves all of them free ([C/M] to 0.05 dex). "Uncorrelated" is the information left
to a model that, as the scatter VAE does, takes the errors of coefficients as independent.

    python benchmarks/bench_alpha_ceiling.py
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from scipy.stats import norm

from starkin.simulate.instrument import band_covariance
from starkin.simulate.light import WAVELENGTH, extinction, flux_at_ten_parsec
from starkin.simulate.populations import Stars, alpha_split, draw_field
from starkin.simulate.rare import Group
from starkin.spectra import XPGrid
from starkin.spectra.photometry import ZERO_POINTS, passband_functionals
from starkin.spectra.projection import projection_matrix

#: What is varied, and by how much; [α/M] first.
STEPS = {"alpha_m": 0.1, "teff": 30.0, "logg": 0.1, "m_h": 0.05, "c_m": 0.1, "a_v": 0.05}
CARBON_KNOWN_TO = 0.05  # [dex]
SEPARATION = 0.2  # of the two sequences at [M/H] of -0.5 to -0.3 [dex]
TRANSITS = 40.0


def per_unit_g(stars: Stars) -> np.ndarray:
    """Noiseless coefficients divided by the G flux, shape (n_stars, 110)."""
    group = Group("field", stars)
    flux = flux_at_ten_parsec([group], [np.ones(len(stars), dtype=bool)], True)[0]
    dimmed = flux * 10 ** (-0.4 * stars.a_v[:, np.newaxis] * extinction())
    coefficients = dimmed @ projection_matrix(WAVELENGTH)
    return coefficients / (coefficients @ passband_functionals()[:, 0])[:, np.newaxis]


def derivatives(stars: Stars) -> np.ndarray:
    """Of the coefficients with each of STEPS, shape (n_stars, 110, n_steps)."""

    def moved(name: str, by: float) -> np.ndarray:
        return per_unit_g(replace(stars, **{name: getattr(stars, name) + by}))

    slopes = [(moved(k, step / 2) - moved(k, -step / 2)) / step for k, step in STEPS.items()]
    return np.stack(slopes, axis=2)


def alpha_errors(inverse: np.ndarray, slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Errors of [α/M] with all else known, and with nothing known, shape (n_stars,) each."""
    information = slopes.transpose(0, 2, 1) @ inverse @ slopes
    known = information[:, 0, 0] ** -0.5
    carbon = list(STEPS).index("c_m")
    information[:, carbon, carbon] += CARBON_KNOWN_TO**-2
    return known, np.linalg.inv(information)[:, 0, 0] ** 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stars", type=int, default=60, help="of each sequence and branch")
    parser.add_argument(
        "--magnitudes", type=float, nargs="+", default=[10, 12, 13, 14, 15, 16, 17.5]
    )
    given = parser.parse_args()
    drawn = draw_field(70 * given.stars, 6.0, 14.0, np.random.default_rng(5))
    disc = (drawn.m_h > -0.8) & (drawn.m_h < -0.1) & (drawn.teff > 3800) & (drawn.teff < 6800)
    rich = drawn.alpha_m > alpha_split(drawn.m_h)
    grid = XPGrid()
    print("| | G | all else known | nothing known | uncorrelated | told right at best |")
    print("|---|---|---|---|---|---|")
    for name, branch in (("giants", drawn.logg < 3.5), ("dwarfs", drawn.logg >= 3.5)):
        rows = [np.flatnonzero(disc & branch & of)[: given.stars] for of in (rich, ~rich)]
        stars = drawn[np.concatenate(rows)]
        slopes, plain = derivatives(stars), per_unit_g(stars)
        for g in given.magnitudes:
            flux = 10 ** (0.4 * (ZERO_POINTS["G"] - g))
            covariance = np.zeros((len(stars), grid.n_pixels, grid.n_pixels))
            for band in ("bp", "rp"):
                at = grid.band(band)
                transits = np.full(len(stars), TRANSITS)
                covariance[:, at, at] = band_covariance(band, plain[:, at] * flux, transits)
            covariance /= flux**2
            variance = np.diagonal(covariance, axis1=1, axis2=2)
            alone = np.eye(grid.n_pixels) / variance[:, np.newaxis, :]
            known, free = alpha_errors(np.linalg.inv(covariance), slopes)
            _, uncorrelated = alpha_errors(alone, slopes)
            cells = " | ".join(f"{np.median(x):.3f}" for x in (known, free, uncorrelated))
            # Two equally common classes that far apart: Φ(Δ/2σ).
            best = norm.cdf(SEPARATION / 2 / np.median(free))
            print(f"| {name} | {g:g} | {cells} | {best:.2f} |", flush=True)


if __name__ == "__main__":
    main()
