"""Distribution of any column: all stars, every population, the selection."""

from __future__ import annotations

from bokeh.models import ColumnDataSource, FixedTicker, Range1d

from ..style import FAINT, TEXT, colour, dash
from .scene import Panel, Scene, plain_figure

__all__ = ["histogram_panel"]


def histogram_panel(scene: Scene) -> Panel:
    """An empty frame; the page's script counts, because the user chooses the column."""
    stars = scene.stars
    first = next((n for n in stars.labels if "probability" in n), None)
    first = first or next((n for n in ("m_h", "teff", "bp_rp") if n in stars.labels), None)
    column = first or (stars.labels or stars.latents)[0]
    # Borders and label stand from the start: an axis that moves leaves its old ticks behind.
    plot = plain_figure(
        stars.columns[column].label,
        "share of stars per bin",
        x_range=Range1d(0, 1),
        y_range=Range1d(0, 1),
        min_border_left=64,
        min_border_bottom=46,
    )
    everything = ColumnDataSource({"left": [], "right": [], "top": []})
    plot.quad(
        left="left", right="right", top="top", bottom=0, source=everything,
        fill_color=FAINT, fill_alpha=0.55, line_color=None,
    )  # fmt: skip
    lines = []
    for i in range(len(scene.stars.numbers)):
        source = ColumnDataSource({"x": [], "y": []})
        line = plot.line(
            "x", "y", source=source, line_color=colour(i), line_dash=dash(i), line_width=1.8
        )
        lines.append({"position": i, "line": line, "source": source})
    selection = ColumnDataSource({"x": [], "y": []})
    plot.line("x", "y", source=selection, line_color=TEXT, line_width=2.6)
    ticker = plot.xaxis[0].ticker
    models = {
        "figure": plot,
        "all": everything,
        "lines": lines,
        "selection": selection,
        "ticker": ticker,
        "fixed": FixedTicker(ticks=[]),
    }
    meta = {"column": column}
    return Panel("histogram", plot, models=models, meta=meta)
