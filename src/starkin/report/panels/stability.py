"""How far the populations can be trusted: resampling, seeds, Jaccard, null test."""

from __future__ import annotations

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, Range1d, Span

from ..facts import null_counts, stability
from ..stars import plain
from ..style import MUTED, TEXT, colour, population_label
from .scene import Panel, Scene, plain_figure

__all__ = ["jaccard_panel", "stability_panel"]


def stability_panel(scene: Scene) -> Panel:
    """Every adjusted Rand index as a dot, one row for resamples and one for model seeds."""
    found = stability(scene.discovery.statistics)
    rows = [("resamples", found.resampling), ("model seeds", found.seeds)]
    rows = [(name, values) for name, values in rows if values]
    if not rows:
        return Panel("stability", note="No stability test was run.")
    names = [name for name, _ in rows][::-1]
    low = min(0.0, *(min(values) for _, values in rows))
    plot = plain_figure(
        "adjusted Rand index (1 = same partition)", "", y_range=names, x_range=Range1d(low, 1.02)
    )
    plot.ygrid.grid_line_color = None
    plot.yaxis.major_label_text_font_size = "12px"
    for name, values in rows:
        # Spread the dots by their order, so that equal values stay apart on every run.
        offset = [(i * 0.618034) % 1 * 0.5 - 0.25 for i in range(len(values))]
        source = ColumnDataSource({"x": values, "y": [(name, o) for o in offset]})
        plot.scatter(
            "x", "y", source=source, size=8, fill_color=colour(0), fill_alpha=0.55, line_color=None
        )
        mean = float(np.mean(values))
        plot.segment(
            [mean], [(name, -0.36)], [mean], [(name, 0.36)], line_color=TEXT, line_width=2.5
        )
        plot.text(
            [mean], [(name, 0.36)], [f"mean {mean:.2f}"], text_font_size="11px", text_color=TEXT,
            text_align="center", text_baseline="bottom", y_offset=-2,
        )  # fmt: skip
    return Panel("stability", plot)


def jaccard_panel(scene: Scene) -> Panel:
    """How much of each population comes back in resamples."""
    table = scene.discovery.populations
    numbers = scene.stars.numbers
    if "jaccard" not in table.colnames or not numbers:
        return Panel("jaccard", note="No per-population stability: nothing to resample.")
    row = {int(n): i for i, n in enumerate(table["population"])}
    at = [row[n] for n in numbers]
    mean = plain(table["jaccard"])[at]
    low = plain(table["jaccard_low"])[at] if "jaccard_low" in table.colnames else mean
    names = [population_label(n) for n in numbers]
    source = ColumnDataSource(
        {"name": names, "mean": mean, "low": low, "ink": [colour(i) for i in range(len(names))]}
    )
    plot = plain_figure(
        "mean Jaccard over resamples, whisker: worst",
        "",
        y_range=names[::-1],
        x_range=Range1d(0, 1.02),
    )
    plot.ygrid.grid_line_color = None
    for x, text in ((0.5, "dissolved below"), (0.75, "stable above")):
        plot.add_layout(Span(location=x, dimension="height", line_color=MUTED, line_dash="dashed"))
        plot.text(
            [x], [names[0]], [text], text_font_size="10px", text_color=MUTED, text_align="center",
            text_baseline="bottom", y_offset=-12,
        )  # fmt: skip
    plot.y_range.range_padding = 0.35 / len(names) * 2
    plot.segment("low", "name", "mean", "name", source=source, line_color="ink", line_width=2)
    dots = plot.scatter(
        "mean", "name", source=source, size=11, fill_color="ink", line_color="white"
    )
    tips = [("population", "@name"), ("mean", "@mean{0.00}"), ("worst", "@low{0.00}")]
    plot.add_tools(HoverTool(renderers=[dots], tooltips=tips))
    return Panel("jaccard", plot)


def null_sentence(scene: Scene) -> str:
    """The null test's result in one sentence, empty when it was not run."""
    counts = null_counts(scene.discovery.statistics)
    if not counts:
        return ""
    surveys = "survey" if len(counts) == 1 else "surveys"
    one = sum(c <= 1 for c in counts)
    return (
        f"In {len(counts)} simulated {surveys} that hold a single population, the same search "
        f"found one or none in {one}, and at most {max(counts)}."
    )
