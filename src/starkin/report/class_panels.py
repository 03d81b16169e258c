"""Panels of the page on what stands beside the models: the selection of a class, the tree."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, Span

from ..latent.comparison import Comparison
from .panels.scene import Panel, plain_figure
from .style import FAINT, MUTED, TEXT, axis_label, colour
from .tree_layout import SUPPORTED, of_types, tree_layout

__all__ = ["class_panels", "tree_panels"]


def class_panels(found: Comparison) -> list[Panel]:
    """Completeness and contamination by threshold, and against each other."""
    told = found.details[""].get("classifier") or {}
    if "curve" not in told:
        return [Panel("selection", note=told["problem"])] if told else []
    curve = {
        name: [np.nan if v is None else v for v in values] for name, values in told["curve"].items()
    }
    source = ColumnDataSource(curve)
    by_threshold = plain_figure(
        "threshold of the probability", "share", x_range=(0, 1), y_range=(0, 1.02)
    )
    for position, name in enumerate(("completeness", "contamination")):
        ink = colour(position)
        by_threshold.varea(
            "threshold", f"{name}_low", f"{name}_high", source=source,
            fill_color=ink, fill_alpha=0.15,
        )  # fmt: skip
        by_threshold.line(
            "threshold", name, source=source, line_color=ink, line_width=1.8, legend_label=name
        )
    by_threshold.legend[0].location = "center_right"
    by_threshold.legend[0].border_line_color = None
    against = plain_figure("contamination", "completeness", x_range=(0, 1), y_range=(0, 1.02))
    line = against.line(
        "contamination", "completeness", source=source, line_color=TEXT, line_width=1.8
    )
    limit = told["asked"]["limit"]
    against.add_layout(
        Span(location=limit, dimension="height", line_color=MUTED, line_dash="dashed")
    )
    tips = [("threshold", "@threshold{0.00}")]
    for name in ("completeness", "contamination"):
        parts = (f"@{name}{tail}{{0.000}}" for tail in ("", "_low", "_high"))
        tips.append((name, "{} ({} to {})".format(*parts)))
    tips.append(("stars", "@n_selected{0,0}"))
    for plot, renderers in ((by_threshold, by_threshold.renderers[1::2]), (against, [line])):
        plot.add_tools(HoverTool(renderers=renderers, tooltips=tips, mode="mouse"))
    return [Panel("selection", by_threshold), Panel("selection_curve", against)]


def tree_panels(found: Comparison) -> list[Panel]:
    """The tree, its stars by type; point at a star or a branch."""
    told = found.details[""].get("phylogeny") or {}
    if "newick" not in told:
        return [Panel("phylogeny", note=told["problem"])] if told else []
    layout = tree_layout(told["newick"])
    plot = plain_figure("", "", match_aspect=True)
    plot.axis.visible = False
    plot.grid.visible = False
    plot.outline_line_color = None
    x0, y0, x1, y1 = layout.branches.T
    heavy = layout.support >= SUPPORTED
    source = ColumnDataSource(
        {
            "x0": x0, "y0": y0, "x1": x1, "y1": y1, "support": layout.support,
            "ink": np.where(heavy, TEXT, FAINT).tolist(),
            "width": np.where(heavy, 2.2, 1.2),
            "length": np.hypot(x1 - x0, y1 - y0),
        }
    )  # fmt: skip
    branches = plot.segment(
        "x0", "y0", "x1", "y1", source=source, line_color="ink", line_width="width"
    )
    tips = [("support", "@support{0.00}"), ("length", "@length{0.000}")]
    plot.add_tools(HoverTool(renderers=[branches], tooltips=tips))
    place = dict(zip(layout.stars, layout.places, strict=True))
    row = {star: i for i, star in enumerate(told["stars"])}
    shown = {name: values for name, values in told["labels"].items() if values}
    for position, (kind, stars) in enumerate(of_types(told).items()):
        x, y = np.array([place[star] for star in stars]).T
        data: dict[str, Any] = {"x": x, "y": y, "star": stars, "type": [kind] * len(stars)}
        for name, values in shown.items():
            data[name] = [np.nan if values[row[s]] is None else values[row[s]] for s in stars]
        dots = plot.scatter(
            "x", "y", source=ColumnDataSource(data), size=9, fill_color=colour(position),
            line_color="white", legend_label=kind.replace("_", " "),
        )  # fmt: skip
        labels = [(axis_label(name), f"@{name}{{0.[00]}}") for name in shown]
        tips = [("", "@star"), ("type", "@type"), *labels]
        plot.add_tools(HoverTool(renderers=[dots], tooltips=tips))
    legend = plot.legend[0]
    plot.add_layout(legend, "right")
    legend.border_line_color = None
    return [Panel("phylogeny", plot)]
