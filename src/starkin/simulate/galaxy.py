"""Where stars are and how much dust is in front of them: a simple Galaxy.

Densities [relative to each component's own at the Sun], with R and z galactocentric:

- thin disc: exp(-(R-R☉)/2.6 kpc - |z|/0.30 kpc), its youngest stars |z|/0.12 kpc;
- thick disc: exp(-(R-R☉)/2.0 kpc - |z|/0.90 kpc);
- halo: (r_q² + 1 kpc²)^-1.4 normalised at the Sun, r_q² = R² + (z/0.6)²;
- outer disc, the metal-poor end of the low-α sequence: a column that rises as
  exp(R/3 kpc) to 10.5 kpc and falls as exp(-R/2 kpc) beyond, of height 0.45 kpc at the
  Sun that grows as exp(R/8 kpc).

Scale lengths and heights: Bland-Hawthorn & Gerhard 2016 (ARA&A 54, 529), tables 3, 4
and section 6; of the outer disc after Bovy et al. 2016 (ApJ 823, 30), who find that low-α
populations have a peak radius, up to 13 kpc for the metal-poorest, and flare. R☉ = 8.2 kpc
(Bland-Hawthorn & Gerhard). Dust: a double exponential disc of height 0.125 kpc and length
3.5 kpc with 1.0 mag/kpc in V at the Sun, integrated along the line of sight, times a
log-normal factor a star for its clumpiness (0.3 dex·ln 10).

A magnitude-limited sample needs, for an absolute magnitude M, directions and
distances drawn from density × distance² within the limits. Both depend on M only
through the allowed range of apparent distance modulus (extinction included), so one
table of weighted points, sorted by modulus, answers for every star by inversion of
the cumulative weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from astropy import units as u
from astropy.coordinates import Galactic, SkyCoord
from cdshealpix.nested import lonlat_to_healpix

__all__ = [
    "COMPONENTS",
    "Places",
    "dust",
    "equatorial",
    "parallax_error",
    "place",
    "source_ids",
    "visible",
]

COMPONENTS = ("young_disc", "thin_disc", "thick_disc", "halo", "outer_disc")
R_SUN_KPC = 8.2
_RING_KPC = 10.5  # where the metal-poor part of the low-α disc is densest
# G-band extinction over A_V of a solar-type star with A_V ≈ 1 (Fitzpatrick 2019, R_V = 3.1).
# Only the sampling uses it: the spectra are extinguished wavelength by wavelength.
G_OVER_V = 0.83
_N_POINTS = 1 << 16
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


def _density(component: str, r: np.ndarray, z: np.ndarray) -> np.ndarray:
    if component == "young_disc":
        return np.exp(-(r - R_SUN_KPC) / 2.6 - np.abs(z) / 0.12)
    if component == "thin_disc":
        return np.exp(-(r - R_SUN_KPC) / 2.6 - np.abs(z) / 0.30)
    if component == "thick_disc":
        return np.exp(-(r - R_SUN_KPC) / 2.0 - np.abs(z) / 0.90)
    if component == "outer_disc":
        # The flare spreads a column of stars; it does not add to it.
        flare = np.exp((r - R_SUN_KPC) / 8.0)
        radial = np.where(r < _RING_KPC, (r - _RING_KPC) / 3.0, (_RING_KPC - r) / 2.0)
        at_sun = (R_SUN_KPC - _RING_KPC) / 3.0
        return np.exp(radial - at_sun - np.abs(z) / (0.45 * flare)) / flare
    return ((r**2 + (z / 0.6) ** 2 + 1.0) / (R_SUN_KPC**2 + 1.0)) ** -1.4


def _galactocentric(
    lon: np.ndarray, lat: np.ndarray, distance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cylindrical R and z [kpc] from longitude, latitude [rad] and distance [kpc]."""
    x = R_SUN_KPC - distance * np.cos(lat) * np.cos(lon)
    y = distance * np.cos(lat) * np.sin(lon)
    return np.hypot(x, y), distance * np.sin(lat)


def dust(lon: np.ndarray, lat: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Smooth A_V [mag] to a distance [kpc] at Galactic lon, lat [rad]."""
    along = 0.5 * (_NODES + 1)  # fraction of the way
    # Nodes crowd towards the Sun: dust does too, as seen from within its disc.
    along, jacobian = along**2, 2 * along
    step = np.multiply.outer(along, distance)
    r, z = _galactocentric(lon, lat, step)
    local = 1.0 * np.exp(-(r - R_SUN_KPC) / 3.5 - np.abs(z) / 0.125)
    return distance * np.einsum("k,k...->...", 0.5 * _WEIGHTS * jacobian, local)


@dataclass(frozen=True)
class _Table:
    """Weighted points of one component, sorted by apparent distance modulus."""

    lon: np.ndarray
    lat: np.ndarray
    log_distance: np.ndarray
    modulus: np.ndarray
    cumulative: np.ndarray


@lru_cache(maxsize=len(COMPONENTS))
def _table(component: str) -> _Table:
    rng = np.random.default_rng([2016, COMPONENTS.index(component)])
    lon = rng.uniform(0, 2 * np.pi, _N_POINTS)
    lat = np.arcsin(rng.uniform(-1, 1, _N_POINTS))
    log_distance = rng.uniform(-2.0, 1.8, _N_POINTS)  # 10 pc to 63 kpc
    distance = 10**log_distance
    weight = _density(component, *_galactocentric(lon, lat, distance)) * distance**3
    modulus = 5 * log_distance + 10 + G_OVER_V * dust(lon, lat, distance)
    order = np.argsort(modulus)
    cumulative = np.concatenate([[0.0], np.cumsum(weight[order])]) / _N_POINTS
    return _Table(lon[order], lat[order], log_distance[order], modulus[order], cumulative)


def visible(component: str, absolute: np.ndarray, bright: float, faint: float) -> np.ndarray:
    """Stars in sight, up to a factor, for absolute G magnitudes and limits of apparent G."""
    table = _table(component)
    low, high = (table.modulus.searchsorted(limit - absolute) for limit in (bright, faint))
    return table.cumulative[high] - table.cumulative[low]


@dataclass(frozen=True)
class Places:
    """Positions of stars: Galactic l, b [deg], distance [kpc], A_V and G meant [mag]."""

    lon: np.ndarray
    lat: np.ndarray
    distance: np.ndarray
    a_v: np.ndarray
    g_mag: np.ndarray


def place(
    component: str,
    absolute: np.ndarray,
    bright: float,
    faint: float,
    rng: np.random.Generator,
) -> Places:
    """Positions of stars of given absolute G magnitudes, seen between two magnitudes.

    Parameters
    ----------
    component : str
        One of :data:`COMPONENTS`.
    absolute : ndarray, shape (n_stars,)
        Absolute G magnitudes.
    bright, faint : float
        Limits of apparent G.
    rng : Generator
        Source of chance.
    """
    table = _table(component)
    n = absolute.size
    low, high = (table.modulus.searchsorted(limit - absolute) for limit in (bright, faint))
    high = np.maximum(high, low + 1)  # nothing in sight: the nearest point of the table
    target = table.cumulative[low] + rng.uniform(size=n) * (
        table.cumulative[np.minimum(high, _N_POINTS)] - table.cumulative[low]
    )
    index = np.clip(table.cumulative.searchsorted(target, side="right") - 1, 0, _N_POINTS - 1)
    # Smear the table's points, so that no two stars share a place.
    lat = table.lat[index] + np.radians(1.0) * rng.standard_normal(n)
    lat = np.where(np.abs(lat) > np.pi / 2, np.sign(lat) * np.pi - lat, lat)
    lon = table.lon[index] + np.radians(2.0) * rng.standard_normal(n)
    distance = 10 ** (table.log_distance[index] + 0.01 * rng.standard_normal(n))
    clumps = np.exp(0.3 * rng.standard_normal(n))
    return Places(
        lon=np.degrees(lon) % 360.0,
        lat=np.degrees(lat),
        distance=distance,
        a_v=dust(lon, lat, distance) * clumps,
        g_mag=np.clip(absolute + table.modulus[index], bright, faint),
    )


def equatorial(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ICRS right ascension and declination [deg] of Galactic positions [deg]."""
    sky = SkyCoord(l=lon * u.deg, b=lat * u.deg, frame=Galactic()).icrs
    return sky.ra.deg, sky.dec.deg


def parallax_error(g_mag: np.ndarray) -> np.ndarray:
    """Standard error of Gaia DR3 parallaxes [mas] by G magnitude.

    Gaia Collaboration, science performance of (E)DR3:
    σ = √(40 + 800 z + 30 z²) µas, z = 10^{0.4 (max(G, 13) - 15)}.
    """
    z = 10 ** (0.4 * (np.maximum(g_mag, 13.0) - 15.0))
    return np.sqrt(40 + 800 * z + 30 * z**2) / 1000


def source_ids(ra: np.ndarray, dec: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Unique source identifiers that encode the position as Gaia's do.

    ``source_id // 2**35`` is the HEALPix pixel (level 12, nested, ICRS) as in the
    Gaia data model; the lower 35 bits scatter the star's running number.

    Parameters
    ----------
    ra, dec : ndarray, shape (n_stars,)
        [deg]
    number : ndarray of int, shape (n_stars,)
        Distinct numbers below 2**35.
    """
    pixel = lonlat_to_healpix(ra * u.deg, dec * u.deg, 12).astype(np.int64)
    # An odd factor permutes the numbers modulo 2**35, so that they stay distinct.
    low = (np.asarray(number, dtype=np.uint64) * np.uint64(0x2545F4915)) & np.uint64((1 << 35) - 1)
    return (pixel << 35) | low.astype(np.int64)
