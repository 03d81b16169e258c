"""A linear world of pairs and the model that knows it: small enough to reason about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import numpy as np
from astropy import units as u
from astropy.table import Table

from starkin.io.latents import Latents, TwinPrior
from starkin.models.base import Decoded, SpectrumModel
from starkin.spectra import SpectrumSet, WavelengthGrid
from starkin.spectra.flags import Flag

N_PIXELS, ELEMENTS = 60, ("mg_h", "fe_h", "si_h", "al_h")
GRID = WavelengthGrid(np.linspace(15200.0, 15230.0, N_PIXELS), unit="Angstrom", frame="rest")
_RNG = np.random.default_rng(11)
#: Change of the flux with each abundance [1/dex], and with Teff and log g per standard unit.
LINES = 0.15 * _RNG.normal(size=(len(ELEMENTS), N_PIXELS)) * (_RNG.uniform(size=N_PIXELS) < 0.5)
CONTINUUM = 0.05 * _RNG.normal(size=(2, N_PIXELS))
SPREAD = 0.2  # of each abundance [dex]
CENTRE, SCALE = np.array([4500.0, 2.0]), np.array([300.0, 0.6])


def pairs(n_pairs: int, *, seed: int = 0) -> SpectrumSet:
    """Noiseless spectra of pairs of one composition and different temperature and gravity."""
    rng = np.random.default_rng(seed)
    composition = rng.permutation(np.repeat(np.arange(n_pairs), 2))
    abundance = SPREAD * rng.normal(size=(n_pairs, len(ELEMENTS)))[composition]
    conditions = rng.uniform(-1.5, 1.5, size=(2 * n_pairs, 2))
    values = 1 + abundance @ LINES + conditions @ CONTINUUM
    physical = CENTRE + SCALE * conditions
    labels = Table({"teff": physical[:, 0] * u.K, "logg": physical[:, 1]})
    for name, column in zip(ELEMENTS, abundance.T, strict=True):
        labels[f"true_{name}"] = column
    labels["composition_id"] = composition
    return SpectrumSet(
        np.arange(2 * n_pairs) + 5000,
        values,
        np.full(values.shape, 1e-4),
        GRID,
        labels=labels,
        unit=u.dimensionless_unscaled,
    )


def observed(spectra: SpectrumSet, snr: float, seed: int) -> SpectrumSet:
    noise = np.random.default_rng(seed).normal(size=spectra.values.shape) / snr
    errors = np.full(spectra.values.shape, 1 / snr)
    return spectra.replace(values=spectra.values + noise, errors=errors)


class LinearTwins(SpectrumModel):
    """Least squares on the true lines; ``told`` False forgets what u does to the flux."""

    kind: ClassVar[str] = "linear-twins-of-the-tests"

    def __init__(self, told: bool = True) -> None:
        self.told = told
        self.grid = GRID

    def fit(self, train, validation=None, **settings):
        return self

    @property
    def conditions(self) -> tuple[str, ...]:
        return ("teff", "logg")

    def _effect(self, conditions: np.ndarray) -> np.ndarray:
        standard = (np.asarray(conditions) - CENTRE) / SCALE
        return standard @ CONTINUUM if self.told else 0 * standard @ CONTINUUM

    def encode(self, spectra: SpectrumSet) -> Latents:
        given = np.column_stack([spectra.label(name) for name in self.conditions])
        weight = np.where(spectra.mask, 0, spectra.errors**-2.0)
        normal = np.einsum("ap,np,bp->nab", LINES, weight, LINES)
        right = np.einsum("ap,np,np->na", LINES, weight, spectra.values - 1 - self._effect(given))
        lost = spectra.mask.all(axis=1)
        normal[lost] = np.eye(len(ELEMENTS))
        covariance = np.linalg.inv(normal)
        mean = np.einsum("nab,nb->na", covariance, right)
        mean[lost], covariance[lost] = np.nan, np.nan
        return Latents(
            spectra.source_id,
            mean,
            covariance,
            np.where(lost, Flag.NOT_ENCODED, 0).astype(np.int32),
            self.model_id,
            spectra.labels,
        )

    def decode(self, latents, conditions=None) -> Decoded:
        values = 1 + latents @ LINES + self._effect(conditions)
        return Decoded(values, np.full(values.shape, 1e-3))

    def sample(self, n, *, seed=0):
        raise NotImplementedError

    def score(self, spectra):
        raise NotImplementedError

    def twin_prior(self) -> TwinPrior:
        d = len(ELEMENTS)
        return TwinPrior(np.zeros(d), np.zeros((d, d)), SPREAD**2 * np.eye(d))

    def save(self, directory) -> None:
        Path(directory).mkdir(parents=True)
        config = {"format": 1, "kind": self.kind, "settings": {"told": self.told}}
        (Path(directory) / "config.json").write_text(json.dumps(config))

    @classmethod
    def load(cls, directory, *, device="cpu", threads=0):
        return cls(**json.loads((Path(directory) / "config.json").read_text())["settings"])

    @property
    def model_id(self) -> str:
        return f"{int(self.told):016x}"

    @property
    def card(self):
        return {}
