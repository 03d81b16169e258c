"""How well twins could be found at best: the same ranks from the true generative model."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..io.latents import Latents, TwinPrior
from ..spectra import columns
from ..spectra.errors import StarkinError
from .evaluation_settings import TwinEvaluation
from .twin_trial import Pool, disentanglement, metric_figures

__all__ = ["Ceiling", "ceiling_figures"]

#: S/N that stands for "without noise": the synthesiser's own accuracy.
_HIGHEST = 1e4


@dataclass(frozen=True, eq=False)
class Ceiling:
    """What spectra tell of abundances when the world is known.

    Attributes
    ----------
    fisher : ndarray, shape (n_stars, n_elements, n_elements)
        Fisher information of each star's abundances, temperature and gravity known, at
        ``snr`` [dex^-2].
    elements : tuple of str
        Columns of the abundances (``"mg_h"``, …), in the order of the matrices.
    snr : float
        Per pixel.
    """

    fisher: np.ndarray
    elements: tuple[str, ...]
    snr: float = 100.0

    @property
    def name(self) -> str:
        return f"fisher-{len(self.elements)}-elements"

    def __getitem__(self, rows: np.ndarray) -> Ceiling:
        return replace(self, fisher=self.fisher[rows])

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Ceiling:
        """Read ``fisher``, ``elements`` (symbols or columns) and ``snr`` from an ``.npz`` file.

        Raises
        ------
        StarkinError
            If the file cannot be read or lacks one of them.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                names = tuple(str(name) for name in arrays["elements"])
                elements = tuple(n if n.endswith("_h") else columns.abundance(n) for n in names)
                return cls(arrays["fisher"], elements, float(arrays["snr"]))
        except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
            raise StarkinError(
                f"{path} holds no Fisher matrices ({error}); it must be an .npz file with "
                "fisher, elements and snr."
            ) from error


def ceiling_figures(
    ceiling: Ceiling, pool: Pool, snr: float, seed: int, settings: TwinEvaluation
) -> list[dict[str, Any]]:
    """Ranks of twins by abundances measured as well as the Fisher information allows.

    Each star's abundances are drawn about the truth with the inverse of its Fisher matrix as
    covariance (the Cramér-Rao bound); the metric has no leakage and the pool's own covariance
    of abundances. The information grows as the square of S/N; without noise the ceiling is
    that of the highest S/N at which the linear error propagation still has meaning, 10,000.

    Leakage is judged as of any model. The truth has none; but spectra of some temperatures
    show an element better than others, and a probe may tell temperature by the size of the
    noise. An estimate as good as the noise allows leaks so much; one that leaks less has thrown
    something away.

    Raises
    ------
    StarkinError
        If the matrices are not those of the pool.
    """
    missing = [name for name in ceiling.elements if name not in pool.abundances]
    n = len(pool.partner)
    d = len(ceiling.elements)
    if missing or ceiling.fisher.shape != (n, d, d):
        raise StarkinError(
            f"The Fisher matrices have shape {ceiling.fisher.shape} for {', '.join(missing) or d} "
            f"elements; the pool has {n} stars and {len(pool.abundances)} true abundances."
        )
    truth = np.column_stack([pool.abundances[name] for name in ceiling.elements])
    factor = (min(snr, _HIGHEST) / ceiling.snr) ** 2
    between = np.cov(truth.T).reshape(d, d)
    # An element that a spectrum does not show has no information at all: measured a thousand
    # times worse than it is known beforehand, it says as little and keeps the matrix regular.
    information = ceiling.fisher.astype(np.float64) * factor + 1e-6 * np.linalg.inv(between)
    covariance = np.linalg.inv(information)
    covariance = (covariance + covariance.transpose(0, 2, 1)) / 2
    draw = np.random.default_rng([seed, 7]).standard_normal((n, d))
    noise = np.einsum("nij,nj->ni", np.linalg.cholesky(covariance), draw)
    latents = Latents(np.arange(n), truth + noise, covariance, model_id=ceiling.name)
    prior = TwinPrior(truth.mean(axis=0), np.zeros((d, d)), between)
    figures = metric_figures(latents, pool.partner, pool.partner, prior, settings)
    n_queries = int((pool.partner >= 0).sum())
    read_off = disentanglement(latents.mean, pool, settings)
    return [{"track": "inductive", **figures, **read_off, "n_queries": n_queries, "not_encoded": 0}]
