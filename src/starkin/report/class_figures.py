"""Figures for print of what stands beside the models: the selection of a class, the tree."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from ..latent.comparison import Comparison
from .publication import COLUMN, PAGE, new_figure
from .style import ACCENT, FAINT, MUTED, TEXT, colour
from .tree_layout import SUPPORTED, of_types, tree_layout

__all__ = ["phylogeny_figure", "selection_figure"]


def selection_figure(found: Comparison) -> Figure | None:
    """Completeness and contamination by threshold; and how probabilities are spread."""
    told = found.details[""].get("classifier") or {}
    if "curve" not in told:
        return None
    figure = new_figure(PAGE, 2.8)
    left, middle, right = figure.subplots(1, 3)
    curve = {name: np.array(values, float) for name, values in told["curve"].items()}
    for name, ink in (("completeness", colour(0)), ("contamination", colour(1))):
        left.plot(curve["threshold"], curve[name], color=ink, label=name)
        left.fill_between(
            curve["threshold"], curve[f"{name}_low"], curve[f"{name}_high"],
            color=ink, alpha=0.15, linewidth=0,
        )  # fmt: skip
    left.set(xlabel="threshold of the probability", ylabel="share", xlim=(0, 1), ylim=(0, 1.02))
    left.legend(loc="best")
    _against(middle, curve, told)
    _spread(right, told)
    figure.suptitle(
        f"{told['name']}: {told['member']}; {told['n_examples']} examples, "
        f"{told['n_members']} members among {told['n']:,} test stars",
        fontsize=8,
    )
    return figure


def _against(axes: Axes, curve: dict[str, np.ndarray], told: dict[str, Any]) -> None:
    """Completeness against contamination, and the point asked for."""
    some = curve["n_selected"] > 0
    axes.plot(curve["contamination"][some], curve["completeness"][some], color=TEXT)
    limit = told["asked"]["limit"]
    axes.axvline(limit, color=MUTED, linewidth=0.6, linestyle=":")
    if "threshold" in told["asked"]:
        at = told["asked"]
        axes.plot(at["contamination"], at["completeness"], "o", color=ACCENT, markersize=5)
        axes.annotate(
            f"p ≥ {at['threshold']:.2f}", (at["contamination"], at["completeness"]),
            xytext=(7, -4), textcoords="offset points", fontsize=7, color=ACCENT,
        )  # fmt: skip
    axes.set(xlabel="contamination", ylabel="completeness", xlim=(0, 1), ylim=(0, 1.02))


def _spread(axes: Axes, told: dict[str, Any]) -> None:
    """Stars by probability, members and others."""
    others = np.array(told["probability"]["others"], float)
    edges = np.linspace(0, 1, len(others) + 1)
    members = np.histogram(told["probability"]["members"], bins=edges)[0]
    for counts, ink, name in ((others, MUTED, "others"), (members, ACCENT, "members")):
        axes.stairs(counts, edges, color=ink, label=name, linewidth=1.2)
    axes.set(xlabel="probability", ylabel="stars", yscale="log", xlim=(0, 1), ylim=(0.7, None))
    axes.legend(loc="best")


def phylogeny_figure(found: Comparison) -> Figure | None:
    """The tree without root; branches that noise leaves standing are drawn heavily."""
    told = found.details[""].get("phylogeny") or {}
    if "newick" not in told:
        return None
    layout = tree_layout(told["newick"])
    place = dict(zip(layout.stars, layout.places, strict=True))
    figure = new_figure(COLUMN * 1.5, COLUMN * 1.45)
    axes = figure.subplots()
    heavy = layout.support >= SUPPORTED
    if told["n_copies"]:
        axes.plot([], [], color=TEXT, linewidth=1.6, label=f"support ≥ {SUPPORTED}")
    for which, ink, width in ((~heavy, FAINT, 0.8), (heavy, TEXT, 1.6)):
        lines = layout.branches[which].reshape(-1, 2, 2)
        axes.add_collection(LineCollection(list(lines), colors=ink, linewidths=width, zorder=1))
    for position, (kind, stars) in enumerate(of_types(told).items()):
        x, y = np.array([place[star] for star in stars]).T
        axes.scatter(
            x, y, s=22, color=colour(position), edgecolors="white", linewidths=0.5,
            label=kind.replace("_", " "), zorder=2,
        )  # fmt: skip
    low, high = layout.places.min(axis=0), layout.places.max(axis=0)
    pad = 0.06 * (high - low).max()
    axes.set(xlim=(low[0] - pad, high[0] + pad), ylim=(low[1] - pad, high[1] + pad))
    axes.set_aspect("equal")
    axes.axis("off")
    _scale_bar(axes, 0.2 * float((high - low).max()))
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def _scale_bar(axes: Axes, about: float) -> None:
    """A round length in the unit of the branches."""
    power = 10.0 ** np.floor(np.log10(max(about, 1e-12)))
    length = power * max(k for k in (1, 2, 5) if k * power <= about * 1.0001)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    y, x = bottom + 0.03 * (top - bottom), left + 0.03 * (right - left)
    axes.plot([x, x + length], [y, y], color=MUTED, linewidth=1)
    axes.text(
        x + length / 2, y + 0.012 * (top - bottom), f"{length:g}",
        ha="center", va="bottom", fontsize=7, color=MUTED,
    )  # fmt: skip
