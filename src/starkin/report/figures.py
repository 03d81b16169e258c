"""The static figures, as PDF for papers and PNG for slides; the same bytes on every run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..latent.discovery import Discovery
from .facts import history, stability, sweep
from .panels.hr import hr_views, with_near_stars
from .panels.sky import graticule
from .panels.spectra import FEATURES
from .panels.sweep import sweep_columns, sweep_lines
from .panels.training import curve_groups
from .publication import COLUMN, PAGE, new_figure, publication, save_figure
from .stars import Stars, plain
from .style import ACCENT, FAINT, MUTED, NOISE, colour, dash, population_label

__all__ = ["FIGURES", "write_figures"]

#: A corner plot with more latents than this is too small to read.
_MAX_CORNER = 8
#: More small maps than this do not fit a page.
_MAX_SKIES = 15
_DASHES = {"solid": "-", "dashed": "--", "dotted": ":", "dotdash": "-."}


def _groups(stars: Stars) -> Iterator[tuple[int, np.ndarray]]:
    """Position and mask of the noise, then of each population, the rarest last."""
    positions = range(len(stars.numbers))
    yield -1, stars.members(-1)
    for i in sorted(positions, key=lambda p: -stars.members(p).sum()):
        yield i, stars.members(i)


def _scatter(axes: Axes, stars: Stars, x: np.ndarray, y: np.ndarray) -> None:
    size = 0.8 if len(stars) > 10_000 else 4.0
    for position, mask in _groups(stars):
        axes.scatter(
            x[mask], y[mask], s=size if position < 0 else 1.6 * size, c=colour(position),
            alpha=0.35 if position < 0 else 0.7, linewidths=0, rasterized=True,
        )  # fmt: skip


def _legend(target: Axes | Figure, stars: Stars, **more: Any) -> None:
    inks = [(colour(i), population_label(n)) for i, n in enumerate(stars.numbers)]
    if stars.members(-1).any():
        inks.append((NOISE, "no population"))
    handles = [
        Line2D([], [], marker="o", markersize=4, linestyle="", color=ink, label=label)
        for ink, label in inks
    ]
    target.legend(handles=handles, handletextpad=0.0, **more)


def _latent(discovery: Discovery, stars: Stars) -> Figure:
    names = stars.latents[:_MAX_CORNER]
    n = max(len(names) - 1, 1)
    figure = new_figure(PAGE if n > 2 else COLUMN * 1.4, (PAGE if n > 2 else COLUMN * 1.4) * 0.98)
    grid = figure.subplots(n, n, squeeze=False)
    for row in range(n):
        for column in range(n):
            axes = grid[row, column]
            if column > row:
                axes.axis("off")
                continue
            x, y = stars.columns[names[column]], stars.columns[names[min(row + 1, len(names) - 1)]]
            _scatter(axes, stars, x.values, y.values)
            axes.set(xlim=(x.low, x.high), ylim=(y.low, y.high))
            if row == n - 1:
                axes.set_xlabel(x.name)
            else:
                axes.tick_params(labelbottom=False)
            if column == 0:
                axes.set_ylabel(y.name)
            else:
                axes.tick_params(labelleft=False)
    _legend(figure, stars, loc="upper right", ncols=2)
    return figure


def _hr(discovery: Discovery, stars: Stars) -> Figure | None:
    views = hr_views(stars)
    if not views:
        return None
    view = views[0]
    figure = new_figure(COLUMN, COLUMN * 1.15)
    axes = figure.subplots()
    x, y = stars.columns[view.x], stars.columns[view.y]
    _scatter(axes, stars, x.values, y.values)
    axes.set(
        xlim=(x.high, x.low) if view.flip_x else (x.low, x.high),
        ylim=(y.high, y.low) if view.flip_y else (y.low, y.high),
        xlabel=x.label,
        ylabel=y.label,
    )
    _legend(axes, stars, loc="best", labelspacing=0.25)
    return figure


def _sky(discovery: Discovery, stars: Stars) -> Figure | None:
    """One map a population over all stars in grey: on a single one they would hide each other."""
    if stars.sky is None:
        return None
    shown = list(range(len(stars.numbers)))[:_MAX_SKIES]
    across = min(3, max(len(shown), 1))
    down = -(-max(len(shown), 1) // across)
    figure = new_figure(PAGE, PAGE / across * 0.56 * down + 0.2)
    grid = figure.subplots(down, across, squeeze=False).ravel()
    x, y = stars.sky
    few = len(stars) < 10_000
    for axes in grid:
        axes.axis("off")
    for axes, position in zip(grid, shown or [-1], strict=False):
        for line in zip(*graticule(), strict=True):
            axes.plot(*line, color=FAINT, linewidth=0.4, zorder=0)
        axes.scatter(x, y, s=0.6 if few else 0.05, c=FAINT, linewidths=0, rasterized=True)
        mask = stars.members(position)
        size = float(np.clip(3000 / max(mask.sum(), 1), 0.6, 6))
        axes.scatter(x[mask], y[mask], s=size, c=colour(position), linewidths=0, rasterized=True)
        axes.set_aspect("equal")
        number = stars.numbers[position] if position >= 0 else -1
        axes.set_title(f"{population_label(number)}, {mask.sum():,} stars", pad=2)
    figure.supxlabel(
        "Galactic coordinates, Hammer projection; l = 0 at the centre, growing to the left",
        fontsize=7,
        color=MUTED,
    )
    return figure


def _spectra(discovery: Discovery, stars: Stars) -> Figure | None:
    spectra = discovery.spectra
    row = {int(n): i for i, n in enumerate(spectra.number)}
    shown = [(p, row[n]) for p, n in enumerate(stars.numbers) if n in row]
    if not shown:
        return None
    figure = new_figure(PAGE, 5.2)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(1.3, 1))
    x = spectra.wavelength
    for position, i in shown:
        look = {"color": colour(position), "linestyle": _DASHES[dash(position)]}
        scale = spectra.mean[i].mean()
        top.fill_between(
            x, spectra.low[i] / scale, spectra.high[i] / scale, color=colour(position),
            alpha=0.12, linewidth=0,
        )  # fmt: skip
        label = population_label(stars.numbers[position])
        top.plot(x, spectra.mean[i] / scale, label=label, **look)
        ratio, error = spectra.ratio[i], spectra.ratio_error[i]
        bottom.fill_between(
            x, ratio - error, ratio + error, color=colour(position), alpha=0.25, linewidth=0
        )
        bottom.plot(x, ratio, **look)
    ratios = spectra.ratio[[i for _, i in shown]]
    if np.isfinite(ratios).any():
        low, high = np.nanpercentile(ratios, (0.5, 99.5))
        pad = 0.08 * (high - low) + 0.02
        bottom.set_ylim(low - pad, high + pad)
    bottom.axhline(1, color=MUTED, linewidth=0.6)
    top.set(ylabel="flux ÷ mean flux (band: 16–84 %)", xlim=(x.min(), x.max()))
    bottom.set(ylabel="flux ÷ flux of the rest", xlabel="vacuum wavelength [nm]")
    for nm, name in FEATURES:
        if x.min() < nm < x.max():
            for axes in (top, bottom):
                axes.axvline(nm, color=FAINT, linewidth=0.5, linestyle=":", zorder=0)
            top.annotate(
                name, (nm, 1.01), xycoords=("data", "axes fraction"), ha="center", va="bottom",
                fontsize=6, color=MUTED,
            )  # fmt: skip
    top.legend(ncols=2, loc="upper right")
    return figure


def _stability(discovery: Discovery, stars: Stars) -> Figure | None:
    found = stability(discovery.statistics)
    table = discovery.populations
    each = "jaccard" in table.colnames and bool(stars.numbers)
    if not found and not each:
        return None
    figure = new_figure(PAGE, 2.6)
    left, right = figure.subplots(1, 2)
    for i, values in enumerate(found.values()):
        offset = [(j * 0.618034) % 1 * 0.4 - 0.2 for j in range(len(values))]
        left.plot(values, -i + np.array(offset), "o", markersize=3, color=colour(0), alpha=0.6)
        left.plot([np.mean(values)] * 2, [-i - 0.3, -i + 0.3], color="k")
    left.set_yticks([-i for i in range(len(found))], list(found))
    left.set(xlabel="adjusted Rand index", ylim=(0.4 - max(len(found), 1), 0.6))
    left.set_xlim(right=1.02)
    if each:
        row = {int(n): i for i, n in enumerate(table["population"])}
        at = [row[n] for n in stars.numbers]
        mean = plain(table["jaccard"])[at]
        low = plain(table["jaccard_low"])[at] if "jaccard_low" in table.colnames else mean
        for i in range(len(at)):
            right.plot([low[i], mean[i]], [-i, -i], color=colour(i))
            right.plot(mean[i], -i, "o", markersize=5, color=colour(i))
        right.set_yticks([-i for i in range(len(at))], [population_label(n) for n in stars.numbers])
        for x in (0.5, 0.75):
            right.axvline(x, color=MUTED, linewidth=0.6, linestyle="--")
    right.set(xlabel="Jaccard over resamples (dot: mean, line: to lowest tenth)", xlim=(0, 1.02))
    return figure


def _sweep(discovery: Discovery, stars: Stars) -> Figure | None:
    rows = sweep(discovery.statistics)
    x, lines, results = sweep_columns(rows) if rows else ("", [], [])
    if not x or not results:
        return None
    figure = new_figure(PAGE, 2.2)
    sizes = sorted({row[x] for row in rows})
    for axes, key in zip(figure.subplots(1, len(results), squeeze=False)[0], results, strict=True):
        for i, (name, part) in enumerate(sweep_lines(rows, x, lines).items()):
            y = [row[key] for row in part]
            ink = colour(i)
            axes.plot([row[x] for row in part], y, "o-", markersize=3, color=ink, label=name)
        for row in rows:
            if row["chosen"]:
                axes.plot(row[x], row[key], "o", markersize=9, mfc="none", mec=ACCENT, mew=1.3)
        if sizes[0] > 0 and sizes[-1] > 4 * sizes[0]:
            axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes], rotation=45)
        axes.set_xticks([], minor=True)
        axes.set(xlabel=x, ylabel=key)
    if lines:
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return figure


def _training(discovery: Discovery, stars: Stars) -> Figure | None:
    columns = history(discovery.statistics)
    step, groups = curve_groups(columns)
    if not groups:
        return None
    quantity, curves = next(iter(groups.items()))
    figure = new_figure(COLUMN, 2.6)
    axes = figure.subplots()
    values = np.concatenate([np.asarray(v, float) for v in curves.values()])
    for i, (name, y) in enumerate(curves.items()):
        x = columns[step] if step else range(1, len(y) + 1)
        axes.plot(x, y, color=colour(i), linestyle="-" if i == 0 else "--", label=name)
    finite = values[np.isfinite(values)]
    low, high = finite.min(), np.percentile(finite, 95)
    pad = (high - low) or 1.0
    axes.set(xlabel=step or "epoch", ylabel=quantity, ylim=(low - 0.06 * pad, high + 0.12 * pad))
    if len(curves) > 1:
        axes.legend()
    return figure


#: File name to the function that draws it, or answers None when it has nothing to draw.
FIGURES: dict[str, Callable[[Discovery, Stars], Figure | None]] = {
    "latent": _latent,
    "hr": _hr,
    "sky": _sky,
    "spectra": _spectra,
    "stability": _stability,
    "sweep": _sweep,
    "training": _training,
}


def write_figures(discovery: Discovery, directory: str | os.PathLike[str]) -> list[Path]:
    """Draw every figure that the run has the parts for; return the files written."""
    directory = Path(directory)
    stars = Stars.of(discovery)
    with_near_stars(stars)
    written = []
    with publication():
        for name, draw in FIGURES.items():
            figure = draw(discovery, stars)
            if figure is None:
                continue
            for suffix in ("pdf", "png"):
                written.append(save_figure(figure, directory / f"{name}.{suffix}"))
    return written
