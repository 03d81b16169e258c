"""A survey of Gaia XP spectra with known truth.

Stars are drawn in blocks of fixed size, each with its own random stream, so that a
survey depends on its settings, seed and length alone. A longer survey begins with the
stars of a shorter one.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from ..spectra import SpectrumSet, StarkinError, XPGrid, columns
from ..spectra.photometry import ZERO_POINTS, magnitude, passband_functionals
from ..spectra.projection import projection_matrix
from ..spectra.strict import settings_from
from . import galaxy, labels
from .config import PRESETS, SurveyConfig
from .instrument import observe, transits
from .light import WAVELENGTH, extinction, flux_at_ten_parsec
from .populations import Stars, about_tracks
from .rare import draw_class

__all__ = ["PRESETS", "SurveyConfig", "iterate_survey", "simulate_survey"]

BLOCK = 1024  # stars drawn together; part of what a seed means


def _block(config: SurveyConfig, seed: int, index: int, n: int) -> SpectrumSet:
    """The first ``n`` stars of a block: all are drawn, these get spectra."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))
    draw, scan, noise, catalogue, off_tracks = rng.spawn(5)
    shares = config.class_shares()
    names = sorted(shares)
    chosen = draw.choice(len(names), size=BLOCK, p=np.array([shares[x] for x in names]))
    groups, places = [], []
    for i, name in enumerate(names):
        where = np.flatnonzero(chosen == i)
        if where.size:
            group = draw_class(name, where.size, config.g_bright, config.g_faint, draw)
            if config.track_scatter and group.name == "field":
                moved = about_tracks(group.stars, config.track_scatter, off_tracks)
                group = replace(group, stars=moved)
            groups.append(group)
            places.append(where)
    back = np.argsort(np.concatenate(places), kind="stable")[:n]
    light = flux_at_ten_parsec(groups, [where < n for where in places], config.alpha_signal)
    flux = np.concatenate(light)[back]
    class_name = np.concatenate([np.full(len(g.stars), g.name, dtype="U16") for g in groups])[back]
    stellar = np.concatenate([np.full(len(g.stars), g.stellar) for g in groups])[back]
    stars = Stars.concatenate([g.stars for g in groups])[back]

    # Drawing meant an apparent magnitude; the spectrum says how far away that puts the star.
    dimmed = flux * 10 ** (-0.4 * stars.a_v[:, np.newaxis] * extinction())
    near = dimmed @ projection_matrix(WAVELENGTH)
    scale = 10 ** (0.4 * (magnitude(near @ passband_functionals()[:, 0]) - stars.g_mag))
    truth = near * scale[:, np.newaxis]
    distance = 0.01 / np.sqrt(scale)  # [kpc]
    magnitudes = {
        band: magnitude(flux, band)
        for band, flux in zip(ZERO_POINTS, (truth @ passband_functionals()).T, strict=True)
    }

    position = galaxy.equatorial(stars.lon, stars.lat)
    seen = observe(
        truth,
        transits(*position, scan),
        noise,
        correlations=config.correlations,
        error_underestimate=config.error_underestimate,
        missing_rate={"bp": config.missing_bp, "rp": config.missing_rp},
        noise=config.noise,
    )
    table = labels.describe(stars, class_name, stellar, magnitudes, distance, position, catalogue)
    grid = XPGrid()
    mask = np.zeros(truth.shape, dtype=bool)
    for band in columns.BANDS:
        gone = seen.missing[band]
        mask[:, grid.band(band)] = gone[:, np.newaxis]
        if seen.correlations is not None:
            seen.correlations[gone, grid.correlation_slice(band)] = np.nan
        table[columns.standard_deviation(band)] = seen.standard_deviation[band]
        table[columns.n_relevant_bases(band)] = seen.n_relevant_bases[band].astype(np.int16)
    return SpectrumSet(
        source_id=galaxy.source_ids(*position, index * BLOCK + np.arange(n)),
        values=seen.coefficients,
        errors=seen.errors,
        grid=grid,
        mask=mask,
        correlations=seen.correlations,
    ).with_labels(**table)


def iterate_survey(
    n: int, *, seed: int, config: SurveyConfig, threads: int | None = None
) -> Iterator[SpectrumSet]:
    """The survey piece by piece, in bounded memory.

    Parameters
    ----------
    n : int
        Number of stars in all.
    seed : int
        Of every random stream.
    config : SurveyConfig
        Settings.
    threads : int, optional
        Blocks in work at once; by default as many as there are cores, at most 4. The
        result does not depend on it.

    Yields
    ------
    SpectrumSet
        At most :data:`BLOCK` stars each.
    """
    if n < 1:
        raise StarkinError(f"A survey needs at least one star, got n = {n}.")
    threads = min(4, len(os.sched_getaffinity(0))) if threads is None else threads
    if threads < 1:
        raise StarkinError(f"threads must be at least 1, got {threads}.")
    pieces = [(i, min(BLOCK, n - start)) for i, start in enumerate(range(0, n, BLOCK))]
    # One thread a block: libraries that start threads of their own within each small
    # product slow down many times over on a busy machine.
    before = torch.get_num_threads()
    running: deque[Future[SpectrumSet]] = deque()
    with (
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        try:
            # The first block alone: it builds the tables that all share.
            yield pool.submit(_block, config, seed, *pieces[0]).result()
            for piece in pieces[1:]:
                running.append(pool.submit(_block, config, seed, *piece))
                if len(running) > threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
            torch.set_num_threads(before)


def simulate_survey(
    n: int,
    *,
    seed: int,
    config: SurveyConfig | None = None,
    single_population: bool = False,
    threads: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    **settings: Any,
) -> SpectrumSet:
    """Simulate Gaia XP spectra of a population of stars with known truth.

    Parameters
    ----------
    n : int
        Number of stars.
    seed : int
        The same seed and settings give the same survey, bit for bit, on one machine.
    config : SurveyConfig, optional
        Or its fields as keywords: ``simulate_survey(1000, seed=1, preset="cemp")``.
    single_population : bool
        Short for ``preset="single"``.
    threads : int, optional
        See :func:`iterate_survey`.
    progress : callable, optional
        Called with stars done, stars in all and a short line, after each block.
    **settings
        Fields of :class:`SurveyConfig`.

    Returns
    -------
    SpectrumSet
        Coefficients with errors [electron/s] (and correlations), with the columns of the
        archive, labels with errors, their truth as ``true_…`` and ``class_name``.

    Raises
    ------
    StarkinError
        If a setting is out of range.
    """
    if single_population:
        settings["preset"] = "single"
    if config is None:
        config = settings_from(SurveyConfig, settings, "a simulated survey")
    elif settings:
        raise StarkinError("Give either config or single settings, not both.")
    parts, done = [], 0
    for part in iterate_survey(n, seed=seed, config=config, threads=threads):
        parts.append(part)
        done += len(part)
        if progress is not None:
            progress(done, n, f"{done:,} stars")
    survey = SpectrumSet.concatenate(parts)
    settings_used = {f.name: getattr(config, f.name) for f in fields(config)}
    return survey.replace(meta={"simulated": {"n": n, "seed": seed, **settings_used}})
