"""Continuum-normalised spectra at high resolution, from labels and abundances.

:class:`Synthesiser` is the engine of :mod:`.physics` behind one call; anything else that has
``pixels``, ``elements`` and the same call (:class:`SpectralModel`) can stand in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from ..spectra import StarkinError, WavelengthGrid
from ..spectra.strict import require_range
from .physics import composition
from .physics import constants as c
from .physics.absorbers import resolved_lines
from .physics.atmosphere import build_atmosphere
from .physics.energy import temperature_scale
from .physics.lines import LineList
from .physics.resolved import ResolvedTable, normalised_flux
from .spectrograph import Spectrograph

__all__ = ["ELEMENTS", "WORLDS", "SpectralModel", "Synthesiser", "World"]

#: Elements whose abundances are free; each has lines of its own between 1.51 and 1.70 µm.
ELEMENTS: tuple[str, ...] = (
    "C", "N", "O", "Na", "Mg", "Al", "Si", "P", "S", "K", "Ca", "Ti", "V", "Cr", "Mn", "Fe",
    "Co", "Ni", "Cu", "Ce", "Nd",
)  # fmt: skip

_CHUNK = 256  # stars computed together
_STEP_KMS = 1.38  # of the fine grid: a third of an APOGEE pixel
_RANGES = {"teff": (3000.0, 8000.0), "logg": (-0.5, 5.5)}
_LARGEST_DEX = 3.0


class SpectralModel(Protocol):
    """What can stand in for the engine: a grid, an emulator, another code."""

    elements: Sequence[str]

    def grid(self) -> WavelengthGrid:
        """Pixels of the spectra."""

    def __call__(
        self,
        teff: np.ndarray,
        logg: np.ndarray,
        x_h: np.ndarray,
        *,
        progress: Callable[[int, int, str], None] | None = None,
    ) -> np.ndarray:
        """Normalised flux, shape ``(n_stars, n_pixels)``; ``x_h`` is [X/H] of ``elements``."""


@dataclass(frozen=True)
class World:
    """What is taken to be true of lines and of the gas that makes them.

    Two worlds differ in how lines saturate and blend, so that a method can be tested on more
    than the one simulator it was developed on.

    Parameters
    ----------
    microturbulence : float
        [km/s]; the smaller, the sooner lines saturate.
    log_gf_shift : float
        Added to log gf of every line [dex].
    forest_density : float
        Number of generated weak lines over the standard one: 0 to 4.
    forest_seed : int
        Of the generated lines.
    macroturbulence : float
        Standard deviation of the Gaussian that blurs every star alike [km/s].
    carbon_ratio : float
        12C/13C.
    """

    microturbulence: float = 1.5
    log_gf_shift: float = 0.0
    forest_density: float = 1.0
    forest_seed: int = 16_000
    macroturbulence: float = 3.0
    carbon_ratio: float = 25.0

    def __post_init__(self) -> None:
        require_range(self, "microturbulence", 0.3, 6.0)
        require_range(self, "log_gf_shift", -2.0, 2.0)
        require_range(self, "forest_density", 0.0, 4.0)
        require_range(self, "forest_seed", 0, 2**31)
        require_range(self, "macroturbulence", 0.0, 30.0)
        require_range(self, "carbon_ratio", 2.0, 1e9)


#: Ready-made worlds by name.
WORLDS: dict[str, World] = {
    "standard": World(),
    "saturated": World(
        microturbulence=0.8,
        log_gf_shift=0.35,
        forest_density=2.5,
        forest_seed=17_000,
        macroturbulence=5.0,
        carbon_ratio=12.0,
    ),
}


class Synthesiser:
    """LTE spectra over the true continuum, as a spectrograph sees them.

    Parameters
    ----------
    spectrograph : Spectrograph, optional
        Pixels and resolution; APOGEE's by default.
    world : str or World
        One of :data:`WORLDS` or settings of your own.
    lines : LineList, optional
        Real lines of your own in place of the built-in list (:mod:`.line_files` reads them).
    threads : int, optional
        Chunks of stars computed at once; by default as many as torch may use (all cores, or
        OMP_NUM_THREADS). The result does not depend on it.

    Raises
    ------
    StarkinError
        If the world is unknown.
    """

    elements: Sequence[str] = ELEMENTS

    def __init__(
        self,
        spectrograph: Spectrograph | None = None,
        world: str | World = "standard",
        lines: LineList | None = None,
        threads: int | None = None,
    ) -> None:
        if isinstance(world, str):
            if world not in WORLDS:
                raise StarkinError(f"world must be one of {', '.join(WORLDS)}, got {world!r}.")
            world = WORLDS[world]
        threads = torch.get_num_threads() if threads is None else threads
        if threads < 1:
            raise StarkinError(f"threads must be at least 1, got {threads}.")
        self.spectrograph = spectrograph or Spectrograph()
        self.world = world
        self.threads = threads
        self._own_lines = lines

    def grid(self) -> WavelengthGrid:
        return self.spectrograph.grid()

    @cached_property
    def fine_wavelength(self) -> np.ndarray:
        """Vacuum wavelengths at which the spectrum is computed [Å]."""
        # A grid of lower resolution needs as fine a step: lines are as narrow as ever.
        return self.spectrograph.fine_wavelength(_STEP_KMS)

    @cached_property
    def lines(self) -> LineList:
        """The lines that take part, log gf shifted as the world says."""
        low, high = self.fine_wavelength[[0, -1]] / 10
        world = self.world
        lines = self._own_lines
        if lines is None:
            lines = resolved_lines(
                low, high, world.forest_density, world.forest_seed, world.carbon_ratio
            )
        return replace(lines, log_gf=lines.log_gf + world.log_gf_shift)

    @cached_property
    def table(self) -> ResolvedTable:
        return ResolvedTable(self.fine_wavelength / 10, self.lines, self.world.microturbulence)

    @cached_property
    def projection(self) -> csr_matrix:
        return self.spectrograph.projection(self.fine_wavelength, self.world.macroturbulence)

    def __call__(
        self,
        teff: np.ndarray,
        logg: np.ndarray,
        x_h: np.ndarray,
        *,
        progress: Callable[[int, int, str], None] | None = None,
    ) -> np.ndarray:
        """Normalised flux of stars.

        Parameters
        ----------
        teff, logg : ndarray, shape (n_stars,)
            Effective temperature [K], 3000-8000, and log10 of gravity [cm s^-2], -0.5 to 5.5.
        x_h : ndarray, shape (n_stars, n_elements)
            [X/H] of :data:`ELEMENTS` [dex]. Elements that are not among them follow Fe.
        progress : callable, optional
            Told the stars done, the stars in all and a short line.

        Returns
        -------
        ndarray, shape (n_stars, n_pixels), float32

        Raises
        ------
        StarkinError
            If the shapes disagree or a value is out of range.
        """
        teff, logg, x_h = checked_labels(teff, logg, x_h, self.elements)
        out = np.empty((teff.size, self.spectrograph.n_pixels), dtype=np.float32)
        # Neighbours in Teff share temperature intervals: larger matrix products.
        order = np.argsort(teff, kind="stable")
        chunks = [order[i : i + _CHUNK] for i in range(0, teff.size, _CHUNK)]
        # Tables are built before the threads start, once.
        table, projection = self.table, self.projection

        def compute(rows: np.ndarray) -> int:
            m_h = x_h[rows, self.elements.index("Fe")]
            mix = composition(m_h, offsets=_offsets(x_h[rows] - m_h[:, None], self.elements))
            t, g, m, a = (torch.from_numpy(x) for x in (teff[rows], logg[rows], m_h, mix))
            atmosphere = build_atmosphere(t, g, m, a, temperature_scale(t, g, m))
            out[rows] = (projection @ normalised_flux(atmosphere, table).numpy().T).T
            return rows.size

        before, done = torch.get_num_threads(), 0
        with (
            threadpool_limits(1, user_api="blas"),
            ThreadPoolExecutor(
                self.threads, initializer=torch.set_num_threads, initargs=(1,)
            ) as pool,
        ):
            try:
                for n in pool.map(compute, chunks):
                    done += n
                    if progress is not None:
                        progress(done, teff.size, f"{done:,} spectra")
            finally:
                torch.set_num_threads(before)
        return out


def _offsets(relative: np.ndarray, elements: Sequence[str]) -> np.ndarray:
    """[X/Fe] of some elements as offsets of all, shape ``(n_stars, n_all)``."""
    offsets = np.zeros((len(relative), len(c.ELEMENTS)))
    offsets[:, [c.ELEMENT_INDEX[symbol] for symbol in elements]] = relative
    return offsets


def checked_labels(
    teff: np.ndarray, logg: np.ndarray, x_h: np.ndarray, elements: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels as float64 arrays of agreeing shapes within the ranges of the engine."""
    teff, logg, x_h = (np.atleast_1d(np.asarray(x, dtype=float)) for x in (teff, logg, x_h))
    if logg.shape != teff.shape or x_h.shape != (teff.size, len(elements)):
        raise StarkinError(
            f"teff, logg and x_h must have shapes (n,), (n,) and (n, {len(elements)}), got "
            f"{teff.shape}, {logg.shape} and {x_h.shape}."
        )
    for name, values in (("teff", teff), ("logg", logg)):
        low, high = _RANGES[name]
        bad = ~((values >= low) & (values <= high))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise StarkinError(
                f"{name} of star {row} is {values[row]:g}; spectra cover {low:g} to {high:g}."
            )
    bad = ~(np.abs(x_h) <= _LARGEST_DEX)
    if bad.any():
        row, column = (int(i[0]) for i in np.nonzero(bad))
        raise StarkinError(
            f"[{elements[column]}/H] of star {row} is {x_h[row, column]:g}; "
            f"abundances cover {-_LARGEST_DEX:g} to {_LARGEST_DEX:g} dex."
        )
    return teff, logg, x_h
