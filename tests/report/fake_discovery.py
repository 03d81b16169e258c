"""A made-up discovery with everything in it that the report can show."""

from __future__ import annotations

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from starkin.io import Latents
from starkin.latent.discovery import Discovery, PopulationSpectra
from starkin.latent.null import NullTest
from starkin.latent.stability import SeedStability, Stability
from starkin.latent.votes import UNMATCHED

FRACTIONS = (0.10, 0.06, 0.04, 0.02, 0.01, 0.006, 0.003)
TYPES = ("RGB*", "C*", "MS*", "Be*", "EB*", "LP*", "WD*")
_TEFF = (4700.0, 4100.0, 5900.0, 14000.0, 6500.0, 3400.0, 8500.0)
_G_ABS = (0.5, -1.5, 4.5, -1.0, 3.5, -2.0, 9.5)


def _spectrum(wavelength: np.ndarray, teff: np.ndarray, carbon: np.ndarray) -> np.ndarray:
    """Black bodies with an Hα line and C2 bands, mean one, shape (n_stars, n_wave)."""
    x = 1.4388e7 / (wavelength[None, :] * teff[:, None])
    flux = (wavelength[None, :] / 600.0) ** -5 / np.expm1(x)
    flux /= flux.mean(axis=1, keepdims=True)
    hot = np.clip((teff[:, None] - 9000) / 6000, -0.25, 1)
    flux *= 1 + 0.25 * hot * np.exp(-0.5 * ((wavelength - 656.3) / 8) ** 2)
    for edge, width in ((474.0, 16.0), (516.5, 20.0), (563.6, 18.0)):
        band = np.exp(-np.clip(edge - wavelength, 0, None) / width) * (wavelength < edge)
        flux *= 1 - 0.6 * carbon[:, None] * band
    return flux / flux.mean(axis=1, keepdims=True)


def _summary(flux: np.ndarray, member: list[np.ndarray]) -> dict[str, np.ndarray]:
    rows: dict[str, list[np.ndarray]] = {}
    for mask in member:
        own, rest = flux[mask], flux[~mask]
        error = own.std(axis=0) / np.sqrt(max(len(own), 1))
        low, median, high = np.percentile(own, (16, 50, 84), axis=0)
        parts = {
            "mean": own.mean(axis=0),
            "median": median,
            "low": low,
            "high": high,
            "mean_error": error,
            "ratio": own.mean(axis=0) / rest.mean(axis=0),
            "ratio_error": error / rest.mean(axis=0),
        }
        for name, value in parts.items():
            rows.setdefault(name, []).append(value)
    n_wave = flux.shape[1]
    names = ("mean", "median", "low", "high", "mean_error", "ratio", "ratio_error")
    return {name: np.array(rows.get(name, [])).reshape(-1, n_wave) for name in names}


def make_discovery(
    n_stars: int = 60_000,
    n_populations: int = 7,
    n_latent: int = 6,
    n_wave: int = 120,
    seed: int = 0,
    drop: tuple[str, ...] = (),
    n_shown: int | None = None,
    nan_latents: int = 0,
) -> Discovery:
    """A discovery to show; ``drop`` names label columns and statistics to leave out."""
    rng = np.random.default_rng(seed)
    p = np.array(FRACTIONS[:n_populations])
    population = rng.choice(
        np.arange(-1, n_populations), n_stars, p=np.concatenate([[1 - p.sum()], p])
    )
    centre = rng.normal(0, 2.4, (n_populations + 1, n_latent))
    centre[-1] = 0
    width = np.where(population < 0, 1.3, 0.35)[:, None]
    mean = (centre[population] + width * rng.normal(size=(n_stars, n_latent))).astype(np.float32)
    mean[:nan_latents] = np.nan
    root = rng.normal(0, 0.08, (n_stars, n_latent, n_latent)).astype(np.float32)
    covariance = root @ root.transpose(0, 2, 1) + 0.002 * np.eye(n_latent, dtype=np.float32)

    teff = np.array([*_TEFF[:n_populations], 5000.0])[population] + rng.normal(0, 350, n_stars)
    absolute = np.array([*_G_ABS[:n_populations], 2.5])[population] + rng.normal(0, 0.9, n_stars)
    absolute[population < 0] += (teff[population < 0] - 5000) / 400
    carbon = np.clip(rng.normal(0.2, 0.1, n_stars) + 0.6 * (population == 1), 0, 1)
    distance = rng.gamma(3.0, 0.9, n_stars) + 0.05  # [kpc]
    error = 0.01 + 0.03 * rng.random(n_stars)
    longitude = rng.uniform(0, 360, n_stars)
    disc = rng.random(n_stars) < np.where(population == 1, 0.95, 0.6)
    latitude = np.where(
        disc, rng.laplace(0, 9, n_stars), np.degrees(np.arcsin(rng.uniform(-1, 1, n_stars)))
    )
    latitude = np.clip(latitude, -89, 89)
    sky = SkyCoord(longitude, latitude, unit="deg", frame="galactic").icrs
    flags = np.zeros(n_stars, dtype=np.int32)
    flags[rng.random(n_stars) < 0.02] |= 1
    flags[rng.random(n_stars) < 0.01] |= 32
    flags[:nan_latents] |= 8

    table = Table()
    table["population"] = population
    table["membership"] = np.where(population < 0, 0.0, rng.beta(8, 2, n_stars))
    table["outlier_score"] = rng.chisquare(6, n_stars) + 6 * (population < 0)
    table["log_likelihood"] = rng.normal(-90, 12, n_stars)
    labels = {
        "ra": sky.ra.deg,
        "dec": sky.dec.deg,
        "l": longitude,
        "b": latitude,
        "parallax": 1 / distance + rng.normal(0, error),
        "parallax_error": error,
        "phot_g_mean_mag": absolute + 5 * np.log10(distance) + 10,
        "bp_rp": 5500 / teff + 0.02 + rng.normal(0, 0.06, n_stars),
        "teff": teff,
        "logg": np.clip(2.0 + 0.45 * absolute + rng.normal(0, 0.15, n_stars), 0, 5.2),
        "m_h": np.clip(rng.normal(-1.3, 0.7, n_stars), -4, 0.6),
        "cemp_probability": rng.beta(2 + 4 * (population == 1), 3),
        "g_flux_method": np.where(rng.random(n_stars) < 0.97, "magnitude", "synthetic"),
    }
    for name, values in labels.items():
        if name not in drop:
            table[name] = values

    wavelength = np.linspace(336.0, 1020.0, n_wave)
    flux = _spectrum(wavelength, np.clip(teff, 2500, None), carbon)
    flux *= 1 + rng.normal(0, 0.02, flux.shape)
    member = [population == k for k in range(n_populations)]
    n_shown = n_stars if n_shown is None else n_shown
    row = np.sort(rng.choice(n_stars, n_shown, replace=False))
    spectra = PopulationSpectra(
        wavelength=wavelength,
        number=np.arange(n_populations),
        flux=(flux[row] / flux[row].mean(axis=1, keepdims=True)).astype(np.float16),
        row=row,
        **_summary(flux * 2.4e-3, member),
    )
    statistics = _statistics(rng, n_populations, float((population < 0).mean()))
    votes = statistics["votes"]
    populations = _populations(rng, member, n_stars, votes, table, drop)
    for name in drop:
        statistics.pop(name, None)
    return Discovery(
        catalogue=Latents(
            source_id=rng.permutation(np.arange(n_stars) * 34_359_738_368 + 4_295_806_720),
            mean=mean,
            covariance=covariance,
            flags=flags,
            model_id="0123456789abcdef",
            columns=table,
        ),
        populations=populations,
        spectra=spectra,
        statistics=statistics,
        run=_run(),
    )


def _populations(rng, member, n_stars, votes, table, drop) -> Table:
    k = len(member)
    size = np.array([mask.sum() for mask in member], dtype=int)
    out = Table()
    out["population"] = np.arange(k)
    out["n_stars"] = size
    out["fraction"] = size / n_stars
    out["persistence"] = rng.uniform(0.05, 0.6, k)
    out["jaccard"] = rng.uniform(0.55, 0.98, k)
    out["jaccard_low"] = np.clip(out["jaccard"] - rng.uniform(0.05, 0.3, k), 0, 1)
    for test in ("spectroscopic", "photometric", "sky"):
        raw = np.where(rng.random(k) < 0.75, 0.001, rng.uniform(0.01, 0.6, k))
        out[f"{test}_statistic"] = rng.uniform(0.01, 2, k)
        out[f"{test}_p"] = raw
        out[f"{test}_p_adjusted"] = np.minimum(1, raw * 3)
    if "votes" not in drop:
        out["simbad_type"] = np.array(TYPES[:k], dtype="U8")
        out["simbad_votes"] = [votes[str(i)][TYPES[i]] for i in range(k)]
        out["simbad_matched"] = [sum(votes[str(i)].values()) - 40 for i in range(k)]
        out["simbad_entropy"] = rng.uniform(0.3, 2, k)
        out["simbad_p"] = np.full(k, 0.001)
    for name in ("teff", "logg", "m_h", "bp_rp"):
        if name in table.colnames:
            out[f"median_{name}"] = [float(np.median(table[name][mask])) for mask in member]
    return out


def _statistics(rng: np.random.Generator, k: int, noise: float) -> dict:
    """As the analysis writes it: through its own classes where it has them."""
    sweep = [
        {
            "min_samples": samples,
            "min_cluster_size": size,
            "method": "eom",
            "epsilon": 0.0,
            "n_populations": max(0, round(k + 40 / size**0.5 - samples / 8)),
            "noise_fraction": min(0.99, noise * (0.7 + 0.02 * samples) + size / 4000),
            "core_fraction": 0.2,
            "validity": float(rng.uniform(0.2, 0.5) + 0.4 * (size == 60)),
            "ari": float(rng.uniform(0.9, 0.99)),
            "ari_all": float(rng.uniform(0.6, 0.9)),
            "n_stable": k,
            "n_unstable": 1,
            "chosen": size == 60 and samples == 10,
        }
        for samples in (5, 10, 20)
        for size in (20, 40, 60, 150, 600)
    ]
    epoch = np.arange(60)
    validation = -94 + 60 * np.exp(-epoch / 6) + rng.normal(0, 0.4, 60)
    votes = {}
    for i in range(k):
        share = np.full(len(TYPES), 0.05)
        share[i % len(TYPES)] = 0.7
        counts = rng.multinomial(300 >> i or 3, share / share.sum())
        votes[str(i)] = {t: int(c) for t, c in zip(TYPES, counts, strict=True)}
        votes[str(i)][TYPES[i % len(TYPES)]] += 5
        votes[str(i)][UNMATCHED] = 40
    stability = Stability(
        ari=rng.uniform(0.93, 0.99, 20),
        ari_all=rng.uniform(0.8, 0.9, 20),
        jaccard=rng.uniform(0.7, 1.0, (20, k)),
        n_clusters=np.full(20, k),
        fraction=0.632,
    )
    seeds = SeedStability(
        ari=rng.uniform(0.8, 0.9, (3, 3)),
        ari_all=rng.uniform(0.7, 0.8, (3, 3)),
        jaccard=rng.uniform(0.6, 0.9, (2, k)),
    )
    null = NullTest(
        kind="Gaussian surrogates",
        n_stars=20_000,
        n_observed=k,
        n_reference=np.array([1] * 18 + [0, 2]),
        raw_observed=k + 3,
        raw_reference=np.array([1] * 20),
        persistence_observed=0.4,
        persistence_reference=rng.uniform(0, 0.1, 20),
    )
    return {
        "clustering": {
            "algorithm": "HDBSCAN on all latent dimensions",
            "settings": {"min_samples": 10, "min_cluster_size": 60, "method": "eom"},
            "criterion": "most stable populations",
            "noise_fraction": noise,
            "sweep": sweep,
        },
        "stability": stability.to_dict() | {"model_seeds": seeds.to_dict()},
        "null": null.to_dict(),
        "votes": votes,
        "model": {
            "kind": "scatter-vae",
            "metrics": {"validation": float(validation.min())},
            "history": {
                "train": (-95 + 60 * np.exp(-epoch / 6)).tolist(),
                "validation": validation.tolist(),
                "validation_reconstruction": (validation - 11).tolist(),
                "validation_kl": np.linspace(6, 11, 60).tolist(),
                "learning_rate": (1e-3 * (1 + np.cos(np.pi * epoch / 60)) / 2).tolist(),
                "seconds": (0.9 * epoch).tolist(),
                "best_epoch": int(validation.argmin()),
                "stopped_early": False,
            },
        },
    }


def _run() -> dict:
    return {
        "command": "starkin discover candidates.parquet --out cemp --seed 0",
        "started": "2026-01-01T00:00:00Z",
        "versions": {"starkin": "0.1.0", "python": "3.11.2", "torch": "2.13.0", "numpy": "2.4.6"},
        "seeds": {"split": 0, "model": [0, 1, 2], "bootstrap": 0},
        "config": {
            "model": {"recipe": "default", "n_latent": 6, "batch_size": 1024},
            "cluster": {"min_cluster_size": None, "min_samples": None},
        },
        "inputs": [{"files": ["data/candidates.parquet"], "fingerprint": "ab" * 8}],
        "seconds": {"read": 3.2, "train": 61.0, "encode": 1.1, "cluster": 14.0, "tests": 40.0},
    }
