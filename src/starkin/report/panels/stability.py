"""How far the populations can be trusted: resampling, seeds, Jaccard, null test."""

from __future__ import annotations

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, Range1d, SingleIntervalTicker, Span

from ..facts import null, stability
from ..stars import plain
from ..style import ACCENT, FAINT, MUTED, TEXT, colour, population_label
from .scene import Panel, Scene, plain_figure

__all__ = ["jaccard_panel", "null_panel", "stability_panel"]


def stability_panel(scene: Scene) -> Panel:
    """Every adjusted Rand index as a dot, one row for each comparison."""
    found = stability(scene.discovery.statistics)
    if not found:
        return Panel("stability", note="No stability test was run.")
    low = min(0.0, *(min(values) for values in found.values()))
    plot = plain_figure(
        "adjusted Rand index (1 = same partition)",
        "",
        y_range=list(found)[::-1],
        x_range=Range1d(low, 1.02),
    )
    plot.ygrid.grid_line_color = None
    for name, values in found.items():
        # Spread the dots by their order, so that equal values stay apart on every run.
        offset = [(i * 0.618034) % 1 * 0.4 - 0.2 for i in range(len(values))]
        source = ColumnDataSource({"x": values, "y": [(name, o) for o in offset]})
        plot.scatter(
            "x", "y", source=source, size=7, fill_color=colour(0), fill_alpha=0.5, line_color=None
        )
        mean = float(np.mean(values))
        plot.segment([mean], [(name, -0.3)], [mean], [(name, 0.3)], line_color=TEXT, line_width=2.5)
        right = mean - low < 0.2 * (1.02 - low)
        plot.text(
            [min(values) if not right else max(values)], [(name, 0.0)], [f"mean {mean:.2f}"],
            text_font_size="11px", text_color=TEXT, text_align="left" if right else "right",
            text_baseline="middle", x_offset=12 if right else -12,
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
        "Jaccard over resamples: mean, and lowest tenth",
        "",
        y_range=names[::-1],
        x_range=Range1d(0, 1.02),
    )
    plot.ygrid.grid_line_color = None
    for x, text in ((0.5, "dissolved below"), (0.75, "stable above")):
        plot.add_layout(Span(location=x, dimension="height", line_color=MUTED, line_dash="dashed"))
        plot.text(
            [x], [names[0]], [text], text_font_size="10px", text_color=MUTED, text_align="center",
            text_baseline="bottom", y_offset=-9,
            background_fill_color="white", background_fill_alpha=0.9,
        )  # fmt: skip
    plot.y_range.range_padding = 0.35 / len(names) * 2
    plot.segment("low", "name", "mean", "name", source=source, line_color="ink", line_width=2)
    dots = plot.scatter(
        "mean", "name", source=source, size=11, fill_color="ink", line_color="white"
    )
    tips = [("population", "@name"), ("mean", "@mean{0.00}"), ("lowest tenth", "@low{0.00}")]
    plot.add_tools(HoverTool(renderers=[dots], tooltips=tips))
    return Panel("jaccard", plot)


def null_panel(scene: Scene) -> Panel:
    """Populations found in references that hold a single one, and in the sample."""
    found = null(scene.discovery.statistics)
    if found is None:
        return Panel("null", note="No null test was run.")
    numbers, times = np.unique(found.counts, return_counts=True)
    most = max([*found.counts, found.observed or 0, 2])
    plot = plain_figure(
        "populations found", "references", x_range=Range1d(-0.6, most + 0.9),
        y_range=Range1d(0, 1.25 * times.max()),
    )  # fmt: skip
    plot.xaxis.ticker = SingleIntervalTicker(interval=max(1, round(most / 10)))
    plot.xgrid.grid_line_color = None
    plot.vbar(x=numbers.tolist(), top=times.tolist(), width=0.8, fill_color=FAINT, line_color=None)
    if found.observed is not None:
        line = Span(location=found.observed, dimension="height", line_color=ACCENT, line_width=2)
        plot.add_layout(line)
        plot.text(
            [found.observed], [1.22 * times.max()], ["the sample"], text_font_size="11px",
            text_color=ACCENT, text_baseline="top",
            text_align="right" if found.observed > most / 2 else "left",
            x_offset=-5 if found.observed > most / 2 else 5,
        )  # fmt: skip
    return Panel("null", plot)
