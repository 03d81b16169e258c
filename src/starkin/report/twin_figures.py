"""A star and its twins on paper: spectra, their difference in errors, and the elements."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..latent.twins import Twins
from ..spectra.errors import StarkinError
from ..survey.twin_differences import TwinDifferences
from .publication import PAGE, new_figure, publication, save_figure
from .style import FAINT, MUTED, TEXT, colour

__all__ = ["draw_twins", "write_twin_figure"]

#: Twins drawn; more lines than this cannot be told apart.
N_SHOWN = 3


def draw_twins(found: TwinDifferences, twins: Twins, place: int = 0) -> Figure:
    """Spectra of a star and its best twins, pulls of each, differences in each element.

    Parameters
    ----------
    found : TwinDifferences
        Of the star.
    twins : Twins
        Its probabilities.
    place : int
        Which star of ``twins`` it is.
    """
    n = min(N_SHOWN, len(found.twin_id))
    with_elements = bool(found.elements)
    heights = [2.2, *[0.9] * n, *([1.3] if with_elements else [])]
    figure = new_figure(PAGE, 1.05 * sum(heights))
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    top = figure.add_subplot(grid[0])
    for segment in _segments(found.wavelength):
        x = found.wavelength[segment]
        for i in range(n):
            top.plot(x, found.moved[i, segment], color=colour(i), linewidth=0.7, alpha=0.9)
        top.plot(x, found.flux[segment], color=TEXT, linewidth=0.7)
    top.set_ylabel("normalised flux")
    top.set_title(
        f"source_id {found.source_id} (dark) and its twins at its own temperature and gravity",
        loc="left",
    )
    for i in range(n):
        _pulls(figure.add_subplot(grid[1 + i], sharex=top), found, twins, place, i)
    figure.axes[n].set_xlabel(f"vacuum wavelength [{found.unit}]")
    for axes in figure.axes[:n]:
        axes.tick_params(labelbottom=False)
    if with_elements:
        _elements(figure.add_subplot(grid[-1]), found, n)
    return figure


def _segments(wavelength: np.ndarray) -> list[slice]:
    """Stretches without a gap: no line is drawn between two detectors."""
    step = np.diff(wavelength)
    edges = [0, *(np.flatnonzero(step > 5 * np.median(step)) + 1).tolist(), len(wavelength)]
    return [slice(a, b) for a, b in pairwise(edges)]


def _pulls(axes: Axes, found: TwinDifferences, twins: Twins, place: int, i: int) -> None:
    axes.axhspan(-1, 1, color=FAINT, alpha=0.5, linewidth=0)
    for segment in _segments(found.wavelength):
        x = found.wavelength[segment]
        axes.plot(x, found.pull[i, segment], color=colour(i), linewidth=0.5)
    axes.set_ylabel("difference\n/ error")
    axes.set_title(
        f"{i + 1}. twin {found.twin_id[i]}: probability {twins.probability[place, i]:.2f}, "
        f"distance {twins.distance[place, i]:.2f}, mean squared pull {found.reduced_chi2[i]:.2f}",
        loc="left", color=colour(i),
    )  # fmt: skip


def _elements(axes: Axes, found: TwinDifferences, n: int) -> None:
    at = np.arange(len(found.elements))
    axes.axhline(0, color=MUTED, linewidth=0.6)
    for i in range(n):
        axes.errorbar(
            at + 0.16 * (i - (n - 1) / 2), found.delta[i], found.delta_error[i],
            fmt="o", markersize=3, linewidth=0.8, color=colour(i),
        )  # fmt: skip
    shown = np.abs(found.delta[:n]) + found.delta_error[:n]
    # One element that the lines do not show must not flatten all others.
    limit = 1.3 * float(np.quantile(shown, 0.85)) if shown.size else 1.0
    axes.set_ylim(-limit, limit)
    axes.set_xticks(at, [name.removesuffix("_h").capitalize() for name in found.elements])
    axes.set_ylabel("Δ[X/H] [dex]")
    axes.set_title("star minus twin, from the difference of their spectra", loc="left")


def write_twin_figure(
    found: TwinDifferences, twins: Twins, path: str | os.PathLike[str], place: int = 0
) -> Path:
    """Draw :func:`draw_twins` into a file; the suffix (.pdf or .png) chooses the format."""
    path = Path(path)
    if path.suffix not in (".pdf", ".png"):
        raise StarkinError(f"{path} must end in .pdf or .png.")
    with publication():
        return save_figure(draw_twins(found, twins, place), path)
