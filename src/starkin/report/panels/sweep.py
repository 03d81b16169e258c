"""What other settings of the clustering would have given."""

from __future__ import annotations

from typing import Any

from bokeh.models import ColumnDataSource, HoverTool, NumeralTickFormatter

from ..facts import sweep
from ..style import ACCENT, MUTED, colour
from .scene import Panel, Scene, plain_figure

__all__ = ["sweep_columns", "sweep_lines", "sweep_panels", "sweep_table"]

_SETTINGS = ("min_cluster_size", "min_samples", "method", "epsilon")
_RESULTS = ("n_populations", "noise_fraction", "ari_all", "validity")
_WORDS = {
    "min_cluster_size": "smallest cluster allowed [stars]",
    "n_populations": "populations found",
    "noise_fraction": "fraction in no population",
    "ari_all": "stability: ARI over resamples",
    "validity": "relative validity",
}


def sweep_columns(rows: list[dict[str, Any]]) -> tuple[str, list[str], list[str]]:
    """The setting to go along x, those that make separate lines, and what came out."""

    def number(key: str) -> bool:
        return all(isinstance(row.get(key), (int, float)) for row in rows)

    settings = [key for key in _SETTINGS if key in rows[0]]
    numeric = [key for key in settings if number(key)]
    varying = [key for key in numeric if len({row[key] for row in rows}) > 1]
    x = (varying or numeric or [""])[0]
    lines = [key for key in settings if key != x and len({row.get(key) for row in rows}) > 1]
    results = [key for key in _RESULTS if key in rows[0] and number(key)]
    return x, lines, results


def sweep_lines(
    rows: list[dict[str, Any]], x: str, lines: list[str]
) -> dict[str, list[dict[str, Any]]]:
    """The rows of each line, by the settings that tell it from the others."""
    out: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row[x]):
        words = [
            str(row[key]) if isinstance(row[key], str) else f"{key} {row[key]:g}" for key in lines
        ]
        out.setdefault(", ".join(words), []).append(row)
    return dict(sorted(out.items(), key=lambda item: [item[1][0][key] for key in lines]))


def sweep_panels(scene: Scene) -> list[Panel]:
    """Small plots that share their x-axis; the chosen settings are ringed."""
    rows = sweep(scene.discovery.statistics)
    x, lines, results = sweep_columns(rows) if rows else ("", [], [])
    if not x or not results:
        return [Panel("sweep", note="No settings sweep was kept.")]
    panels: list[Panel] = []
    sizes = [row[x] for row in rows]
    log = min(sizes) > 0 and max(sizes) > 4 * min(sizes)
    for key in results:
        shared = {"x_range": panels[0].models["x_range"]} if panels else {}
        plot = plain_figure(
            _WORDS.get(x, x),
            _WORDS.get(key, key),
            x_axis_type="log" if log else "linear",
            **shared,
        )
        plot.xaxis.ticker = sorted(set(sizes))
        plot.xaxis.formatter = NumeralTickFormatter(format="0,0")
        for i, (name, part) in enumerate(sweep_lines(rows, x, lines).items()):
            data = {"x": [row[x] for row in part], "y": [row[key] for row in part]}
            source = ColumnDataSource({**data, "name": [name] * len(part)})
            more = {"legend_label": name} if name and not panels else {}
            plot.line("x", "y", source=source, line_color=colour(i), line_width=1.5, **more)
            dots = plot.scatter(
                "x", "y", source=source, size=7, fill_color=colour(i), line_color="white"
            )
            tips = [(x, "@x"), (key, "@y{0.[000]}"), ("", "@name")]
            plot.add_tools(HoverTool(renderers=[dots], tooltips=tips))
        chosen = [row for row in rows if row["chosen"]]
        plot.scatter(
            [row[x] for row in chosen], [row[key] for row in chosen], size=16, fill_color=None,
            line_color=ACCENT, line_width=2.5,
        )  # fmt: skip
        if plot.legend:
            plot.legend.label_text_font_size = "11px"
            plot.legend.label_text_color = MUTED
            plot.legend.border_line_color = None
            plot.legend.background_fill_alpha = 0.7
            plot.legend.padding = plot.legend.spacing = 2
        panels.append(Panel(f"sweep_{len(panels)}", plot, models={"x_range": plot.x_range}))
    return panels


def sweep_table(scene: Scene) -> tuple[list[str], list[dict[str, Any]]]:
    """Every row of the sweep, for the details."""
    rows = sweep(scene.discovery.statistics)
    return ([key for key in rows[0] if key != "chosen"] if rows else []), rows
