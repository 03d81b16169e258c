"""What other settings of the clustering would have given."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool

from ..facts import sweep
from ..style import ACCENT, MUTED, colour
from .scene import Panel, Scene, plain_figure

__all__ = ["sweep_columns", "sweep_panels"]

_SETTINGS = ("min_cluster_size", "min_samples")
_WORDS = {
    "min_cluster_size": "smallest cluster allowed [stars]",
    "min_samples": "min_samples",
    "n_populations": "populations found",
    "n_clusters": "populations found",
    "noise_fraction": "fraction in no population",
    "criterion": "criterion (the larger, the better)",
}


def sweep_columns(rows: list[dict[str, Any]]) -> tuple[str, str, list[str]]:
    """The setting to go along x, the one that makes separate lines, and what came out."""
    numeric = [
        key
        for key in rows[0]
        if key != "chosen"
        and all(isinstance(r.get(key), (int, float, type(None))) for r in rows)
        and any(r.get(key) is not None for r in rows)
    ]
    settings = [key for key in _SETTINGS if key in numeric]
    x = settings[0] if settings else (numeric[0] if numeric else "")
    group = next((key for key in settings[1:] if len({r.get(key) for r in rows}) > 1), "")
    results = [key for key in numeric if key not in (x, group)]
    first = ["n_populations", "n_clusters", "noise_fraction", "criterion"]
    results.sort(key=lambda k: first.index(k) if k in first else len(first))
    return x, group, results


def sweep_panels(scene: Scene) -> list[Panel]:
    """Up to three small plots that share their x-axis; the chosen settings are ringed."""
    rows = sweep(scene.discovery.statistics)
    if not rows:
        return [Panel("sweep", note="No settings sweep was kept.")]
    x, group, results = sweep_columns(rows)
    panels: list[Panel] = []
    for key in results[:3]:
        sizes = [r[x] for r in rows if r.get(x) is not None]
        log = bool(sizes) and min(sizes) > 0 and max(sizes) > 8 * min(sizes)
        shared = {"x_range": panels[0].models["x_range"]} if panels else {}
        plot = plain_figure(
            _WORDS.get(x, x), _WORDS.get(key, key), x_axis_type="log" if log else "linear",
            **shared,
        )  # fmt: skip
        groups = sorted({r.get(group) for r in rows}, key=lambda v: (v is None, v))
        for i, value in enumerate(groups):
            part = sorted((r for r in rows if r.get(group) == value), key=lambda r: r[x])
            data: dict[str, list[Any]] = {
                name: [_value(r.get(name)) for r in part] for name in (x, key)
            }
            data["group"] = [str(value)] * len(part)
            source = ColumnDataSource(data)
            plot.line(x, key, source=source, line_color=colour(i), line_alpha=0.6, line_width=1.5)
            more = {"legend_label": f"{group} {value}"} if group else {}
            dots = plot.scatter(
                x, key, source=source, size=7, fill_color=colour(i), line_color="white", **more
            )
            tips = [(x, f"@{x}"), (key, f"@{key}")] + ([(group, "@group")] if group else [])
            plot.add_tools(HoverTool(renderers=[dots], tooltips=tips))
        chosen = [r for r in rows if r["chosen"]]
        plot.scatter(
            [_value(r.get(x)) for r in chosen], [_value(r.get(key)) for r in chosen], size=16,
            fill_color=None, line_color=ACCENT, line_width=2.5,
        )  # fmt: skip
        if group:
            plot.legend.visible = not panels
            plot.legend.label_text_font_size = "11px"
            plot.legend.label_text_color = MUTED
            plot.legend.border_line_color = None
            plot.legend.background_fill_alpha = 0.7
            plot.legend.padding = plot.legend.spacing = 2
        panels.append(Panel(f"sweep_{len(panels)}", plot, models={"x_range": plot.x_range}))
    return panels


def _value(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else np.nan
