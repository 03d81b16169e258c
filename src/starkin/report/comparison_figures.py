"""Figures of a comparison, in the form in which the papers show theirs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..latent.comparison import Comparison
from ..spectra import columns
from .class_figures import phylogeny_figure, selection_figure
from .publication import COLUMN, PAGE, new_figure, publication, save_figure
from .style import ACCENT, FAINT, MUTED, SEQUENTIAL, axis_label, colour, dash

__all__ = ["COMPARISON_FIGURES", "FEWEST", "shown_labels", "write_comparison_figures"]

_LINES = {"solid": "-", "dashed": "--", "dotted": ":", "dotdash": "-."}
_MAP = SEQUENTIAL.removesuffix("256").lower()
#: Stars drawn in a map: more only make it darker.
_MOST = 6000
#: Bins with fewer stars are not drawn.
FEWEST = 5
_GAPS = ("poor", "missing", "peculiar", "multiple")
_NUISANCE = {"r2_a_v": "A(V)", "r2_g_mag": "G", "r2_snr": "log S/N", "r2_sky": "sky"}


def _ink(found: Comparison, name: str) -> dict[str, Any]:
    position = found.models.index(name)
    return {"color": colour(position), "linestyle": _LINES[dash(position)], "label": name}


def _outside(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)


def _wavelength(found: Comparison) -> Figure | None:
    """Bias and scatter against wavelength, the scatter against the truth where it is known."""
    of_truth = found.details[""]["against"] == "truth"
    key = "by_wavelength_truth" if of_truth else "by_wavelength"
    tables = {m: found.details[m].get(key) for m in found.models}
    if not any(tables.values()):
        return None
    figure = new_figure(PAGE, 4.8)
    top, bottom = figure.subplots(2, 1, sharex=True)
    for name, table in tables.items():
        if table:
            nm = np.array(table["wavelength"])
            top.plot(nm, 100 * np.array(table["bias_fraction"], float), **_ink(found, name))
            bottom.plot(nm, np.array(table["spread"], float), **_ink(found, name))
    top.axhline(0, color=MUTED, linewidth=0.6)
    shown = np.concatenate(
        [100 * np.array(t["bias_fraction"], float)[20:-20] for t in tables.values() if t]
    )
    reach = 1.3 * float(np.nanpercentile(np.abs(shown), 97)) + 1e-3
    top.set(ylabel="median (model − star)/star [%]", ylim=(-reach, reach), xlim=(336, 1020))
    reference = "truth" if of_truth else "observed"
    bottom.set(
        xlabel="vacuum wavelength [nm]", ylabel=f"spread of (model − {reference})/σ", yscale="log"
    )
    _outside(figure, top)
    return figure


def _coefficients(found: Comparison) -> Figure | None:
    """Bias and spread of the first five BP and RP coefficients."""
    first = found.details[found.models[0]]["by_coefficient"]
    if "band" not in first:
        return None
    figure = new_figure(PAGE, 2.8)
    pair = figure.subplots(1, 2, sharey=True)
    n = len(found.models)
    for axes, band in zip(pair, columns.BANDS, strict=True):
        for i, name in enumerate(found.models):
            table = found.details[name]["by_coefficient"]
            rows = [
                r
                for r, (b, order) in enumerate(zip(table["band"], table["order"], strict=True))
                if b == band and order < 5
            ]
            x = np.arange(len(rows)) + 0.7 * ((i + 0.5) / n - 0.5)
            bias = np.array(table["bias"], float)[rows]
            spread = np.array(table["spread"], float)[rows]
            axes.errorbar(
                x, bias, spread, fmt="o", markersize=3, linewidth=1, color=colour(i), label=name
            )
        axes.axhline(0, color=MUTED, linewidth=0.6)
        axes.set_xticks(range(5), [f"{band.upper()} {i}" for i in range(5)])
    pair[0].set(ylabel="(model − observed)/σ: median, 16–84 %")
    pair[0].set_yscale("symlog", linthresh=3)
    _outside(figure, pair[0])
    return figure


def _labels(found: Comparison) -> Figure | None:
    """Root mean square error by temperature, gravity, metallicity, colour and magnitude."""
    names = shown_labels(found)
    if not names:
        return None
    across = min(3, len(names))
    figure = new_figure(PAGE, 2.3 * -(-len(names) // across) + 0.4)
    grid = figure.subplots(-(-len(names) // across), across, squeeze=False).ravel()
    for axes, label in zip(grid, names, strict=False):
        for name in found.models:
            table = {
                k: np.array(v, float) for k, v in found.details[name]["by_label"][label].items()
            }
            use = table["n"] >= FEWEST
            x = 0.5 * (table["low"] + table["high"])[use]
            look = _ink(found, name)
            axes.plot(x, table["rms"][use], marker="o", markersize=2.5, **look)
            axes.fill_between(
                x, table["rms_low"][use], table["rms_high"][use],
                color=look["color"], alpha=0.12, linewidth=0,
            )  # fmt: skip
        axes.set(xlabel=axis_label(label), yscale="log")
    for axes in grid[len(names) :]:
        axes.axis("off")
    for axes in grid[::across]:
        axes.set_ylabel(f"rms (model − {found.details['']['against']})/σ")
    _outside(figure, grid[0])
    return figure


def shown_labels(found: Comparison) -> list[str]:
    """Labels of which some bin has stars enough to be drawn."""
    tables = found.details[found.models[0]].get("by_label", {})
    return [name for name, table in tables.items() if max(table["n"], default=0) >= FEWEST]


def _star_label(found: Comparison, model: str, name: str) -> np.ndarray | None:
    table = found.latents[model].columns
    for column in (columns.truth(name), name):
        if column in table.colnames:
            return np.ma.filled(np.ma.asarray(table[column]).astype(float), np.nan)
    return None


def _kiel(found: Comparison) -> Figure | None:
    """Kiel diagram against latent space, with the tracks of both branches."""
    model = found.details[""]["reference"]
    if model not in found.latents:
        return None
    labels = [_star_label(found, model, n) for n in (columns.TEFF, columns.LOGG, columns.M_H)]
    if any(v is None for v in labels):
        return None
    teff, logg, m_h = (np.asarray(v) for v in labels)
    z = found.latents[model].mean
    tracks = found.details[model].get("evolution", {}).get("tracks", {})
    first, second = _telling(z, tracks)
    known = np.isfinite(teff) & np.isfinite(logg) & np.isfinite(z).all(axis=1)
    rows = np.flatnonzero(known)[:_MOST]
    figure = new_figure(PAGE, 4.6)
    grid = figure.subplots(2, 2)
    for row, (values, text) in enumerate(((logg, "log g"), (m_h, "[M/H]"))):
        ends = np.nanpercentile(values[rows], [3, 97])
        dots = {"s": 1.5, "c": values[rows], "cmap": _MAP, "vmin": ends[0], "vmax": ends[1],
                "linewidths": 0, "rasterized": True}  # fmt: skip
        left, right = grid[row]
        left.scatter(teff[rows], logg[rows], **dots)
        left.set(xlim=(8000, 3000), ylim=(5.3, 0), xlabel="Teff [K]", ylabel="log g")
        line = np.array([3000.0, 8000.0])
        left.plot(line, 5.9 - 4 * line / 1e4, color=MUTED, linewidth=0.8, linestyle="--")
        drawn = right.scatter(z[rows, first], z[rows, second], **dots)
        for i, (branch, curve) in enumerate(tracks.items()):
            if "mean" in curve:
                mean = np.array(curve["mean"])
                right.plot(
                    mean[:, first], mean[:, second], color=(ACCENT, "k")[i % 2], label=branch
                )
        low, high = np.percentile(z[rows][:, [first, second]], [0.5, 99.5], axis=0)
        pad = 0.08 * (high - low)
        right.set(
            xlim=(low[0] - pad[0], high[0] + pad[0]), ylim=(low[1] - pad[1], high[1] + pad[1]),
            xlabel=columns.latent(first), ylabel=columns.latent(second),
        )  # fmt: skip
        figure.colorbar(drawn, ax=right, label=text, fraction=0.05)
    if any("mean" in curve for curve in tracks.values()):
        grid[0, 1].legend(loc="best")
    figure.suptitle(f"Kiel diagram and latents of {model}", fontsize=8)
    return figure


def _telling(z: np.ndarray, tracks: dict[str, Any]) -> tuple[int, int]:
    """The latent that each track moves furthest in, in standard deviations: two of them."""
    curves = [np.array(c["mean"]) for c in tracks.values() if "mean" in c]
    scale = np.nanstd(z, axis=0)
    reach = [np.ptp(c, axis=0) / np.where(scale > 0, scale, 1) for c in curves]
    chosen: list[int] = []
    for one in [*reach, *reach]:
        free = [i for i in np.argsort(-one, kind="stable") if i not in chosen]
        chosen += free[:1]
    chosen = [int(i) for i in chosen[:2]] or [0]
    return chosen[0], chosen[1] if len(chosen) > 1 else min(1, z.shape[1] - 1)


def _tracks(found: Comparison) -> Figure | None:
    """Spectra decoded along the main sequence and the giant branch."""
    tracks = found.details[found.details[""]["reference"]].get("evolution", {}).get("tracks", {})
    shown = {branch: t for branch, t in tracks.items() if t.get("spectra")}
    if not shown:
        return None
    figure = new_figure(PAGE, 2.7)
    for axes, (branch, curve) in zip(
        figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True
    ):
        spectra = curve["spectra"]
        nm, at = np.array(spectra["wavelength"]), spectra["coordinate"]
        for i, (place, flux) in enumerate(zip(at, spectra["flux"], strict=True)):
            ink = _shade(i / max(len(at) - 1, 1))
            unit = " K" if curve["along"] == columns.TEFF else ""
            axes.plot(
                nm, np.array(flux) / np.mean(flux), color=ink, linewidth=0.9,
                label=f"{place:.0f}{unit}" if unit else f"log g {place:.1f}",
            )  # fmt: skip
        axes.set(xlabel="vacuum wavelength [nm]", title=branch, xlim=(336, 1020))
        axes.legend(loc="best")
    figure.axes[0].set_ylabel("decoded flux ÷ its mean")
    return figure


def _shade(fraction: float) -> Any:
    from matplotlib import colormaps

    return colormaps[_MAP](0.05 + 0.85 * fraction)


def _alpha(found: Comparison) -> Figure | None:
    """Balanced accuracy of every classifier, and the matched pairs."""
    general = found.details[""].get("alpha") or {}
    if not general:
        return None
    rows = [(c["name"], c["balanced_accuracy"], MUTED) for c in general["baselines"]]
    pairs = (
        [(general["control"]["name"], general["control"], MUTED)] if "control" in general else []
    )
    for name in found.models:
        alpha = found.details[name].get("alpha")
        if alpha:
            ink = colour(found.models.index(name))
            rows.append((name, alpha["latents"]["balanced_accuracy"], ink))
            if "matched" in alpha:
                pairs.append((name, alpha["matched"], ink))
    figure = new_figure(PAGE if pairs else COLUMN * 1.4, 0.6 + 0.17 * len(rows))
    panels = figure.subplots(1, 2 if pairs else 1, squeeze=False)[0]
    left = panels[0]
    _intervals(left, rows, "balanced accuracy, high-α against low-α")
    if pairs:
        _intervals(panels[1], pairs, "label-matched pairs told apart")
    best = max(
        row[1]["high"] for row in rows[: len(general["baselines"])] if row[0] != "coefficients"
    )
    left.axvline(best, color=ACCENT, linewidth=0.7, linestyle=":")
    return figure


def _intervals(axes: Axes, rows: list[tuple[str, dict[str, float], str]], label: str) -> None:
    for i, (_, value, ink) in enumerate(rows):
        axes.plot([value["low"], value["high"]], [-i, -i], color=ink)
        axes.plot(value["value"], -i, "o", markersize=4, color=ink)
    axes.set_yticks([-i for i in range(len(rows))], [row[0] for row in rows])
    axes.axvline(0.5, color=FAINT, linewidth=0.8)
    axes.set_xlabel(label)


def _information(found: Comparison) -> Figure | None:
    """Mutual information per dimension and jointly, of the reference model."""
    entries = found.details[found.details[""]["reference"]].get("information")
    if not entries:
        return None
    single = np.array([e["per_dimension"] for e in entries])
    joint = np.array([[e["joint"]] for e in entries])
    figure = new_figure(COLUMN * 1.5, 0.7 + 0.32 * len(entries))
    axes = figure.subplots()
    matrix = np.column_stack([single, joint])
    axes.imshow(matrix, cmap=_MAP, aspect="auto", vmin=0)
    for i, row in enumerate(matrix):
        for j, value in enumerate(row):
            dark = value < 0.6 * matrix.max()
            axes.text(
                j, i, f"{value:.2f}", ha="center", va="center", fontsize=6,
                color="white" if dark else "black",
            )  # fmt: skip
    axes.set_xticks(
        range(matrix.shape[1]), [*(columns.latent(i) for i in range(single.shape[1])), "all"]
    )
    axes.set_yticks(range(len(entries)), [axis_label(e["label"]).split(" [")[0] for e in entries])
    axes.tick_params(length=0)
    axes.set_title("mutual information [nat]")
    return figure


def _bars(found: Comparison, names: dict[str, str], label: str, line: float) -> Figure | None:
    shown = {
        n: text
        for n, text in names.items()
        if n in found.table.colnames and np.isfinite(np.asarray(found.table[n], float)).any()
    }
    if not shown:
        return None
    figure = new_figure(PAGE, 0.7 + 0.14 * len(found.models) + 0.4)
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    row_of = {str(name): i for i, name in enumerate(found.table["model"])}
    for axes, (column, text) in zip(panels, shown.items(), strict=True):
        for i, model in enumerate(found.models):
            row = found.table[row_of[model]]
            value = float(row[column])
            if not np.isfinite(value):
                place = axes.get_yaxis_transform()
                axes.text(0.5, -i, "–", transform=place, ha="center", va="center",
                          fontsize=6, color=MUTED)  # fmt: skip
                continue
            low = float(row[f"{column}_low"])
            high = float(row[f"{column}_high"])
            axes.plot([low, high], [-i, -i], color=colour(i))
            axes.plot(value, -i, "o", markersize=4, color=colour(i))
        axes.axvline(line, color=MUTED, linewidth=0.6)
        axes.set_title(text)
        low, high = axes.get_xlim()
        if line > 0 and high > 10 * line:  # ratios of very different sizes
            axes.set_xscale("log")
    panels[0].set_yticks([-i for i in range(len(found.models))], found.models)
    figure.supxlabel(label, fontsize=8)
    return figure


def _nuisance(found: Comparison) -> Figure | None:
    return _bars(found, _NUISANCE, "cross-validated R² from the latents", 0.0)


def _gap(found: Comparison) -> Figure | None:
    names = {f"gap_{gap}": gap for gap in _GAPS}
    return _bars(found, names, "RMSE where labels fail ÷ RMSE where they do not", 1.0)


#: File name to the function that draws it, or answers None when it has nothing to draw.
COMPARISON_FIGURES: dict[str, Callable[[Comparison], Figure | None]] = {
    "wavelength": _wavelength,
    "coefficients": _coefficients,
    "labels": _labels,
    "kiel_latent": _kiel,
    "tracks": _tracks,
    "alpha": _alpha,
    "information": _information,
    "nuisance": _nuisance,
    "gap": _gap,
    "selection": selection_figure,
    "phylogeny": phylogeny_figure,
}


def write_comparison_figures(found: Comparison, directory: str | os.PathLike[str]) -> list[Path]:
    """Draw every figure that the run has the parts for; return the files written."""
    written: list[Path] = []
    if not found.models:
        return written
    with publication():
        for name, draw in COMPARISON_FIGURES.items():
            figure = draw(found)
            if figure is not None:
                for suffix in ("pdf", "png"):
                    written.append(save_figure(figure, Path(directory) / f"{name}.{suffix}"))
    return written
