"""Is a population another kind of star in its spectra, in its light, and on the sky?

The question is asked three times, of data the clustering did not see in that
form: normalised spectra, (colour, absolute magnitude), and positions. Each
time the population is compared with the rest of the sample by the energy
distance, and the answer is judged against random groups of the same size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import false_discovery_control
from sklearn.decomposition import PCA

from ..spectra.errors import StarkinError
from .stability import Progress

__all__ = [
    "KINDS",
    "Distinctness",
    "DistinctnessTest",
    "distinctness",
    "energy_test",
    "hr_coordinates",
    "sky_coordinates",
    "spectral_coordinates",
]

#: The three spaces, in the order of the tables.
KINDS = ("spectroscopic", "photometric", "sky")

#: Fewer stars than this, on either side, and nothing is said.
_FEWEST = 5


# --- the test -----------------------------------------------------------------
@dataclass(frozen=True)
class DistinctnessTest:
    """One population in one space.

    Attributes
    ----------
    statistic : float
        Energy coefficient of inhomogeneity, 0 (same distribution) to 1.
    p : float
        Part of the random groups at least as far from the others; never 0.
    n_members, n_rest : int
        Stars compared.
    """

    statistic: float
    p: float
    n_members: int
    n_rest: int


def energy_test(
    members: np.ndarray,
    rest: np.ndarray,
    *,
    n_permutations: int = 999,
    rng: np.random.Generator,
) -> DistinctnessTest:
    """Compare two samples by their energy distance, with a permutation p-value.

    E = 2 <d(x, y)> - <d(x, x')> - <d(y, y')> and H = E / (2 <d(x, y)>), d the Euclidean
    distance, averages over all pairs, a star with itself included (Székely & Rizzo 2013, eqs. 6.1,
    6.3). Random groups of the size of ``members`` are drawn from both together,
    which makes the p-value (1 + #{E_random >= E}) / (1 + n_permutations) exact
    (Phipson & Smyth 2010) whatever the distributions.

    Parameters
    ----------
    members : ndarray, shape (n, d)
        Finite.
    rest : ndarray, shape (m, d)
        Finite.
    n_permutations : int
        Random groups.
    rng : numpy.random.Generator
        Draws them.
    """
    n, m = len(members), len(rest)
    both = np.concatenate([members, rest]).astype(np.float64)
    distances = cdist(both, both)
    group = np.zeros((n + m, n_permutations + 1))
    group[:n, 0] = 1.0
    picks = np.argsort(rng.random((n_permutations, n + m)), axis=1)[:, :n]
    group[picks.T, np.arange(1, n_permutations + 1)] = 1.0
    # Three sums of pairwise distances, for all groups in one matrix product.
    row = distances.sum(axis=1)
    within = np.einsum("ij,ij->j", group, distances @ group)
    across = row @ group - within
    without = row.sum() - 2 * across - within
    cross = 2 * across / (n * m)
    energy = cross - within / n**2 - without / m**2
    # Equal groups may differ in the last bits: ties count against the population.
    tolerance = 1e-12 * max(float(cross[0]), np.finfo(float).tiny)
    beyond = int(np.sum(energy[1:] >= energy[0] - tolerance))
    return DistinctnessTest(
        statistic=float(energy[0] / cross[0]) if cross[0] > 0 else 0.0,
        p=(1 + beyond) / (1 + n_permutations),
        n_members=n,
        n_rest=m,
    )


# --- over populations and spaces ----------------------------------------------
@dataclass(frozen=True, eq=False)
class Distinctness:
    """Every population in every space that was given.

    Attributes
    ----------
    statistic, p, p_adjusted : dict of str to ndarray, shape (n_populations,)
        By kind (:data:`KINDS`); NaN where there were too few stars.
        ``p_adjusted`` is corrected over all tests made, by Benjamini & Hochberg (1995).
    n_members : dict of str to ndarray of int
        Members with data of that kind that were compared.
    """

    statistic: dict[str, np.ndarray]
    p: dict[str, np.ndarray]
    p_adjusted: dict[str, np.ndarray]
    n_members: dict[str, np.ndarray]

    def to_columns(self) -> dict[str, np.ndarray]:
        """Columns of :attr:`Discovery.populations`, one row a population."""
        columns: dict[str, np.ndarray] = {}
        for kind in self.p:
            columns[f"{kind}_statistic"] = self.statistic[kind]
            columns[f"{kind}_p"] = self.p[kind]
            columns[f"{kind}_p_adjusted"] = self.p_adjusted[kind]
        return columns

    def to_dict(self) -> dict[str, Any]:
        return {
            "statistic": "energy coefficient of inhomogeneity (Szekely & Rizzo 2013)",
            "correction": "Benjamini-Hochberg over all tests",
            **{
                kind: {
                    "statistic": self.statistic[kind].tolist(),
                    "p": self.p[kind].tolist(),
                    "p_adjusted": self.p_adjusted[kind].tolist(),
                    "n_members": self.n_members[kind].tolist(),
                }
                for kind in self.p
            },
        }


def distinctness(
    labels: np.ndarray,
    spaces: Mapping[str, np.ndarray],
    *,
    n_permutations: int = 999,
    max_stars: int = 600,
    seed: int = 0,
    progress: Progress | None = None,
) -> Distinctness:
    """Test each population against the rest of the sample in each space.

    The p-value of the spectroscopic test says that the population is no random
    group; as populations are found in what a model made of the same spectra,
    that is a check, not a discovery: the other two are independent of it.

    Parameters
    ----------
    labels : ndarray of int, shape (n,)
        Population of each star; -1 for none (those are part of the rest).
    spaces : mapping of str to ndarray, shape (n, d)
        Coordinates by kind, NaN where a star has none:
        :func:`spectral_coordinates`, :func:`hr_coordinates`, :func:`sky_coordinates`.
    n_permutations : int
        Random groups a test.
    max_stars : int
        Of larger populations, and of the rest, a random part of this size is
        compared: the work grows with its square.
    seed : int
        Of those parts and of the random groups.
    progress : callable, optional
        Told of each test.
    """
    labels = np.asarray(labels, dtype=np.int64)
    n_populations = int(labels.max(initial=-1)) + 1
    for kind, coordinates in spaces.items():
        if len(coordinates) != len(labels):
            raise StarkinError(
                f"The {kind} coordinates have {len(coordinates)} rows for {len(labels)} stars."
            )
    rng = np.random.default_rng(seed)
    blank = {kind: np.full(n_populations, np.nan) for kind in spaces}
    statistic = {k: v.copy() for k, v in blank.items()}
    p = {k: v.copy() for k, v in blank.items()}
    counts = {kind: np.zeros(n_populations, dtype=np.int64) for kind in spaces}
    steps, done = n_populations * len(spaces), 0
    for kind, coordinates in spaces.items():
        known = np.isfinite(coordinates).all(axis=1)
        for number in range(n_populations):
            members = _some(np.flatnonzero(known & (labels == number)), max_stars, rng)
            rest = _some(np.flatnonzero(known & (labels != number)), max_stars, rng)
            counts[kind][number] = len(members)
            if min(len(members), len(rest)) >= _FEWEST:
                test = energy_test(
                    coordinates[members],
                    coordinates[rest],
                    n_permutations=n_permutations,
                    rng=rng,
                )
                statistic[kind][number], p[kind][number] = test.statistic, test.p
            done += 1
            if progress:
                progress(done, steps, f"population {number}, {kind}: p = {p[kind][number]:.3g}")
    return Distinctness(statistic, p, _adjusted(p), counts)


def _some(rows: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    return rows if len(rows) <= most else rng.choice(rows, size=most, replace=False)


def _adjusted(p: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    flat = np.concatenate([*p.values(), np.empty(0)])
    made = np.isfinite(flat)
    if made.any():
        flat[made] = false_discovery_control(flat[made], method="bh")
    pieces = np.split(flat, np.cumsum([len(v) for v in p.values()]))
    return dict(zip(p, pieces, strict=False))


# --- the three spaces ---------------------------------------------------------
def spectral_coordinates(
    values: np.ndarray,
    mask: np.ndarray | None = None,
    *,
    n_components: int = 20,
    max_fit: int = 20_000,
    seed: int = 0,
) -> np.ndarray:
    """Principal components of normalised spectra, each pixel scaled by its own spread.

    Parameters
    ----------
    values : ndarray, shape (n, n_pixels)
        Coefficients or fluxes, already divided by the G flux: else brightness is tested.
    mask : ndarray of bool, shape (n, n_pixels), optional
        True where there is no value; a masked value counts as typical.
    n_components : int
        Components kept.
    max_fit : int
        Stars of which the components are learnt.
    seed : int
        Picks those.

    Returns
    -------
    ndarray, shape (n, n_components)
        NaN for a star with less than half of its pixels.
    """
    values = np.asarray(values, dtype=np.float64)
    bad = ~np.isfinite(values) if mask is None else np.asarray(mask) | ~np.isfinite(values)
    typical = np.zeros(values.shape[1])
    spread = np.ones(values.shape[1])
    with_values = ~bad.all(axis=0)
    quartiles = np.nanpercentile(
        np.where(bad, np.nan, values)[:, with_values], [25, 50, 75], axis=0
    )
    typical[with_values] = quartiles[1]
    spread[with_values] = np.maximum(quartiles[2] - quartiles[0], np.finfo(float).tiny)
    # Bounded, so that a handful of emission lines or bad pixels does not own the components.
    scaled = np.clip(np.where(bad, 0, (values - typical) / spread), -20, 20)
    rows = np.flatnonzero(bad.mean(axis=1) <= 0.5)
    result = np.full((len(values), min(n_components, *scaled[rows].shape)), np.nan)
    if rows.size:
        fit = _some(rows, max_fit, np.random.default_rng(seed))
        pca = PCA(n_components=min(result.shape[1], len(fit)), random_state=seed)
        result[rows] = pca.fit(scaled[fit]).transform(scaled[rows])
    return result


def hr_coordinates(
    colour: np.ndarray,
    magnitude: np.ndarray,
    parallax: np.ndarray,
    parallax_error: np.ndarray,
    *,
    least_snr: float = 3.0,
) -> np.ndarray:
    """Place in the HR diagram, each axis scaled by its spread.

    Absolute magnitude M = m + 5 log10(parallax / mas) - 10, without extinction.

    Parameters
    ----------
    colour, magnitude : ndarray, shape (n,)
        [mag], for example BP - RP and G.
    parallax, parallax_error : ndarray, shape (n,)
        [mas].
    least_snr : float
        Stars with a smaller parallax over error have no place: their absolute
        magnitude is mostly noise.

    Returns
    -------
    ndarray, shape (n, 2)
        NaN for stars without a place.
    """
    arrays = [np.asarray(a, dtype=np.float64) for a in (colour, magnitude, parallax)]
    with np.errstate(invalid="ignore", divide="ignore"):
        absolute = arrays[1] + 5 * np.log10(arrays[2]) - 10
        good = arrays[2] / np.asarray(parallax_error, dtype=np.float64) >= least_snr
    place = np.column_stack([arrays[0], absolute])
    place[~good | ~np.isfinite(place).all(axis=1)] = np.nan
    if np.isfinite(place).any():
        place /= np.maximum(np.nanstd(place, axis=0), np.finfo(float).tiny)
    return place


def sky_coordinates(longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Unit vectors of positions [deg] in any spherical frame, shape (n, 3).

    Their Euclidean distance is the chord. The energy distance of chords tells
    any two distributions apart; that of angles does not (Lyons 2013).
    """
    lon = np.radians(np.asarray(longitude, dtype=np.float64))
    lat = np.radians(np.asarray(latitude, dtype=np.float64))
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
